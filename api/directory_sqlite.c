#include "api/directory_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

/* The owner must not stand still; a command may wait for it. */
#define OWNER_BUSY_MS 250
#define COMMAND_BUSY_MS 10000

static const char schema_1[] =
    "CREATE TABLE meta ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " number INTEGER NOT NULL) STRICT;"
    "INSERT INTO meta VALUES (1, 1);" /* 0 would mean: no directory */

    "CREATE TABLE apps ("
    " app INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL,"
    " quota INTEGER NOT NULL DEFAULT 0,"
    " number INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX apps_number ON apps (number);"

    "CREATE TABLE keys ("
    " key INTEGER PRIMARY KEY AUTOINCREMENT,"
    " app INTEGER NOT NULL REFERENCES apps (app),"
    " id TEXT NOT NULL UNIQUE,"
    " hash BLOB NOT NULL,"
    " sealed BLOB,"
    " signing INTEGER NOT NULL,"
    " number INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " deleted_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE UNIQUE INDEX keys_hash ON keys (hash) WHERE deleted_ms = 0;"
    "CREATE UNIQUE INDEX keys_signing ON keys (app)"
    " WHERE signing = 1 AND deleted_ms = 0;"
    "CREATE INDEX keys_number ON keys (number);"

    "CREATE TABLE subscriptions ("
    " subscription INTEGER PRIMARY KEY AUTOINCREMENT,"
    " app INTEGER NOT NULL REFERENCES apps (app),"
    " id TEXT NOT NULL UNIQUE,"
    " description TEXT,"
    " unified_api TEXT NOT NULL,"
    " url TEXT NOT NULL,"
    " events TEXT NOT NULL,"
    " enabled INTEGER NOT NULL,"
    " reason TEXT NOT NULL,"
    " cause TEXT NOT NULL,"
    " secret BLOB,"
    " scopes TEXT,"
    " timeout_ms INTEGER NOT NULL DEFAULT 0,"
    " schedule TEXT,"
    " rate INTEGER NOT NULL DEFAULT 0,"
    " born INTEGER NOT NULL,"
    " touched INTEGER NOT NULL,"
    " number INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL,"
    " deleted_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX subscriptions_app ON subscriptions (app, subscription)"
    " WHERE deleted_ms = 0;"
    "CREATE INDEX subscriptions_number ON subscriptions (number);"

    "CREATE TABLE connections ("
    " connection INTEGER PRIMARY KEY AUTOINCREMENT,"
    " app INTEGER NOT NULL REFERENCES apps (app),"
    " id TEXT NOT NULL UNIQUE,"
    " lookup TEXT NOT NULL UNIQUE,"
    " consumer_id TEXT NOT NULL,"
    " unified_api TEXT NOT NULL,"
    " service_id TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " icon TEXT NOT NULL,"
    " logo TEXT NOT NULL,"
    " website TEXT NOT NULL,"
    " tag_line TEXT NOT NULL,"
    " auth_type TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " enabled INTEGER NOT NULL,"
    " secret BLOB,"
    " born INTEGER NOT NULL,"
    " number INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL,"
    " deleted_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX connections_app ON connections (app, connection)"
    " WHERE deleted_ms = 0;"
    "CREATE UNIQUE INDEX connections_one ON connections"
    " (app, service_id, consumer_id, unified_api) WHERE deleted_ms = 0;"
    "CREATE INDEX connections_number ON connections (number);";

static const char schema_2[] =
    "ALTER TABLE apps ADD COLUMN rate INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE apps ADD COLUMN limited INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE subscriptions"
    " ADD COLUMN secret_until_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX subscriptions_secret ON subscriptions (secret_until_ms)"
    " WHERE secret_until_ms > 0;"
    "CREATE TABLE outbox ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " app INTEGER NOT NULL REFERENCES apps (app),"
    " custody BLOB NOT NULL UNIQUE,"
    " made_ms INTEGER NOT NULL,"
    " event BLOB NOT NULL,"
    " refused TEXT) STRICT;";

static const char schema_3[] =
    "ALTER TABLE apps ADD COLUMN quota_number INTEGER NOT NULL DEFAULT 0;";

static const char schema_4[] =
    "ALTER TABLE subscriptions ADD COLUMN headers BLOB;";

static const char schema_5[] = "ALTER TABLE subscriptions"
			       " ADD COLUMN http2 INTEGER NOT NULL DEFAULT 0;";

static const char schema_6[] =
    "ALTER TABLE subscriptions"
    " ADD COLUMN secret_back INTEGER NOT NULL DEFAULT 0;";

static const char schema_7[] =
    "ALTER TABLE subscriptions ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;";

/* Each brings the file from the version before it to its own. */
static const char *const schemas[] = { schema_1, schema_2, schema_3, schema_4,
	schema_5, schema_6, schema_7 };

#define VERSION (sizeof(schemas) / sizeof(*schemas))

static int
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

static int
exec(struct directory *d, const char *sql)
{
	return sql_errno(d, sqlite3_exec(d->db, sql, NULL, NULL, NULL));
}

static int
read_number(struct directory *d)
{
	return sql_number(
	    d, "SELECT number FROM meta WHERE one = 1", 0, 0, &d->number);
}

int
sql_begin(struct directory *d)
{
	uint64_t now_us = clock_wall_us();
	int r;

	r = exec(d, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	r = read_number(d);
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
		r = exec(d, "COMMIT");
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

/* ---- opening ---------------------------------------------------------- */

/* Its folder, of which only we read. */
static int
make_folder(const char *path)
{
	char folder[PATH_MAX];
	char *slash;

	if (slice_copy(slice_text(path), folder, sizeof(folder)) < 0)
		return -ENAMETOOLONG;
	for (slash = strchr(folder + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(folder, 0700) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* SQLite lets several processes write; that there is one owner is ours to
 * see to, with a lock that ends with the process. */
static int
claim(struct directory *d, const char *path)
{
	char lock[PATH_MAX];

	if (snprintf(lock, sizeof(lock), "%s.lock", path) >= (int)sizeof(lock))
		return -ENAMETOOLONG;
	d->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0)
		return -errno;
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

static int
upgrade(struct directory *d, uint64_t version)
{
	char pragma[48];
	int r = 0;

	if (version == VERSION)
		return 0;
	for (; r == 0 && version < VERSION; version++)
		r = exec(d, schemas[version]);
	(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %zu",
	    (size_t)VERSION);
	return r < 0 ? r : exec(d, pragma);
}

static int
make_schema(struct directory *d)
{
	uint64_t version;
	int r;

	r = exec(d, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	r = sql_number(d, "PRAGMA user_version", 0, 0, &version);
	if (r == 0)
		r = version > VERSION ? -EPROTO : upgrade(d, version);
	if (r == 0)
		return exec(d, "COMMIT");
	(void)sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

static int
drop_old_marks(struct directory *d)
{
	static const char *const marks[] = {
		"DELETE FROM keys WHERE deleted_ms > 0 AND deleted_ms < ?1",
		"DELETE FROM subscriptions"
		" WHERE deleted_ms > 0 AND deleted_ms < ?1",
		"DELETE FROM connections"
		" WHERE deleted_ms > 0 AND deleted_ms < ?1",
	};
	uint64_t before = clock_wall_ms() - DIRECTORY_MARK_MS;
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(marks) / sizeof(*marks); i++) {
		sqlite3_stmt *s = NULL;

		r = sql_prepare(d, marks[i], &s);
		if (r == 0) {
			sql_bind_number(s, 1, before);
			r = sql_run(d, s);
		}
	}
	return r;
}

static int
see(struct directory *d, int64_t *ret)
{
	uint64_t version = 0;
	int r = sql_number(d, "PRAGMA data_version", 0, 0, &version);

	*ret = (int64_t)version;
	return r;
}

/* Secrets that cannot be opened would make deliveries that nobody can check:
 * better not to start. */
static int
check_seal(struct directory *d)
{
	struct buf secret;
	sqlite3_stmt *s = NULL;
	char what[32];
	int r;

	r = sql_prepare(d,
	    "SELECT app, sealed FROM keys WHERE deleted_ms = 0"
	    " ORDER BY key LIMIT 1",
	    &s);
	if (r < 0)
		return r;
	buf_init(&secret, SEAL_SECRET_MAX);
	r = sql_step(d, s);
	if (r > 0) {
		(void)snprintf(what, sizeof(what), "secret:%u",
		    (unsigned)sql_column_number(s, 0));
		r = seal_open(d->seal, what, sql_column(s, 1), &secret);
		if (r == -EBADMSG)
			r = -EKEYREJECTED;
	}
	sqlite3_reset(s);
	buf_done(&secret);
	return r;
}

static int
open_database(struct directory *d, const char *path, bool owner)
{
	int flags =
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int r;

	r = sql_errno(d, sqlite3_open_v2(path, &d->db, flags, NULL));
	if (r < 0)
		return r;
	(void)sqlite3_extended_result_codes(d->db, 1);
	(void)sqlite3_busy_timeout(d->db, COMMAND_BUSY_MS);
	r = exec(d, "PRAGMA journal_mode = WAL;"
		    "PRAGMA synchronous = FULL;"
		    "PRAGMA foreign_keys = ON;"
		    "PRAGMA secure_delete = ON;"
		    "PRAGMA temp_store = MEMORY");
	if (r == 0)
		r = make_schema(d);
	if (r == 0)
		r = check_seal(d);
	if (r == 0 && owner)
		r = drop_old_marks(d);
	if (r == 0)
		r = see(d, &d->seen);
	if (r == 0)
		r = read_number(d);
	if (owner)
		(void)sqlite3_busy_timeout(d->db, OWNER_BUSY_MS);
	return r;
}

int
directory_open(const char *path, const struct seal *seal, bool owner,
    struct directory **ret)
{
	struct directory *d = calloc(1, sizeof(*d));
	int r;

	if (d == NULL)
		return -ENOMEM;
	d->seal = seal;
	d->lock_fd = -1;
	r = make_folder(path);
	if (r == 0 && owner)
		r = claim(d, path);
	if (r == 0) {
		mode_t mask = umask(0077);

		r = open_database(d, path, owner);
		(void)umask(mask);
	}
	if (r < 0) {
		directory_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

void
directory_close(struct directory *d)
{
	if (d == NULL)
		return;
	for (unsigned i = 0; i < d->prepared; i++)
		sqlite3_finalize(d->statements[i].statement);
	sqlite3_close(d->db);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	free(d);
}

uint64_t
directory_number(const struct directory *d)
{
	return d->number;
}

int
directory_refresh(struct directory *d)
{
	int64_t seen;
	int r;

	r = see(d, &seen);
	if (r < 0 || seen == d->seen)
		return r;
	/* In this order: a change after the look is seen at the next one. */
	d->seen = seen;
	return read_number(d);
}

void
directory_random_text(char *text, size_t size)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t n = 0;

	while (n + 1 < size) {
		uint8_t bytes[64];

		crypto_random(bytes, sizeof(bytes));
		/* 6 bits each; 62 and 63 are thrown away, so none is likelier.
		 */
		for (size_t i = 0; i < sizeof(bytes) && n + 1 < size; i++)
			if ((bytes[i] & 63) < sizeof(letters) - 1)
				text[n++] = letters[bytes[i] & 63];
	}
	text[n] = '\0';
}
