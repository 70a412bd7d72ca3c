/*
 * Dedupe keys of the SQLite engine.
 *
 * Keys are hashes: written one by one, each would dirty a page of its own and
 * cost more than the event. So new keys are kept in memory, where they can be
 * rebuilt from the events that have them, and merged into the table in bulk, in
 * the order of the keys, a slice with each transaction. The table and the
 * sets hold the first 63 bits; whether two keys are the same is decided by the
 * event that has it. A filter in memory says for most new keys that the table
 * cannot have them.
 */
#ifndef SLUICE_LOGGER_STORE_SQLITE_DEDUPE_H
#define SLUICE_LOGGER_STORE_SQLITE_DEDUPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "logger/keyset.h"

/* Events whose keys are merged together, however many have one: so many are
 * read again at a start. */
#define DEDUPE_YOUNG_MAX 65536
#define DEDUPE_SLICE 512  /* of them with one transaction */
#define DEDUPE_SWEEP 4000 /* rows of the table looked at each second */
#define DEDUPE_FILTER_BYTES (2u * 1024 * 1024)
/* Keys it is good for: 10 bits each. Beyond, the table is asked. */
#define DEDUPE_FILTER_KEYS (DEDUPE_FILTER_BYTES * 8u / 10)

struct store_sqlite;

struct dedupe_undo {
	uint64_t key, before;
};

struct dedupe {
	struct keyset young;	   /* not in the table */
	struct keyset_entry *old;  /* being merged, in order */
	size_t old_count, merged;  /* committed, of old */
	size_t merging;		   /* in this transaction */
	uint64_t old_event;	   /* no key in old is of a later event */
	uint64_t marked;	   /* MARK_MERGED, as committed */
	uint64_t marking;	   /* in this transaction */
	struct dedupe_undo *undos; /* puts of this transaction */
	size_t undo_count, undo_size;
	uint64_t *filter;
	uint64_t filter_keys;
	uint64_t sweep_key;  /* the sweep goes on behind it */
	uint64_t expired;    /* events up to here are too old to count */
	uint64_t expired_ms; /* when that was found out */
};

int dedupe_load(struct store_sqlite *s) SL_MUST_CHECK;
void dedupe_done(struct dedupe *d);

/* Around each transaction. */
int dedupe_begin(struct store_sqlite *s) SL_MUST_CHECK;
void dedupe_commit(struct store_sqlite *s);
void dedupe_rollback(struct store_sqlite *s);
/* For an operation that is undone alone: back to a former undo_count. */
void dedupe_rollback_to(struct store_sqlite *s, size_t undo_count);

/* The event that may have the key; 0: none has it. */
int dedupe_get(struct store_sqlite *s, struct slice key,
    uint64_t *ret_event) SL_MUST_CHECK;
int dedupe_put(
    struct store_sqlite *s, struct slice key, uint64_t event) SL_MUST_CHECK;
/* Each second: forgets keys that have served their time. */
int dedupe_sweep(struct store_sqlite *s) SL_MUST_CHECK;

#endif
