/* Statements, and what is made of them: a row, a page, a write. */
#include "api/directory_sqlite.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"

int
sql_errno(const struct directory *d, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
		return 0;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	}
	log_error(
	    "directory sqlite=%d error=\"%s\"", rc, sqlite3_errmsg(d->db));
	return -EIO;
}

int
sql_prepare(struct directory *d, const char *sql, sqlite3_stmt **ret)
{
	sqlite3_stmt *s = NULL;
	int rc;

	for (unsigned i = 0; i < d->prepared; i++) {
		if (d->statements[i].sql == sql) {
			*ret = d->statements[i].statement;
			return 0;
		}
	}
	if (d->prepared == SQL_STATEMENTS_MAX)
		return -ENOBUFS;
	rc = sqlite3_prepare_v3(
	    d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
	if (rc != SQLITE_OK)
		return sql_errno(d, rc);
	d->statements[d->prepared].sql = sql;
	d->statements[d->prepared++].statement = s;
	*ret = s;
	return 0;
}

int
sql_step(struct directory *d, sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	return rc == SQLITE_ROW ? 1 : sql_errno(d, rc);
}

int
sql_run(struct directory *d, sqlite3_stmt *s)
{
	int r;

	do
		r = sql_step(d, s);
	while (r > 0);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return r;
}

int
sql_one(struct directory *d, sqlite3_stmt *s, sql_read_fn *read, void *ret)
{
	int r = sql_step(d, s);

	if (r > 0)
		r = read(s, ret);
	else if (r == 0)
		r = -ENOENT;
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return r;
}

int
sql_number(
    struct directory *d, const char *sql, uint64_t a, uint64_t b, uint64_t *ret)
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d, sql, &s);
	if (r < 0)
		return r;
	for (int i = 1; i <= sqlite3_bind_parameter_count(s); i++)
		sql_bind_number(s, i, i == 1 ? a : b);
	r = sql_step(d, s);
	if (r > 0)
		*ret = sql_column_number(s, 0);
	sqlite3_reset(s);
	if (r < 0)
		return r;
	return r > 0 ? 0 : -ENOENT;
}

/* Binding fails only when memory is out; stepping then says so. */
void
sql_bind_number(sqlite3_stmt *s, int at, uint64_t value)
{
	(void)sqlite3_bind_int64(s, at, (sqlite3_int64)value);
}

void
sql_bind_text(sqlite3_stmt *s, int at, const char *text)
{
	if (text == NULL)
		(void)sqlite3_bind_null(s, at);
	else
		(void)sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

void
sql_bind_bytes(sqlite3_stmt *s, int at, struct slice bytes)
{
	if (bytes.data == NULL)
		(void)sqlite3_bind_null(s, at);
	else
		(void)sqlite3_bind_blob(
		    s, at, bytes.data, (int)bytes.len, SQLITE_STATIC);
}

uint64_t
sql_column_number(sqlite3_stmt *s, int at)
{
	return (uint64_t)sqlite3_column_int64(s, at);
}

struct slice
sql_column(sqlite3_stmt *s, int at)
{
	const uint8_t *data = sqlite3_column_blob(s, at);
	size_t len = (size_t)sqlite3_column_bytes(s, at);

	if (sqlite3_column_type(s, at) == SQLITE_NULL)
		return (struct slice){ NULL, 0 };
	/* An empty value has no address, but it is there. */
	return (struct slice){ data == NULL ? (const uint8_t *)"" : data, len };
}

int
sql_column_copy(sqlite3_stmt *s, int at, char *text, size_t size)
{
	struct slice value = sql_column(s, at);

	text[0] = '\0';
	if (value.data == NULL)
		return 0;
	return slice_copy(value, text, size) < 0 ? -EBADMSG : 0;
}

int
sql_exec(struct directory *d, const char *sql)
{
	return sql_errno(d, sqlite3_exec(d->db, sql, NULL, NULL, NULL));
}

int
sql_read_number(struct directory *d)
{
	return sql_number(
	    d, "SELECT number FROM meta WHERE one = 1", 0, 0, &d->number);
}

int
sql_begin(struct directory *d)
{
	uint64_t now_us = clock_wall_us();
	int r;

	r = sql_exec(d, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	r = sql_read_number(d);
	if (r < 0)
		return sql_end(d, r);
	d->writing = now_us > d->number ? now_us : d->number + 1;
	return 0;
}

int
sql_end(struct directory *d, int r)
{
	sqlite3_stmt *s = NULL;

	if (r == 0)
		r = sql_prepare(
		    d, "UPDATE meta SET number = ?1 WHERE one = 1", &s);
	if (r == 0) {
		sql_bind_number(s, 1, d->writing);
		r = sql_run(d, s);
	}
	if (r == 0)
		r = sql_exec(d, "COMMIT");
	if (r == 0)
		d->number = d->writing;
	else if (!sqlite3_get_autocommit(d->db))
		(void)sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
	d->writing = 0;
	return r;
}

int
sql_touch_app(struct directory *d, uint32_t app)
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d, "UPDATE apps SET number = ?1 WHERE app = ?2", &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, d->writing);
	sql_bind_number(s, 2, app);
	return sql_run(d, s);
}

int
sql_change(struct directory *d, const char *sql, uint64_t a, uint64_t b)
{
	const uint64_t values[] = { d->writing, clock_wall_ms(), a, b };
	sqlite3_stmt *s = NULL;
	int r, n;

	r = sql_prepare(d, sql, &s);
	if (r < 0)
		return r;
	n = sqlite3_bind_parameter_count(s);
	for (int i = 0; i < n && i < 4; i++)
		sql_bind_number(s, i + 1, values[i]);
	r = sql_run(d, s);
	return r == 0 && sqlite3_changes(d->db) == 0 ? -ENOENT : r;
}

int
sql_seal(const struct directory *d, uint32_t app, struct slice secret,
    struct buf *sealed)
{
	char what[32];

	if (secret.data == NULL)
		return 0;
	(void)snprintf(what, sizeof(what), "secret:%u", (unsigned)app);
	return seal_close(d->seal, what, secret, sealed);
}

static int
read_previous(sqlite3_stmt *s, void *ret)
{
	struct directory_page *page = ret;

	page->previous = sql_column_number(s, 0);
	return 0;
}

/* Binds what the page is of. */
static int
prepare_page(struct directory *d, const char *sql,
    const struct directory_page *page, unsigned limit, sqlite3_stmt **ret)
{
	int r = sql_prepare(d, sql, ret);

	if (r < 0)
		return r;
	sql_bind_number(*ret, 1, page->app);
	sql_bind_number(*ret, 2, page->after);
	sql_bind_number(*ret, 3, limit);
	return 0;
}

int
sql_page(struct directory *d, const struct sql_list *list,
    struct directory_page *page, int (*row)(void *arg, sqlite3_stmt *s),
    void *arg)
{
	sqlite3_stmt *s = NULL;
	unsigned n = 0;
	int r;

	page->previous = 0;
	page->last = page->after;
	r = sql_number(d, list->count, page->app, 0, &page->total);
	if (r == 0)
		r = prepare_page(d, list->before, page, page->limit, &s);
	if (r == 0)
		r = sql_one(d, s, read_previous, page);
	if (r == 0 || r == -ENOENT)
		r = prepare_page(d, list->records, page, page->limit + 1, &s);
	if (r < 0)
		return r;
	while ((r = sql_step(d, s)) > 0 && n++ < page->limit) {
		page->last = sql_column_number(s, 0);
		r = row(arg, s);
		if (r < 0)
			break;
	}
	page->more = r > 0;
	sqlite3_reset(s);
	return r < 0 ? r : 0;
}
