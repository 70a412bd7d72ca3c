#include <errno.h>
#include <stdio.h>

#include "logger/store_sqlite.h"

/* Times are stored as signed numbers, and a day is added to them. */
#define TIME_MAX ((uint64_t)INT64_MAX - STORE_CLOCK_SLACK_MS)

/* A row of replays. */
struct replay_row {
	uint64_t seq;
	struct id job;
	uint32_t app, subscription;
	enum msg_state state;
	uint64_t from_ms, to_ms;
	uint64_t after, last; /* events behind one, up to the other */
	uint64_t count;
	bool deleted; /* its subscription is */
};

/* The event of a delivery. */
struct replay_event {
	uint64_t seq; /* 0: none that may be replayed */
	uint64_t flags;
};

/* Events whose deliveries one step makes due. */
struct run {
	uint64_t events[STORE_REPLAY_ROWS];
	uint32_t count;
	uint64_t end; /* looked at up to this one */
	bool over;    /* the rest of the job is too young */
	bool limited; /* the quota is used up */
};

static int
refuse(struct store_op *op, const char *reason)
{
	(void)snprintf(op->reason, sizeof(op->reason), "%s", reason);
	return -EINVAL;
}

/* ---- making ------------------------------------------------------------- */

/* 1: this job was asked for before; r says how it stands. */
static int
known(struct store_sqlite *s, struct store_op *op)
{
	struct store_replay *r = &op->u.replay;
	sqlite3_stmt *st = sql_use(&s->sql, SQL_REPLAY_KNOWN);
	int result;

	sql_blob(st, 1, id_slice(&r->job));
	result = sql_row(&s->sql, st);
	if (result > 0 && sql_get(st, 0) != r->app)
		result = refuse(op, "unknown: no such job");
	if (result > 0) {
		r->count = sql_get(st, 1);
		r->done = sql_get(st, 2) != 0;
	}
	sqlite3_reset(st);
	return result;
}

/* Few at a time, but more than are added. */
static int
forget_old(struct store_sqlite *s)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_REPLAY_FORGET);

	sql_u64(st, 1,
	    s->now_ms > STORE_REPLAY_KEPT_MS ? s->now_ms - STORE_REPLAY_KEPT_MS
					     : 0);
	return sql_run(&s->sql, st, NULL);
}

static int
add(struct store_sqlite *s, const struct store_replay *r, uint64_t after,
    uint64_t last)
{
	sqlite3_stmt *st;
	int result = forget_old(s);

	if (result < 0)
		return result;
	st = sql_use(&s->sql, SQL_REPLAY_ADD);
	sql_blob(st, 1, id_slice(&r->job));
	sql_u64(st, 2, r->app);
	sql_u64(st, 3, r->subscription);
	sql_u64(st, 4, r->state);
	sql_u64(st, 5, r->from_ms);
	sql_u64(st, 6, r->to_ms);
	sql_u64(st, 7, s->now_ms);
	sql_u64(st, 8, after);
	sql_u64(st, 9, last);
	sql_u64(st, 10, r->count);
	sql_u64(st, 11, r->done);
	return sql_run(&s->sql, st, NULL);
}

/* Planned before this is past retention. */
static uint64_t
oldest(const struct store_sqlite *s, const struct store_replay *r)
{
	return s->now_ms > r->retention_ms ? s->now_ms - r->retention_ms + 1
					   : 0;
}

static int
event_of(struct store_sqlite *s, const struct store_replay *r,
    struct replay_event *ret)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_REPLAY_EVENT);
	int result;

	*ret = (struct replay_event){ 0 };
	sql_blob(st, 1, id_slice(&r->custody));
	result = sql_row(&s->sql, st);
	if (result > 0 && sql_get(st, 1) == r->app &&
	    sql_get(st, 2) >= oldest(s, r))
		*ret = (struct replay_event){ .seq = sql_get(st, 0),
			.flags = sql_get(st, 3) };
	sqlite3_reset(st);
	return result < 0 ? result : 0;
}

static int
is_limited(struct store_sqlite *s, uint32_t app, bool *ret)
{
	struct store_usage usage;

	return usage_over(s, app, ret, &usage);
}

/* A replay costs nothing of a quota: it sends an event that was counted. But
 * what the quota has kept from being sent waits for that, whether it is OVER
 * or, beyond STORE_HELD_MAX, was failed at its commit and is as that left it.
 */
static bool
never_let(uint64_t event_flags, enum msg_state state, uint64_t token)
{
	return (event_flags & SQLITE_EVENT_OVER) != 0 &&
	       state == MSG_STATE_FAILED && token == 1;
}

static bool
is_live(enum msg_state state)
{
	return state == MSG_STATE_DUE || state == MSG_STATE_LEASED;
}

static int
replay_one(struct store_sqlite *s, struct store_op *op)
{
	struct store_replay *r = &op->u.replay;
	struct replay_event event;
	struct delivery_row row;
	bool limited = false;
	int result = event_of(s, r, &event);

	if (result == 0)
		result = event.seq == 0 ? -ENOENT
					: delivery_load(s, event.seq,
					      r->subscription, &row);
	if (result == -ENOENT)
		return refuse(op, "unknown: no such delivery");
	if (result < 0)
		return result;
	if (r->leased || is_live(row.state))
		return refuse(op, "live: it is not finished");
	if (r->held != NULL)
		return refuse(op, r->held);
	if (never_let(event.flags, row.state, row.token))
		result = is_limited(s, r->app, &limited);
	if (result == 0 && (limited || row.state == MSG_STATE_OVER))
		return refuse(op, "held: over the quota until that is lifted");
	if (result == 0)
		result = delivery_replay(s, &row);
	if (result < 0)
		return result;
	r->count = 1;
	r->done = true;
	return add(s, r, event.seq, event.seq);
}

/* Has the application, have all together, too many under way? */
static int
is_full(struct store_sqlite *s, uint32_t app, bool *ret)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_REPLAY_OPEN);
	int r;

	sql_u64(st, 1, app);
	r = sql_row(&s->sql, st);
	if (r > 0)
		*ret = sql_get(st, 0) >= STORE_REPLAYS_MAX ||
		       sql_get(st, 1) >= STORE_REPLAYS_APP_MAX;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

/* No event up to *ret was planned at from_ms or later, by the slack. */
static int
skip_older(struct store_sqlite *s, uint64_t from_ms, uint64_t *ret)
{
	uint64_t low = 0, high = s->last_event;
	int r = 0;

	if (from_ms <= STORE_CLOCK_SLACK_MS)
		high = 0;
	while (r >= 0 && low < high) {
		uint64_t middle = low + (high - low) / 2;
		sqlite3_stmt *st = sql_use(&s->sql, SQL_EVENT_BEHIND);

		sql_u64(st, 1, middle);
		r = sql_row(&s->sql, st);
		if (r > 0 && sql_get(st, 0) < from_ms - STORE_CLOCK_SLACK_MS)
			low = middle + 1;
		else
			high = middle;
		sqlite3_reset(st);
	}
	*ret = low;
	return r < 0 ? r : 0;
}

static int
replay_many(struct store_sqlite *s, struct store_op *op)
{
	struct store_replay *r = &op->u.replay;
	uint64_t after = 0;
	bool full = false;
	int result;

	if (r->held != NULL)
		return refuse(op, r->held);
	result = is_full(s, r->app, &full);
	if (result == 0 && full)
		return refuse(op, "many: too many replays are under way");
	if (r->from_ms < oldest(s, r))
		r->from_ms = oldest(s, r);
	if (r->from_ms > TIME_MAX)
		r->from_ms = TIME_MAX;
	if (r->to_ms == 0 || r->to_ms > TIME_MAX)
		r->to_ms = TIME_MAX;
	if (result == 0)
		result = skip_older(s, r->from_ms, &after);
	return result < 0 ? result : add(s, r, after, s->last_event);
}

int
sqlite_replay(struct store_sqlite *s, struct store_op *op)
{
	static const struct id none;
	struct store_replay *r = &op->u.replay;
	int result;

	r->done = false;
	r->count = 0;
	result = known(s, op);
	if (result != 0)
		return result < 0 ? result : 0;
	return id_same(r->custody, none) ? replay_many(s, op)
					 : replay_one(s, op);
}

/* ---- working off -------------------------------------------------------- */

/* 1: the first job behind that one. */
static int
next_job(struct store_sqlite *s, uint64_t after, struct replay_row *ret)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_REPLAY_NEXT);
	int r;

	sql_u64(st, 1, after);
	r = sql_row(&s->sql, st);
	if (r > 0)
		*ret = (struct replay_row){
			.seq = sql_get(st, 0),
			.app = (uint32_t)sql_get(st, 2),
			.subscription = (uint32_t)sql_get(st, 3),
			.state = (enum msg_state)sql_get(st, 4),
			.from_ms = sql_get(st, 5),
			.to_ms = sql_get(st, 6),
			.after = sql_get(st, 7),
			.last = sql_get(st, 8),
			.count = sql_get(st, 9),
			.deleted = sql_get(st, 10) != 0,
		};
	if (r > 0 && id_from(sql_slice(st, 1), &ret->job) < 0)
		r = -EIO;
	sqlite3_reset(st);
	return r;
}

/* Where STORE_REPLAY_LOOKS events of the application end. */
static int
end_of_run(struct store_sqlite *s, const struct replay_row *j, uint64_t *ret)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_REPLAY_RUN);
	int r;

	sql_u64(st, 1, j->app);
	sql_u64(st, 2, j->after);
	sql_u64(st, 3, j->last);
	sql_u64(st, 4, STORE_REPLAY_LOOKS);
	r = sql_row(&s->sql, st);
	if (r >= 0)
		*ret = r > 0 ? sql_get(st, 0) : j->last;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

static int
find(struct store_sqlite *s, const struct replay_row *j, struct run *run)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_REPLAY_FIND);
	int r;

	sql_u64(st, 1, j->app);
	sql_u64(st, 2, j->after);
	sql_u64(st, 3, run->end);
	sql_u64(st, 4, j->subscription);
	sql_u64(st, 5, j->state);
	while ((r = sql_row(&s->sql, st)) > 0) {
		uint64_t planned_ms = sql_get(st, 1);

		run->over = planned_ms > j->to_ms + STORE_CLOCK_SLACK_MS;
		if (run->over)
			break;
		if (planned_ms < j->from_ms || planned_ms > j->to_ms)
			continue;
		if (run->limited &&
		    never_let(sql_get(st, 2), (enum msg_state)sql_get(st, 3),
			sql_get(st, 4)))
			continue;
		run->events[run->count++] = sql_get(st, 0);
		if (run->count == STORE_REPLAY_ROWS) {
			run->end = sql_get(st, 0);
			break;
		}
	}
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

static int
renew(struct store_sqlite *s, const struct replay_row *j, const struct run *run)
{
	struct delivery_row row;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < run->count; i++) {
		r = delivery_load(s, run->events[i], j->subscription, &row);
		if (r == 0)
			r = delivery_replay(s, &row);
	}
	return r;
}

static int
save(struct store_sqlite *s, const struct replay_row *j, bool done)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_REPLAY_SAVE);

	sql_u64(st, 1, j->seq);
	sql_u64(st, 2, j->after);
	sql_u64(st, 3, j->count);
	sql_u64(st, 4, done);
	return sql_run(&s->sql, st, NULL);
}

static int
rests(struct store_sqlite *s, const struct replay_row *j, bool *ret)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_REPLAY_AHEAD);
	int r;

	sql_u64(st, 1, j->subscription);
	sql_u64(st, 2, s->now_ms);
	sql_u64(st, 3, STORE_REPLAY_AHEAD);
	r = sql_row(&s->sql, st);
	*ret = r > 0;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

/* The deliveries and how far the job is change in one transaction: so each is
 * made due once, whatever dies in between. */
static int
go_on(struct store_sqlite *s, struct replay_row *j,
    struct store_replay_step *step)
{
	struct run run = { 0 };
	int r = j->deleted ? 0 : end_of_run(s, j, &run.end);

	if (r == 0)
		r = is_limited(s, j->app, &run.limited);
	if (r == 0 && !j->deleted)
		r = find(s, j, &run);
	if (r == 0)
		r = renew(s, j, &run);
	if (r < 0)
		return r;
	j->after = run.end;
	j->count += run.count;
	step->changed = run.count;
	step->done = j->deleted || run.over || j->after >= j->last;
	step->count = j->count;
	return save(s, j, step->done);
}

int
sqlite_replay_step(struct store_sqlite *s, struct store_replay_step *step)
{
	struct replay_row j;
	int r = next_job(s, step->after, &j);

	*step = (struct store_replay_step){ .after = step->after };
	if (r == 0)
		r = next_job(s, 0, &j);
	step->idle = r == 0;
	if (r <= 0)
		return r;
	step->after = j.seq;
	step->job = j.job;
	step->subscription = j.subscription;
	step->count = j.count;
	r = j.deleted ? 0 : rests(s, &j, &step->rests);
	return r < 0 || step->rests ? r : go_on(s, &j, step);
}
