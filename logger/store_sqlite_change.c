/*
 * Notes for the log index (log_index.h): which deliveries stand otherwise than
 * the index may have read.
 *
 * A note is an entry of `changed` in the transaction that makes the change. It
 * is made for what the index shows (success, status, attempts) and for
 * deliveries that join an event later, and only for events up to the fence. A
 * delivery that leaves the lease of its own commit needs none, nor one of a
 * recent event that had no attempt: the index looks at those again by itself.
 * So what is delivered at the first attempt, soon or under its first lease, or
 * not read by the index yet, costs nothing here.
 */
#include "logger/store_sqlite.h"

#define SWEEP_CHANGES 5000 /* notes dropped by one sweep */
#define RECENT_DELIVERIES 4096

int
sqlite_note(struct store_sqlite *s, uint64_t event, uint32_t subscription)
{
	sqlite3_stmt *st;

	if (event > s->fence)
		return 0;
	st = sql_use(&s->sql, SQL_CHANGE_ADD);
	sql_u64(st, 1, ++s->last_change);
	sql_u64(st, 2, event);
	sql_u64(st, 3, subscription);
	return sql_run(&s->sql, st, NULL);
}

int
sqlite_note_row(struct store_sqlite *s, const struct delivery_row *row)
{
	bool success = row->state == MSG_STATE_DELIVERED;
	bool old_success = row->old_state == MSG_STATE_DELIVERED;

	if (row->old_state == MSG_STATE_LEASED && row->old_token == 1)
		return 0;
	if (row->old_attempts == 0 && row->event > recent_after(&s->recent))
		return 0;
	if (success == old_success && row->status == row->old_status &&
	    row->attempts == row->old_attempts)
		return 0;
	return sqlite_note(s, row->event, row->subscription);
}

/* The index was given up, or there is another. */
static int
keep_identity(struct store_sqlite *s)
{
	uint64_t identity = log_index_identity(s->index);

	if (identity == s->index_kept)
		return 0;
	s->index_keeping = identity;
	return sqlite_mark_set(s, MARK_LOG_INDEX, identity);
}

int
sqlite_notes_sweep(struct store_sqlite *s)
{
	uint64_t upto = log_index_settled(s->index);
	sqlite3_stmt *st;
	int r;

	r = keep_identity(s);
	if (r < 0)
		return r;
	if (upto > s->changes_committed)
		upto = s->changes_committed;
	if (upto <= s->changes_dropped)
		return 0;
	if (upto > s->changes_dropped + SWEEP_CHANGES)
		upto = s->changes_dropped + SWEEP_CHANGES;
	st = sql_use(&s->sql, SQL_CHANGES_DROP);
	sql_u64(st, 1, upto);
	r = sql_run(&s->sql, st, NULL);
	if (r == 0)
		r = sqlite_mark_set(s, MARK_CHANGES_DROPPED, upto);
	if (r == 0)
		s->changes_dropping = upto;
	return r;
}

void
sqlite_notes_begin(struct store_sqlite *s)
{
	s->fence = log_index_begin(s->index);
	s->last_change = s->changes_committed;
	s->changes_dropping = s->changes_dropped;
	s->index_keeping = s->index_kept;
	s->inserted = 0;
}

void
sqlite_notes_end(struct store_sqlite *s, bool committed)
{
	if (committed) {
		s->changes_committed = s->last_change;
		s->changes_dropped = s->changes_dropping;
		s->index_kept = s->index_keeping;
		recent_add(&s->recent, s->last_committed, s->inserted);
	}
	if (s->index_kept == 0 && log_index_identity(s->index) == 0)
		log_index_forgotten(s->index);
	log_index_end(s->index, s->last_committed, s->changes_committed,
	    recent_after(&s->recent));
}

/* ---- opening ------------------------------------------------------------ */

static int
newest(struct store_sqlite *s, enum sql_id id, const char *mark, uint64_t *ret)
{
	sqlite3_stmt *st = sql_use(&s->sql, id);
	uint64_t marked;
	int r = sql_row(&s->sql, st);

	if (r > 0)
		*ret = sql_get_or(st, 0, 0);
	sqlite3_reset(st);
	if (r < 0)
		return r;
	r = sqlite_mark_get(s, mark, &marked);
	if (r == 0 && marked > *ret)
		*ret = marked;
	return r;
}

int
sqlite_index_open(struct store_sqlite *s)
{
	struct log_index_store store = { .path = s->path };
	uint64_t identity = 0;
	int r = newest(s, SQL_EVENT_LAST, MARK_LAST_EVENT, &store.last_event);

	if (r == 0)
		r = newest(s, SQL_CHANGE_LAST, MARK_CHANGES_DROPPED,
		    &store.last_change);
	if (r == 0)
		r = sqlite_mark_get(s, MARK_LOG_INDEX, &store.identity);
	if (r == 0)
		r = sqlite_mark_get(s, MARK_CHANGES_DROPPED, &store.dropped);
	if (r == 0)
		r = log_index_open(&store, &s->index, &identity);
	if (r == 0 && identity != store.identity)
		r = sqlite_mark_set(s, MARK_LOG_INDEX, identity);
	if (r == 0)
		r = log_index_start(s->index);
	s->index_kept = r == 0 ? identity : 0;
	recent_init(&s->recent, RECENT_DELIVERIES, store.last_event);
	s->changes_committed = store.last_change;
	s->changes_dropped = store.dropped;
	return r;
}
