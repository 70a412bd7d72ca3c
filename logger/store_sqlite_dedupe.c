#include "logger/store_sqlite_dedupe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "logger/store_sqlite.h"

#define EXPIRED_EVERY_MS 60000

static uint64_t
short_key(struct slice key)
{
	uint64_t k = 0;

	memcpy(&k, key.data, key.len < sizeof(k) ? key.len : sizeof(k));
	k >>= 1; /* the table's keys are signed */
	return k != 0 ? k : 1;
}

/* ---- the filter --------------------------------------------------------- */

/* Four bits in one word: one memory access for each key. */
static uint64_t
filter_bits(uint64_t key)
{
	return UINT64_C(1) << (key >> 40 & 63) |
	       UINT64_C(1) << (key >> 46 & 63) |
	       UINT64_C(1) << (key >> 52 & 63) |
	       UINT64_C(1) << (key >> 57 & 63);
}

static uint64_t *
filter_word(const struct dedupe *d, uint64_t key)
{
	return &d->filter[key & (DEDUPE_FILTER_BYTES / 8 - 1)];
}

static void
filter_add(struct dedupe *d, uint64_t key)
{
	if (d->filter == NULL)
		return;
	*filter_word(d, key) |= filter_bits(key);
	if (++d->filter_keys > DEDUPE_FILTER_KEYS) {
		free(d->filter); /* too full to be of use; until a start */
		d->filter = NULL;
	}
}

static bool
table_may_have(const struct dedupe *d, uint64_t key)
{
	uint64_t bits = filter_bits(key);

	return d->filter == NULL || (*filter_word(d, key) & bits) == bits;
}

/* ---- loading ------------------------------------------------------------ */

static int
load_filter(struct store_sqlite *s)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DEDUPE_ALL);
	int r = 0;

	/* Without memory for it the table is asked each time. */
	s->dedupe.filter = calloc(1, DEDUPE_FILTER_BYTES);
	while (s->dedupe.filter != NULL && (r = sql_row(&s->sql, st)) > 0)
		filter_add(&s->dedupe, sql_get(st, 0));
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

/* Keys of the events whose keys had not been merged. */
static int
load_young(struct store_sqlite *s, uint64_t merged)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DEDUPE_UNMERGED);
	int r;

	sql_u64(st, 1, merged);
	while ((r = sql_row(&s->sql, st)) > 0) {
		struct slice key = sql_slice(st, 1);
		uint64_t before;

		r = keyset_put(
		    &s->dedupe.young, short_key(key), sql_get(st, 0), &before);
		if (r < 0)
			break;
	}
	sqlite3_reset(st);
	return r;
}

int
dedupe_load(struct store_sqlite *s)
{
	struct dedupe *d = &s->dedupe;
	int r = sqlite_mark_get(s, MARK_MERGED, &d->marked);

	d->marking = d->marked;
	if (r == 0)
		r = load_filter(s);
	if (r == 0)
		r = load_young(s, d->marked);
	return r;
}

void
dedupe_done(struct dedupe *d)
{
	keyset_done(&d->young);
	free(d->old);
	free(d->undos);
	free(d->filter);
	*d = (struct dedupe){ 0 };
}

/* ---- merging ------------------------------------------------------------ */

static uint64_t
old_get(const struct dedupe *d, uint64_t key)
{
	size_t low = 0, high = d->old_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (d->old[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low < d->old_count && d->old[low].key == key ? d->old[low].event
							    : 0;
}

static int
merge_one(struct store_sqlite *s, const struct keyset_entry *e)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DEDUPE_PUT);

	sql_u64(st, 1, e->key);
	sql_u64(st, 2, e->event);
	return sql_run(&s->sql, st, NULL);
}

static int
mark(struct store_sqlite *s, uint64_t event)
{
	s->dedupe.marking = event;
	return sqlite_mark_set(s, MARK_MERGED, event);
}

static void
begin_merge(struct store_sqlite *s)
{
	struct dedupe *d = &s->dedupe;

	d->old = keyset_sort(&d->young, &d->old_count);
	d->merged = 0;
	d->old_event = s->last_committed;
	for (size_t i = 0; i < d->old_count; i++)
		filter_add(d, d->old[i].key);
}

int
dedupe_begin(struct store_sqlite *s)
{
	struct dedupe *d = &s->dedupe;
	bool enough = s->last_committed >= d->marked + DEDUPE_YOUNG_MAX;
	size_t end;
	int r = 0;

	d->undo_count = 0;
	d->marking = d->marked;
	if (enough && d->old == NULL && d->young.used == 0)
		return mark(s, s->last_committed);
	if (enough && d->old == NULL)
		begin_merge(s);
	d->merging = d->merged;
	end = d->merged + DEDUPE_SLICE;
	if (end > d->old_count)
		end = d->old_count;
	while (r == 0 && d->old != NULL && d->merging < end)
		r = merge_one(s, &d->old[d->merging++]);
	if (r == 0 && d->old != NULL && d->merging == d->old_count)
		r = mark(s, d->old_event);
	return r;
}

void
dedupe_commit(struct store_sqlite *s)
{
	struct dedupe *d = &s->dedupe;

	d->undo_count = 0;
	d->marked = d->marking;
	d->merged = d->merging;
	if (d->old == NULL || d->merged < d->old_count)
		return;
	free(d->old);
	d->old = NULL;
	d->old_count = 0;
	d->merged = 0;
	d->merging = 0;
}

void
dedupe_rollback_to(struct store_sqlite *s, size_t undo_count)
{
	struct dedupe *d = &s->dedupe;

	while (d->undo_count > undo_count) {
		const struct dedupe_undo *u = &d->undos[--d->undo_count];
		uint64_t before;

		/* The key is there, so this needs no memory. */
		(void)!keyset_put(&d->young, u->key, u->before, &before);
	}
}

void
dedupe_rollback(struct store_sqlite *s)
{
	dedupe_rollback_to(s, 0);
}

/* ---- use ---------------------------------------------------------------- */

int
dedupe_get(struct store_sqlite *s, struct slice key, uint64_t *ret_event)
{
	struct dedupe *d = &s->dedupe;
	uint64_t k = short_key(key);
	sqlite3_stmt *st;
	int r;

	*ret_event = keyset_get(&d->young, k);
	if (*ret_event == 0)
		*ret_event = old_get(d, k);
	if (*ret_event != 0 || !table_may_have(d, k))
		return 0;
	st = sql_use(&s->sql, SQL_DEDUPE_GET);
	sql_u64(st, 1, k);
	r = sql_row(&s->sql, st);
	if (r > 0)
		*ret_event = sql_get(st, 0);
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int
dedupe_put(struct store_sqlite *s, struct slice key, uint64_t event)
{
	struct dedupe *d = &s->dedupe;
	uint64_t before;
	int r;

	if (d->undo_count == d->undo_size) {
		size_t size = d->undo_size ? d->undo_size * 2 : 256;
		struct dedupe_undo *undos =
		    realloc(d->undos, size * sizeof(*undos));

		if (undos == NULL)
			return -ENOMEM;
		d->undos = undos;
		d->undo_size = size;
	}
	r = keyset_put(&d->young, short_key(key), event, &before);
	if (r < 0)
		return r;
	d->undos[d->undo_count++] =
	    (struct dedupe_undo){ short_key(key), before };
	return 0;
}

/* ---- the end of keys ---------------------------------------------------- */

/* The first event behind `after`. *ret_ms is UINT64_MAX when there is none. */
static int
planned_behind(struct store_sqlite *s, uint64_t after, uint64_t *ret_ms)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_EVENT_BEHIND);
	int r;

	sql_u64(st, 1, after);
	r = sql_row(&s->sql, st);
	*ret_ms = r > 0 ? sql_get(st, 0) : UINT64_MAX;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

/* By bisection: sequences grow with time. */
static int
find_expired(struct store_sqlite *s, uint64_t limit_ms)
{
	uint64_t low = s->dedupe.expired, high = s->last_committed + 1;

	while (low + 1 < high) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t planned_ms;
		int r = planned_behind(s, middle - 1, &planned_ms);

		if (r < 0)
			return r;
		if (planned_ms <= limit_ms)
			low = middle;
		else
			high = middle;
	}
	s->dedupe.expired = low;
	return 0;
}

static int
drop(struct store_sqlite *s, uint64_t key)
{
	sqlite3_stmt *st = sql_use(&s->sql, SQL_DEDUPE_DROP);

	sql_u64(st, 1, key);
	return sql_run(&s->sql, st, NULL);
}

int
dedupe_sweep(struct store_sqlite *s)
{
	struct dedupe *d = &s->dedupe;
	uint64_t keys[DEDUPE_SWEEP];
	size_t count = 0, seen = 0;
	sqlite3_stmt *st;
	int r;

	if (s->now_ms < STORE_DEDUPE_MS)
		return 0;
	if (d->sweep_key == 0) {
		if (s->now_ms < d->expired_ms + EXPIRED_EVERY_MS)
			return 0;
		d->expired_ms = s->now_ms;
		r = find_expired(s, s->now_ms - STORE_DEDUPE_MS);
		if (r < 0 || d->expired == 0)
			return r;
	}
	st = sql_use(&s->sql, SQL_DEDUPE_WALK);
	sql_u64(st, 1, d->sweep_key);
	sql_u64(st, 2, DEDUPE_SWEEP);
	while ((r = sql_row(&s->sql, st)) > 0) {
		seen++;
		d->sweep_key = sql_get(st, 0);
		if (sql_get(st, 1) <= d->expired)
			keys[count++] = d->sweep_key;
	}
	sqlite3_reset(st);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = drop(s, keys[i]);
	if (seen < DEDUPE_SWEEP)
		d->sweep_key = 0;
	return r;
}
