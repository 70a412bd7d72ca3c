/* The tables of the directory's file, and how older files become it. */
#include "api/directory_sqlite.h"

#include <errno.h>
#include <stdio.h>

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
upgrade(struct directory *d, uint64_t version)
{
	char pragma[48];
	int r = 0;

	if (version == VERSION)
		return 0;
	for (; r == 0 && version < VERSION; version++)
		r = sql_exec(d, schemas[version]);
	(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %zu",
	    (size_t)VERSION);
	return r < 0 ? r : sql_exec(d, pragma);
}

int
sql_make_schema(struct directory *d)
{
	uint64_t version;
	int r;

	r = sql_exec(d, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	r = sql_number(d, "PRAGMA user_version", 0, 0, &version);
	if (r == 0)
		r = version > VERSION ? -EPROTO : upgrade(d, version);
	if (r == 0)
		return sql_exec(d, "COMMIT");
	(void)sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}
