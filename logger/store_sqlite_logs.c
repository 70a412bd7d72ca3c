#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "logger/store_sqlite_reader.h"

/* Notes that are not in the index yet: more than these, and the page is found
 * without it. */
#define CHANGES_MAX 262144
#define LOOK_CLOCK 64 /* candidates between two looks at the clock */

/*
 * Newest first by commit sequence. Events that the log index has not reached
 * are walked through; where the rest of the rows may stand, the index says
 * (log_index.h), and each is tested by the same conditions. Without an index
 * all of it is a walk, whose cost grows with the rows looked at and is bounded
 * by PAGE_TIME_MS.
 *
 * ?1 application, ?2 ?3 the cursor or the row, ?17 the last event not walked
 * through, ?18 limit.
 */
#define FILTERS                                               \
	" AND (?4 IS NULL OR e.planned_ms >= ?4)"             \
	" AND (?5 IS NULL OR e.planned_ms <= ?5)"             \
	" AND (?6 IS NULL OR (d.state = 3) = ?6)"             \
	" AND (?7 IS NULL OR in_list(?7, d.status))"          \
	" AND (?8 IS NULL OR NOT (in_list(?8, e.unified_api)" \
	"  OR in_list(?8, prefix(e.event_type))))"            \
	" AND (?9 IS NULL OR e.event_type = ?9)"              \
	" AND (?10 IS NULL OR e.entity_type = ?10)"           \
	" AND (?11 IS NULL OR e.service_id = ?11)"            \
	" AND (?12 IS NULL OR e.consumer_id = ?12)"           \
	" AND (?13 IS NULL OR d.attempts = ?13)"              \
	" AND (?14 IS NULL OR d.subscription = ?14)"

#define FROM(index)                                   \
	"SELECT " ROW_COLUMNS " FROM events e " index \
	" CROSS JOIN deliveries d ON d.event = e.seq" ROW_ENDPOINTS

#define BEFORE " AND e.seq <= ?2 AND (e.seq, d.subscription) < (?2, ?3)"
#define NEWEST " ORDER BY 1 DESC, 2 DESC LIMIT ?18"

/* Of what is new: by number, not by application. */
static const char tail_text[] =
    FROM("") " WHERE +e.app = ?1 AND e.seq > ?17" BEFORE FILTERS NEWEST;

static const char app_text[] =
    FROM("") " WHERE e.app = ?1 AND e.seq > ?17" BEFORE FILTERS NEWEST;

/* Of an event id: ours, or its publisher's own, of which there may be many.
 * Each part comes in order by its index, so they are merely merged. */
#define NAMED(index, name) \
	FROM("INDEXED BY " index) " WHERE e.app = ?1 AND " name BEFORE FILTERS

static const char named_text[] =
    NAMED("events_custody", "e.custody = ?15") " UNION ALL " NAMED(
	"events_event_id", "e.event_id = ?16 AND e.custody IS NOT ?15") NEWEST;

static const char one_text[] =
    FROM("") " WHERE e.seq = ?2 AND d.event = ?2 AND d.subscription = ?3"
	     " AND +e.app = ?1" FILTERS;

static const char changes_text[] =
    "SELECT event, subscription FROM changed WHERE id > ?1 LIMIT ?2";

static const char first_text[] = "SELECT min(seq) FROM events";

int
logs_open(struct reader_sqlite *r)
{
	struct logs_sqlite *l = &r->logs;
	int result = page_prepare(r, tail_text, &l->tail);

	if (result == 0)
		result = page_prepare(r, app_text, &l->app);
	if (result == 0)
		result = page_prepare(r, named_text, &l->named);
	if (result == 0)
		result = page_prepare(r, one_text, &l->one);
	if (result == 0)
		result = page_prepare(r, changes_text, &l->changes);
	if (result == 0)
		result = page_prepare(r, first_text, &l->first);
	return result < 0 ? result : log_view_open(r->index, &l->view);
}

void
logs_close(struct reader_sqlite *r)
{
	struct logs_sqlite *l = &r->logs;

	log_view_close(l->view);
	sqlite3_finalize(l->tail);
	sqlite3_finalize(l->app);
	sqlite3_finalize(l->named);
	sqlite3_finalize(l->one);
	sqlite3_finalize(l->changes);
	sqlite3_finalize(l->first);
}

/* An empty text is no filter. */
static struct slice
filter(struct slice text)
{
	return text.len > 0 ? text : (struct slice){ NULL, 0 };
}

static sqlite3_stmt *
bind_filters(sqlite3_stmt *st, const struct msg *q)
{
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	sql_u64(st, 1, q->app);
	sql_u64_or(st, 4, q->from_ms, 0);
	sql_u64_or(st, 5, q->to_ms, 0);
	if (q->success != MSG_ANY)
		sql_u64(st, 6, q->success == MSG_TRUE);
	sql_text(st, 7, filter(q->statuses));
	sql_text(st, 8, filter(q->exclude_apis));
	sql_text(st, 9, filter(q->event_type));
	sql_text(st, 10, filter(q->entity_type));
	sql_text(st, 11, filter(q->service_id));
	sql_text(st, 12, filter(q->consumer_id));
	sql_u64_or(st, 13, q->attempt, 0);
	sql_u64_or(st, 14, q->subscription, 0);
	return st;
}

static int
walk(struct reader_sqlite *r, sqlite3_stmt *st, const struct msg *q,
    const struct log_position *before, uint64_t behind, struct page_fill *fill)
{
	(void)bind_filters(st, q);
	sql_u64(st, 2, before->event);
	sql_u64(st, 3, before->subscription);
	sql_blob(st, 15, filter(q->custody));
	sql_text(st, 16, filter(q->event_id));
	sql_u64(st, 17, behind);
	sql_u64(st, 18, fill->limit + 1);
	return page_add_all(r, st, fill);
}

/* ---- with the index ----------------------------------------------------- */

/* -ENOENT: there are too many. */
static int
add_changes(struct reader_sqlite *r, uint64_t after)
{
	sqlite3_stmt *st = r->logs.changes;
	uint32_t count = 0;
	int rc, result = 0;

	sqlite3_reset(st);
	sql_u64(st, 1, after);
	sql_u64(st, 2, CHANGES_MAX);
	while (result == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct log_position at = { sql_get(st, 0),
			(uint32_t)sql_get(st, 1) };

		result = ++count == CHANGES_MAX
			     ? -ENOENT
			     : log_view_add(r->logs.view, &at);
	}
	sqlite3_reset(st);
	return result < 0 ? result : sql_errno(rc);
}

static int
add_one(struct reader_sqlite *r, const struct log_position *at,
    struct page_fill *fill)
{
	sqlite3_stmt *st = r->logs.one;
	int rc, result = 0;

	sqlite3_reset(st);
	sql_u64(st, 2, at->event);
	sql_u64(st, 3, at->subscription);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		result = page_add(r, st, fill);
	return result < 0 ? result : sql_errno(rc);
}

static int
add_candidates(
    struct reader_sqlite *r, const struct msg *q, struct page_fill *fill)
{
	struct log_position at;
	unsigned looked = 0;
	int result;

	(void)bind_filters(r->logs.one, q);
	while ((result = log_view_next(r->logs.view, &at)) > 0) {
		result = add_one(r, &at, fill);
		if (result < 0 || fill->full)
			break;
		if (++looked % LOOK_CLOCK == 0 &&
		    clock_mono_ms() > r->give_up_ms)
			return -ETIMEDOUT;
	}
	return result < 0 ? result : 0;
}

/* The oldest event there is. Begins to read: from here on everything is of
 * one moment. */
static int
first_event(struct reader_sqlite *r, uint64_t *ret)
{
	sqlite3_stmt *st = r->logs.first;
	int rc;

	sqlite3_reset(st);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = sql_get(st, 0);
	sqlite3_reset(st);
	return sql_errno(rc);
}

/* -ENOENT: the index cannot be used. */
static int
indexed(struct reader_sqlite *r, const struct msg *q,
    const struct log_position *before, struct page_fill *fill)
{
	uint64_t first = 0, event = 0, change = 0;
	int result = first_event(r, &first);

	if (result == 0)
		result = log_view_begin(
		    r->logs.view, q, before, first, &event, &change);
	if (result < 0)
		return result;
	result = add_changes(r, change);
	if (result == 0 && before->event > event)
		result = walk(r, r->logs.tail, q, before, event, fill);
	if (result == 0 && !fill->full)
		result = add_candidates(r, q, fill);
	log_view_end(r->logs.view);
	return result;
}

/* ---- the page ----------------------------------------------------------- */

static int
find_rows(struct reader_sqlite *r, const struct msg *q,
    const struct log_position *before, struct page_fill *fill)
{
	const struct page_fill empty = *fill;
	int result;

	if (q->custody.len > 0 || q->event_id.len > 0)
		return walk(r, r->logs.named, q, before, 0, fill);
	result = indexed(r, q, before, fill);
	if (result != -ENOENT)
		return result;
	*fill = empty;
	buf_clear(&r->rows);
	return walk(r, r->logs.app, q, before, 0, fill);
}

int
logs_page(struct reader_sqlite *r, const struct msg *q,
    const struct log_position *before, struct page_fill *fill)
{
	const struct logs_sqlite *l = &r->logs;
	int result = sql_errno(sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL));

	if (result < 0)
		return result;
	result = find_rows(r, q, before, fill);
	sqlite3_reset(l->tail);
	sqlite3_reset(l->app);
	sqlite3_reset(l->named);
	sqlite3_reset(l->one);
	(void)sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
	return result;
}
