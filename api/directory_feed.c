/* The records as entries: whole for a snapshot, or those of one change. */
#include "api/directory_sqlite.h"

#include <errno.h>

#include "common/msg.h"

#define PART_ENTRIES 1000

/*
 * Every kind in the same columns: its own number (key), directory number,
 * application, id, whether it is a mark; then what the kind adds.
 */
#define APPS                                                                 \
	"SELECT a.app, a.number, a.app, a.id, 0, a.name, k.sealed, a.quota," \
	" a.rate, a.limited"                                                 \
	" FROM apps a LEFT JOIN keys k"                                      \
	" ON k.app = a.app AND k.signing = 1 AND k.deleted_ms = 0 "
#define KEYS "SELECT key, number, app, id, deleted_ms, hash FROM keys "
#define HOOKS                                                              \
	"SELECT subscription, number, app, id, deleted_ms,"                \
	" nullif(unified_api, ''), url, events, enabled, reason, secret, " \
	"scopes, timeout_ms,"                                              \
	" schedule, rate, headers, http2, ordered FROM subscriptions "
#define CONNECTIONS                                                     \
	"SELECT connection, number, app, id, deleted_ms, lookup,"       \
	" consumer_id, unified_api, service_id, name, enabled, secret," \
	" born FROM connections "

static void
fill_app(sqlite3_stmt *s, struct msg *e)
{
	e->name = sql_column(s, 5);
	e->secret = sql_column(s, 6);
	e->quota = sql_column_number(s, 7);
	e->rate = sql_column_number(s, 8);
	if (sql_column_number(s, 9) != 0)
		e->reason = slice_text("usage_limit");
	e->enabled = true;
}

static void
fill_key(sqlite3_stmt *s, struct msg *e)
{
	e->key_hash = sql_column(s, 5);
	e->enabled = true;
}

static void
fill_hook(sqlite3_stmt *s, struct msg *e)
{
	e->subscription = sql_column_number(s, 0);
	if (e->deleted)
		return;
	e->unified_api = sql_column(s, 5);
	e->url = sql_column(s, 6);
	e->events = sql_column(s, 7);
	e->enabled = sql_column_number(s, 8) != 0;
	if (!e->enabled)
		e->reason = sql_column(s, 9);
	e->secret = sql_column(s, 10);
	e->scopes = sql_column(s, 11);
	e->timeout_ms = sql_column_number(s, 12);
	e->schedule = sql_column(s, 13);
	e->rate = sql_column_number(s, 14);
	e->headers = sql_column(s, 15);
	e->http2 = sql_column_number(s, 16) != 0;
	e->ordered = sql_column_number(s, 17) != 0;
}

static void
fill_connection(sqlite3_stmt *s, struct msg *e)
{
	e->lookup = sql_column(s, 5);
	if (e->deleted)
		return;
	e->consumer_id = sql_column(s, 6);
	e->unified_api = sql_column(s, 7);
	e->service_id = sql_column(s, 8);
	e->name = sql_column(s, 9);
	e->enabled = sql_column_number(s, 10) != 0;
	e->secret = sql_column(s, 11);
	e->born = sql_column_number(s, 12);
}

static const struct {
	const char *one;  /* the record ?1, mark or not */
	const char *list; /* live ones after ?1 */
	void (*fill)(sqlite3_stmt *s, struct msg *e);
} kinds[MSG_ENTRY_MAX] = {
	[MSG_ENTRY_APP] = { APPS "WHERE a.app = ?1",
	    APPS "WHERE a.app > ?1 ORDER BY a.app", fill_app },
	[MSG_ENTRY_KEY] = { KEYS "WHERE key = ?1",
	    KEYS "WHERE key > ?1 AND deleted_ms = 0 ORDER BY key", fill_key },
	[MSG_ENTRY_SUBSCRIPTION] = { HOOKS "WHERE subscription = ?1",
	    HOOKS "WHERE subscription > ?1 AND deleted_ms = 0"
		  " ORDER BY subscription",
	    fill_hook },
	[MSG_ENTRY_CONNECTION] = { CONNECTIONS "WHERE connection = ?1",
	    CONNECTIONS "WHERE connection > ?1 AND deleted_ms = 0"
			" ORDER BY connection",
	    fill_connection },
};

static int
pack(sqlite3_stmt *s, unsigned kind, struct buf *entries)
{
	struct msg e = {
		.type = MSG_ENTRY,
		.kind = kind,
		.number = sql_column_number(s, 1),
		.app = sql_column_number(s, 2),
		.id = sql_column(s, 3),
		.deleted = sql_column_number(s, 4) != 0,
	};

	kinds[kind].fill(s, &e);
	return msg_pack_record(&e, entries);
}

/* Adds what place says, as far as the part has room. ret_more: the kind has
 * others. */
static int
add_kind(struct directory *d, struct directory_place *place,
    struct buf *entries, uint32_t *count, bool *ret_more)
{
	sqlite3_stmt *s;
	bool more = false;
	int r;

	r = sql_prepare(d, kinds[place->kind].list, &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, place->after);
	while ((r = sql_step(d, s)) > 0) {
		more = *count == PART_ENTRIES ||
		       entries->len >= DIRECTORY_PART_BYTES;
		if (more)
			break;
		r = pack(s, place->kind, entries);
		if (r < 0)
			break;
		++*count;
		place->after = sql_column_number(s, 0);
	}
	sqlite3_reset(s);
	*ret_more = more;
	return r < 0 ? r : 0;
}

int
directory_snapshot(struct directory *d, struct directory_place *place,
    struct buf *entries, uint32_t *ret_count)
{
	struct directory_place at = *place;
	uint32_t count = 0;
	bool more = false;

	if (at.kind == MSG_ENTRY_NONE)
		at = (struct directory_place){ MSG_ENTRY_APP, 0 };
	while (at.kind < MSG_ENTRY_MAX) {
		int r = add_kind(d, &at, entries, &count, &more);

		if (r < 0)
			return r;
		if (more)
			break;
		at = (struct directory_place){ at.kind + 1, 0 };
	}
	if (at.kind == MSG_ENTRY_MAX)
		at.kind = MSG_ENTRY_NONE;
	*place = at;
	*ret_count = count;
	return 0;
}

static int
add_one(struct directory *d, unsigned kind, uint64_t key, struct buf *entries,
    uint32_t *count)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d, kinds[kind].one, &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, key);
	r = sql_step(d, s);
	if (r > 0) {
		r = pack(s, kind, entries);
		if (r == 0)
			++*count;
	}
	sqlite3_reset(s);
	return r;
}

struct changed {
	unsigned kind;
	uint64_t key;
	uint32_t app;
};

/* Records whose last change is the first one after the number. */
static int
find_changed(struct directory *d, uint64_t after, uint64_t *ret_number,
    struct changed changed[DIRECTORY_CHANGE_MAX], unsigned *ret_count)
{
	uint64_t number = 0;
	unsigned n = 0;
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "SELECT 1 AS kind, app AS key, app, number FROM apps"
	    " WHERE number > ?1"
	    " UNION ALL SELECT 2, key, app, number FROM keys WHERE number > ?1"
	    " UNION ALL SELECT 3, subscription, app, number FROM subscriptions"
	    " WHERE number > ?1"
	    " UNION ALL SELECT 4, connection, app, number FROM connections"
	    " WHERE number > ?1"
	    " ORDER BY number, kind LIMIT ?2",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, after);
	sql_bind_number(s, 2, DIRECTORY_CHANGE_MAX + 1);
	while ((r = sql_step(d, s)) > 0) {
		uint64_t at = sql_column_number(s, 3);

		if (n > 0 && at != number)
			break;
		if (n == DIRECTORY_CHANGE_MAX) {
			r = -E2BIG;
			break;
		}
		number = at;
		changed[n].kind = (unsigned)sql_column_number(s, 0);
		changed[n].key = sql_column_number(s, 1);
		changed[n++].app = (uint32_t)sql_column_number(s, 2);
	}
	sqlite3_reset(s);
	if (r < 0)
		return r;
	if (n == 0)
		return -ENOENT;
	*ret_number = number;
	*ret_count = n;
	return 0;
}

/* Whether the application of changed[i] comes before it already. */
static bool
app_is_there(const struct changed *changed, unsigned i)
{
	for (unsigned j = 0; j < i; j++)
		if (changed[j].app == changed[i].app)
			return true;
	return changed[i].kind == MSG_ENTRY_APP;
}

int
directory_change(struct directory *d, uint64_t after, uint64_t *ret_number,
    struct buf *entries, uint32_t *ret_count)
{
	struct changed changed[DIRECTORY_CHANGE_MAX];
	uint32_t count = 0;
	unsigned n;
	int r;

	r = find_changed(d, after, ret_number, changed, &n);
	for (unsigned i = 0; r == 0 && i < n; i++) {
		/* An application that changed again since has a later number,
		 * and would otherwise come after what belongs to it. */
		if (!app_is_there(changed, i))
			r = add_one(
			    d, MSG_ENTRY_APP, changed[i].app, entries, &count);
		if (r == 0)
			r = add_one(d, changed[i].kind, changed[i].key, entries,
			    &count);
	}
	if (r == 0)
		*ret_count = count;
	return r;
}
