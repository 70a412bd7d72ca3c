#include <errno.h>

#include "logger/store_sqlite.h"

static int
put_app(struct store_sqlite *s, const struct msg *e)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_APP_PUT);
	int r;

	sql_u64(st, 1, e->app);
	sql_u64(st, 2, e->number);
	sql_u64(st, 3, e->deleted);
	sql_text(st, 4, e->id);
	sql_blob(st, 5, e->secret);
	sql_u64(st, 6, e->deleted ? 0 : e->quota);
	r = sql_run(&s->sql, st, NULL);
	return r < 0 ? r : usage_app_changed(s, (uint32_t)e->app);
}

static int
delete_endpoint(struct store_sqlite *s, uint32_t subscription, uint64_t number)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_ENDPOINT_DELETE);

	sql_u64(st, 1, subscription);
	sql_u64(st, 2, number);
	return sql_run(&s->sql, st, NULL);
}

static int
put_endpoint(struct store_sqlite *s, const struct msg *e)
{
	sqlite3_stmt *st;

	if (e->subscription == 0)
		return -EINVAL;
	if (e->deleted)
		return delete_endpoint(s, (uint32_t)e->subscription, e->number);
	st = sql_use(&s->sql, SQL_ENDPOINT_PUT);
	sql_u64(st, 1, e->subscription);
	sql_u64(st, 2, e->app);
	sql_u64(st, 3, e->number);
	sql_text(st, 4, e->id);
	sql_text(st, 5, e->url);
	sql_blob(st, 6, e->secret);
	sql_u64(st, 7, e->timeout_ms);
	sql_text(st, 8, e->schedule);
	sql_u64(st, 9, e->rate);
	sql_u64(st, 10, e->enabled);
	sql_blob(st, 11, e->headers);
	sql_u64(st, 12, e->http2);
	sql_u64(st, 13, e->ordered);
	return sql_run(&s->sql, st, NULL);
}

int
sqlite_directory(struct store_sqlite *s, const struct store_directory *d)
{
	struct msg_list entries = d->entries;
	struct msg entry;
	int r = 0;

	while (r == 0 && msg_next(&entries, MSG_ENTRY, &entry)) {
		if (entry.kind == MSG_ENTRY_APP)
			r = put_app(s, &entry);
		else if (entry.kind == MSG_ENTRY_SUBSCRIPTION)
			r = put_endpoint(s, &entry);
	}
	for (size_t i = 0; r == 0 && i < d->gone_count; i++)
		r = delete_endpoint(s, d->gone[i], 0);
	if (r == 0 && d->number != 0)
		r = sqlite_mark_set(s, MARK_NUMBER, d->number);
	return r;
}

/* ---- loading ------------------------------------------------------------ */

int
sqlite_mark_get(struct store_sqlite *s, const char *name, uint64_t *ret)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_MARK_GET);
	int r;

	sql_text(st, 1, slice_text(name));
	r = sql_row(&s->sql, st);
	if (r >= 0)
		*ret = r > 0 ? sql_get(st, 0) : 0;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int
sqlite_mark_set(struct store_sqlite *s, const char *name, uint64_t value)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_MARK_SET);

	sql_text(st, 1, slice_text(name));
	sql_u64(st, 2, value);
	return sql_run(&s->sql, st, NULL);
}

static int
load_apps(struct store_sqlite *s, const struct store_loader *ops, void *arg)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_LOAD_APPS);
	int r;

	while ((r = sql_row(&s->sql, st)) > 0) {
		struct store_app app = {
			.app = (uint32_t)sql_get(st, 0),
			.number = sql_get(st, 1),
			.id = sql_slice(st, 2),
			.secret = sql_slice(st, 3),
			.quota = sql_get_or(st, 4, 0),
			.usage = { (uint32_t)sql_get_or(st, 5, 0),
			    sql_get_or(st, 6, 0) },
		};

		r = ops->on_app(arg, &app);
		if (r < 0)
			break;
	}
	sqlite3_reset(st);
	return r;
}

static int
load_endpoint(struct store_sqlite *s, sqlite3_stmt *st,
    const struct store_loader *ops, void *arg)
{
	struct store_endpoint e = {
		.subscription = (uint32_t)sql_get(st, 0),
		.app = (uint32_t)sql_get(st, 1),
		.number = sql_get(st, 2),
		.deleted = sql_get(st, 3) != 0,
		.enabled = sql_get(st, 4) != 0,
		.url = sql_slice(st, 5),
		.secret = sql_slice(st, 6),
		.schedule = sql_slice(st, 7),
		.timeout_ms = (uint32_t)sql_get(st, 8),
		.rate = (uint32_t)sql_get(st, 9),
		.success_ms = sql_get(st, 10),
		.hold = sql_slice(st, 11),
		.hold_ms = sql_get(st, 13),
		.hold_number = sql_get(st, 14),
		.headers = sql_slice(st, 15),
		.http2 = sql_get(st, 16) != 0,
		.ordered = sql_get(st, 17) != 0,
	};
	uint64_t held = STORE_NEVER, over = STORE_NEVER;
	int r;

	if (e.hold.data != NULL)
		(void)!id_from(sql_slice(st, 12), &e.hold_delivery);
	r = sqlite_next_due(s, e.subscription, MSG_STATE_DUE, &e.next_due_ms);
	if (r == 0)
		r = sqlite_next_due(s, e.subscription, MSG_STATE_HELD, &held);
	if (r == 0)
		r = sqlite_next_due(s, e.subscription, MSG_STATE_OVER, &over);
	if (r < 0)
		return r;
	e.held = held != STORE_NEVER;
	e.over = over != STORE_NEVER;
	return ops->on_endpoint(arg, &e);
}

static int
load_endpoints(
    struct store_sqlite *s, const struct store_loader *ops, void *arg)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_LOAD_ENDPOINTS);
	int r;

	while ((r = sql_row(&s->sql, st)) > 0) {
		r = load_endpoint(s, st, ops, arg);
		if (r < 0)
			break;
	}
	sqlite3_reset(st);
	return r;
}

static int
load_leases(struct store_sqlite *s, sqlite3_stmt *st,
    const struct store_loader *ops, void *arg)
{
	int r;

	while ((r = sql_row(&s->sql, st)) > 0) {
		struct store_loaded_lease l = {
			.lease = { sql_get(st, 0), (uint32_t)sql_get(st, 1),
			    sql_get(st, 2) },
			.session = sql_get(st, 3),
		};
		struct id custody;

		if (id_from(sql_slice(st, 4), &custody) < 0) {
			r = -EIO;
			break;
		}
		l.delivery = id_delivery(custody, l.lease.subscription);
		r = ops->on_lease(arg, &l);
		if (r < 0)
			break;
	}
	sqlite3_reset(st);
	return r;
}

static int
load_all_leases(struct store_sqlite *s, uint64_t floor,
    const struct store_loader *ops, void *arg)
{
	sqlite3_stmt *st;
	int r = load_leases(s, sql_use(&s->sql, SQL_LOAD_LEASES), ops, arg);

	if (r < 0)
		return r;
	st = sql_use(&s->sql, SQL_LOAD_FRESH);
	sql_u64(st, 1, floor);
	return load_leases(s, st, ops, arg);
}

int
sqlite_load(struct store *store, const struct store_loader *ops, void *arg)
{
	struct store_sqlite *s = (struct store_sqlite *)store;
	uint64_t floor = 0, number = 0, last_mark = 0;
	sqlite3_stmt *st;
	int r = sqlite_mark_get(s, MARK_LEASE_FLOOR, &floor);

	if (r == 0)
		r = sqlite_mark_get(s, MARK_NUMBER, &number);
	if (r == 0)
		r = sqlite_mark_get(s, MARK_LAST_EVENT, &last_mark);
	if (r < 0)
		return r;
	st = sql_use(&s->sql, SQL_EVENT_LAST);
	r = sql_row(&s->sql, st);
	s->last_committed = r > 0 ? sql_get_or(st, 0, 0) : 0;
	sqlite3_reset(st);
	if (r < 0)
		return r;
	/* Retention may have taken the newest; no number comes back. */
	if (last_mark > s->last_committed)
		s->last_committed = last_mark;
	s->floor_set = floor;
	r = dedupe_load(s);
	if (r == 0 && ops->on_app != NULL)
		r = load_apps(s, ops, arg);
	if (r == 0 && ops->on_endpoint != NULL)
		r = load_endpoints(s, ops, arg);
	if (r == 0 && ops->on_lease != NULL)
		r = load_all_leases(s, floor, ops, arg);
	if (r < 0 || ops->on_marks == NULL)
		return r;
	return ops->on_marks(arg, number, s->last_committed);
}
