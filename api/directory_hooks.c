/* Subscriptions, which the API calls webhooks. */
#include "api/directory_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define ID_LETTERS 24

#define COLUMNS                                                          \
	"subscription, app, id, description, unified_api, url, events, " \
	"enabled, reason, cause, born, touched, number, created_ms, "    \
	"updated_ms, secret IS NOT NULL AND NOT secret_back, scopes, "   \
	"schedule, timeout_ms, rate, secret_until_ms, headers, http2, "  \
	"secret_back, ordered FROM subscriptions "

static int
read_headers(sqlite3_stmt *s, int at, struct directory_hook *h)
{
	struct slice sealed = sql_column(s, at);

	if (sealed.len > sizeof(h->headers))
		return -EBADMSG; /* it was never stored by us */
	if (sealed.len > 0)
		memcpy(h->headers, sealed.data, sealed.len);
	h->headers_len = sealed.len;
	return 0;
}

static int
read_hook(sqlite3_stmt *s, void *ret)
{
	struct directory_hook *h = ret;
	const struct {
		char *text;
		size_t size;
		int at;
	} texts[] = {
		{ h->id, sizeof(h->id), 2 },
		{ h->description, sizeof(h->description), 3 },
		{ h->unified_api, sizeof(h->unified_api), 4 },
		{ h->url, sizeof(h->url), 5 },
		{ h->events, sizeof(h->events), 6 },
		{ h->reason, sizeof(h->reason), 8 },
		{ h->cause, sizeof(h->cause), 9 },
		{ h->scopes, sizeof(h->scopes), 16 },
		{ h->schedule, sizeof(h->schedule), 17 },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(texts) / sizeof(*texts); i++)
		r = sql_column_copy(
		    s, texts[i].at, texts[i].text, texts[i].size);
	h->subscription = (uint32_t)sql_column_number(s, 0);
	h->app = (uint32_t)sql_column_number(s, 1);
	h->has_description = sql_column(s, 3).data != NULL;
	h->enabled = sql_column_number(s, 7) != 0;
	h->born = sql_column_number(s, 10);
	h->touched = sql_column_number(s, 11);
	h->number = sql_column_number(s, 12);
	h->created_ms = sql_column_number(s, 13);
	h->updated_ms = sql_column_number(s, 14);
	h->has_secret = sql_column_number(s, 15) != 0;
	h->timeout_ms = sql_column_number(s, 18);
	h->rate = sql_column_number(s, 19);
	h->secret_until_ms = sql_column_number(s, 20);
	h->http2 = sql_column_number(s, 22) != 0;
	h->secret_back = sql_column_number(s, 23) != 0;
	h->ordered = sql_column_number(s, 24) != 0;
	return r < 0 ? r : read_headers(s, 21, h);
}

int
directory_hook_get(struct directory *d, uint32_t app, const char *id,
    struct directory_hook *ret)
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d,
	    "SELECT " COLUMNS "WHERE id = ?1 AND app = ?2 AND deleted_ms = 0",
	    &s);
	if (r < 0)
		return r;
	sql_bind_text(s, 1, id);
	sql_bind_number(s, 2, app);
	return sql_one(d, s, read_hook, ret);
}

int
directory_hook_find(struct directory *d, uint32_t app, uint32_t subscription,
    struct directory_hook *ret)
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d,
	    "SELECT " COLUMNS
	    "WHERE subscription = ?1 AND app = ?2 AND deleted_ms = 0",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, subscription);
	sql_bind_number(s, 2, app);
	return sql_one(d, s, read_hook, ret);
}

struct paging {
	void (*fn)(void *arg, const struct directory_hook *hook);
	void *arg;
};

static int
page_row(void *arg, sqlite3_stmt *s)
{
	struct paging *p = arg;
	struct directory_hook hook;
	int r = read_hook(s, &hook);

	if (r == 0)
		p->fn(p->arg, &hook);
	return r;
}

int
directory_hook_page(struct directory *d, struct directory_page *page,
    void (*fn)(void *arg, const struct directory_hook *hook), void *arg)
{
	static const struct sql_list list = {
		"SELECT count(*) FROM subscriptions WHERE app = ?1"
		" AND deleted_ms = 0",
		"SELECT subscription FROM subscriptions"
		" WHERE app = ?1 AND subscription <= ?2 AND deleted_ms = 0"
		" ORDER BY subscription DESC LIMIT 1 OFFSET ?3",
		"SELECT " COLUMNS
		"WHERE app = ?1 AND subscription > ?2 AND deleted_ms = 0"
		" ORDER BY subscription LIMIT ?3",
	};
	struct paging p = { fn, arg };

	return sql_page(d, &list, page, page_row, &p);
}

struct slice
directory_hook_headers(const struct directory_hook *hook)
{
	return (struct slice){ hook->headers_len > 0 ? hook->headers : NULL,
		hook->headers_len };
}

/* ---- writing ---------------------------------------------------------- */

/* NULL stands for none in both. */
static const char *
scopes_of(const struct directory_hook *h)
{
	return h->scopes[0] != '\0' ? h->scopes : NULL;
}

static int
insert(struct directory *d, struct directory_hook *h, struct slice sealed)
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d,
	    "INSERT INTO subscriptions (app, id, description, unified_api,"
	    " url, events, enabled, reason, cause, born, touched, number,"
	    " created_ms, updated_ms, secret, scopes)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?10,"
	    " ?11, ?11, ?12, ?13)",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, h->app);
	sql_bind_text(s, 2, h->id);
	sql_bind_text(s, 3, h->has_description ? h->description : NULL);
	sql_bind_text(s, 4, h->unified_api);
	sql_bind_text(s, 5, h->url);
	sql_bind_text(s, 6, h->events);
	sql_bind_number(s, 7, h->enabled);
	sql_bind_text(s, 8, h->reason);
	sql_bind_text(s, 9, h->cause);
	sql_bind_number(s, 10, d->writing);
	sql_bind_number(s, 11, h->created_ms);
	sql_bind_bytes(s, 12, sealed);
	sql_bind_text(s, 13, scopes_of(h));
	r = sql_run(d, s);
	if (r == 0)
		h->subscription = (uint32_t)sqlite3_last_insert_rowid(d->db);
	return r;
}

int
directory_hook_add(struct directory *d, struct directory_hook *hook)
{
	return directory_hook_add_secret(d, hook, (struct slice){ NULL, 0 });
}

int
directory_hook_add_secret(
    struct directory *d, struct directory_hook *hook, struct slice secret)
{
	char id[ID_LETTERS + 1];
	struct buf sealed;
	int r;

	directory_random_text(id, sizeof(id));
	memcpy(hook->id, id, sizeof(id));
	hook->created_ms = hook->updated_ms = clock_wall_ms();
	buf_init(&sealed, SEAL_SECRET_MAX + SEAL_OVERHEAD);
	r = sql_seal(d, hook->app, secret, &sealed);
	if (r == 0)
		r = sql_begin(d);
	if (r == 0) {
		hook->born = hook->touched = hook->number = d->writing;
		hook->has_secret = secret.data != NULL;
		r = insert(d, hook, buf_slice(&sealed));
		if (r == 0)
			r = sql_touch_app(d, hook->app);
		r = sql_end(d, r);
	}
	buf_done(&sealed);
	return r;
}

static int
update(struct directory *d, const struct directory_hook *h, bool is_secret,
    struct slice sealed)
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d,
	    "UPDATE subscriptions SET description = ?1, url = ?2, events = ?3,"
	    " enabled = ?4, reason = ?5, cause = ?6, touched = ?7, number = ?8,"
	    " updated_ms = ?9, unified_api = ?11, scopes = ?12,"
	    " secret = iif(?20, ?13, secret), schedule = ?14,"
	    " timeout_ms = ?15, rate = ?16, secret_until_ms = ?17,"
	    " headers = ?18, http2 = ?19, secret_back = ?21, ordered = ?22"
	    " WHERE subscription = ?10 AND deleted_ms = 0",
	    &s);
	if (r < 0)
		return r;
	sql_bind_text(s, 1, h->has_description ? h->description : NULL);
	sql_bind_text(s, 2, h->url);
	sql_bind_text(s, 3, h->events);
	sql_bind_number(s, 4, h->enabled);
	sql_bind_text(s, 5, h->reason);
	sql_bind_text(s, 6, h->cause);
	sql_bind_number(s, 7, h->touched);
	sql_bind_number(s, 8, h->number);
	sql_bind_number(s, 9, h->updated_ms);
	sql_bind_number(s, 10, h->subscription);
	sql_bind_text(s, 11, h->unified_api);
	sql_bind_text(s, 12, scopes_of(h));
	sql_bind_bytes(s, 13, sealed);
	sql_bind_text(s, 14, h->schedule[0] != '\0' ? h->schedule : NULL);
	sql_bind_number(s, 15, h->timeout_ms);
	sql_bind_number(s, 16, h->rate);
	sql_bind_number(s, 17, h->secret_until_ms);
	sql_bind_bytes(s, 18, directory_hook_headers(h));
	sql_bind_number(s, 19, h->http2);
	sql_bind_number(s, 20, is_secret);
	sql_bind_number(s, 21, h->secret_back);
	sql_bind_number(s, 22, h->ordered);
	r = sql_run(d, s);
	if (r == 0 && sqlite3_changes(d->db) != 1)
		r = -ENOENT;
	return r;
}

int
directory_hook_set(struct directory *d, struct directory_hook *hook, bool touch)
{
	return sql_store_hook(d, hook, touch, NULL);
}

int
directory_hook_set_secret(struct directory *d, struct directory_hook *hook,
    bool touch, struct slice secret)
{
	if (secret.data != NULL)
		hook->secret_back = false;
	return sql_store_hook(
	    d, hook, touch, secret.data != NULL ? &secret : NULL);
}

int
sql_store_hook(struct directory *d, struct directory_hook *hook, bool touch,
    const struct slice *secret)
{
	struct buf sealed;
	int r = 0;

	buf_init(&sealed, SEAL_SECRET_MAX + SEAL_OVERHEAD);
	if (secret != NULL) {
		/* One alone ends a rotation. */
		if (secret->len == 0 ||
		    memchr(secret->data, '\0', secret->len) == NULL)
			hook->secret_until_ms = 0;
		hook->has_secret = secret->data != NULL && !hook->secret_back;
		r = sql_seal(d, hook->app, *secret, &sealed);
	}
	if (r == 0)
		r = sql_begin(d);
	if (r == 0) {
		hook->number = d->writing;
		if (touch)
			hook->touched = d->writing;
		hook->updated_ms = clock_wall_ms();
		r = update(d, hook, secret != NULL, buf_slice(&sealed));
		if (r == 0)
			r = sql_touch_app(d, hook->app);
		r = sql_end(d, r);
	}
	buf_done(&sealed);
	return r;
}

int
directory_hook_remove(struct directory *d, struct directory_hook *hook)
{
	int r;

	r = sql_begin(d);
	if (r < 0)
		return r;
	hook->number = d->writing;
	r = sql_change(d,
	    "UPDATE subscriptions SET number = ?1, deleted_ms = ?2,"
	    " secret = NULL, headers = NULL"
	    " WHERE subscription = ?3 AND deleted_ms = 0",
	    hook->subscription, 0);
	if (r == 0)
		r = sql_touch_app(d, hook->app);
	return sql_end(d, r);
}
