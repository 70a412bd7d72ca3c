#include <errno.h>
#include <stdio.h>

#include "logger/store_sqlite.h"

#define MINUTE_MS 60000

static int
endpoint_hold(struct store_sqlite *s, struct store_outcome *o,
    uint32_t subscription, const char *reason)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_ENDPOINT_HOLD);
	int changed, r;

	sql_u64(st, 1, subscription);
	sql_text(st, 2, slice_text(reason));
	sql_blob(st, 3, id_slice(&o->delivery));
	sql_u64(st, 4, s->now_ms);
	r = sql_run(&s->sql, st, &changed);
	if (r == 0 && changed > 0)
		o->hold = reason;
	return r;
}

/* Once a minute is exact enough for a rule that counts in hours. */
static int
endpoint_success(struct store_sqlite *s, const struct store_outcome *o,
    uint32_t subscription)
{
	sqlite3_stmt *st;

	if (o->judge.success_ms / MINUTE_MS == s->now_ms / MINUTE_MS)
		return 0;
	st = sql_use(&s->sql, SQL_ENDPOINT_SUCCESS);
	sql_u64(st, 1, subscription);
	sql_u64(st, 2, s->now_ms);
	return sql_run(&s->sql, st, NULL);
}

/*
 * Almost every outcome: delivered at the first attempt, under the lease that
 * was committed with the event. One statement; if the row is not like that it
 * changes nothing and *ret_done is false.
 */
static int
outcome_at_once(struct store_sqlite *s, struct store_outcome *o, bool *ret_done)
{
	struct delivery_row row = {
		.event = o->event,
		.subscription = id_subscription(o->delivery),
		.state = MSG_STATE_LEASED,
		.old_state = MSG_STATE_LEASED,
		.token = 1,
		.old_token = 1,
		.attempts = 1,
		.status = o->status,
	};
	int r;

	*ret_done = false;
	if (o->event == 0 || o->token != 1 || o->attempt != 1 ||
	    o->verdict != MSG_VERDICT_DELIVERED ||
	    o->response.len > LIMIT_EXCERPT_OK_BYTES)
		return 0;
	delivery_set_state(&row, MSG_STATE_DELIVERED, STORE_NEVER, 0);
	r = delivery_save(s, &row, o);
	if (r == -ESTALE)
		return 0;
	if (r < 0)
		return r;
	*ret_done = true;
	o->current = true;
	o->state = MSG_STATE_DELIVERED;
	return 0;
}

/* The endpoint has had no success in this cycle, and had chances enough. */
static bool
gives_up_on_endpoint(
    const struct delivery_row *row, const struct store_outcome *o)
{
	return o->judge.success_ms < row->cycle_ms &&
	       row->attempts - row->cycle >= o->judge.failed_enough;
}

/* What the verdict makes of the delivery: nothing, when that was replayed since
 * the lease was made. */
static int
decide(
    struct store_sqlite *s, struct delivery_row *row, struct store_outcome *o)
{
	if (delivery_was_replayed(row, o->token))
		return 0;
	row->lost = 0;
	if (o->verdict == MSG_VERDICT_DELIVERED) {
		delivery_set_state(row, MSG_STATE_DELIVERED, STORE_NEVER, 0);
		return 0;
	}
	if (!o->current)
		return 0;
	switch (o->verdict) {
	case MSG_VERDICT_RETRY:
		delivery_set_state(
		    row, MSG_STATE_DUE, s->now_ms + o->delay_ms, 0);
		return 0;
	case MSG_VERDICT_GIVE_UP:
		delivery_set_state(row, MSG_STATE_FAILED, STORE_NEVER, 0);
		if (!gives_up_on_endpoint(row, o))
			return 0;
		return endpoint_hold(s, o, row->subscription, "retry_limit");
	case MSG_VERDICT_DISABLE:
		delivery_set_state(row, MSG_STATE_FAILED, STORE_NEVER, 0);
		return endpoint_hold(s, o, row->subscription, "gone");
	case MSG_VERDICT_NONE:
	case MSG_VERDICT_DELIVERED:
	case MSG_VERDICT_MAX:
		break;
	}
	return 0;
}

/* An outcome that made no sense: an attempt with status 0; the lease is lost
 * and comes back as lost ones do. */
static int
outcome_garbage(
    struct store_sqlite *s, struct delivery_row *row, struct store_outcome *o)
{
	bool is_new, first;
	int r = delivery_add_attempt(s, row, o, &is_new, &first);

	if (r < 0 || !is_new)
		return r;
	if (!o->current)
		return delivery_save(s, row, first ? o : NULL);
	if (!first)
		return delivery_lose(s, row, &o->judge);
	r = delivery_save(s, row, o);
	return r < 0 ? r : delivery_lose(s, row, &o->judge);
}

static int
outcome_slow(struct store_sqlite *s, struct store_outcome *o)
{
	struct delivery_row row;
	bool is_new, first;
	int r = delivery_load(s, o->event, id_subscription(o->delivery), &row);

	if (r < 0)
		return r;
	o->current = row.state == MSG_STATE_LEASED && row.token == o->token;
	if (o->verdict == MSG_VERDICT_NONE) {
		r = outcome_garbage(s, &row, o);
	} else {
		r = delivery_add_attempt(s, &row, o, &is_new, &first);
		if (r == 0 && (is_new || o->current)) {
			r = decide(s, &row, o);
			if (r == 0)
				r = delivery_save(s, &row, first ? o : NULL);
		}
	}
	o->state = row.state;
	o->due_ms = row.state == MSG_STATE_DUE ? row.due_ms : STORE_NEVER;
	return r;
}

int
sqlite_outcome(struct store_sqlite *s, struct store_op *op)
{
	struct store_outcome *o = &op->u.outcome;
	bool done;
	int r;

	o->current = false;
	o->state = MSG_STATE_NONE;
	o->due_ms = STORE_NEVER;
	o->hold = NULL;
	r = outcome_at_once(s, o, &done);
	if (r < 0)
		return r;
	if (!done && o->event == 0)
		r = sqlite_event_of(
		    s, id_custody(o->delivery), &o->event, NULL);
	if (r == 0 && !done)
		r = outcome_slow(s, o);
	if (r == -ENOENT) {
		(void)snprintf(op->reason, sizeof(op->reason),
		    "unknown: no such delivery");
		return -EINVAL;
	}
	if (r < 0)
		return r;
	if (o->verdict == MSG_VERDICT_DELIVERED)
		return endpoint_success(s, o, id_subscription(o->delivery));
	return 0;
}
