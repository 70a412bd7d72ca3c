/*
 * What the files of the SQLite engine share; nobody else includes it.
 *
 * store_sqlite.c opens, migrates and runs transactions; sql.c has the
 * statements; one file for each group of operations. The schema is in
 * store_sqlite_schema.c.
 */
#ifndef SLUICE_LOGGER_STORE_SQLITE_H
#define SLUICE_LOGGER_STORE_SQLITE_H

#include <pthread.h>
#include <stdatomic.h>

#include <sqlite3.h>

#include "logger/log_index.h"
#include "logger/recent.h"
#include "logger/sql.h"
#include "logger/store.h"
#include "logger/store_sqlite_dedupe.h"
#include "logger/store_sqlite_usage.h"

#define SQLITE_PAGE_BYTES 8192
#define SQLITE_WAL_MAX_PAGES 8192 /* 64 MiB: the writer checkpoints itself */
#define SQLITE_CHECKPOINT_MS 250
#define SQLITE_CHECKPOINT_PAGES 512 /* below this it is not worth a sync */
#define SQLITE_BUSY_MS 5000

/* Numbers kept in marks. */
#define MARK_NUMBER "directory_number"
#define MARK_LEASE_FLOOR "lease_floor"
#define MARK_LAST_EVENT "last_event"
#define MARK_MERGED "dedupe_merged"
#define MARK_LOG_INDEX "log_index" /* identity of the one that goes with it */
#define MARK_CHANGES_DROPPED "changes_dropped" /* notes up to it are gone */

/* In the column flags of an event, beside the message's 32 bits: its
 * deliveries are over the quota. */
#define SQLITE_EVENT_OVER (UINT64_C(1) << 32)

struct store_sqlite {
	struct store store;
	char *path;
	int lock_fd;
	sqlite3 *db;
	struct sql sql;
	uint64_t now_ms; /* of the batch */
	uint64_t last_event;
	uint64_t last_committed;
	struct usage usage;
	uint64_t swept_event; /* retention goes on behind this one */
	struct dedupe dedupe;
	struct log_index *index;
	uint64_t fence;	      /* changes of events up to it are noted */
	struct recent recent; /* first attempts of these are not noted */
	uint64_t inserted;    /* deliveries, in this transaction */
	uint64_t last_change; /* note made last, in this transaction */
	uint64_t changes_committed;
	uint64_t changes_dropped, changes_dropping;
	uint64_t index_kept, index_keeping; /* MARK_LOG_INDEX */
	uint64_t floor_set; /* MARK_LEASE_FLOOR, as it is in the store */
	_Atomic uint64_t wal_pages;
	_Atomic uint64_t checkpoints;
	_Atomic bool stopping;
	pthread_mutex_t lock; /* with wake: the checkpoint thread's sleep */
	pthread_cond_t wake;
	pthread_t checkpointer;
	bool has_checkpointer;
};

/* A row of deliveries, and what delivery_save() must find unchanged. */
struct delivery_row {
	uint64_t event;
	uint32_t subscription;
	enum msg_state state, old_state;
	uint64_t token, old_token;
	uint64_t due_ms; /* STORE_NEVER unless DUE, HELD or OVER */
	uint64_t session;
	uint32_t attempts;
	uint32_t cycle; /* attempts before this cycle */
	uint64_t cycle_ms;
	uint32_t lost;
	uint32_t status;
	uint32_t old_attempts, old_status; /* as they were read */
	bool first_inline; /* the first attempt stands in the row */
	uint64_t first_token;
};

/* Tokens count on with each lease; a replay goes on from the next multiple of
 * this, so that what a lease from before it comes to is known by its token. */
#define DELIVERY_REPLAY_TOKENS (UINT64_C(1) << 32)

/* Schema, pragmas. A database of a newer build is refused with -ENOTSUP. */
int schema_prepare(sqlite3 *db) SL_MUST_CHECK;
int schema_migrate(sqlite3 *db) SL_MUST_CHECK;

/* Operations: 0, -EINVAL (this one alone is refused; reason is set unless
 * SQLite's message says it), else what ends the batch. */
int sqlite_plan(struct store_sqlite *s, struct store_op *op) SL_MUST_CHECK;
int sqlite_outcome(struct store_sqlite *s, struct store_op *op) SL_MUST_CHECK;
int sqlite_take(struct store_sqlite *s, struct store_take *t) SL_MUST_CHECK;
int sqlite_give_back(
    struct store_sqlite *s, struct store_give_back *g) SL_MUST_CHECK;
int sqlite_shift(struct store_sqlite *s, struct store_shift *shift,
    enum msg_state from, enum msg_state to) SL_MUST_CHECK;
int sqlite_lift(
    struct store_sqlite *s, struct store_shift *shift) SL_MUST_CHECK;
int sqlite_directory(
    struct store_sqlite *s, const struct store_directory *d) SL_MUST_CHECK;
int sqlite_sweep(struct store_sqlite *s, struct store_sweep *w) SL_MUST_CHECK;
int sqlite_replay(struct store_sqlite *s, struct store_op *op) SL_MUST_CHECK;
int sqlite_replay_step(
    struct store_sqlite *s, struct store_replay_step *step) SL_MUST_CHECK;
int sqlite_load(
    struct store *s, const struct store_loader *ops, void *arg) SL_MUST_CHECK;
int sqlite_reader_open(
    struct store *s, struct store_reader **ret) SL_MUST_CHECK;
int sqlite_page(struct store_reader *r, const struct msg *query,
    struct buf *out) SL_MUST_CHECK;
void sqlite_reader_close(struct store_reader *r);

int sqlite_mark_get(
    struct store_sqlite *s, const char *name, uint64_t *ret) SL_MUST_CHECK;
int sqlite_mark_set(
    struct store_sqlite *s, const char *name, uint64_t value) SL_MUST_CHECK;
int sqlite_next_due(struct store_sqlite *s, uint32_t subscription,
    enum msg_state state, uint64_t *ret_due_ms) SL_MUST_CHECK;
/* Commit sequence of the event; 0: not there. ret_flags may be NULL. */
int sqlite_event_of(struct store_sqlite *s, struct id custody, uint64_t *ret,
    uint64_t *ret_flags) SL_MUST_CHECK;

/* ---- notes for the log index -------------------------------------------- */

/* The delivery is not as the index may have read it. */
int sqlite_note(struct store_sqlite *s, uint64_t event,
    uint32_t subscription) SL_MUST_CHECK;
/* The same, when what is saved of the row says so. */
int sqlite_note_row(
    struct store_sqlite *s, const struct delivery_row *row) SL_MUST_CHECK;
/* Drops notes that the index has, some at a time. */
int sqlite_notes_sweep(struct store_sqlite *s) SL_MUST_CHECK;
/* Around each transaction. */
void sqlite_notes_begin(struct store_sqlite *s);
void sqlite_notes_end(struct store_sqlite *s, bool committed);
int sqlite_index_open(struct store_sqlite *s) SL_MUST_CHECK;

/* ---- one delivery ------------------------------------------------------- */

/* -ENOENT: not there. */
int delivery_load(struct store_sqlite *s, uint64_t event, uint32_t subscription,
    struct delivery_row *ret) SL_MUST_CHECK;
/* The one place where a delivery changes its state: due_ms counts for DUE,
 * HELD and OVER, session for LEASED, which also takes the next token. */
void delivery_set_state(struct delivery_row *row, enum msg_state state,
    uint64_t due_ms, uint64_t session);
/* Writes the row unless it changed since it was read; then -ESTALE. With
 * first, its first attempt goes into the row too. */
int delivery_save(struct store_sqlite *s, const struct delivery_row *row,
    const struct store_outcome *first) SL_MUST_CHECK;
/* Due at that time, in a new cycle: life and schedule count from now. */
int delivery_renew(struct store_sqlite *s, struct delivery_row *row,
    uint64_t due_ms) SL_MUST_CHECK;
/* Due now, in a new cycle that what was leased before has no part in. */
int delivery_replay(
    struct store_sqlite *s, struct delivery_row *row) SL_MUST_CHECK;
/* A lease with that token was made before the delivery's last replay. */
bool delivery_was_replayed(const struct delivery_row *row, uint64_t token);
/* Keeps the attempt once; *ret_new false: it was there already. Changes the
 * counters of row, which the caller saves; *ret_first says whether the attempt
 * belongs into the row then. */
int delivery_add_attempt(struct store_sqlite *s, struct delivery_row *row,
    const struct store_outcome *o, bool *ret_new,
    bool *ret_first) SL_MUST_CHECK;
/* It was added HELD or OVER: counts it, and fails it when there are too many;
 * *ret_kept says whether it stays. */
int delivery_keep_held(struct store_sqlite *s, uint64_t event,
    uint32_t subscription, bool *ret_kept) SL_MUST_CHECK;
/* Its lease went: due again with the back-off of lost leases. */
int delivery_lose(struct store_sqlite *s, struct delivery_row *row,
    const struct store_judge *judge) SL_MUST_CHECK;

#endif
