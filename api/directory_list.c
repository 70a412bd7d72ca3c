/* Subscriptions in an order that the caller chooses, and who logs in. */
#include "api/directory_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Nulls are last, and first the other way round. */
static const char *const columns[DIRECTORY_BY_MAX] = {
	[DIRECTORY_BY_NUMBER] = "subscription",
	[DIRECTORY_BY_APP] = "app",
	[DIRECTORY_BY_DESCRIPTION] = "description",
	[DIRECTORY_BY_URL] = "url",
	[DIRECTORY_BY_EVENTS] = "events",
	[DIRECTORY_BY_SCOPES] = "nullif(scopes, '')",
	[DIRECTORY_BY_CREATED] = "created_ms",
	[DIRECTORY_BY_UPDATED] = "updated_ms",
};

/* Statements are kept by the address of their text; this one's is made anew
 * each time, and so is the statement. */
static int
prepare(struct directory *d, const struct directory_order *order,
    sqlite3_stmt **ret)
{
	struct buf sql;
	int r;

	buf_init(&sql, 4096);
	r = buf_add_text(&sql, "SELECT subscription FROM subscriptions"
			       " WHERE app = ?1 AND deleted_ms = 0 ORDER BY ");
	for (unsigned i = 0; r == 0 && i < order->count; i++)
		r = buf_addf(&sql, "%s %s, ", columns[order->by[i].column],
		    order->by[i].descending ? "DESC NULLS FIRST"
					    : "ASC NULLS LAST");
	if (r == 0)
		r = buf_add_text(&sql, "subscription");
	if (r == 0 && sqlite3_prepare_v2(d->db, (const char *)sql.data,
			  (int)sql.len, ret, NULL) != SQLITE_OK)
		r = -EIO;
	buf_done(&sql);
	return r;
}

int
directory_hook_list(struct directory *d, uint32_t app,
    const struct directory_order *order,
    bool (*fn)(void *arg, const struct directory_hook *hook), void *arg)
{
	struct directory_hook hook;
	sqlite3_stmt *s = NULL;
	bool more = true;
	int r;

	r = prepare(d, order, &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, app);
	while (more && (r = sql_step(d, s)) > 0) {
		uint32_t number = (uint32_t)sql_column_number(s, 0);

		r = directory_hook_find(d, app, number, &hook);
		if (r < 0)
			break;
		more = fn(arg, &hook);
	}
	sqlite3_finalize(s);
	return r < 0 ? r : 0;
}

int
directory_hook_secret(
    struct directory *d, const struct directory_hook *hook, struct buf *secret)
{
	size_t start = secret->len;
	char what[32];
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "SELECT secret FROM subscriptions WHERE subscription = ?1"
	    " AND app = ?2 AND deleted_ms = 0 AND secret_back = 0",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, hook->subscription);
	sql_bind_number(s, 2, hook->app);
	(void)snprintf(what, sizeof(what), "secret:%u", (unsigned)hook->app);
	r = sql_step(d, s);
	if (r > 0 && sql_column(s, 0).data != NULL)
		r = seal_open(d->seal, what, sql_column(s, 0), secret);
	else if (r >= 0)
		r = -ENOENT;
	sqlite3_reset(s);
	/* Behind it stands the one before, while a rotation lasts. */
	if (r == 0)
		secret->len =
		    start + strnlen((const char *)secret->data + start,
				secret->len - start);
	return r;
}

/* ---- who logs in ------------------------------------------------------ */

struct id_text {
	char *text;
	size_t size;
};

static int
read_id(sqlite3_stmt *s, void *ret)
{
	struct id_text *id = ret;

	return sql_column_copy(s, 0, id->text, id->size);
}

static int
read_hash(sqlite3_stmt *s, void *ret)
{
	struct slice hash = sql_column(s, 0);

	if (hash.len != CRYPTO_HASH_SIZE)
		return -EBADMSG; /* it was never stored by us */
	memcpy(ret, hash.data, hash.len);
	return 0;
}

int
directory_key_id(struct directory *d, const uint8_t hash[CRYPTO_HASH_SIZE],
    char *id, size_t size)
{
	struct id_text into = { id, size };
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(
	    d, "SELECT id FROM keys WHERE hash = ?1 AND deleted_ms = 0", &s);
	if (r < 0)
		return r;
	sql_bind_bytes(s, 1, (struct slice){ hash, CRYPTO_HASH_SIZE });
	return sql_one(d, s, read_id, &into);
}

int
directory_app_of_key_id(
    struct directory *d, const char *id, struct directory_app *ret)
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(
	    d, "SELECT hash FROM keys WHERE id = ?1 AND deleted_ms = 0", &s);
	if (r < 0)
		return r;
	sql_bind_text(s, 1, id);
	r = sql_one(d, s, read_hash, hash);
	return r < 0 ? r : directory_app_of_key(d, hash, ret);
}
