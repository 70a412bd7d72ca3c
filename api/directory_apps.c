/* Applications and their API keys. */
#include "api/directory_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define KEY_LETTERS 43 /* 256 bits of base 62 */
#define ID_LETTERS 24
#define COLUMNS                                                  \
	"a.app, a.id, a.name, a.number, a.created_ms, a.quota, " \
	"a.rate, a.limited, a.updated_ms, a.quota_number"

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
insert_key(struct directory *d, uint32_t app, struct slice key, bool signing,
    char id[ID_LETTERS + 1])
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	struct buf sealed;
	sqlite3_stmt *s;
	int r;

	buf_init(&sealed, SEAL_SECRET_MAX + SEAL_OVERHEAD);
	crypto_sha256(key, hash);
	directory_random_text(id, ID_LETTERS + 1);
	r = sql_seal(d, app, key, &sealed);
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

static int
make_key(struct slice key, struct buf *out)
{
	char made[KEY_LETTERS + 1];
	int r;

	if (key.data != NULL)
		return buf_add(out, key.data, key.len);
	directory_random_text(made, sizeof(made));
	r = buf_add_text(out, "sk_live_");
	return r < 0 ? r : buf_add_text(out, made);
}

int
directory_app_create(struct directory *d, const char *id, const char *name,
    struct slice key, struct buf *ret_key)
{
	char key_id[ID_LETTERS + 1];
	size_t start = ret_key->len;
	uint32_t app = 0;
	int r;

	r = make_key(key, ret_key);
	if (r == 0)
		r = sql_begin(d);
	if (r < 0) {
		ret_key->len = start;
		return r;
	}
	r = insert_app(d, id, name, &app);
	if (r == 0)
		r = insert_key(d, app,
		    (struct slice){
			ret_key->data + start, ret_key->len - start },
		    true, key_id);
	r = sql_end(d, r);
	if (r < 0)
		ret_key->len = start;
	return r;
}

/* ---- keys ------------------------------------------------------------- */

static int
count_keys(struct directory *d, uint32_t app)
{
	uint64_t count = 0;
	int r = sql_number(d,
	    "SELECT count(*) FROM keys WHERE app = ?1 AND deleted_ms = 0", app,
	    0, &count);

	if (r == 0 && count >= DIRECTORY_KEYS_MAX)
		r = -E2BIG;
	return r;
}

int
directory_key_add(struct directory *d, uint32_t app, struct slice key,
    struct buf *ret_key, struct directory_key *ret, uint64_t *ret_number)
{
	char id[ID_LETTERS + 1];
	size_t start = ret_key->len;
	int r;

	r = make_key(key, ret_key);
	if (r == 0)
		r = sql_begin(d);
	if (r == 0) {
		*ret_number = d->writing;
		r = count_keys(d, app);
		if (r == 0)
			r = insert_key(d, app,
			    (struct slice){
				ret_key->data + start, ret_key->len - start },
			    false, id);
		if (r == 0)
			r = sql_touch_app(d, app);
		r = sql_end(d, r);
	}
	if (r < 0) {
		ret_key->len = start;
		return r;
	}
	memcpy(ret->id, id, sizeof(id));
	ret->signing = false;
	ret->created_ms = clock_wall_ms();
	return 0;
}

struct found_key {
	uint64_t key;
	bool signing;
};

static int
read_key(sqlite3_stmt *s, void *ret)
{
	struct found_key *found = ret;

	found->key = sql_column_number(s, 0);
	found->signing = sql_column_number(s, 1) != 0;
	return 0;
}

static int
find_key(
    struct directory *d, uint32_t app, const char *id, struct found_key *ret)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "SELECT key, signing FROM keys"
	    " WHERE app = ?1 AND id = ?2 AND deleted_ms = 0",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, app);
	sql_bind_text(s, 2, id);
	return sql_one(d, s, read_key, ret);
}

/* What change() makes of one of the application's keys, in one transaction. */
static int
change_key(struct directory *d, uint32_t app, const char *id,
    int (*change)(
	struct directory *d, uint32_t app, const struct found_key *key),
    uint64_t *ret_number)
{
	struct found_key found = { 0 };
	int r;

	r = sql_begin(d);
	if (r < 0)
		return r;
	*ret_number = d->writing;
	r = find_key(d, app, id, &found);
	if (r == 0)
		r = change(d, app, &found);
	if (r == 0)
		r = sql_touch_app(d, app);
	return sql_end(d, r);
}

static int
remove_key(struct directory *d, uint32_t app, const struct found_key *key)
{
	(void)app;
	if (key->signing)
		return -EPERM;
	return sql_change(d,
	    "UPDATE keys SET number = ?1, deleted_ms = ?2,"
	    " sealed = NULL WHERE key = ?3",
	    key->key, 0);
}

int
directory_key_remove(
    struct directory *d, uint32_t app, const char *id, uint64_t *ret_number)
{
	return change_key(d, app, id, remove_key, ret_number);
}

/* Where the key before signs beside a dropped secret: that is over, and
 * directory_hook_settle() ends it. */
static int
end_overlaps(struct directory *d, uint32_t app)
{
	int r = sql_change(d,
	    "UPDATE subscriptions SET secret_until_ms = 1"
	    " WHERE app = ?3 AND secret_back",
	    app, 0);

	return r == -ENOENT ? 0 : r;
}

/* First none, then one: there are never two. */
static int
sign_with(struct directory *d, uint32_t app, const struct found_key *key)
{
	int r = sql_change(d,
	    "UPDATE keys SET signing = 0 WHERE app = ?3 AND signing = 1", app,
	    0);

	if (r == 0)
		r = sql_change(d, "UPDATE keys SET signing = 1 WHERE key = ?3",
		    key->key, 0);
	return r < 0 ? r : end_overlaps(d, app);
}

int
directory_key_sign(
    struct directory *d, uint32_t app, const char *id, uint64_t *ret_number)
{
	return change_key(d, app, id, sign_with, ret_number);
}

int
directory_key_each(struct directory *d, uint32_t app,
    void (*fn)(void *arg, const struct directory_key *key), void *arg)
{
	struct directory_key key;
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "SELECT id, signing, created_ms FROM keys"
	    " WHERE app = ?1 AND deleted_ms = 0 ORDER BY key",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, app);
	while ((r = sql_step(d, s)) > 0) {
		r = sql_column_copy(s, 0, key.id, sizeof(key.id));
		if (r < 0)
			break;
		key.signing = sql_column_number(s, 1) != 0;
		key.created_ms = sql_column_number(s, 2);
		fn(arg, &key);
	}
	sqlite3_reset(s);
	return r;
}

/* ---- quota and rate --------------------------------------------------- */

/* Days since 1970 to months, by the civil calendar (Hinnant's algorithm: years
 * from March, in eras of 400). */
uint64_t
directory_month(uint64_t wall_ms)
{
	uint64_t days = wall_ms / 86400000 + 719468;
	uint64_t era = days / 146097, day = days % 146097;
	uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	uint64_t of_year = day - (365 * year + year / 4 - year / 100);
	uint64_t from_march = (5 * of_year + 2) / 153;

	return (era * 400 + year) * 12 + from_march + 2;
}

int
directory_app_set(struct directory *d, struct directory_app *app)
{
	sqlite3_stmt *s;
	int r;

	r = sql_begin(d);
	if (r < 0)
		return r;
	app->number = d->writing;
	r = sql_prepare(d,
	    "UPDATE apps SET number = ?1, updated_ms = ?2,"
	    " limited = CASE WHEN quota = ?3 THEN limited ELSE 0 END,"
	    " quota_number ="
	    " CASE WHEN quota = ?3 THEN quota_number ELSE ?1 END,"
	    " quota = ?3, rate = ?4 WHERE app = ?5",
	    &s);
	if (r == 0) {
		sql_bind_number(s, 1, d->writing);
		sql_bind_number(s, 2, clock_wall_ms());
		sql_bind_number(s, 3, app->quota);
		sql_bind_number(s, 4, app->rate);
		sql_bind_number(s, 5, app->app);
		r = sql_run(d, s);
	}
	return sql_end(d, r);
}

int
directory_app_limit(struct directory *d, uint32_t app, uint64_t month)
{
	int r = sql_begin(d);

	if (r == 0) {
		r = sql_change(d,
		    "UPDATE apps SET number = ?1, updated_ms = ?2,"
		    " limited = ?4 WHERE app = ?3",
		    app, month);
		r = sql_end(d, r);
	}
	return r;
}

int
directory_app_lift(struct directory *d, uint64_t month)
{
	uint64_t app = 0;
	int r;

	r = sql_number(d,
	    "SELECT app FROM apps WHERE limited > 0 AND limited < ?1 LIMIT 1",
	    month, 0, &app);
	return r < 0 ? r : directory_app_limit(d, (uint32_t)app, 0);
}

/* COLUMNS */
static int
read_app(sqlite3_stmt *s, void *into)
{
	struct directory_app *ret = into;
	int r;

	ret->app = (uint32_t)sql_column_number(s, 0);
	r = sql_column_copy(s, 1, ret->id, sizeof(ret->id));
	if (r == 0)
		r = sql_column_copy(s, 2, ret->name, sizeof(ret->name));
	ret->number = sql_column_number(s, 3);
	ret->created_ms = sql_column_number(s, 4);
	ret->quota = sql_column_number(s, 5);
	ret->rate = sql_column_number(s, 6);
	ret->limited = sql_column_number(s, 7);
	ret->updated_ms = sql_column_number(s, 8);
	ret->quota_number = sql_column_number(s, 9);
	return r;
}

int
directory_app_each(struct directory *d,
    void (*fn)(void *arg, const struct directory_app *app), void *arg)
{
	struct directory_app app;
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d, "SELECT " COLUMNS " FROM apps a ORDER BY a.app", &s);
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
directory_app_get(
    struct directory *d, const char *id, struct directory_app *ret)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(
	    d, "SELECT " COLUMNS " FROM apps a WHERE a.id = ?1", &s);
	if (r < 0)
		return r;
	sql_bind_text(s, 1, id);
	return sql_one(d, s, read_app, ret);
}

int
directory_app_find(struct directory *d, uint32_t app, struct directory_app *ret)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(
	    d, "SELECT " COLUMNS " FROM apps a WHERE a.app = ?1", &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, app);
	return sql_one(d, s, read_app, ret);
}

int
directory_app_of_key(struct directory *d, const uint8_t hash[CRYPTO_HASH_SIZE],
    struct directory_app *ret)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "SELECT " COLUMNS " FROM keys k JOIN apps a ON a.app = k.app"
	    " WHERE k.hash = ?1 AND k.deleted_ms = 0",
	    &s);
	if (r < 0)
		return r;
	sql_bind_bytes(s, 1, (struct slice){ hash, CRYPTO_HASH_SIZE });
	return sql_one(d, s, read_app, ret);
}

static int
add_secret(sqlite3_stmt *s, void *sealed)
{
	struct slice secret = sql_column(s, 0);

	return secret.data == NULL ? -ENOENT
				   : buf_add(sealed, secret.data, secret.len);
}

int
directory_signing_secret(struct directory *d, uint32_t app,
    uint32_t subscription, struct buf *sealed)
{
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
	return sql_one(d, s, add_secret, sealed);
}
