#include "logger/log_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "logger/postings.h"
#include "logger/sql.h"
#include "logger/varint.h"

#define BUSY_MS 5000
#define BLOCK_BITS 20 /* of the id of a block: its number in the segment */
#define PART_BITS 6
#define STATES_BITS 3
#define MAP_MAX_BYTES (LOG_PART * 3 * VARINT_MAX_BYTES)
#define STATES_MAX_BYTES (LOG_KINDS_MAX * 5 + LOG_STATES_MAX * 3)
#define KEYS_MAX_BYTES ((size_t)LOG_KEYS_MAX * sizeof(uint64_t))

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS marks ("
    " name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS segments ("
    " id INTEGER PRIMARY KEY, reach INTEGER NOT NULL, head BLOB NOT NULL,"
    " keys BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS postings ("
    " id INTEGER PRIMARY KEY, block BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS maps ("
    " id INTEGER PRIMARY KEY, map BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS states ("
    " id INTEGER PRIMARY KEY, runs BLOB NOT NULL);";

static const char *const texts[] = {
	[LOG_FILE_MARK_GET] = "SELECT value FROM marks WHERE name = ?1",
	[LOG_FILE_MARK_SET] =
	    "INSERT INTO marks (name, value) VALUES (?1, ?2)"
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	[LOG_FILE_WALK] = "SELECT id, reach, head, keys FROM segments"
			  " WHERE id < ?1 ORDER BY id DESC LIMIT 1",
	[LOG_FILE_SEGMENT_ADD] = "INSERT INTO segments (id, reach, head, keys)"
				 " VALUES (?1, ?2, ?3, ?4)",
	[LOG_FILE_SEGMENT_DROP] = "DELETE FROM segments WHERE id = ?1",
	[LOG_FILE_BLOCK_ADD] =
	    "INSERT INTO postings (id, block) VALUES (?1, ?2)",
	[LOG_FILE_BLOCK_GET] = "SELECT block FROM postings WHERE id = ?1",
	[LOG_FILE_BLOCKS_DROP] =
	    "DELETE FROM postings WHERE id >= ?1 AND id < ?2",
	[LOG_FILE_MAP_ADD] = "INSERT INTO maps (id, map) VALUES (?1, ?2)",
	[LOG_FILE_MAP_GET] = "SELECT map FROM maps WHERE id = ?1",
	[LOG_FILE_MAPS_DROP] = "DELETE FROM maps WHERE id >= ?1 AND id < ?2",
	[LOG_FILE_STATES_PUT] =
	    "INSERT INTO states (id, runs) VALUES (?1, ?2)"
	    " ON CONFLICT (id) DO UPDATE SET runs = excluded.runs",
	[LOG_FILE_STATES_GET] = "SELECT runs FROM states WHERE id = ?1",
	[LOG_FILE_STATES_WALK] =
	    "SELECT id, runs FROM states WHERE id >= ?1 AND id < ?2",
	[LOG_FILE_STATES_DROP] =
	    "DELETE FROM states WHERE id >= ?1 AND id < ?2",
};

static sqlite3_stmt *
use(struct log_file *f, enum log_file_sql id)
{
	sqlite3_reset(f->statements[id]);
	return f->statements[id];
}

/* 1: a row, 0: none. */
static int
step(struct log_file *f, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		log_debug("log index error=\"%s\"", sqlite3_errmsg(f->db));
	return sql_errno(rc);
}

/* For one that gives no rows. */
static int
run(struct log_file *f, sqlite3_stmt *st)
{
	int r = step(f, st);

	sqlite3_reset(st);
	return r;
}

/* ---- open and close ----------------------------------------------------- */

/* Another number on a machine that has the bytes the other way round. */
static uint64_t
format_here(void)
{
	static const uint8_t bytes[4] = { LOG_FILE_VERSION, 2, 3, 4 };
	uint32_t order;

	memcpy(&order, bytes, sizeof(order));
	return (uint64_t)sizeof(struct log_head) << 32 | order;
}

static int
exec(struct log_file *f, const char *text)
{
	int rc = sqlite3_exec(f->db, text, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		log_error("log index sql=\"%.40s\" error=\"%s\"", text,
		    sqlite3_errmsg(f->db));
	if (rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT)
		return -EBADMSG;
	return sql_errno(rc);
}

/* Changes that are not in it may be gone from the store: what it says is in
 * must be on disk, hence FULL. A commit comes once a second at most. */
static int
prepare_file(struct log_file *f, bool write)
{
	int r = exec(f, "PRAGMA page_size = 8192; PRAGMA temp_store = MEMORY;"
			"PRAGMA secure_delete = OFF");

	if (r == 0 && write)
		r = exec(f, "PRAGMA journal_mode = WAL;"
			    "PRAGMA synchronous = FULL;"
			    "PRAGMA cache_size = -2048");
	if (r == 0 && write)
		r = exec(f, tables);
	if (r == 0 && !write)
		r = exec(f, "PRAGMA query_only = 1; PRAGMA cache_size = -4096");
	return r;
}

static int
prepare_statements(struct log_file *f)
{
	for (unsigned i = 0; i < LOG_FILE_SQL_MAX; i++) {
		int rc = sqlite3_prepare_v3(f->db, texts[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &f->statements[i], NULL);

		if (rc != SQLITE_OK) {
			log_error("log index statement=\"%s\" error=\"%s\"",
			    texts[i], sqlite3_errmsg(f->db));
			return rc == SQLITE_ERROR ? -EBADMSG : sql_errno(rc);
		}
	}
	return 0;
}

static int
check_format(struct log_file *f, bool write)
{
	uint64_t format;
	int r = log_file_mark(f, LOG_MARK_FORMAT, &format);

	if (r == 0 && format == 0 && write)
		return log_file_set_mark(f, LOG_MARK_FORMAT, format_here());
	if (r == 0 && format != format_here())
		r = -EBADMSG;
	return r;
}

int
log_file_open(const char *path, bool write, struct log_file **ret)
{
	struct log_file *f = calloc(1, sizeof(*f));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	int rc, r;

	if (f == NULL)
		return -ENOMEM;
	if (write)
		flags |= SQLITE_OPEN_CREATE;
	rc = sqlite3_open_v2(path, &f->db, flags, NULL);
	r = sql_errno(rc);
	if (rc != SQLITE_OK) {
		log_error("log index=%s error=\"%s\"", path,
		    f->db != NULL ? sqlite3_errmsg(f->db) : "out of memory");
	} else {
		sqlite3_busy_timeout(f->db, BUSY_MS);
		r = prepare_file(f, write);
	}
	if (r == 0)
		r = prepare_statements(f);
	if (r == 0)
		r = check_format(f, write);
	if (r < 0) {
		log_file_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

void
log_file_close(struct log_file *f)
{
	if (f == NULL)
		return;
	for (unsigned i = 0; i < LOG_FILE_SQL_MAX; i++)
		sqlite3_finalize(f->statements[i]);
	sqlite3_close(f->db);
	free(f);
}

void
log_file_remove(const char *path)
{
	static const char *const ends[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *name = sqlite3_mprintf("%s%s", path, ends[i]);

		if (name != NULL)
			(void)unlink(name);
		sqlite3_free(name);
	}
}

int
log_file_begin(struct log_file *f, bool write)
{
	int rc = sqlite3_exec(
	    f->db, write ? "BEGIN IMMEDIATE" : "BEGIN", NULL, NULL, NULL);

	return sql_errno(rc);
}

int
log_file_end(struct log_file *f)
{
	return sql_errno(sqlite3_exec(f->db, "COMMIT", NULL, NULL, NULL));
}

void
log_file_undo(struct log_file *f)
{
	for (unsigned i = 0; i < LOG_FILE_SQL_MAX; i++)
		sqlite3_reset(f->statements[i]);
	if (!sqlite3_get_autocommit(f->db))
		(void)sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
}

int
log_file_mark(struct log_file *f, const char *name, uint64_t *ret)
{
	sqlite3_stmt *st = use(f, LOG_FILE_MARK_GET);
	int r;

	sql_text(st, 1, slice_text(name));
	r = step(f, st);
	if (r >= 0)
		*ret = r > 0 ? sql_get(st, 0) : 0;
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int
log_file_set_mark(struct log_file *f, const char *name, uint64_t value)
{
	sqlite3_stmt *st = use(f, LOG_FILE_MARK_SET);

	sql_text(st, 1, slice_text(name));
	sql_u64(st, 2, value);
	return run(f, st);
}

/* ---- sealing ------------------------------------------------------------ */

static int
put(struct log_file *f, enum log_file_sql what, uint64_t id, struct buf *blob)
{
	sqlite3_stmt *st = use(f, what);
	int r;

	sql_u64(st, 1, id);
	sql_blob(st, 2, buf_slice(blob));
	r = run(f, st);
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
		r = log_file_set_states(f, s->id, at / LOG_STATES_MAX, states);
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
log_file_add(struct log_file *f, const struct log_segment *s, uint64_t reach)
{
	sqlite3_stmt *st;
	struct buf keys;
	int r;

	buf_init(&keys, KEYS_MAX_BYTES);
	r = put_postings(f, s, &keys);
	if (r == 0)
		r = put_parts(f, s);
	if (r == 0) {
		st = use(f, LOG_FILE_SEGMENT_ADD);
		sql_u64(st, 1, s->id);
		sql_u64(st, 2, reach);
		sql_blob(st, 3,
		    (struct slice){
			(const uint8_t *)&s->head, head_size(s->head.count) });
		sql_blob(st, 4, buf_slice(&keys));
		r = run(f, st);
	}
	buf_done(&keys);
	return r;
}

static int
drop(struct log_file *f, enum log_file_sql what, uint64_t id, unsigned bits)
{
	sqlite3_stmt *st = use(f, what);

	sql_u64(st, 1, id << bits);
	sql_u64(st, 2, (id + 1) << bits);
	return run(f, st);
}

int
log_file_drop(struct log_file *f, uint64_t id)
{
	sqlite3_stmt *st = use(f, LOG_FILE_SEGMENT_DROP);
	int r;

	sql_u64(st, 1, id);
	r = run(f, st);
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
log_file_walk(struct log_file *f, uint64_t below, struct log_sealed *ret)
{
	sqlite3_stmt *st = use(f, LOG_FILE_WALK);
	struct slice keys;
	int r;

	sql_u64(st, 1, below);
	r = step(f, st);
	if (r > 0) {
		ret->id = sql_get(st, 0);
		ret->reach = sql_get(st, 1);
		keys = sql_slice(st, 3);
		buf_clear(&ret->keys);
		r = get_head(sql_slice(st, 2), &ret->head);
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
log_file_posting(struct log_file *f, const struct log_sealed *s, uint64_t key,
    const struct log_check *check, struct ordinals *set)
{
	sqlite3_stmt *st;
	uint64_t block;
	int r;

	if (!find_block(&s->keys, key, &block))
		return 0;
	st = use(f, LOG_FILE_BLOCK_GET);
	sql_u64(st, 1, s->id << BLOCK_BITS | block);
	r = step(f, st);
	if (r > 0)
		r = postings_find(sql_slice(st, 0), key, check, set);
	else if (r == 0)
		r = -EBADMSG;
	sqlite3_reset(st);
	return r;
}

int
log_file_match(struct log_file *f, const struct log_sealed *s,
    const struct log_state_filter *filter, struct ordinals *set)
{
	sqlite3_stmt *st = use(f, LOG_FILE_STATES_WALK);
	uint32_t base = 0;
	int r;

	sql_u64(st, 1, s->id << STATES_BITS);
	sql_u64(st, 2, (s->id + 1) << STATES_BITS);
	while ((r = step(f, st)) > 0 && base < s->head.count) {
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
log_file_places(struct log_file *f, const struct log_sealed *s, uint32_t part,
    struct log_place ret[LOG_PART])
{
	sqlite3_stmt *st = use(f, LOG_FILE_MAP_GET);
	uint32_t rest = s->head.count - part * LOG_PART;
	int r;

	sql_u64(st, 1, s->id << PART_BITS | part);
	r = step(f, st);
	if (r > 0)
		r = decode_map(
		    sql_slice(st, 0), rest < LOG_PART ? rest : LOG_PART, ret);
	else if (r == 0)
		r = -EBADMSG;
	sqlite3_reset(st);
	return r;
}

int
log_file_states(
    struct log_file *f, uint64_t id, uint32_t part, struct log_states *ret)
{
	sqlite3_stmt *st = use(f, LOG_FILE_STATES_GET);
	int r;

	sql_u64(st, 1, id << STATES_BITS | part);
	r = step(f, st);
	if (r > 0)
		r = log_states_decode(sql_slice(st, 0), ret);
	else if (r == 0)
		r = -EBADMSG;
	sqlite3_reset(st);
	return r;
}

int
log_file_set_states(struct log_file *f, uint64_t id, uint32_t part,
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
