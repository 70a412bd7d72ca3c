#include <errno.h>

#include "common/log.h"
#include "logger/store_sqlite.h"

/* Due again after these, by leases lost in a row: the first at once. */
static const uint64_t lost_back_off_ms[] = { 0, 1000, 5000, 30000, 120000 };

#define BACK_OFFS (sizeof(lost_back_off_ms) / sizeof(lost_back_off_ms[0]))

int
delivery_load(struct store_sqlite *s, uint64_t event, uint32_t subscription,
    struct delivery_row *ret)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DELIVERY_GET);
	int r;

	sql_u64(st, 1, event);
	sql_u64(st, 2, subscription);
	r = sql_row(&s->sql, st);
	if (r > 0)
		*ret = (struct delivery_row){
			.event = event,
			.subscription = subscription,
			.state = (enum msg_state)sql_get(st, 0),
			.old_state = (enum msg_state)sql_get(st, 0),
			.token = sql_get(st, 1),
			.old_token = sql_get(st, 1),
			.due_ms = sql_get_or(st, 2, STORE_NEVER),
			.session = sql_get(st, 3),
			.attempts = (uint32_t)sql_get(st, 4),
			.cycle = (uint32_t)sql_get(st, 5),
			.cycle_ms = sql_get(st, 6),
			.lost = (uint32_t)sql_get(st, 7),
			.status = (uint32_t)sql_get(st, 8),
			.old_attempts = (uint32_t)sql_get(st, 4),
			.old_status = (uint32_t)sql_get(st, 8),
			.first_inline = sql_get_or(st, 9, 0) != 0,
			.first_token = sql_get_or(st, 9, 0),
		};
	sqlite3_reset(st);
	if (r < 0)
		return r;
	return r > 0 ? 0 : -ENOENT;
}

void
delivery_set_state(struct delivery_row *row, enum msg_state state,
    uint64_t due_ms, uint64_t session)
{
	switch (state) {
	case MSG_STATE_DUE:
	case MSG_STATE_HELD:
	case MSG_STATE_OVER:
		row->due_ms = due_ms;
		row->session = 0;
		break;
	case MSG_STATE_LEASED:
		row->due_ms = STORE_NEVER;
		row->session = session;
		row->token++;
		break;
	case MSG_STATE_DELIVERED:
	case MSG_STATE_FAILED:
		row->due_ms = STORE_NEVER;
		row->session = 0;
		break;
	case MSG_STATE_NONE:
	case MSG_STATE_MAX:
		return;
	}
	row->state = state;
}

static bool
is_held(enum msg_state state)
{
	return state == MSG_STATE_HELD || state == MSG_STATE_OVER;
}

/* *ret: how many its endpoint has now; 0 when that is not known. */
static int
count_held(
    struct store_sqlite *s, uint32_t subscription, int change, uint64_t *ret)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_ENDPOINT_HELD);
	int r;

	sql_u64(st, 1, subscription);
	sqlite3_bind_int(st, 2, change);
	r = sql_row(&s->sql, st);
	if (r >= 0 && ret != NULL)
		*ret = r > 0 ? sql_get(st, 0) : 0;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

static void
bind_first(sqlite3_stmt *st, const struct store_outcome *o)
{
	sql_u64(st, 13, o->token);
	sql_u64(st, 14, o->attempt);
	sql_u64(st, 15, o->status);
	sql_u64(st, 16, o->verdict);
	sql_u64(st, 17, o->at_ms);
	sql_u64(st, 18, o->duration_ms);
	sql_text(st, 19, o->error);
	sql_blob(st, 20, o->response);
}

int
delivery_save(struct store_sqlite *s, const struct delivery_row *row,
    const struct store_outcome *first)
{
	sqlite3_stmt *st = sql_use(
	    &s->sql, first ? SQL_DELIVERY_SAVE_FIRST : SQL_DELIVERY_SAVE);
	int changed, r;

	sql_u64(st, 1, row->event);
	sql_u64(st, 2, row->subscription);
	sql_u64(st, 3, row->old_state);
	sql_u64(st, 4, row->old_token);
	sql_u64(st, 5, row->state);
	sql_u64(st, 6, row->token);
	sql_u64_or(st, 7, row->due_ms, STORE_NEVER);
	sql_u64_or(st, 8, row->session, 0);
	sql_u64(st, 9, row->attempts);
	sql_u64(st, 10, row->cycle);
	sql_u64(st, 11, row->lost);
	sql_u64(st, 12, row->status);
	if (first != NULL)
		bind_first(st, first);
	r = sql_run(&s->sql, st, &changed);
	if (r < 0)
		return r;
	if (changed == 0)
		return -ESTALE;
	r = sqlite_note_row(s, row);
	if (r < 0)
		return r;
	if (is_held(row->state) == is_held(row->old_state))
		return 0;
	return count_held(
	    s, row->subscription, is_held(row->state) ? 1 : -1, NULL);
}

int
delivery_renew(
    struct store_sqlite *s, struct delivery_row *row, uint64_t due_ms)
{
	sqlite3_stmt *st;
	int r;

	delivery_set_state(row, MSG_STATE_DUE, due_ms, 0);
	r = delivery_save(s, row, NULL);
	if (r < 0)
		return r;
	st = sql_use(&s->sql, SQL_CYCLE_BEGIN);
	sql_u64(st, 1, row->event);
	sql_u64(st, 2, row->subscription);
	sql_u64(st, 3, s->now_ms);
	return sql_run(&s->sql, st, NULL);
}

int
delivery_replay(struct store_sqlite *s, struct delivery_row *row)
{
	row->token =
	    (row->token / DELIVERY_REPLAY_TOKENS + 1) * DELIVERY_REPLAY_TOKENS;
	return delivery_renew(s, row, s->now_ms);
}

bool
delivery_was_replayed(const struct delivery_row *row, uint64_t token)
{
	return token / DELIVERY_REPLAY_TOKENS <
	       row->token / DELIVERY_REPLAY_TOKENS;
}

int
delivery_add_attempt(struct store_sqlite *s, struct delivery_row *row,
    const struct store_outcome *o, bool *ret_new, bool *ret_first)
{
	sqlite3_stmt *st;
	int changed, r;

	*ret_first = false;
	*ret_new = !(row->first_inline && row->first_token == o->token);
	if (!*ret_new)
		return 0;
	if (!row->first_inline && row->attempts == 0 &&
	    o->response.len <= LIMIT_EXCERPT_OK_BYTES) {
		*ret_first = true;
	} else {
		st = sql_use(&s->sql, SQL_ATTEMPT_ADD);
		sql_u64(st, 1, row->event);
		sql_u64(st, 2, row->subscription);
		sql_u64(st, 3, o->token);
		sql_u64(st, 4, o->attempt);
		sql_u64(st, 5, o->status);
		sql_u64(st, 6, o->verdict);
		sql_u64(st, 7, o->at_ms);
		sql_u64(st, 8, o->duration_ms);
		sql_text(st, 9, o->error);
		sql_blob(st, 10, o->response);
		r = sql_run(&s->sql, st, &changed);
		if (r < 0)
			return r;
		*ret_new = changed > 0;
	}
	if (*ret_new && !delivery_was_replayed(row, o->token)) {
		/* A late failure beside a success is an attempt, no more. */
		if (row->state != MSG_STATE_DELIVERED ||
		    o->verdict == MSG_VERDICT_DELIVERED)
			row->status = o->status;
		if (o->attempt > row->attempts)
			row->attempts = o->attempt;
	}
	return 0;
}

int
delivery_keep_held(struct store_sqlite *s, uint64_t event,
    uint32_t subscription, bool *ret_kept)
{
	struct store_outcome o = {
		.token = 1,
		.attempt = 1,
		.verdict = MSG_VERDICT_GIVE_UP,
		.at_ms = s->now_ms,
		.error = slice_text("not sent: as many deliveries of this "
				    "webhook are held as may be"),
	};
	struct delivery_row row;
	bool is_new, first;
	uint64_t held = 0;
	int r = count_held(s, subscription, 1, &held);

	*ret_kept = held <= STORE_HELD_MAX;
	if (r < 0 || *ret_kept)
		return r;
	r = delivery_load(s, event, subscription, &row);
	if (r == 0)
		r = delivery_add_attempt(s, &row, &o, &is_new, &first);
	if (r < 0)
		return r;
	delivery_set_state(&row, MSG_STATE_FAILED, STORE_NEVER, 0);
	return delivery_save(s, &row, first ? &o : NULL);
}

/* The lease was lost so often that it counts as an attempt that failed. */
static int
lose_for_good(struct store_sqlite *s, struct delivery_row *row,
    const struct store_judge *judge)
{
	struct store_outcome o = {
		.token = row->token,
		.attempt = row->attempts + 1,
		.verdict = MSG_VERDICT_RETRY,
		.at_ms = s->now_ms,
		.error = slice_text("the lease was lost ten times"),
	};
	uint32_t gap = row->attempts - row->cycle;
	bool is_new, first;
	int r;

	if (gap >= judge->gap_count)
		o.verdict = MSG_VERDICT_GIVE_UP;
	r = delivery_add_attempt(s, row, &o, &is_new, &first);
	if (r < 0)
		return r;
	row->lost = 0;
	if (o.verdict == MSG_VERDICT_GIVE_UP)
		delivery_set_state(row, MSG_STATE_FAILED, STORE_NEVER, 0);
	else
		delivery_set_state(
		    row, MSG_STATE_DUE, s->now_ms + judge->gaps[gap], 0);
	return delivery_save(s, row, first ? &o : NULL);
}

int
delivery_lose(struct store_sqlite *s, struct delivery_row *row,
    const struct store_judge *judge)
{
	uint32_t step = row->lost < BACK_OFFS ? row->lost : BACK_OFFS - 1;

	row->lost++;
	if (row->lost >= STORE_LOST_MAX)
		return lose_for_good(s, row, judge);
	delivery_set_state(
	    row, MSG_STATE_DUE, s->now_ms + lost_back_off_ms[step], 0);
	return delivery_save(s, row, NULL);
}
