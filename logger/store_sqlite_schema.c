#include <errno.h>

#include "common/log.h"
#include "logger/store_sqlite.h"

/*
 * Hot tables are narrow and their keys only grow. An event's body is stored
 * once; the first attempt of a delivery stands in its row when it is small,
 * the others in attempts. due_ms is set while a delivery waits (due or held)
 * and NULL otherwise, so a delivery that is leased at its commit and
 * delivered at once touches neither index of deliveries.
 *
 * state: enum msg_state (1 due, 2 leased, 3 delivered, 4 failed, 5 held, 6 held
 * because it is over the quota). endpoints.held counts 5 and 6.
 */
static const char *const versions[] = {
	"CREATE TABLE marks ("
	" name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE apps ("
	" app INTEGER PRIMARY KEY, number INTEGER NOT NULL,"
	" deleted INTEGER NOT NULL, id TEXT, secret BLOB, quota INTEGER);"
	"CREATE TABLE endpoints ("
	" subscription INTEGER PRIMARY KEY, app INTEGER NOT NULL,"
	" number INTEGER NOT NULL, deleted INTEGER NOT NULL, id TEXT,"
	" url TEXT, secret BLOB, timeout_ms INTEGER, schedule TEXT,"
	" rate INTEGER, enabled INTEGER NOT NULL,"
	" success_ms INTEGER NOT NULL DEFAULT 0, hold TEXT,"
	" hold_delivery BLOB, hold_ms INTEGER,"
	" hold_number INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE events ("
	" seq INTEGER PRIMARY KEY, custody BLOB NOT NULL,"
	" app INTEGER NOT NULL, planned_ms INTEGER NOT NULL,"
	" event_type TEXT NOT NULL, unified_api TEXT, service_id TEXT,"
	" consumer_id TEXT, entity_id TEXT, entity_type TEXT,"
	" request_id BLOB, hole INTEGER, flags INTEGER, dedupe_key BLOB,"
	" body BLOB NOT NULL);"
	"CREATE UNIQUE INDEX events_custody ON events (custody);"
	"CREATE INDEX events_app ON events (app);"
	"CREATE TABLE deliveries ("
	" event INTEGER NOT NULL, subscription INTEGER NOT NULL,"
	" state INTEGER NOT NULL, token INTEGER NOT NULL,"
	" due_ms INTEGER, session INTEGER, attempts INTEGER NOT NULL,"
	" cycle INTEGER NOT NULL, cycle_ms INTEGER NOT NULL,"
	" lost INTEGER NOT NULL, status INTEGER NOT NULL,"
	" first_token INTEGER, first_attempt INTEGER,"
	" first_status INTEGER, first_verdict INTEGER, first_ms INTEGER,"
	" first_took_ms INTEGER, first_error TEXT, first_response BLOB,"
	" PRIMARY KEY (event, subscription)) WITHOUT ROWID;"
	"CREATE INDEX deliveries_waiting ON deliveries"
	" (subscription, state, due_ms) WHERE due_ms IS NOT NULL;"
	"CREATE INDEX deliveries_leased ON deliveries (event)"
	" WHERE state = 2 AND token > 1;"
	"CREATE TABLE attempts ("
	" event INTEGER NOT NULL, subscription INTEGER NOT NULL,"
	" token INTEGER NOT NULL, attempt INTEGER NOT NULL,"
	" status INTEGER NOT NULL, verdict INTEGER NOT NULL,"
	" at_ms INTEGER NOT NULL, took_ms INTEGER NOT NULL,"
	" error TEXT, response BLOB,"
	" PRIMARY KEY (event, subscription, token)) WITHOUT ROWID;"
	"CREATE TABLE dedupe ("
	" key INTEGER PRIMARY KEY, event INTEGER NOT NULL);"
	"CREATE TABLE usage ("
	" app INTEGER NOT NULL, month INTEGER NOT NULL,"
	" events INTEGER NOT NULL, PRIMARY KEY (app, month))"
	" WITHOUT ROWID;",
	"ALTER TABLE endpoints ADD COLUMN headers BLOB",
	"ALTER TABLE endpoints ADD COLUMN held INTEGER NOT NULL DEFAULT 0;"
	"UPDATE endpoints SET held = (SELECT count(*) FROM deliveries d"
	" INDEXED BY deliveries_waiting"
	" WHERE d.subscription = endpoints.subscription AND d.state = 5"
	" AND d.due_ms IS NOT NULL);",
	/* Replays: events behind after_event, up to last_event, are still to be
	 * looked at. */
	"CREATE TABLE replays ("
	" seq INTEGER PRIMARY KEY, job BLOB NOT NULL, app INTEGER NOT NULL,"
	" subscription INTEGER NOT NULL, state INTEGER NOT NULL,"
	" from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,"
	" made_ms INTEGER NOT NULL, after_event INTEGER NOT NULL,"
	" last_event INTEGER NOT NULL, count INTEGER NOT NULL,"
	" done INTEGER NOT NULL);"
	"CREATE UNIQUE INDEX replays_job ON replays (job);"
	"CREATE INDEX replays_done ON replays (done);",
	"ALTER TABLE events ADD COLUMN event_id TEXT;"
	"CREATE INDEX events_event_id ON events (app, event_id)"
	" WHERE event_id IS NOT NULL;",
	"ALTER TABLE endpoints ADD COLUMN http2 INTEGER NOT NULL DEFAULT 0",
	"CREATE TABLE changed ("
	" id INTEGER PRIMARY KEY, event INTEGER NOT NULL,"
	" subscription INTEGER NOT NULL);",
	/* The oldest delivery that waits, for those who get them in order. */
	"ALTER TABLE endpoints ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX deliveries_order ON deliveries"
	" (subscription, state, event) WHERE due_ms IS NOT NULL;",
};

#define VERSIONS (sizeof(versions) / sizeof(versions[0]))

static int
run(sqlite3 *db, const char *text)
{
	int rc = sqlite3_exec(db, text, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		log_error(
		    "sql=\"%.60s\" error=\"%s\"", text, sqlite3_errmsg(db));
	return sql_errno(rc);
}

static int
read_version(sqlite3 *db, int *ret)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int(st, 0);
	else
		log_error("store error=\"%s\"", sqlite3_errmsg(db));
	sqlite3_finalize(st);
	return sql_errno(rc);
}

int
schema_prepare(sqlite3 *db)
{
	/* The page size counts only before the first table. */
	static const char *const pragmas[] = {
		"PRAGMA page_size = 8192",
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL",
		"PRAGMA wal_autocheckpoint = 0",
		"PRAGMA journal_size_limit = 67108864",
		"PRAGMA cache_size = -16384",
		"PRAGMA temp_store = MEMORY",
		"PRAGMA secure_delete = OFF",
		"PRAGMA foreign_keys = OFF",
	};
	int r = 0;

	sqlite3_busy_timeout(db, SQLITE_BUSY_MS);
	for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++) {
		r = run(db, pragmas[i]);
		if (r < 0)
			break;
	}
	return r;
}

int
schema_migrate(sqlite3 *db)
{
	int version = 0;
	int r = read_version(db, &version);

	if (r < 0)
		return r;
	if (version < 0 || (size_t)version > VERSIONS) {
		log_error("store version=%d error=\"made by a newer build\"",
		    version);
		return -ENOTSUP;
	}
	for (size_t at = (size_t)version; at < VERSIONS; at++) {
		char *text = sqlite3_mprintf(
		    "BEGIN IMMEDIATE; %s; PRAGMA user_version = %d; COMMIT",
		    versions[at], (int)at + 1);

		if (text == NULL)
			return -ENOMEM;
		r = run(db, text);
		sqlite3_free(text);
		if (r < 0)
			return r;
	}
	return 0;
}
