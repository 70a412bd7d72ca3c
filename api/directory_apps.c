/* Applications and their API keys. */
#include "api/directory_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define KEY_LETTERS 43 /* 256 bits of base 62 */
#define ID_LETTERS 24

static int
insert_app(struct directory *d, const char *id, const char *name, uint32_t *ret)
{
	uint64_t now_ms = clock_wall_ms();
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "INSERT INTO apps (id, name, number, created_ms, updated_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?4)",
	    &s);
	if (r < 0)
		return r;
	sql_bind_text(s, 1, id);
	sql_bind_text(s, 2, name);
	sql_bind_number(s, 3, d->writing);
	sql_bind_number(s, 4, now_ms);
	r = sql_run(d, s);
	if (r == 0)
		*ret = (uint32_t)sqlite3_last_insert_rowid(d->db);
	return r;
}

static int
insert_key(struct directory *d, uint32_t app, struct slice key, bool signing)
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	char id[ID_LETTERS + 1];
	char what[32];
	struct buf sealed;
	sqlite3_stmt *s;
	int r;

	buf_init(&sealed, SEAL_SECRET_MAX + SEAL_OVERHEAD);
	snprintf(what, sizeof(what), "secret:%u", (unsigned)app);
	crypto_sha256(key, hash);
	directory_random_text(id, sizeof(id));
	r = seal_close(d->seal, what, key, &sealed);
	if (r == 0)
		r = sql_prepare(d,
		    "INSERT INTO keys"
		    " (app, id, hash, sealed, signing, number, created_ms)"
		    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		    &s);
	if (r == 0) {
		sql_bind_number(s, 1, app);
		sql_bind_text(s, 2, id);
		sql_bind_bytes(s, 3, (struct slice){ hash, sizeof(hash) });
		sql_bind_bytes(s, 4, buf_slice(&sealed));
		sql_bind_number(s, 5, signing);
		sql_bind_number(s, 6, d->writing);
		sql_bind_number(s, 7, clock_wall_ms());
		r = sql_run(d, s);
	}
	buf_done(&sealed);
	return r;
}

int
directory_app_create(struct directory *d, const char *id, const char *name,
    struct slice key, struct buf *ret_key)
{
	char made[sizeof("sk_live_") + KEY_LETTERS];
	uint32_t app = 0;
	int r;

	if (key.data == NULL) {
		memcpy(made, "sk_live_", sizeof("sk_live_"));
		directory_random_text(
		    made + sizeof("sk_live_") - 1, KEY_LETTERS + 1);
		key = slice_text(made);
	}
	r = buf_reserve(ret_key, key.len);
	if (r < 0)
		return r;
	r = sql_begin(d);
	if (r < 0)
		return r;
	r = insert_app(d, id, name, &app);
	if (r == 0)
		r = insert_key(d, app, key, true);
	r = sql_end(d, r);
	if (r == 0)
		r = buf_add(ret_key, key.data, key.len);
	return r;
}

/* Columns app, id, name, number, created_ms. */
static int
read_app(sqlite3_stmt *s, struct directory_app *ret)
{
	int r;

	ret->app = (uint32_t)sql_column_number(s, 0);
	r = sql_column_copy(s, 1, ret->id, sizeof(ret->id));
	if (r == 0)
		r = sql_column_copy(s, 2, ret->name, sizeof(ret->name));
	ret->number = sql_column_number(s, 3);
	ret->created_ms = sql_column_number(s, 4);
	return r;
}

int
directory_app_each(struct directory *d,
    void (*fn)(void *arg, const struct directory_app *app), void *arg)
{
	struct directory_app app;
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "SELECT app, id, name, number, created_ms FROM apps"
	    " ORDER BY app",
	    &s);
	if (r < 0)
		return r;
	while ((r = sql_step(d, s)) > 0) {
		r = read_app(s, &app);
		if (r < 0)
			break;
		fn(arg, &app);
	}
	sqlite3_reset(s);
	return r;
}

int
directory_app_of_key(struct directory *d, const uint8_t hash[CRYPTO_HASH_SIZE],
    struct directory_app *ret)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "SELECT a.app, a.id, a.name, a.number, a.created_ms"
	    " FROM keys k JOIN apps a ON a.app = k.app"
	    " WHERE k.hash = ?1 AND k.deleted_ms = 0",
	    &s);
	if (r < 0)
		return r;
	sql_bind_bytes(s, 1, (struct slice){ hash, CRYPTO_HASH_SIZE });
	r = sql_step(d, s);
	if (r > 0)
		r = read_app(s, ret);
	else if (r == 0)
		r = -ENOENT;
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return r;
}

int
directory_signing_secret(struct directory *d, uint32_t app,
    uint32_t subscription, struct buf *sealed)
{
	struct slice secret;
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "SELECT coalesce("
	    "(SELECT secret FROM subscriptions"
	    " WHERE subscription = ?2 AND app = ?1 AND deleted_ms = 0),"
	    "(SELECT sealed FROM keys"
	    " WHERE app = ?1 AND signing = 1 AND deleted_ms = 0))",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, app);
	sql_bind_number(s, 2, subscription);
	r = sql_step(d, s);
	secret = r > 0 ? sql_column(s, 0) : (struct slice){ NULL, 0 };
	if (r >= 0)
		r = secret.data == NULL
			? -ENOENT
			: buf_add(sealed, secret.data, secret.len);
	sqlite3_reset(s);
	return r;
}
