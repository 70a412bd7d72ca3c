#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "logger/store_sqlite_reader.h"
#include "logger/timekeeper.h"

#define PAGE_STEPS 10000  /* virtual machine steps between two looks */
#define PAGE_ROWS 20	  /* when the query names no limit */
#define PAGE_ATTEMPTS 256 /* of one row; the cap of the message */
#define PAGE_RESPONSES (256 * 1024) /* of the attempts of one row */
#define COLUMN_FIRST 15		    /* first_token; the attempt follows */
#define READER_CACHE "PRAGMA cache_size = -8192"

/* Of one event, or of the events of one call; those without a delivery give
 * one row without. */
#define EVENT_TEXT(what)                                           \
	"SELECT " ROW_COLUMNS                                      \
	" FROM events e LEFT JOIN deliveries d ON d.event = e.seq" \
	" AND (?5 IS NULL OR d.subscription = ?5)" ROW_ENDPOINTS   \
	" WHERE +e.app = ?1 AND " what " AND e.seq <= ?2"          \
	" AND (e.seq, ifnull(d.subscription, 0)) < (?2, ?3)"       \
	" AND (?5 IS NULL OR d.subscription IS NOT NULL)"          \
	" ORDER BY e.seq DESC, d.subscription DESC LIMIT ?6"

static const char custody_text[] = EVENT_TEXT("e.custody = ?4");
static const char request_text[] = EVENT_TEXT("e.request_id = ?4");

#define ATTEMPTS_TEXT                                                      \
	"SELECT attempt, status, verdict, at_ms, took_ms, error, response" \
	" FROM attempts WHERE event = ?1 AND subscription = ?2"            \
	" ORDER BY token "

static const char attempts_text[] = ATTEMPTS_TEXT "LIMIT ?3";
static const char newest_text[] = ATTEMPTS_TEXT "DESC LIMIT ?3";

static const char usage_text[] =
    "SELECT events FROM usage WHERE app = ?1 AND month = ?2";

/* ---- functions of the statements ---------------------------------------- */

/* in_list('a,b', x): is x one of them? */
static void
fn_in_list(sqlite3_context *context, int count, sqlite3_value **values)
{
	const char *list = (const char *)sqlite3_value_text(values[0]);
	const char *word = (const char *)sqlite3_value_text(values[1]);
	size_t len = word != NULL ? strlen(word) : 0;
	bool found = false;

	(void)count;
	while (list != NULL && word != NULL && *list != '\0' && !found) {
		size_t part = strcspn(list, ",");

		found = part == len && memcmp(list, word, len) == 0;
		list += part;
		list += *list == ',';
	}
	sqlite3_result_int(context, found);
}

/* prefix('crm.contact.created') is 'crm' */
static void
fn_prefix(sqlite3_context *context, int count, sqlite3_value **values)
{
	const char *text = (const char *)sqlite3_value_text(values[0]);

	(void)count;
	if (text == NULL)
		sqlite3_result_null(context);
	else
		sqlite3_result_text(
		    context, text, (int)strcspn(text, "."), SQLITE_TRANSIENT);
}

static int
on_progress(void *arg)
{
	struct reader_sqlite *r = arg;

	return clock_mono_ms() > r->give_up_ms;
}

/* ---- rows --------------------------------------------------------------- */

/* st gives an attempt from column `at` on. */
static int
add_attempt(struct reader_sqlite *r, sqlite3_stmt *st, int at, bool whole,
    uint32_t *count)
{
	struct msg a = {
		.type = MSG_ATTEMPT,
		.attempt = sql_get(st, at),
		.status = sql_get(st, at + 1),
		.verdict = sql_get(st, at + 2),
		.at_ms = sql_get(st, at + 3),
		.duration_ms = sql_get(st, at + 4),
		.error = sql_slice(st, at + 5),
	};

	if (whole && r->tries.len < PAGE_RESPONSES)
		a.response = sql_slice(st, at + 6);
	(*count)++;
	return msg_pack_record(&a, &r->tries);
}

static int
pack_attempts(
    struct reader_sqlite *r, sqlite3_stmt *st, bool whole, uint32_t *count)
{
	int result = 0;

	buf_clear(&r->tries);
	if (sqlite3_column_type(st, COLUMN_FIRST) != SQLITE_NULL)
		result = add_attempt(r, st, COLUMN_FIRST + 1, whole, count);
	sql_u64(r->attempts, 1, sql_get(st, 0));
	sql_u64(r->attempts, 2, sql_get(st, 1));
	sql_u64(r->attempts, 3, PAGE_ATTEMPTS - 1);
	while (result == 0 && sqlite3_step(r->attempts) == SQLITE_ROW)
		result = add_attempt(r, r->attempts, 0, whole, count);
	sqlite3_reset(r->attempts);
	return result;
}

/* The newest attempt gives the row's own error and response. */
static void
take_newest(struct reader_sqlite *r, sqlite3_stmt *st, struct msg *row)
{
	int at = 0;

	sql_u64(r->newest, 1, sql_get(st, 0));
	sql_u64(r->newest, 2, sql_get(st, 1));
	sql_u64(r->newest, 3, 1);
	if (sqlite3_step(r->newest) == SQLITE_ROW)
		st = r->newest;
	else
		at = COLUMN_FIRST + 1;
	row->error = sql_slice(st, at + 5);
	row->response = sql_slice(st, at + 6);
}

/* Why a delivery is held is the store's own affair. */
static uint64_t
shown_state(uint64_t state)
{
	return state == MSG_STATE_OVER ? MSG_STATE_HELD : state;
}

/* Makes r->row of the row that st stands on. */
static int
pack_row(struct reader_sqlite *r, sqlite3_stmt *st, bool whole)
{
	struct id custody, delivery;
	struct msg row = {
		.type = MSG_ROW,
		.app = sql_get(st, 3),
		.subscription = sql_get(st, 1),
		.event_type = sql_slice(st, 4),
		.unified_api = sql_slice(st, 5),
		.service_id = sql_slice(st, 6),
		.consumer_id = sql_slice(st, 7),
		.entity_id = sql_slice(st, 8),
		.entity_type = sql_slice(st, 9),
		.request_id = sql_slice(st, 10),
		.planned_ms = sql_get(st, 11),
		.state = shown_state(sql_get(st, 12)),
		.status = sql_get(st, 13),
		.attempt = sql_get(st, 14),
		.url = sql_slice(st, COLUMN_FIRST + 8),
		.hole = sql_get(st, COLUMN_FIRST + 9),
		.body = sql_slice(st, COLUMN_FIRST + 10),
	};
	uint32_t count = 0;
	int result;

	if (id_from(sql_slice(st, 2), &custody) < 0)
		return -EIO;
	delivery = id_delivery(custody, (uint32_t)row.subscription);
	row.delivery = id_slice(&delivery);
	result = pack_attempts(r, st, whole, &count);
	if (result < 0)
		return result;
	row.attempts = (struct msg_list){ buf_slice(&r->tries), count };
	take_newest(r, st, &row);
	buf_clear(&r->row);
	result = msg_pack_record(&row, &r->row);
	sqlite3_reset(r->newest);
	return result;
}

/* ---- cursors ------------------------------------------------------------ */

static void
cursor_write(uint64_t event, uint32_t subscription, uint8_t out[CURSOR_SIZE])
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(event >> (56 - 8 * i));
	for (int i = 0; i < 4; i++)
		out[8 + i] = (uint8_t)(subscription >> (24 - 8 * i));
}

/* Without one: from the newest on. */
static int
cursor_read(struct slice cursor, struct log_position *ret)
{
	*ret = (struct log_position){ INT64_MAX, UINT32_MAX };
	if (cursor.data == NULL)
		return 0;
	if (cursor.len != CURSOR_SIZE)
		return -EINVAL;
	*ret = (struct log_position){ 0, 0 };
	for (int i = 0; i < 8; i++)
		ret->event = ret->event << 8 | cursor.data[i];
	for (int i = 0; i < 4; i++)
		ret->subscription = ret->subscription << 8 | cursor.data[8 + i];
	return ret->event > INT64_MAX ? -EINVAL : 0;
}

/* ---- the page ----------------------------------------------------------- */

/* The statement that answers, bound but for its limit, the last parameter. */
static int
choose(struct reader_sqlite *r, const struct msg *q, struct id *custody,
    sqlite3_stmt **ret)
{
	uint64_t subscription = 0;

	switch ((enum msg_query)q->what) {
	case MSG_QUERY_LOG:
		if (id_from(q->delivery, custody) < 0)
			return -EINVAL;
		subscription = id_subscription(*custody);
		*custody = id_custody(*custody);
		*ret = r->custody;
		sql_blob(*ret, 4, id_slice(custody));
		break;
	case MSG_QUERY_EVENT:
		*ret = q->custody.data != NULL ? r->custody : r->request;
		if (q->custody.data == NULL && q->request_id.data == NULL)
			return -EINVAL;
		sql_blob(*ret, 4,
		    q->custody.data != NULL ? q->custody : q->request_id);
		break;
	case MSG_QUERY_NONE:
	case MSG_QUERY_LOGS:
	case MSG_QUERY_USAGE:
	case MSG_QUERY_MAX:
	default:
		return -EINVAL;
	}
	sql_u64_or(*ret, 5, subscription, 0);
	return 0;
}

int
page_add(struct reader_sqlite *r, sqlite3_stmt *st, struct page_fill *fill)
{
	static const size_t slack = 4096; /* the message around the rows */
	int result = 0;

	fill->full = fill->count == fill->limit;
	if (!fill->full)
		result = pack_row(r, st, fill->whole);
	if (result < 0)
		return result;
	fill->full = fill->full ||
		     (fill->count > 0 &&
			 r->rows.len + r->row.len + slack > LIMIT_PAGE_BYTES);
	if (fill->full)
		return 0;
	cursor_write(sql_get(st, 0), (uint32_t)sql_get(st, 1), fill->last);
	fill->count++;
	return buf_add(&r->rows, r->row.data, r->row.len);
}

int
page_add_all(struct reader_sqlite *r, sqlite3_stmt *st, struct page_fill *fill)
{
	int rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		int result = page_add(r, st, fill);

		if (result < 0 || fill->full)
			return result;
	}
	return sql_errno(rc);
}

/* Rows of one event, or of the events of one call. */
static int
page_events(struct reader_sqlite *r, const struct msg *q,
    const struct log_position *before, struct page_fill *fill)
{
	sqlite3_stmt *st = NULL;
	struct id custody;
	int result = choose(r, q, &custody, &st);

	if (result < 0)
		return result;
	sql_u64(st, 1, q->app);
	sql_u64(st, 2, before->event);
	sql_u64(st, 3, before->subscription);
	sql_u64(st, 6, fill->limit + 1);
	result = page_add_all(r, st, fill);
	sqlite3_reset(st);
	return result;
}

static int
page_usage(struct reader_sqlite *r, const struct msg *q, struct buf *out)
{
	struct msg page = { .type = MSG_PAGE, .query = q->query };
	int rc;

	r->give_up_ms = clock_mono_ms() + PAGE_TIME_MS;
	sql_u64(r->usage, 1, q->app);
	sql_u64(r->usage, 2, timekeeper_month(q->from_ms));
	rc = sqlite3_step(r->usage);
	if (rc == SQLITE_ROW)
		page.used = sql_get(r->usage, 0);
	sqlite3_reset(r->usage);
	return sql_errno(rc) < 0 ? sql_errno(rc) : msg_pack(&page, out);
}

int
sqlite_page(struct store_reader *reader, const struct msg *q, struct buf *out)
{
	struct reader_sqlite *r = (struct reader_sqlite *)reader;
	struct msg page = { .type = MSG_PAGE, .query = q->query };
	struct page_fill fill = { .limit = q->limit > 0 ? q->limit : PAGE_ROWS,
		.whole = q->what != MSG_QUERY_LOGS ||
			 (q->flags & MSG_FLAG_WHOLE) != 0 };
	struct log_position before;
	int result;

	if (q->what == MSG_QUERY_USAGE)
		return page_usage(r, q, out);
	result = cursor_read(q->cursor, &before);
	if (result < 0)
		return result;
	r->give_up_ms = clock_mono_ms() + PAGE_TIME_MS;
	buf_clear(&r->rows);
	result = q->what == MSG_QUERY_LOGS ? logs_page(r, q, &before, &fill)
					   : page_events(r, q, &before, &fill);
	sqlite3_reset(r->attempts);
	sqlite3_reset(r->newest);
	if (result < 0)
		return result;
	if (fill.full) {
		memcpy(r->cursor, fill.last, sizeof(r->cursor));
		page.cursor = (struct slice){ r->cursor, CURSOR_SIZE };
	}
	page.rows = (struct msg_list){ buf_slice(&r->rows), fill.count };
	return msg_pack(&page, out);
}

/* ---- open and close ----------------------------------------------------- */

int
page_prepare(struct reader_sqlite *r, const char *text, sqlite3_stmt **ret)
{
	int rc = sqlite3_prepare_v3(
	    r->db, text, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);

	if (rc != SQLITE_OK)
		log_error("statement=\"%.60s\" error=\"%s\"", text,
		    sqlite3_errmsg(r->db));
	return sql_errno(rc);
}

static int
prepare_all(struct reader_sqlite *r)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
	int result;

	sqlite3_create_function_v2(
	    r->db, "in_list", 2, flags, NULL, fn_in_list, NULL, NULL, NULL);
	sqlite3_create_function_v2(
	    r->db, "prefix", 1, flags, NULL, fn_prefix, NULL, NULL, NULL);
	sqlite3_progress_handler(r->db, PAGE_STEPS, on_progress, r);
	r->give_up_ms = UINT64_MAX;
	result = page_prepare(r, custody_text, &r->custody);
	if (result == 0)
		result = page_prepare(r, request_text, &r->request);
	if (result == 0)
		result = page_prepare(r, attempts_text, &r->attempts);
	if (result == 0)
		result = page_prepare(r, newest_text, &r->newest);
	if (result == 0)
		result = page_prepare(r, usage_text, &r->usage);
	if (result == 0)
		result = logs_open(r);
	return result;
}

int
sqlite_reader_open(struct store *store, struct store_reader **ret)
{
	struct store_sqlite *s = (struct store_sqlite *)store;
	struct reader_sqlite *r = calloc(1, sizeof(*r));
	int rc, result;

	if (r == NULL)
		return -ENOMEM;
	r->reader.engine = s->store.engine;
	r->index = s->index;
	buf_init(&r->rows, LIMIT_MESSAGE_BYTES);
	buf_init(&r->row, LIMIT_MESSAGE_BYTES);
	buf_init(&r->tries, LIMIT_MESSAGE_BYTES);
	rc = sqlite3_open_v2(
	    s->path, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(r->db, SQLITE_BUSY_MS);
		rc = sqlite3_exec(r->db, READER_CACHE "; PRAGMA query_only = 1",
		    NULL, NULL, NULL);
	}
	result = sql_errno(rc);
	if (result < 0)
		log_error("reader error=\"%s\"", sqlite3_errmsg(r->db));
	else
		result = prepare_all(r);
	if (result < 0) {
		sqlite_reader_close(&r->reader);
		return result;
	}
	*ret = &r->reader;
	return 0;
}

void
sqlite_reader_close(struct store_reader *reader)
{
	struct reader_sqlite *r = (struct reader_sqlite *)reader;

	logs_close(r);
	sqlite3_finalize(r->custody);
	sqlite3_finalize(r->request);
	sqlite3_finalize(r->attempts);
	sqlite3_finalize(r->newest);
	sqlite3_finalize(r->usage);
	sqlite3_close(r->db);
	buf_done(&r->rows);
	buf_done(&r->row);
	buf_done(&r->tries);
	free(r);
}
