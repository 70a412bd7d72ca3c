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

#include "common/attributes.h"
#include "logger/log_segment.h"

#define LOG_FILE_VERSION 2

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

/* ---- its statements ----------------------------------------------------- */

sqlite3_stmt *log_file_use(struct log_file *f, enum log_file_sql id);
/* 1: a row; 0: none. */
int log_file_step(struct log_file *f, sqlite3_stmt *st) SL_MUST_CHECK;
/* For one that gives no rows. */
int log_file_run(struct log_file *f, sqlite3_stmt *st) SL_MUST_CHECK;

#endif
