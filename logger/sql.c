#include "logger/sql.h"

#include <errno.h>

#include "common/log.h"

#define SQL_TEXT(name, text) [SQL_##name] = (text),
static const char *const texts[SQL_MAX] = { SQL_STATEMENTS(SQL_TEXT) };

int
sql_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
		return -EINVAL;
	case SQLITE_INTERRUPT:
		return -ETIMEDOUT;
	default:
		return -EIO;
	}
}

int
sql_init(struct sql *q, sqlite3 *db)
{
	*q = (struct sql){ .db = db };
	for (unsigned i = 0; i < SQL_MAX; i++) {
		int rc = sqlite3_prepare_v3(db, texts[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &q->statements[i], NULL);

		if (rc != SQLITE_OK) {
			log_error("statement=\"%s\" error=\"%s\"", texts[i],
			    sqlite3_errmsg(db));
			sql_done(q);
			return sql_errno(rc);
		}
	}
	return 0;
}

void
sql_done(struct sql *q)
{
	for (unsigned i = 0; i < SQL_MAX; i++) {
		sqlite3_finalize(q->statements[i]);
		q->statements[i] = NULL;
	}
}

sqlite3_stmt *
sql_use(struct sql *q, enum sql_id id)
{
	sqlite3_reset(q->statements[id]);
	return q->statements[id];
}

void
sql_u64(sqlite3_stmt *st, int at, uint64_t value)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)value);
}

void
sql_u64_or(sqlite3_stmt *st, int at, uint64_t value, uint64_t none)
{
	if (value == none)
		sqlite3_bind_null(st, at);
	else
		sql_u64(st, at, value);
}

void
sql_text(sqlite3_stmt *st, int at, struct slice text)
{
	if (text.data == NULL)
		sqlite3_bind_null(st, at);
	else
		sqlite3_bind_text64(st, at, (const char *)text.data, text.len,
		    SQLITE_STATIC, SQLITE_UTF8);
}

void
sql_blob(sqlite3_stmt *st, int at, struct slice blob)
{
	if (blob.data == NULL)
		sqlite3_bind_null(st, at);
	else
		sqlite3_bind_blob64(st, at, blob.data, blob.len, SQLITE_STATIC);
}

uint64_t
sql_get(sqlite3_stmt *st, int column)
{
	return (uint64_t)sqlite3_column_int64(st, column);
}

uint64_t
sql_get_or(sqlite3_stmt *st, int column, uint64_t none)
{
	if (sqlite3_column_type(st, column) == SQLITE_NULL)
		return none;
	return sql_get(st, column);
}

struct slice
sql_slice(sqlite3_stmt *st, int column)
{
	static const uint8_t empty[1];
	struct slice s;

	s.data = sqlite3_column_blob(st, column);
	s.len = (size_t)sqlite3_column_bytes(st, column);
	/* So it is of what is empty, too. */
	if (s.data == NULL && sqlite3_column_type(st, column) != SQLITE_NULL)
		s.data = empty;
	return s;
}

int
sql_row(struct sql *q, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	(void)q;
	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		log_debug("sql error=\"%s\"", sqlite3_errmsg(q->db));
	return sql_errno(rc);
}

int
sql_run(struct sql *q, sqlite3_stmt *st, int *ret_changed)
{
	int r = sql_row(q, st);

	if (r < 0)
		return r;
	if (ret_changed != NULL)
		*ret_changed = sqlite3_changes(q->db);
	sqlite3_reset(st);
	return 0;
}
