#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "logger/store_sqlite.h"

#define RELEASED_DELAY_MS 50 /* given back unattempted: not at once again */

int
sqlite_next_due(struct store_sqlite *s, uint32_t subscription,
    enum msg_state state, uint64_t *ret_due_ms)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_NEXT_DUE);
	int r;

	sql_u64(st, 1, subscription);
	sql_u64(st, 2, state);
	r = sql_row(&s->sql, st);
	if (r >= 0)
		*ret_due_ms = r > 0 ? sql_get(st, 0) : STORE_NEVER;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

/* ---- take --------------------------------------------------------------- */

static void
free_taken(struct store_take *t)
{
	while (t->taken != NULL) {
		struct store_taken *next = t->taken->next;

		free(t->taken);
		t->taken = next;
	}
	t->count = 0;
}

static struct delivery_row
take_row(sqlite3_stmt *st, uint32_t subscription)
{
	return (struct delivery_row){
		.event = sql_get(st, 0),
		.subscription = subscription,
		.state = MSG_STATE_DUE,
		.old_state = MSG_STATE_DUE,
		.token = sql_get(st, 1),
		.old_token = sql_get(st, 1),
		.attempts = (uint32_t)sql_get(st, 2),
		.cycle = (uint32_t)sql_get(st, 3),
		.cycle_ms = sql_get(st, 4),
		.lost = (uint32_t)sql_get(st, 5),
		.status = (uint32_t)sql_get(st, 6),
		.old_attempts = (uint32_t)sql_get(st, 2),
		.old_status = (uint32_t)sql_get(st, 6),
	};
}

static int
take_one(const struct store_sqlite *s, sqlite3_stmt *st,
    const struct delivery_row *row, struct store_taken **ret)
{
	struct slice type = sql_slice(st, 10);
	struct slice body = sql_slice(st, 13);
	struct id custody;
	struct store_taken *t;

	if (id_from(sql_slice(st, 9), &custody) < 0)
		return -EIO;
	t = malloc(sizeof(*t) + type.len + body.len);
	if (t == NULL)
		return -ENOMEM;
	*t = (struct store_taken){
		.delivery = id_delivery(custody, row->subscription),
		.event = row->event,
		.token = row->token,
		.age_ms =
		    s->now_ms > row->cycle_ms ? s->now_ms - row->cycle_ms : 0,
		.attempt = row->attempts + 1,
		.cycle_attempt = row->attempts - row->cycle + 1,
		.lost = row->lost,
		.hole = (uint32_t)sql_get(st, 11),
		.flags = (uint32_t)sql_get(st, 12),
		.event_type = { t->bytes, type.len },
		.body = { t->bytes + type.len, body.len },
	};
	if (type.len > 0)
		memcpy(t->bytes, type.data, type.len);
	if (body.len > 0)
		memcpy(t->bytes + type.len, body.data, body.len);
	*ret = t;
	return 0;
}

/* Due times stand in the way of nobody but the oldest. */
static int
first_due(struct store_sqlite *s, uint32_t subscription, uint64_t *ret_due_ms)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_FIRST_DUE);
	int r;

	sql_u64(st, 1, subscription);
	r = sql_row(&s->sql, st);
	if (r >= 0)
		*ret_due_ms = r > 0 ? sql_get(st, 0) : STORE_NEVER;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

static sqlite3_stmt *
take_begin(struct store_sqlite *s, const struct store_take *t)
{
	sqlite3_stmt *st =
	    sql_use(&s->sql, t->ordered ? SQL_TAKE_FIRST : SQL_TAKE);

	sql_u64(st, 1, t->subscription);
	if (t->ordered)
		return st;
	sql_u64(st, 2, s->now_ms);
	sql_u64(st, 3, t->limit);
	return st;
}

/* Reads what is due into the list and the rows, without changing any. */
static int
take_read(
    struct store_sqlite *s, struct store_take *t, struct delivery_row *rows)
{
	sqlite3_stmt *st = take_begin(s, t);
	struct store_taken **end = &t->taken;
	size_t bytes = 0;
	int r;

	while ((r = sql_row(&s->sql, st)) > 0 && bytes < STORE_TAKE_BYTES) {
		struct delivery_row *row = &rows[t->count];

		if (t->ordered && sql_get(st, 8) > s->now_ms)
			break;
		*row = take_row(st, t->subscription);
		delivery_set_state(
		    row, MSG_STATE_LEASED, STORE_NEVER, t->session);
		r = take_one(s, st, row, end);
		if (r < 0)
			break;
		bytes += sizeof(**end) + (*end)->body.len;
		end = &(*end)->next;
		t->count++;
	}
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int
sqlite_take(struct store_sqlite *s, struct store_take *t)
{
	struct delivery_row *rows;
	int r;

	free_taken(t);
	t->next_due_ms = STORE_NEVER;
	if (t->limit > STORE_TAKE_MAX)
		t->limit = STORE_TAKE_MAX;
	rows = calloc(t->limit > 0 ? t->limit : 1, sizeof(*rows));
	if (rows == NULL)
		return -ENOMEM;
	r = t->limit > 0 ? take_read(s, t, rows) : 0;
	for (uint32_t i = 0; r == 0 && i < t->count; i++)
		r = delivery_save(s, &rows[i], NULL);
	if (r == 0 && t->ordered)
		r = first_due(s, t->subscription, &t->next_due_ms);
	else if (r == 0)
		r = sqlite_next_due(
		    s, t->subscription, MSG_STATE_DUE, &t->next_due_ms);
	free(rows);
	if (r < 0)
		free_taken(t);
	return r;
}

/* ---- given back --------------------------------------------------------- */

static int
give_back_one(struct store_sqlite *s, struct store_returned *g)
{
	struct delivery_row row;
	int r = delivery_load(s, g->lease.event, g->lease.subscription, &row);

	g->due_ms = STORE_NEVER;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (row.state == MSG_STATE_LEASED && row.token == g->lease.token) {
		if (g->lost) {
			r = delivery_lose(s, &row, &g->judge);
		} else {
			delivery_set_state(&row, MSG_STATE_DUE,
			    s->now_ms + RELEASED_DELAY_MS, 0);
			r = delivery_save(s, &row, NULL);
		}
	}
	if (row.state == MSG_STATE_DUE)
		g->due_ms = row.due_ms;
	return r;
}

int
sqlite_give_back(struct store_sqlite *s, struct store_give_back *g)
{
	for (size_t i = 0; i < g->count; i++) {
		int r = give_back_one(s, &g->leases[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- suspend, resume, lift ---------------------------------------------- */

/* A held delivery keeps the order it had: its due time stays what it was. */
static int
shift_one(struct store_sqlite *s, uint64_t event, uint32_t subscription,
    enum msg_state to)
{
	struct delivery_row row;
	int r = delivery_load(s, event, subscription, &row);

	if (r < 0)
		return r;
	if (to == MSG_STATE_DUE)
		return delivery_renew(s, &row, row.due_ms);
	delivery_set_state(&row, to, row.due_ms, 0);
	return delivery_save(s, &row, NULL);
}

int
sqlite_shift(struct store_sqlite *s, struct store_shift *shift,
    enum msg_state from, enum msg_state to)
{
	uint64_t events[STORE_SWEEP_ROWS];
	sqlite3_stmt *st = sql_use(&s->sql, SQL_SHIFT_FIND);
	int r;

	shift->changed = 0;
	sql_u64(st, 1, shift->subscription);
	sql_u64(st, 2, from);
	/* Held ones may wait for a retry of their old cycle: all of them. */
	sql_u64(st, 3, from == MSG_STATE_DUE ? s->now_ms : INT64_MAX);
	sql_u64(st, 4, STORE_SWEEP_ROWS);
	while ((r = sql_row(&s->sql, st)) > 0)
		events[shift->changed++] = sql_get(st, 0);
	sqlite3_reset(st);
	for (uint32_t i = 0; r == 0 && i < shift->changed; i++)
		r = shift_one(s, events[i], shift->subscription, to);
	if (r == 0)
		r = sqlite_next_due(
		    s, shift->subscription, MSG_STATE_DUE, &shift->next_due_ms);
	return r;
}

int
sqlite_lift(struct store_sqlite *s, struct store_shift *shift)
{
	int r = usage_over(s, shift->app, &shift->over, &shift->usage);

	if (r < 0)
		return r;
	if (!shift->over)
		return sqlite_shift(s, shift, MSG_STATE_OVER,
		    shift->hold ? MSG_STATE_HELD : MSG_STATE_DUE);
	shift->changed = 0;
	return sqlite_next_due(
	    s, shift->subscription, MSG_STATE_DUE, &shift->next_due_ms);
}
