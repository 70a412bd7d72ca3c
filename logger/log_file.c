#include "logger/log_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "logger/sql.h"

#define BUSY_MS 5000

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS marks ("
    " name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS segments ("
    " id INTEGER PRIMARY KEY, reach INTEGER NOT NULL, head BLOB NOT NULL,"
    " keys BLOB NOT NULL, kinds BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS postings ("
    " id INTEGER PRIMARY KEY, block BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS maps ("
    " id INTEGER PRIMARY KEY, map BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS states ("
    " id INTEGER PRIMARY KEY, runs BLOB NOT NULL);";

static const char *const texts[] = {
	[LOG_FILE_MARK_GET] = "SELECT value FROM marks WHERE name = ?1",
	[LOG_FILE_MARK_SET] =
	    "INSERT INTO marks (name, value) VALUES (?1, ?2)"
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	[LOG_FILE_WALK] = "SELECT id, reach, head, keys, kinds FROM segments"
			  " WHERE id < ?1 ORDER BY id DESC LIMIT 1",
	[LOG_FILE_SEGMENT_ADD] =
	    "INSERT INTO segments (id, reach, head, keys, kinds)"
	    " VALUES (?1, ?2, ?3, ?4, ?5)",
	[LOG_FILE_SEGMENT_DROP] = "DELETE FROM segments WHERE id = ?1",
	[LOG_FILE_BLOCK_ADD] =
	    "INSERT INTO postings (id, block) VALUES (?1, ?2)",
	[LOG_FILE_BLOCK_GET] = "SELECT block FROM postings WHERE id = ?1",
	[LOG_FILE_BLOCKS_DROP] =
	    "DELETE FROM postings WHERE id >= ?1 AND id < ?2",
	[LOG_FILE_MAP_ADD] = "INSERT INTO maps (id, map) VALUES (?1, ?2)",
	[LOG_FILE_MAP_GET] = "SELECT map FROM maps WHERE id = ?1",
	[LOG_FILE_MAPS_DROP] = "DELETE FROM maps WHERE id >= ?1 AND id < ?2",
	[LOG_FILE_STATES_PUT] =
	    "INSERT INTO states (id, runs) VALUES (?1, ?2)"
	    " ON CONFLICT (id) DO UPDATE SET runs = excluded.runs",
	[LOG_FILE_STATES_GET] = "SELECT runs FROM states WHERE id = ?1",
	[LOG_FILE_STATES_WALK] =
	    "SELECT id, runs FROM states WHERE id >= ?1 AND id < ?2",
	[LOG_FILE_STATES_DROP] =
	    "DELETE FROM states WHERE id >= ?1 AND id < ?2",
};

sqlite3_stmt *
log_file_use(struct log_file *f, enum log_file_sql id)
{
	sqlite3_reset(f->statements[id]);
	return f->statements[id];
}

int
log_file_step(struct log_file *f, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		log_debug("log index error=\"%s\"", sqlite3_errmsg(f->db));
	return sql_errno(rc);
}

int
log_file_run(struct log_file *f, sqlite3_stmt *st)
{
	int r = log_file_step(f, st);

	sqlite3_reset(st);
	return r;
}

/* ---- open and close ----------------------------------------------------- */

/* Another number on a machine that has the bytes the other way round. */
static uint64_t
format_here(void)
{
	static const uint8_t bytes[4] = { LOG_FILE_VERSION, 2, 3, 4 };
	uint32_t order;

	memcpy(&order, bytes, sizeof(order));
	return (uint64_t)sizeof(struct log_head) << 32 | order;
}

static int
exec(struct log_file *f, const char *text)
{
	int rc = sqlite3_exec(f->db, text, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		log_error("log index sql=\"%.40s\" error=\"%s\"", text,
		    sqlite3_errmsg(f->db));
	if (rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT)
		return -EBADMSG;
	return sql_errno(rc);
}

/* Changes that are not in it may be gone from the store: what it says is in
 * must be on disk, hence FULL. A commit comes once a second at most. */
static int
prepare_file(struct log_file *f, bool write)
{
	int r = exec(f, "PRAGMA page_size = 8192; PRAGMA temp_store = MEMORY;"
			"PRAGMA secure_delete = OFF");

	if (r == 0 && write)
		r = exec(f, "PRAGMA journal_mode = WAL;"
			    "PRAGMA synchronous = FULL;"
			    "PRAGMA cache_size = -2048");
	if (r == 0 && write)
		r = exec(f, tables);
	if (r == 0 && !write)
		r = exec(f, "PRAGMA query_only = 1; PRAGMA cache_size = -4096");
	return r;
}

static int
prepare_statements(struct log_file *f)
{
	for (unsigned i = 0; i < LOG_FILE_SQL_MAX; i++) {
		int rc = sqlite3_prepare_v3(f->db, texts[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &f->statements[i], NULL);

		if (rc != SQLITE_OK) {
			log_error("log index statement=\"%s\" error=\"%s\"",
			    texts[i], sqlite3_errmsg(f->db));
			return rc == SQLITE_ERROR ? -EBADMSG : sql_errno(rc);
		}
	}
	return 0;
}

static int
check_format(struct log_file *f, bool write)
{
	uint64_t format;
	int r = log_file_mark(f, LOG_MARK_FORMAT, &format);

	if (r == 0 && format == 0 && write)
		return log_file_set_mark(f, LOG_MARK_FORMAT, format_here());
	if (r == 0 && format != format_here())
		r = -EBADMSG;
	return r;
}

int
log_file_open(const char *path, bool write, struct log_file **ret)
{
	struct log_file *f = calloc(1, sizeof(*f));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	int rc, r;

	if (f == NULL)
		return -ENOMEM;
	if (write)
		flags |= SQLITE_OPEN_CREATE;
	rc = sqlite3_open_v2(path, &f->db, flags, NULL);
	r = sql_errno(rc);
	if (rc != SQLITE_OK) {
		log_error("log index=%s error=\"%s\"", path,
		    f->db != NULL ? sqlite3_errmsg(f->db) : "out of memory");
	} else {
		sqlite3_busy_timeout(f->db, BUSY_MS);
		r = prepare_file(f, write);
	}
	if (r == 0)
		r = prepare_statements(f);
	if (r == 0)
		r = check_format(f, write);
	if (r < 0) {
		log_file_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

void
log_file_close(struct log_file *f)
{
	if (f == NULL)
		return;
	for (unsigned i = 0; i < LOG_FILE_SQL_MAX; i++)
		sqlite3_finalize(f->statements[i]);
	sqlite3_close(f->db);
	free(f);
}

void
log_file_remove(const char *path)
{
	static const char *const ends[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *name = sqlite3_mprintf("%s%s", path, ends[i]);

		if (name != NULL)
			(void)unlink(name);
		sqlite3_free(name);
	}
}

int
log_file_begin(struct log_file *f, bool write)
{
	int rc = sqlite3_exec(
	    f->db, write ? "BEGIN IMMEDIATE" : "BEGIN", NULL, NULL, NULL);

	return sql_errno(rc);
}

int
log_file_end(struct log_file *f)
{
	return sql_errno(sqlite3_exec(f->db, "COMMIT", NULL, NULL, NULL));
}

void
log_file_undo(struct log_file *f)
{
	for (unsigned i = 0; i < LOG_FILE_SQL_MAX; i++)
		sqlite3_reset(f->statements[i]);
	if (!sqlite3_get_autocommit(f->db))
		(void)sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
}

int
log_file_mark(struct log_file *f, const char *name, uint64_t *ret)
{
	sqlite3_stmt *st = log_file_use(f, LOG_FILE_MARK_GET);
	int r;

	sql_text(st, 1, slice_text(name));
	r = log_file_step(f, st);
	if (r >= 0)
		*ret = r > 0 ? sql_get(st, 0) : 0;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int
log_file_set_mark(struct log_file *f, const char *name, uint64_t value)
{
	sqlite3_stmt *st = log_file_use(f, LOG_FILE_MARK_SET);

	sql_text(st, 1, slice_text(name));
	sql_u64(st, 2, value);
	return log_file_run(f, st);
}
