#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "logger/store_sqlite.h"

int
sqlite_event_of(struct store_sqlite *s, struct id custody, uint64_t *ret,
    uint64_t *ret_flags)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_EVENT_FIND);
	int r;

	sql_blob(st, 1, id_slice(&custody));
	r = sql_row(&s->sql, st);
	if (r >= 0)
		*ret = r > 0 ? sql_get(st, 0) : 0;
	if (r >= 0 && ret_flags != NULL)
		*ret_flags = r > 0 ? sql_get(st, 1) : 0;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

/*
 * Whose is the key? *ret_custody is the event that has it, if that is young
 * enough to count; else found is false.
 */
static int
dedupe_find(struct store_sqlite *s, struct slice key, bool *ret_found,
    struct id *ret_custody)
{
	sqlite3_stmt *st;
	uint64_t event;
	int r = dedupe_get(s, key, &event);

	*ret_found = false;
	if (r < 0 || event == 0)
		return r;
	st = sql_use(&s->sql, SQL_EVENT_HOLDER);
	sql_u64(st, 1, event);
	r = sql_row(&s->sql, st);
	*ret_found = r > 0 && sql_get(st, 1) + STORE_DEDUPE_MS > s->now_ms &&
		     slice_same(sql_slice(st, 2), key) &&
		     id_from(sql_slice(st, 0), ret_custody) == 0;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

/* Claims the key for the event that gets seq; *ret_other: another has it. */
static int
dedupe_claim(
    struct store_sqlite *s, const struct msg *m, uint64_t seq, bool *ret_other)
{
	struct id holder;
	bool found;
	int r = dedupe_find(s, m->dedupe_key, &found, &holder);

	*ret_other = false;
	if (r < 0)
		return r;
	if (!found)
		return dedupe_put(s, m->dedupe_key, seq);
	*ret_other = !slice_same(id_slice(&holder), m->custody);
	return 0;
}

static int
add_event(struct store_sqlite *s, const struct msg *m, uint64_t seq,
    uint64_t flags, int *ret_changed)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_EVENT_ADD);

	sql_u64(st, 1, seq);
	sql_blob(st, 2, m->custody);
	sql_u64(st, 3, m->app);
	sql_u64(st, 4, s->now_ms);
	sql_text(st, 5, m->event_type);
	sql_text(st, 6, m->unified_api);
	sql_text(st, 7, m->service_id);
	sql_text(st, 8, m->consumer_id);
	sql_text(st, 9, m->entity_id);
	sql_text(st, 10, m->entity_type);
	sql_blob(st, 11, m->request_id);
	sql_u64(st, 12, m->hole);
	sql_u64(st, 13, flags);
	sql_blob(st, 14, m->dedupe_key);
	sql_blob(st, 15, m->body);
	sql_text(st, 16, m->event_id);
	return sql_run(&s->sql, st, ret_changed);
}

/* A test of a webhook. */
static bool
is_free(const struct msg *m)
{
	return (m->flags & (MSG_FLAG_FREE | MSG_FLAG_ONCE)) != 0;
}

/* Sets p->event: new, as it was, or 0 when its dedupe key is another's. What
 * is there already was counted, and keeps the mark that it got. */
static int
plan_first(struct store_sqlite *s, struct store_plan *p, struct id custody,
    uint64_t *ret_flags)
{
	const struct msg *m = p->plan;
	uint64_t seq = s->last_event + 1;
	bool other = false, over = false;
	int changed = 0;
	int r = 0;

	if (m->dedupe_key.data != NULL)
		r = dedupe_claim(s, m, seq, &other);
	if (r < 0 || other)
		return r;
	if (!is_free(m))
		r = usage_next_over(s, (uint32_t)m->app, &over);
	if (r < 0)
		return r;
	*ret_flags = m->flags | (over ? SQLITE_EVENT_OVER : 0);
	r = add_event(s, m, seq, *ret_flags, &changed);
	if (r < 0)
		return r;
	if (changed == 0)
		return sqlite_event_of(s, custody, &p->event, ret_flags);
	s->last_event = seq;
	p->event = seq;
	return is_free(m) ? 0 : usage_count(s, (uint32_t)m->app);
}

/* A later part needs its event, unless that was another's duplicate. */
static int
plan_later(struct store_sqlite *s, struct store_op *op, struct id custody,
    uint64_t *ret_flags)
{
	struct store_plan *p = &op->u.plan;
	struct id holder;
	bool found = false;
	int r = sqlite_event_of(s, custody, &p->event, ret_flags);

	if (r < 0 || p->event != 0)
		return r;
	if (p->plan->dedupe_key.data != NULL)
		r = dedupe_find(s, p->plan->dedupe_key, &found, &holder);
	if (r < 0 || (found && !id_same(holder, custody)))
		return r;
	(void)snprintf(op->reason, sizeof(op->reason),
	    "orphan: the event of this part is not there");
	return -EINVAL;
}

static int
add_delivery(struct store_sqlite *s, const struct store_plan *p,
    struct store_delivery *d, bool over)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DELIVERY_ADD);
	enum msg_state state = over ? MSG_STATE_OVER : d->state;
	bool leased = state == MSG_STATE_LEASED;
	bool kept = true;
	int changed, r;

	sql_u64(st, 1, p->event);
	sql_u64(st, 2, d->subscription);
	sql_u64(st, 3, state);
	sql_u64_or(st, 4, leased ? STORE_NEVER : s->now_ms, STORE_NEVER);
	sql_u64_or(st, 5, leased ? d->session : 0, 0);
	sql_u64(st, 6, s->now_ms);
	r = sql_run(&s->sql, st, &changed);
	if (r < 0)
		return r;
	d->inserted = changed > 0;
	if (d->inserted) {
		s->inserted++;
		r = sqlite_note(s, p->event, d->subscription);
	}
	if (r < 0)
		return r;
	if (d->inserted && (state == MSG_STATE_HELD || state == MSG_STATE_OVER))
		r = delivery_keep_held(s, p->event, d->subscription, &kept);
	d->became = kept ? state : MSG_STATE_FAILED;
	return r;
}

int
sqlite_plan(struct store_sqlite *s, struct store_op *op)
{
	struct store_plan *p = &op->u.plan;
	uint64_t flags = 0;
	bool over = false;
	struct id custody;
	int r = id_from(p->plan->custody, &custody);

	p->event = 0;
	p->planned_ms = s->now_ms;
	for (size_t i = 0; i < p->count; i++)
		p->deliveries[i].inserted = false;
	if (r < 0)
		return r;
	r = p->plan->part == 0 ? plan_first(s, p, custody, &flags)
			       : plan_later(s, op, custody, &flags);
	if (r == 0)
		r = usage_over(s, (uint32_t)p->plan->app, &over, &p->usage);
	if (r < 0 || p->event == 0)
		return r;
	/* Marked, and not lifted since. */
	over = over && (flags & SQLITE_EVENT_OVER) != 0;
	for (size_t i = 0; i < p->count; i++) {
		r = add_delivery(s, p, &p->deliveries[i], over);
		if (r < 0)
			return r;
	}
	return 0;
}
