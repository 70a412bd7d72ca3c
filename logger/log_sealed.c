#include "logger/log_sealed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "logger/postings.h"
#include "logger/sql.h"
#include "logger/varint.h"

#define BLOCK_BITS 20 /* of the id of a block: its number in the segment */
#define PART_BITS 6
#define STATES_BITS 3
#define MAP_MAX_BYTES (LOG_PART * 3 * VARINT_MAX_BYTES)
#define STATES_MAX_BYTES (LOG_KINDS_MAX * 5 + LOG_STATES_MAX * 3)
#define KEYS_MAX_BYTES ((size_t)LOG_KEYS_MAX * sizeof(uint64_t))

/* ---- sealing ------------------------------------------------------------ */

static int
put(struct log_file *f, enum log_file_sql what, uint64_t id, struct buf *blob)
{
	sqlite3_stmt *st = log_file_use(f, what);
	int r;

	sql_u64(st, 1, id);
	sql_blob(st, 2, buf_slice(blob));
	r = log_file_run(f, st);
	buf_clear(blob);
	return r;
}

/* The postings in blocks; *keys gets the first key of each. */
static int
put_postings(struct log_file *f, const struct log_segment *s, struct buf *keys)
{
	struct log_sorted *sorted = log_segment_sorted(s);
	uint64_t id = s->id << BLOCK_BITS;
	struct buf block;
	int r = sorted == NULL ? -ENOMEM : 0;

	buf_init(&block, POSTINGS_BLOCK + POSTINGS_BLOCK_MAX);
	for (uint32_t i = 0; r == 0 && i < s->list_count; i++) {
		const struct log_list *list = sorted[i].list;
		const struct postings_entry e = { list->key, list->check,
			log_list_ordinals(list), list->count };

		if (block.len == 0)
			r = buf_add(keys, &e.key, sizeof(e.key));
		if (r == 0)
			r = postings_add(&block, &e);
		if (r == 0 &&
		    (block.len >= POSTINGS_BLOCK || i + 1 == s->list_count))
			r = put(f, LOG_FILE_BLOCK_ADD, id++, &block);
	}
	buf_done(&block);
	free(sorted);
	return r;
}

static int
encode_map(const struct log_place *places, uint32_t count, struct buf *out)
{
	uint8_t bytes[3 * VARINT_MAX_BYTES];
	struct log_place before = { { 0, 0 }, 0 };
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < count; i++) {
		const struct log_place *p = &places[i];
		uint8_t *at = varint_put(bytes,
		    varint_zigzag((int64_t)(p->at.event - before.at.event)));

		at = varint_put(
		    at, varint_zigzag((int64_t)p->at.subscription -
				      (int64_t)before.at.subscription));
		at = varint_put(
		    at, varint_zigzag(
			    (int64_t)(p->planned_ms - before.planned_ms)));
		r = buf_add(out, bytes, (size_t)(at - bytes));
		before = *p;
	}
	return r;
}

static int
put_parts(struct log_file *f, const struct log_segment *s)
{
	struct log_states *states = malloc(sizeof(*states));
	struct buf map;
	uint32_t count = s->head.count;
	int r = states == NULL ? -ENOMEM : 0;

	buf_init(&map, MAP_MAX_BYTES);
	for (uint32_t at = 0; r == 0 && at < count; at += LOG_PART) {
		uint32_t rest = count - at;

		r = encode_map(
		    s->places + at, rest < LOG_PART ? rest : LOG_PART, &map);
		if (r == 0)
			r = put(f, LOG_FILE_MAP_ADD,
			    s->id << PART_BITS | at / LOG_PART, &map);
	}
	for (uint32_t at = 0; r == 0 && at < count; at += LOG_STATES_MAX) {
		uint32_t rest = count - at;

		log_states_fill(states, s->states + at,
		    rest < LOG_STATES_MAX ? rest : LOG_STATES_MAX);
		r = log_sealed_set_states(
		    f, s->id, at / LOG_STATES_MAX, states);
	}
	buf_done(&map);
	free(states);
	return r;
}

static uint32_t
parts_of(uint32_t count)
{
	return (count + LOG_PART - 1) / LOG_PART;
}

static size_t
head_size(uint32_t count)
{
	return offsetof(struct log_head, parts) +
	       parts_of(count) * sizeof(struct log_part);
}

int
log_sealed_add(struct log_file *f, const struct log_segment *s, uint64_t reach)
{
	sqlite3_stmt *st;
	struct buf keys;
	int r;

	buf_init(&keys, KEYS_MAX_BYTES);
	r = put_postings(f, s, &keys);
	if (r == 0)
		r = put_parts(f, s);
	if (r == 0) {
		st = log_file_use(f, LOG_FILE_SEGMENT_ADD);
		sql_u64(st, 1, s->id);
		sql_u64(st, 2, reach);
		sql_blob(st, 3,
		    (struct slice){
			(const uint8_t *)&s->head, head_size(s->head.count) });
		sql_blob(st, 4, buf_slice(&keys));
		sql_blob(st, 5, log_kinds_kept(&s->kinds));
		r = log_file_run(f, st);
	}
	buf_done(&keys);
	return r;
}

static int
drop(struct log_file *f, enum log_file_sql what, uint64_t id, unsigned bits)
{
	sqlite3_stmt *st = log_file_use(f, what);

	sql_u64(st, 1, id << bits);
	sql_u64(st, 2, (id + 1) << bits);
	return log_file_run(f, st);
}

int
log_sealed_drop(struct log_file *f, uint64_t id)
{
	sqlite3_stmt *st = log_file_use(f, LOG_FILE_SEGMENT_DROP);
	int r;

	sql_u64(st, 1, id);
	r = log_file_run(f, st);
	if (r == 0)
		r = drop(f, LOG_FILE_BLOCKS_DROP, id, BLOCK_BITS);
	if (r == 0)
		r = drop(f, LOG_FILE_MAPS_DROP, id, PART_BITS);
	if (r == 0)
		r = drop(f, LOG_FILE_STATES_DROP, id, STATES_BITS);
	return r;
}

/* ---- reading ------------------------------------------------------------ */

void
log_sealed_init(struct log_sealed *s)
{
	s->id = 0;
	buf_init(&s->keys, KEYS_MAX_BYTES);
}

void
log_sealed_done(struct log_sealed *s)
{
	buf_done(&s->keys);
}

static int
get_head(struct slice kept, struct log_head *ret)
{
	size_t fixed = offsetof(struct log_head, parts);

	if (kept.len < fixed)
		return -EBADMSG;
	memcpy(ret, kept.data, fixed);
	if (ret->count > LOG_SEGMENT_MAX || kept.len != head_size(ret->count))
		return -EBADMSG;
	memcpy(ret->parts, kept.data + fixed, kept.len - fixed);
	return 0;
}

int
log_sealed_walk(struct log_file *f, uint64_t below, struct log_sealed *ret)
{
	sqlite3_stmt *st = log_file_use(f, LOG_FILE_WALK);
	struct slice keys;
	int r;

	sql_u64(st, 1, below);
	r = log_file_step(f, st);
	if (r > 0) {
		ret->id = sql_get(st, 0);
		ret->reach = sql_get(st, 1);
		keys = sql_slice(st, 3);
		buf_clear(&ret->keys);
		r = get_head(sql_slice(st, 2), &ret->head);
		if (r == 0)
			r = log_kinds_get(&ret->kinds, sql_slice(st, 4));
		if (r == 0)
			r = buf_add(&ret->keys, keys.data, keys.len);
		if (r == 0)
			r = 1;
	}
	sqlite3_reset(st);
	return r;
}

/* The block that the key would be in; false: it is before the first. */
static bool
find_block(const struct buf *keys, uint64_t key, uint64_t *ret_block)
{
	size_t low = 0, high = keys->len / sizeof(key);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t first;

		memcpy(
		    &first, keys->data + middle * sizeof(first), sizeof(first));
		if (first <= key)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_block = low - 1;
	return low > 0;
}

int
log_sealed_posting(struct log_file *f, const struct log_sealed *s, uint64_t key,
    const struct log_check *check, struct ordinals *set)
{
	sqlite3_stmt *st;
	uint64_t block;
	int r;

	if (!find_block(&s->keys, key, &block))
		return 0;
	st = log_file_use(f, LOG_FILE_BLOCK_GET);
	sql_u64(st, 1, s->id << BLOCK_BITS | block);
	r = log_file_step(f, st);
	if (r > 0)
		r = postings_find(sql_slice(st, 0), key, check, set);
	else if (r == 0)
		r = -EBADMSG;
	sqlite3_reset(st);
	return r;
}

int
log_sealed_match(struct log_file *f, const struct log_sealed *s,
    const struct log_state_filter *filter, struct ordinals *set)
{
	sqlite3_stmt *st = log_file_use(f, LOG_FILE_STATES_WALK);
	uint32_t base = 0;
	int r;

	sql_u64(st, 1, s->id << STATES_BITS);
	sql_u64(st, 2, (s->id + 1) << STATES_BITS);
	while ((r = log_file_step(f, st)) > 0 && base < s->head.count) {
		r = log_states_match(sql_slice(st, 1), filter, base, set);
		if (r < 0)
			break;
		base += LOG_STATES_MAX;
	}
	sqlite3_reset(st);
	if (r >= 0)
		r = base < s->head.count ? -EBADMSG : 0;
	return r;
}

static int
decode_map(struct slice map, uint32_t count, struct log_place ret[LOG_PART])
{
	struct log_place place = { { 0, 0 }, 0 };

	for (uint32_t i = 0; i < count; i++) {
		uint64_t event, subscription, ms;

		if (varint_get(&map, &event) < 0 ||
		    varint_get(&map, &subscription) < 0 ||
		    varint_get(&map, &ms) < 0)
			return -EBADMSG;
		place.at.event += (uint64_t)varint_unzigzag(event);
		place.at.subscription +=
		    (uint32_t)varint_unzigzag(subscription);
		place.planned_ms += (uint64_t)varint_unzigzag(ms);
		ret[i] = place;
	}
	return map.len == 0 ? 0 : -EBADMSG;
}

int
log_sealed_places(struct log_file *f, const struct log_sealed *s, uint32_t part,
    struct log_place ret[LOG_PART])
{
	sqlite3_stmt *st = log_file_use(f, LOG_FILE_MAP_GET);
	uint32_t rest = s->head.count - part * LOG_PART;
	int r;

	sql_u64(st, 1, s->id << PART_BITS | part);
	r = log_file_step(f, st);
	if (r > 0)
		r = decode_map(
		    sql_slice(st, 0), rest < LOG_PART ? rest : LOG_PART, ret);
	else if (r == 0)
		r = -EBADMSG;
	sqlite3_reset(st);
	return r;
}

int
log_sealed_states(
    struct log_file *f, uint64_t id, uint32_t part, struct log_states *ret)
{
	sqlite3_stmt *st = log_file_use(f, LOG_FILE_STATES_GET);
	int r;

	sql_u64(st, 1, id << STATES_BITS | part);
	r = log_file_step(f, st);
	if (r > 0)
		r = log_states_decode(sql_slice(st, 0), ret);
	else if (r == 0)
		r = -EBADMSG;
	sqlite3_reset(st);
	return r;
}

int
log_sealed_set_states(struct log_file *f, uint64_t id, uint32_t part,
    const struct log_states *states)
{
	struct buf runs;
	int r;

	buf_init(&runs, STATES_MAX_BYTES);
	r = log_states_encode(states, &runs);
	if (r == 0)
		r = put(
		    f, LOG_FILE_STATES_PUT, id << STATES_BITS | part, &runs);
	buf_done(&runs);
	return r;
}
