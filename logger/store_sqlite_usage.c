#include "logger/store_sqlite_usage.h"

#include <errno.h>
#include <stdlib.h>

#include "logger/store_sqlite.h"
#include "logger/timekeeper.h"

#define MINUTE_MS 60000

struct usage_app {
	struct table_node node; /* first */
	struct usage_app *next; /* in touched */
	bool touched, known;	/* known: what follows is right */
	uint32_t app;
	uint32_t month;
	uint64_t quota;
	uint64_t events;
	uint64_t added; /* of them, not written yet */
};

int
usage_init(struct usage *u)
{
	*u = (struct usage){ 0 };
	return table_init(&u->apps);
}

void
usage_done(struct usage *u)
{
	struct table_node *node;

	while (
	    u->apps.count > 0 && (node = table_next(&u->apps, NULL)) != NULL) {
		table_remove(&u->apps, node);
		free(node);
	}
	table_done(&u->apps);
}

/* Looked at again every minute: cheap, and right at the turn. */
static void
set_month(struct store_sqlite *s)
{
	struct usage *u = &s->usage;
	uint32_t month;

	if (s->now_ms < u->month_ends_ms)
		return;
	month = timekeeper_month(s->now_ms);
	if (month > u->month)
		u->month = month;
	u->month_ends_ms = (s->now_ms / MINUTE_MS + 1) * MINUTE_MS;
}

static void
touch(struct usage *u, struct usage_app *a)
{
	if (a->touched)
		return;
	a->touched = true;
	a->next = u->touched;
	u->touched = a;
}

static int
read_app(struct store_sqlite *s, struct usage_app *a)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_USAGE_GET);
	int r;

	touch(&s->usage, a); /* the transaction may have changed it */
	sql_u64(st, 1, a->app);
	sql_u64(st, 2, s->usage.month);
	r = sql_row(&s->sql, st);
	if (r >= 0) {
		a->quota = r > 0 ? sql_get_or(st, 0, 0) : 0;
		a->events = r > 0 ? sql_get_or(st, 1, 0) : 0;
		a->month = s->usage.month;
		a->known = true;
	}
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

static int
find(struct store_sqlite *s, uint32_t app, struct usage_app **ret)
{
	struct usage *u = &s->usage;
	struct usage_app *a = (struct usage_app *)table_find(&u->apps, app);
	int r = 0;

	set_month(s);
	if (a == NULL) {
		a = calloc(1, sizeof(*a));
		if (a == NULL)
			return -ENOMEM;
		a->app = app;
		table_add(&u->apps, &a->node, app);
	}
	/* A batch has one time, so nothing is unwritten when the month turns.
	 */
	if (!a->known || a->month != u->month)
		r = read_app(s, a);
	if (r == 0)
		*ret = a;
	return r;
}

int
usage_next_over(struct store_sqlite *s, uint32_t app, bool *ret)
{
	struct usage_app *a;
	int r = find(s, app, &a);

	if (r == 0)
		*ret = a->quota != 0 && a->events >= a->quota;
	return r;
}

int
usage_over(struct store_sqlite *s, uint32_t app, bool *ret,
    struct store_usage *ret_usage)
{
	struct usage_app *a;
	int r = find(s, app, &a);

	if (r < 0)
		return r;
	*ret = a->quota != 0 && a->events > a->quota;
	*ret_usage = (struct store_usage){ a->month, a->events };
	return 0;
}

int
usage_count(struct store_sqlite *s, uint32_t app)
{
	struct usage_app *a;
	int r = find(s, app, &a);

	if (r < 0)
		return r;
	touch(&s->usage, a);
	a->events++;
	a->added++;
	return 0;
}

static int
flush_app(struct store_sqlite *s, struct usage_app *a)
{
	sqlite3_stmt *st;
	int r;

	if (a->added == 0)
		return 0;
	st = sql_use(&s->sql, SQL_USAGE_ADD);
	sql_u64(st, 1, a->app);
	sql_u64(st, 2, a->month);
	sql_u64(st, 3, a->added);
	r = sql_run(&s->sql, st, NULL);
	if (r == 0)
		a->added = 0;
	return r;
}

int
usage_app_changed(struct store_sqlite *s, uint32_t app)
{
	struct usage_app *a =
	    (struct usage_app *)table_find(&s->usage.apps, app);
	int r;

	if (a == NULL)
		return 0;
	r = flush_app(s, a);
	if (r < 0)
		return r;
	touch(&s->usage, a);
	a->known = false;
	return 0;
}

int
usage_flush(struct store_sqlite *s)
{
	for (struct usage_app *a = s->usage.touched; a != NULL; a = a->next) {
		int r = flush_app(s, a);

		if (r < 0)
			return r;
	}
	return 0;
}

void
usage_rollback(struct store_sqlite *s)
{
	for (struct usage_app *a = s->usage.touched; a != NULL; a = a->next) {
		a->known = false;
		a->added = 0;
	}
}

void
usage_end(struct store_sqlite *s)
{
	struct usage *u = &s->usage;

	while (u->touched != NULL) {
		u->touched->touched = false;
		u->touched = u->touched->next;
	}
}
