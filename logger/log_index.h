/*
 * The log index: which rows of the log have what a filter asks for.
 *
 * It is derived from the store and filled behind its commits, by a thread of
 * its own with connections of its own; nothing here ever waits for the writer
 * nor the writer for anything here. It may lag, and a search then says how far
 * it goes:
 *
 *   events up to `last_event` are in it; what is newer is found by reading the
 *   store itself;
 *   of those, deliveries that changed later are noted by the writer in the
 *   store's table `changed`, in the change's own transaction; changes up to
 *   `last_change` are in the index, what is newer is a candidate for every
 *   search.
 *
 * The end of a first attempt is not noted anywhere when the delivery was leased
 * by its commit, or is of a recent event: before it the index calls such a
 * delivery PENDING, which matches everything, and looks again.
 *
 * The writer notes changes of events up to the fence it is told; the fence goes
 * up before the index reads further, and no transaction is under way then that
 * has not seen it. So a change is seen either by that reading, or as a note.
 *
 * Segments that are full are kept in a file (log_file.h) beside the store. The
 * one being filled is in memory and is filled anew after a restart.
 */
#ifndef SLUICE_LOGGER_LOG_INDEX_H
#define SLUICE_LOGGER_LOG_INDEX_H

#include "logger/log_search.h"

#define LOG_INDEX_MS 50	       /* between two looks at what is new */
#define LOG_INDEX_QUIET_MS 500 /* the same, when there was nothing for long */
/* Changes and pending deliveries are settled at most this often, so that
 * commits of the index stay rare; sooner when many wait. */
#define LOG_SETTLE_MS 200
#define LOG_SETTLE_CHANGES 2048
/* An index that was given up is made anew after this, after twice as long the
 * next time, and so on up to the longest; one that lasted that long may begin
 * with the first again. */
#define LOG_AGAIN_MS 5000
#define LOG_AGAIN_MAX_MS 300000

struct log_index;

/* What the store has when it is opened. */
struct log_index_store {
	const char *path;
	uint64_t identity; /* of the index that goes with it; 0: none */
	uint64_t last_event, last_change;
	uint64_t dropped; /* notes of changes up to it are gone */
};

/*
 * Opens the index that goes with the store, or begins a new one; the store
 * must then keep *ret_identity before its first transaction. Without an index
 * (*ret_identity 0: it could not be made, and the reason is logged) pages are
 * found by reading the store. That is also so when it breaks later. It is tried
 * again and again to make one, after longer and longer pauses. -ENOMEM.
 */
int log_index_open(const struct log_index_store *store, struct log_index **ret,
    uint64_t *ret_identity) SL_MUST_CHECK;
/* The thread runs from now on. */
int log_index_start(struct log_index *x) SL_MUST_CHECK;
void log_index_close(struct log_index *x);

/* ---- the writer --------------------------------------------------------- */

/* Around every transaction; changes of events up to the answer are noted. */
uint64_t log_index_begin(struct log_index *x);
/* What is committed now. First attempts of events behind `recent`, which only
 * grows, are not noted from now on. */
void log_index_end(struct log_index *x, uint64_t last_event,
    uint64_t last_change, uint64_t recent);
/* Notes of changes up to this one are not needed any more. */
uint64_t log_index_settled(const struct log_index *x);
/* Of the index that goes with the store now; the store must keep it. 0: the
 * index was given up, and once the store has committed that it has none,
 * log_index_forgotten() says so. Until then changes are noted, should its file
 * still be there when we die. */
uint64_t log_index_identity(const struct log_index *x);
void log_index_forgotten(struct log_index *x);

/* ---- readers ------------------------------------------------------------ */

struct log_view;

int log_view_open(struct log_index *x, struct log_view **ret) SL_MUST_CHECK;
void log_view_close(struct log_view *v);
/*
 * Begins a search. The caller's view of the store is as old as that of the
 * index or older, never newer: begin to read the store first. Candidates among
 * the changes newer than *ret_change are to be added with log_view_add().
 * -ENOENT: the index cannot be used.
 */
int log_view_begin(struct log_view *v, const struct msg *query,
    const struct log_position *before, uint64_t first_event,
    uint64_t *ret_event, uint64_t *ret_change) SL_MUST_CHECK;
int log_view_add(
    struct log_view *v, const struct log_position *at) SL_MUST_CHECK;
int log_view_next(struct log_view *v, struct log_position *ret) SL_MUST_CHECK;
void log_view_end(struct log_view *v);

/* ---- anybody ------------------------------------------------------------ */

struct log_index_stats {
	bool usable;
	uint64_t last_event, last_change;   /* that are in it */
	uint64_t store_event, store_change; /* that are committed */
	uint64_t segments;		    /* sealed */
	uint64_t pending;
};

void log_index_stats(struct log_index *x, struct log_index_stats *ret);
/* Seals at this many deliveries from now on, for tests. */
void log_index_set_segment(struct log_index *x, uint32_t deliveries);
/* Tries again after this time to make one that was given up, for tests. */
void log_index_set_again(struct log_index *x, uint32_t ms);

#endif
