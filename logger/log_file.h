/*
 * The file of the log index: sealed segments, and marks that say how far it
 * goes. It lies beside the store, is derived from it, and is made anew when it
 * is missing, broken, of another build's format or of another store.
 *
 * One connection a struct log_file: the indexer's, which writes, and one of
 * each reader. What is read between log_file_begin() and log_file_end() is of
 * one moment. One thread at a time each.
 *
 * Numbers are kept as this machine has them; the format says so.
 */
#ifndef SLUICE_LOGGER_LOG_FILE_H
#define SLUICE_LOGGER_LOG_FILE_H

#include <sqlite3.h>

#include "logger/log_segment.h"

#define LOG_FILE_VERSION 1

/* Numbers kept in marks. */
#define LOG_MARK_FORMAT "format"
#define LOG_MARK_IDENTITY "identity" /* the store names it, too */
#define LOG_MARK_SEED "seed"	     /* of the keys */
#define LOG_MARK_EVENT "event"	     /* all events up to it are sealed */
#define LOG_MARK_CHANGE "change"     /* all changes up to it are in */
/* The newest the store had when it was read: a store that has less now is an
 * older copy of itself. */
#define LOG_MARK_SEEN_EVENT "seen_event"
#define LOG_MARK_SEEN_CHANGE "seen_change"

enum log_file_sql {
	LOG_FILE_MARK_GET,
	LOG_FILE_MARK_SET,
	LOG_FILE_WALK,
	LOG_FILE_SEGMENT_ADD,
	LOG_FILE_SEGMENT_DROP,
	LOG_FILE_BLOCK_ADD,
	LOG_FILE_BLOCK_GET,
	LOG_FILE_BLOCKS_DROP,
	LOG_FILE_MAP_ADD,
	LOG_FILE_MAP_GET,
	LOG_FILE_MAPS_DROP,
	LOG_FILE_STATES_PUT,
	LOG_FILE_STATES_GET,
	LOG_FILE_STATES_WALK,
	LOG_FILE_STATES_DROP,
	LOG_FILE_SQL_MAX
};

struct log_file {
	sqlite3 *db;
	sqlite3_stmt *statements[LOG_FILE_SQL_MAX];
};

/* A sealed segment, without what is filed in it. */
struct log_sealed {
	uint64_t id;
	/* No segment up to and with this one has a newer event. */
	uint64_t reach;
	struct log_head head;
	struct buf keys; /* the first of each block of postings */
};

/* To write: makes what is missing. -EBADMSG: it is no index of this format;
 * log_file_remove() it. Every failure is logged. */
int log_file_open(
    const char *path, bool write, struct log_file **ret) SL_MUST_CHECK;
void log_file_close(struct log_file *f);
void log_file_remove(const char *path);

int log_file_begin(struct log_file *f, bool write) SL_MUST_CHECK;
/* Commits. */
int log_file_end(struct log_file *f) SL_MUST_CHECK;
void log_file_undo(struct log_file *f);

/* 0 when there is no such mark. */
int log_file_mark(
    struct log_file *f, const char *name, uint64_t *ret) SL_MUST_CHECK;
int log_file_set_mark(
    struct log_file *f, const char *name, uint64_t value) SL_MUST_CHECK;

/* ---- segments ----------------------------------------------------------- */

int log_file_add(struct log_file *f, const struct log_segment *s,
    uint64_t reach) SL_MUST_CHECK;
int log_file_drop(struct log_file *f, uint64_t id) SL_MUST_CHECK;

void log_sealed_init(struct log_sealed *s);
void log_sealed_done(struct log_sealed *s);
/* The segment with the largest id below `below`. 1: there is one; 0: none. */
int log_file_walk(
    struct log_file *f, uint64_t below, struct log_sealed *ret) SL_MUST_CHECK;

/* Adds what is filed under the key, with a check as in postings_find(). */
int log_file_posting(struct log_file *f, const struct log_sealed *s,
    uint64_t key, const struct log_check *check,
    struct ordinals *set) SL_MUST_CHECK;
/* Adds those whose state matches. */
int log_file_match(struct log_file *f, const struct log_sealed *s,
    const struct log_state_filter *filter, struct ordinals *set) SL_MUST_CHECK;
/* Of the deliveries of one part. */
int log_file_places(struct log_file *f, const struct log_sealed *s,
    uint32_t part, struct log_place ret[LOG_PART]) SL_MUST_CHECK;
/* States of LOG_STATES_MAX deliveries. */
int log_file_states(struct log_file *f, uint64_t id, uint32_t part,
    struct log_states *ret) SL_MUST_CHECK;
int log_file_set_states(struct log_file *f, uint64_t id, uint32_t part,
    const struct log_states *states) SL_MUST_CHECK;

#endif
