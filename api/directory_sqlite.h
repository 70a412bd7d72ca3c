/*
 * What the files of the SQLite directory share. Nobody else includes it.
 *
 * Statements are prepared once and kept by the address of their text, so pass
 * string constants only. Every statement is reset by who stepped it.
 */
#ifndef SLUICE_API_DIRECTORY_SQLITE_H
#define SLUICE_API_DIRECTORY_SQLITE_H

#include <sqlite3.h>

#include "api/directory.h"

#define SQL_STATEMENTS_MAX 96

struct directory {
	sqlite3 *db;
	const struct seal *seal;
	int lock_fd;	  /* held by the owner; -1: not the owner */
	uint64_t number;  /* last change known */
	uint64_t writing; /* number of the open transaction; 0: none */
	int64_t seen;	  /* data_version when number was read */
	unsigned prepared;
	struct {
		const char *sql;
		sqlite3_stmt *statement;
	} statements[SQL_STATEMENTS_MAX];
};

/* -errno of what SQLite said; 0 for OK and DONE. */
int sql_errno(const struct directory *d, int rc) SL_MUST_CHECK;
int sql_exec(struct directory *d, const char *sql) SL_MUST_CHECK;
/* Makes the tables, or brings an older file's up to date. */
int sql_make_schema(struct directory *d) SL_MUST_CHECK;
/* The number of the last change, into d->number. */
int sql_read_number(struct directory *d) SL_MUST_CHECK;
int sql_prepare(
    struct directory *d, const char *sql, sqlite3_stmt **ret) SL_MUST_CHECK;
/* 1: a row; 0: done; else -errno. */
int sql_step(struct directory *d, sqlite3_stmt *s) SL_MUST_CHECK;
/* Steps to the end and resets. */
int sql_run(struct directory *d, sqlite3_stmt *s) SL_MUST_CHECK;
/* The row that s gives, read into ret, and resets. -ENOENT: there is none. */
typedef int sql_read_fn(sqlite3_stmt *s, void *ret);
int sql_one(struct directory *d, sqlite3_stmt *s, sql_read_fn *read,
    void *ret) SL_MUST_CHECK;
/* The one number that sql gives, with up to two numbers bound. -ENOENT. */
int sql_number(struct directory *d, const char *sql, uint64_t a, uint64_t b,
    uint64_t *ret) SL_MUST_CHECK;

/* Binding: an absent value is NULL; text and bytes must outlive the step. */
void sql_bind_number(sqlite3_stmt *s, int at, uint64_t value);
void sql_bind_text(sqlite3_stmt *s, int at, const char *text);
void sql_bind_bytes(sqlite3_stmt *s, int at, struct slice bytes);
uint64_t sql_column_number(sqlite3_stmt *s, int at);
struct slice sql_column(sqlite3_stmt *s, int at); /* until the next step */
/* -EBADMSG when it does not fit: it was never stored by us. */
int sql_column_copy(
    sqlite3_stmt *s, int at, char *text, size_t size) SL_MUST_CHECK;

/* One write: begin, statements with d->writing as their number, then end with
 * what came of them. sql_end() stores the number and commits when r is 0, else
 * takes everything back and gives r. */
int sql_begin(struct directory *d) SL_MUST_CHECK;
int sql_end(struct directory *d, int r) SL_MUST_CHECK;
/* Runs sql with the number of this write, the time and two numbers, as far as
 * it has parameters. -ENOENT: no record was changed. */
int sql_change(
    struct directory *d, const char *sql, uint64_t a, uint64_t b) SL_MUST_CHECK;
/* Seals a secret of the application; appends nothing when it is absent. */
int sql_seal(const struct directory *d, uint32_t app, struct slice secret,
    struct buf *sealed) SL_MUST_CHECK;
/* Gives the application the number of this write. */
int sql_touch_app(struct directory *d, uint32_t app) SL_MUST_CHECK;
/* Writes the whole record of a subscription, and its secret, opened; absent:
 * it has none; NULL: it is left as it is. */
int sql_store_hook(struct directory *d, struct directory_hook *hook, bool touch,
    const struct slice *secret) SL_MUST_CHECK;
/* Puts the news of a connection's write into the outbox; inside one. */
int sql_tell(struct directory *d, const struct directory_connection *c,
    const struct directory_news *news) SL_MUST_CHECK;
/* What a list is paged by: its total for application ?1; the number before the
 * page that ends at ?2 and is ?3 long, or no row; ?3 records after ?2, whose
 * first column is their number. */
struct sql_list {
	const char *count, *before, *records;
};
int sql_page(struct directory *d, const struct sql_list *list,
    struct directory_page *page, int (*row)(void *arg, sqlite3_stmt *s),
    void *arg) SL_MUST_CHECK;

#endif
