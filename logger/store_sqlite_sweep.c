#include "logger/store_sqlite.h"

/* An event as the sweeps see it. */
struct old_event {
	uint64_t seq;
	uint64_t planned_ms;
};

/* The next events behind `after`, oldest first. */
static int
read_old(struct store_sqlite *s, uint64_t after,
    struct old_event old[STORE_SWEEP_ROWS], size_t *ret_count)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_OLD_EVENTS);
	size_t count = 0;
	int r;

	sql_u64(st, 1, after);
	sql_u64(st, 2, STORE_SWEEP_ROWS);
	while ((r = sql_row(&s->sql, st)) > 0) {
		struct old_event *o = &old[count++];

		o->seq = sql_get(st, 0);
		o->planned_ms = sql_get(st, 1);
	}
	sqlite3_reset(st);
	*ret_count = count;
	return r;
}

/* ---- retention ---------------------------------------------------------- */

static int
run_for(struct store_sqlite *s, enum sql_id id, uint64_t event)
{
	sqlite3_stmt *st = sql_use(&s->sql, id);

	sql_u64(st, 1, event);
	return sql_run(&s->sql, st, NULL);
}

static int
is_live(struct store_sqlite *s, uint64_t event)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DELIVERY_LIVE);
	int r;

	sql_u64(st, 1, event);
	r = sql_row(&s->sql, st);
	sqlite3_reset(st);
	return r;
}

static int
delete_event(struct store_sqlite *s, const struct old_event *o)
{
	int r = run_for(s, SQL_DELIVERIES_HELD, o->seq);

	if (r == 0)
		r = run_for(s, SQL_ATTEMPTS_DELETE, o->seq);
	if (r == 0)
		r = run_for(s, SQL_DELIVERIES_DELETE, o->seq);
	if (r == 0)
		r = run_for(s, SQL_EVENT_DELETE, o->seq);
	return r;
}

/*
 * Oldest first, a bounded run each time. Live events are stepped over; the
 * walk begins anew when it meets a young one, and finds them again. Deliveries
 * that are only held do not keep their event: they go with it.
 */
static int
sweep_events(struct store_sqlite *s, struct store_sweep *w)
{
	struct old_event old[STORE_SWEEP_ROWS];
	size_t count, i;
	int r;

	if (s->now_ms < w->retention_ms)
		return 0;
	r = read_old(s, s->swept_event, old, &count);
	for (i = 0; r == 0 && i < count; i++) {
		if (old[i].planned_ms > s->now_ms - w->retention_ms)
			break;
		r = is_live(s, old[i].seq);
		if (r == 0) {
			r = delete_event(s, &old[i]);
			w->deleted++;
		} else if (r > 0) {
			r = 0;
		}
		s->swept_event = old[i].seq;
	}
	if (i < count || count == 0)
		s->swept_event = 0;
	if (r == 0 && w->deleted > 0)
		r = sqlite_mark_set(s, MARK_LAST_EVENT, s->last_event);
	return r;
}

int
sqlite_sweep(struct store_sqlite *s, struct store_sweep *w)
{
	int r = dedupe_sweep(s);

	w->deleted = 0;
	if (r == 0)
		r = sqlite_notes_sweep(s);
	if (r == 0)
		r = sweep_events(s, w);
	/* Not a write each second in which nothing happened. */
	if (r < 0 || s->floor_set == w->lease_floor)
		return r;
	s->floor_set = w->lease_floor;
	return sqlite_mark_set(s, MARK_LEASE_FLOOR, w->lease_floor);
}
