/*
 * Dedupe keys: which event has a key.
 *
 * Keys are random, so writing each into a table at once would change a page of
 * its own per event. An event's row has its key, and that is what makes it
 * durable; the index over the keys is derived and filled behind the commit.
 * New keys go into a run in memory. A full run is sorted and merged into the
 * table in the order of its keys, a share with each transaction, while the
 * next run fills: neighbours share their page. What is not merged yet is read
 * back from the events at a start (MARK_MERGED).
 *
 * The table has the first half of a key only; whatever a look-up finds counts
 * only if the event's row has the whole key. So an entry that a rollback left
 * behind in memory, whose number another event may have got, harms nobody.
 */
#include <errno.h>

#include "common/log.h"
#include "logger/store_sqlite.h"

#define MERGE_LEAST 64 /* keys merged in one transaction ... */
#define MERGE_PER_OP 2 /* ... or so many for each operation in it */

static struct slice
stored(struct slice key)
{
	return (struct slice){ key.data, DEDUPE_KEY_STORED };
}

/* Does that event have the key, and is it young enough to count? */
static int
confirm(struct store_sqlite *s, uint64_t event, struct slice key,
    bool *ret_found, struct id *ret_custody)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DEDUPE_CONFIRM);
	int r;

	sql_u64(st, 1, event);
	sql_blob(st, 2, key);
	r = sql_row(&s->sql, st);
	*ret_found = r > 0 && sql_get(st, 1) + STORE_DEDUPE_MS > s->now_ms &&
		     id_from(sql_slice(st, 0), ret_custody) == 0;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

static int
find_in_table(struct store_sqlite *s, struct slice key, uint64_t *ret_event)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DEDUPE_FIND);
	int r;

	sql_blob(st, 1, stored(key));
	r = sql_row(&s->sql, st);
	*ret_event = r > 0 ? sql_get(st, 0) : 0;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int
dedupe_find(struct store_sqlite *s, struct slice key, bool *ret_found,
    struct id *ret_custody)
{
	uint64_t event[3] = { recent_find(&s->young, key),
		recent_search(&s->merging, key), 0 };
	int r = find_in_table(s, key, &event[2]);

	*ret_found = false;
	for (unsigned i = 0; r == 0 && !*ret_found && i < 3; i++)
		if (event[i] != 0)
			r = confirm(s, event[i], key, ret_found, ret_custody);
	return r;
}

static int
merge(struct store_sqlite *s, size_t count)
{
	const struct recent *run = &s->merging;
	int r = 0;

	for (; r == 0 && count > 0 && s->merge_at < run->count; count--) {
		const struct recent_entry *e = &run->entries[s->merge_at++];
		sqlite3_stmt *st;

		if (e->event <= s->deduped)
			continue; /* too old already */
		st = sql_use(&s->sql, SQL_DEDUPE_PUT);
		sql_blob(st, 1, (struct slice){ e->key, DEDUPE_KEY_STORED });
		sql_u64(st, 2, e->event);
		r = sql_run(&s->sql, st, NULL);
	}
	if (r == 0 && run->count > 0 && s->merge_at == run->count)
		r = sqlite_mark_set(s, MARK_MERGED, s->merging_last);
	return r;
}

int
dedupe_merge(struct store_sqlite *s, size_t operations)
{
	size_t share = MERGE_PER_OP * operations;

	if (s->merging.count == 0 || s->merge_at == s->merging.count)
		return 0;
	return merge(s, share > MERGE_LEAST ? share : MERGE_LEAST);
}

void
dedupe_committed(struct store_sqlite *s)
{
	s->merged = s->merge_at;
	if (s->merging.count == 0 || s->merged < s->merging.count)
		return;
	recent_clear(&s->merging);
	s->merge_at = s->merged = 0;
}

void
dedupe_rolled_back(struct store_sqlite *s)
{
	s->merge_at = s->merged;
	/* The numbers above are given again, to others. */
	if (s->merging_last > s->last_committed)
		s->merging_last = s->last_committed;
}

/* The young run is full: it is the one to merge now. The one before has been
 * merged long ago, unless one transaction brought all of this. */
static int
turn(struct store_sqlite *s, uint64_t last)
{
	struct recent full = s->young;

	if (s->merging.count > 0) {
		int r = merge(s, s->merging.count);

		if (r < 0)
			return r;
		recent_clear(&s->merging);
	}
	s->young = s->merging;
	s->merging = full;
	s->merging_last = last;
	s->merge_at = s->merged = 0;
	recent_sort(&s->merging);
	return 0;
}

int
dedupe_add(struct store_sqlite *s, struct slice key, uint64_t event)
{
	int r = recent_add(&s->young, key, event);

	if (r != -ENOBUFS)
		return r;
	r = turn(s, event - 1);
	return r < 0 ? r : recent_add(&s->young, key, event);
}

static int
read_unmerged(struct store_sqlite *s)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DEDUPE_UNMERGED);
	uint64_t mark = 0;
	int r = sqlite_mark_get(s, MARK_MERGED, &mark);

	if (r < 0)
		return r;
	sql_u64(st, 1, mark);
	while ((r = sql_row(&s->sql, st)) > 0) {
		struct slice key = sql_slice(st, 1);

		if (key.len != RECENT_KEY_SIZE)
			continue;
		r = dedupe_add(s, key, sql_get(st, 0));
		if (r < 0)
			break;
	}
	sqlite3_reset(st);
	return r;
}

int
dedupe_load(struct store_sqlite *s)
{
	int r = sql_run(&s->sql, sql_use(&s->sql, SQL_BEGIN), NULL);

	if (r == 0)
		r = read_unmerged(s);
	if (r == 0)
		r = sql_run(&s->sql, sql_use(&s->sql, SQL_COMMIT), NULL);
	if (r == 0)
		dedupe_committed(s);
	else
		log_error("store error=\"cannot read the dedupe keys\"");
	return r;
}

int
dedupe_init(struct store_sqlite *s)
{
	int r = recent_init(&s->young);

	return r < 0 ? r : recent_init(&s->merging);
}

void
dedupe_done(struct store_sqlite *s)
{
	recent_done(&s->young);
	recent_done(&s->merging);
}
