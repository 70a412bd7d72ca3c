/*
 * How many events each application used in the month that the store's clock
 * says, and whether that is over its quota.
 *
 * The tables usage and apps are the truth; here is what a transaction reads
 * and adds: rows are read once, counted in memory, and written together before
 * the commit (usage_flush()). After a rollback what the transaction touched is
 * read anew. Months go by the time of the batch; within one process they do
 * not go back, so that a clock slewed back over the turn opens none again. The
 * writer's thread only.
 */
#ifndef SLUICE_LOGGER_STORE_SQLITE_USAGE_H
#define SLUICE_LOGGER_STORE_SQLITE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "logger/store.h"
#include "logger/table.h"

struct store_sqlite;
struct usage_app;

struct usage {
	struct table apps; /* of those that were counted or asked about */
	struct usage_app *touched; /* read or counted by the transaction */
	uint32_t month;
	uint64_t month_ends_ms; /* month is right until then */
};

int usage_init(struct usage *u) SL_MUST_CHECK;
void usage_done(struct usage *u);

/* Would one more event be over the quota? */
int usage_next_over(
    struct store_sqlite *s, uint32_t app, bool *ret) SL_MUST_CHECK;
/* Is what was counted over it? *ret_usage: what was. */
int usage_over(struct store_sqlite *s, uint32_t app, bool *ret,
    struct store_usage *ret_usage) SL_MUST_CHECK;
/* One more event of the application this month. */
int usage_count(struct store_sqlite *s, uint32_t app) SL_MUST_CHECK;
/* Its row in apps was written: another quota may hold from here on. */
int usage_app_changed(struct store_sqlite *s, uint32_t app) SL_MUST_CHECK;

int usage_flush(struct store_sqlite *s) SL_MUST_CHECK;
/* The database went back: to a savepoint, or to what was before the
 * transaction. What was not flushed is forgotten. */
void usage_rollback(struct store_sqlite *s);
/* The transaction is over, this way or that. */
void usage_end(struct store_sqlite *s);

#endif
