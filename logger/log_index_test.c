/*
 * Pages of the log, found with the index, against a plain reading of all rows:
 * on random traffic with retries, late deliveries, retention and restarts, for
 * every filter and many together, whatever the index has reached by then.
 */
#include "logger/log_index.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "logger/store_sqlite.h"

#define NOW UINT64_C(1800000000000)
#define SESSION 77
#define SEGMENT 150 /* deliveries; so that there are many */
#define ROWS_MAX 20000
#define SUBSCRIPTIONS_MAX 60

static _Thread_local uint64_t seed = 88172645463325252u;

static uint32_t
any(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % below;
}

struct fixture {
	char folder[64];
	char path[96];
	struct store *store;
	struct store_reader *reader;
	sqlite3 *db; /* reads all rows */
	uint64_t now_ms;
	unsigned events;
};

static int
load_nothing(void *arg, const struct store_app *app)
{
	(void)arg;
	(void)app;
	return 0;
}

static int
load_no_endpoint(void *arg, const struct store_endpoint *endpoint)
{
	(void)arg;
	(void)endpoint;
	return 0;
}

static int
load_no_lease(void *arg, const struct store_loaded_lease *lease)
{
	(void)arg;
	(void)lease;
	return 0;
}

static int
load_no_marks(void *arg, uint64_t number, uint64_t last_event)
{
	(void)arg;
	(void)number;
	(void)last_event;
	return 0;
}

static struct log_index *
index_of(struct fixture *f)
{
	return ((struct store_sqlite *)f->store)->index;
}

static void
start(struct fixture *f)
{
	static const uint32_t recents[] = { 0, 60, 4096 };
	static const struct store_loader loader = { load_nothing,
		load_no_endpoint, load_no_lease, load_no_marks };

	assert_int_equal(store_open(f->path, &f->store), 0);
	assert_int_equal(store_load(f->store, &loader, NULL), 0);
	log_index_set_segment(index_of(f), SEGMENT);
	((struct store_sqlite *)f->store)->recent.max = recents[any(3)];
	assert_int_equal(store_reader_open(f->store, &f->reader), 0);
	assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
}

static void
stop(struct fixture *f)
{
	sqlite3_close(f->db);
	store_reader_close(f->reader);
	store_close(f->store);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof(f->folder), "/tmp/sluice-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->path, sizeof(f->path), "%s/events.db", f->folder);
	f->now_ms = NOW;
	start(f);
	*state = f;
	return 0;
}

static void
remove_files(struct fixture *f, const char *name)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".lock" };
	char path[160];

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(
		    path, sizeof(path), "%s%s%s", f->path, name, ends[i]);
		(void)unlink(path);
	}
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	stop(f);
	remove_files(f, "");
	remove_files(f, "-index");
	remove_files(f, ".old");
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

/* ---- traffic ------------------------------------------------------------ */

static const char *const types[] = { "crm.contact.created",
	"crm.contact.updated", "accounting.invoice.created", "crm",
	"vault.connection.created", "hris.employee.terminated" };
static const char *const apis[] = { "crm", "accounting", "hris", "vault", "" };
static const char *const services[] = { "hubspot", "xero", "bamboohr", "" };
static const char *const entities[] = { "contact", "invoice", "employee" };

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define ANY(list) ((list)[any(COUNT(list))])

static struct id
custody(unsigned n)
{
	struct id id = { { 1, 2, 3, 4 } };

	id.bytes[9] = (uint8_t)(n >> 16);
	id.bytes[10] = (uint8_t)(n >> 8);
	id.bytes[11] = (uint8_t)n;
	return id;
}

static struct slice
text_or_none(const char *text)
{
	return any(10) == 0 ? (struct slice){ NULL, 0 } : slice_text(text);
}

static enum msg_state
any_state(void)
{
	static const enum msg_state states[] = { MSG_STATE_LEASED,
		MSG_STATE_LEASED, MSG_STATE_LEASED, MSG_STATE_DUE,
		MSG_STATE_HELD };

	return ANY(states);
}

static void
apply(struct fixture *f, struct store_op *op)
{
	struct store_op *ops[] = { op };

	assert_int_equal(store_apply(f->store, ops, 1, f->now_ms), 0);
}

/* A first part makes an event; a later one gives an event more deliveries. */
static void
plan(struct fixture *f, unsigned n, unsigned part)
{
	struct store_delivery deliveries[SUBSCRIPTIONS_MAX] = { 0 };
	struct id id = custody(n);
	char consumer[32];
	struct msg m = {
		.type = MSG_PLAN,
		.custody = id_slice(&id),
		.app = 1 + n % 3,
		.event_type = slice_text(ANY(types)),
		.unified_api = text_or_none(ANY(apis)),
		.service_id = text_or_none(ANY(services)),
		.entity_type = text_or_none(ANY(entities)),
		.body = slice_text("{\"n\":}"),
		.hole = 5,
		.number = 1,
		.part = part,
		.parts = 2,
	};
	struct store_op op = { .type = STORE_PLAN };
	unsigned count = any(4);

	(void)snprintf(consumer, sizeof(consumer), "consumer-%u",
	    any(2) ? any(5) : any(100000));
	m.consumer_id = text_or_none(consumer);
	if (any(30) == 0)
		count = SUBSCRIPTIONS_MAX;
	for (unsigned i = 0; i < count; i++)
		deliveries[i] =
		    (struct store_delivery){ .subscription =
						 1 + any(SUBSCRIPTIONS_MAX),
			    .state = any_state(),
			    .session = SESSION };
	op.u.plan.plan = &m;
	op.u.plan.deliveries = deliveries;
	op.u.plan.count = count;
	apply(f, &op);
}

/* Something comes of up to `most` of the deliveries in that state. */
static void
finish(struct fixture *f, unsigned most)
{
	static const enum msg_verdict verdicts[] = { MSG_VERDICT_DELIVERED,
		MSG_VERDICT_DELIVERED, MSG_VERDICT_RETRY, MSG_VERDICT_GIVE_UP };
	static const uint64_t gaps[] = { 1000, 2000 };
	struct store_op ops[64];
	unsigned count = 0;
	sqlite3_stmt *st;

	assert_int_equal(
	    sqlite3_prepare_v2(f->db,
		"SELECT e.custody, d.subscription, d.token, d.attempts"
		" FROM deliveries d JOIN events e ON e.seq = d.event"
		" WHERE d.state = 2 ORDER BY (d.event * 7919 + ?1) % 1009"
		" LIMIT ?2",
		-1, &st, NULL),
	    SQLITE_OK);
	sqlite3_bind_int(st, 1, (int)any(1000));
	sqlite3_bind_int(st, 2, (int)most);
	while (sqlite3_step(st) == SQLITE_ROW && count < COUNT(ops)) {
		enum msg_verdict verdict = ANY(verdicts);
		struct id id;

		assert_int_equal(id_from(sql_slice(st, 0), &id), 0);
		ops[count] = (struct store_op){ .type = STORE_OUTCOME };
		ops[count++].u.outcome = (struct store_outcome){
			.delivery = id_delivery(id, (uint32_t)sql_get(st, 1)),
			.token = sql_get(st, 2),
			.attempt = (uint32_t)sql_get(st, 3) + 1,
			.status = verdict == MSG_VERDICT_DELIVERED
				      ? 200
				      : 500 + any(4),
			.verdict = verdict,
			.delay_ms = any(2000),
			.at_ms = f->now_ms,
			.response = slice_text("ok"),
			.judge = { .failed_enough = 3,
			    .gaps = gaps,
			    .gap_count = 2 },
		};
	}
	sqlite3_finalize(st);
	for (unsigned i = 0; i < count; i++)
		apply(f, &ops[i]);
}

static void
take(struct fixture *f)
{
	struct store_op op = { .type = STORE_TAKE };

	op.u.take.subscription = 1 + any(SUBSCRIPTIONS_MAX);
	op.u.take.session = SESSION;
	op.u.take.limit = 20;
	apply(f, &op);
	while (op.u.take.taken != NULL) {
		struct store_taken *t = op.u.take.taken;

		op.u.take.taken = t->next;
		free(t);
	}
}

static void
sweep(struct fixture *f, uint64_t retention_ms)
{
	struct store_op op = { .type = STORE_SWEEP };

	op.u.sweep.retention_ms = retention_ms;
	apply(f, &op);
}

static void
resume(struct fixture *f)
{
	struct store_op op = { .type = STORE_RESUME };

	op.u.shift.subscription = 1 + any(SUBSCRIPTIONS_MAX);
	apply(f, &op);
}

static void
traffic(struct fixture *f, unsigned steps)
{
	for (unsigned i = 0; i < steps; i++) {
		f->now_ms += any(20);
		if (any(200) == 0)
			f->now_ms -= 1000; /* the clock was put back */
		switch (any(8)) {
		case 0:
			finish(f, 40);
			break;
		case 1:
			take(f);
			break;
		case 2:
			if (f->events > 0)
				plan(f, any(f->events), 1);
			break;
		case 3:
			resume(f);
			break;
		default:
			plan(f, f->events++, 0);
			break;
		}
	}
}

/* ---- the model ---------------------------------------------------------- */

struct row {
	uint64_t event, app, planned_ms, attempts, status;
	uint32_t subscription;
	bool success;
	char type[40], api[40], service[40], consumer[40], entity[40];
};

static struct row rows[ROWS_MAX];
static uint32_t row_count;

static void
copy(sqlite3_stmt *st, int at, char out[40])
{
	const char *text = (const char *)sqlite3_column_text(st, at);

	(void)snprintf(out, 40, "%s", text != NULL ? text : "");
}

static void
read_rows(struct fixture *f)
{
	sqlite3_stmt *st;

	assert_int_equal(
	    sqlite3_prepare_v2(f->db,
		"SELECT e.seq, d.subscription, e.app, e.planned_ms, d.attempts,"
		" d.status, d.state, e.event_type, e.unified_api, e.service_id,"
		" e.consumer_id, e.entity_type FROM deliveries d"
		" JOIN events e ON e.seq = d.event"
		" ORDER BY e.seq DESC, d.subscription DESC",
		-1, &st, NULL),
	    SQLITE_OK);
	for (row_count = 0; sqlite3_step(st) == SQLITE_ROW; row_count++) {
		struct row *row = &rows[row_count];

		assert_true(row_count < ROWS_MAX);
		row->event = sql_get(st, 0);
		row->subscription = (uint32_t)sql_get(st, 1);
		row->app = sql_get(st, 2);
		row->planned_ms = sql_get(st, 3);
		row->attempts = sql_get(st, 4);
		row->status = sql_get(st, 5);
		row->success = sql_get(st, 6) == MSG_STATE_DELIVERED;
		copy(st, 7, row->type);
		copy(st, 8, row->api);
		copy(st, 9, row->service);
		copy(st, 10, row->consumer);
		copy(st, 11, row->entity);
	}
	sqlite3_finalize(st);
}

static bool
listed(struct slice list, const char *word, size_t len)
{
	char text[256];
	char *rest = text, *part;

	assert_int_equal(slice_copy(list, text, sizeof(text)), 0);
	while ((part = strsep(&rest, ",")) != NULL)
		if (strlen(part) == len && strncmp(part, word, len) == 0)
			return true;
	return false;
}

static bool
wanted(struct slice value, const char *text)
{
	return value.len == 0 || slice_is(value, text);
}

static bool
matches(const struct row *row, const struct msg *q)
{
	char status[16];

	(void)snprintf(status, sizeof(status), "%u", (unsigned)row->status);
	if (row->app != q->app || !wanted(q->event_type, row->type) ||
	    !wanted(q->service_id, row->service) ||
	    !wanted(q->consumer_id, row->consumer) ||
	    !wanted(q->entity_type, row->entity))
		return false;
	if (q->subscription > 0 && q->subscription != row->subscription)
		return false;
	if (q->attempt > 0 && q->attempt != row->attempts)
		return false;
	if (q->success != MSG_ANY && row->success != (q->success == MSG_TRUE))
		return false;
	if (q->statuses.len > 0 && !listed(q->statuses, status, strlen(status)))
		return false;
	if (q->exclude_apis.len > 0 &&
	    (listed(q->exclude_apis, row->type, strcspn(row->type, ".")) ||
		(row->api[0] != '\0' &&
		    listed(q->exclude_apis, row->api, strlen(row->api)))))
		return false;
	return row->planned_ms >= q->from_ms &&
	       (q->to_ms == 0 || row->planned_ms <= q->to_ms);
}

/* ---- pages -------------------------------------------------------------- */

/* The page; *ret_page lives in out. */
static void
ask(struct fixture *f, const struct msg *q, struct buf *out,
    struct msg *ret_page)
{
	buf_clear(out);
	assert_int_equal(store_page(f->reader, q, out), 0);
	assert_int_equal(msg_unpack(buf_slice(out), ret_page), 0);
}

/* All pages together are the rows of the model that match, in order. */
static void
compare(struct fixture *f, struct msg q)
{
	struct msg page, row;
	uint8_t cursor[16];
	struct buf out;
	uint32_t at = 0;

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	q.limit = 1 + any(200);
	do {
		struct msg_list list;

		ask(f, &q, &out, &page);
		for (list = page.rows; msg_next(&list, MSG_ROW, &row); at++) {
			while (at < row_count && !matches(&rows[at], &q))
				at++;
			assert_true(at < row_count);
			assert_int_equal(
			    row.subscription, rows[at].subscription);
			assert_int_equal(row.planned_ms, rows[at].planned_ms);
			assert_int_equal(row.status, rows[at].status);
			assert_int_equal(row.attempt, rows[at].attempts);
			assert_true(slice_is(row.event_type, rows[at].type));
		}
		if (page.cursor.len > 0) {
			assert_int_equal(page.rows.count, q.limit);
			memcpy(cursor, page.cursor.data, page.cursor.len);
			q.cursor = (struct slice){ cursor, page.cursor.len };
		}
	} while (page.cursor.len > 0);
	for (; at < row_count; at++)
		assert_false(matches(&rows[at], &q));
	buf_done(&out);
}

static char some_consumer[40];

/* One filter, or several. */
static struct msg
any_query(struct fixture *f, unsigned filters)
{
	static const char *const excludes[] = { "vault", "crm", "crm,vault",
		"accounting,hris,vault", "nobody",
		"crm,hris,accounting,vault" };
	static const char *const statuses[] = { "200", "0", "500,501", "503",
		"404", "200,500,0" };
	struct msg q = { .type = MSG_QUERY,
		.query = 1,
		.what = MSG_QUERY_LOGS,
		.app = 1 + any(4) };
	uint64_t span = f->now_ms - NOW + 1;

	for (unsigned i = 0; i < 11; i++) {
		if (filters < 100 ? filters != i : any(5) > 0)
			continue;
		switch (i) {
		case 0:
			q.event_type =
			    slice_text(any(10) ? ANY(types) : "crm.nothing");
			break;
		case 1:
			q.exclude_apis = slice_text(ANY(excludes));
			break;
		case 2:
			q.service_id =
			    slice_text(any(10) ? ANY(services) : "nobody");
			break;
		case 3:
			q.consumer_id = slice_text(any(3)   ? "consumer-1"
						   : any(2) ? some_consumer
							    : "nobody");
			break;
		case 4:
			q.entity_type = slice_text(ANY(entities));
			break;
		case 5:
			q.success = any(2) ? MSG_TRUE : MSG_FALSE;
			break;
		case 6:
			q.statuses = slice_text(ANY(statuses));
			break;
		case 7:
			q.attempt = 1 + any(4);
			break;
		case 8:
			q.subscription = 1 + any(SUBSCRIPTIONS_MAX + 5);
			break;
		case 9:
			q.from_ms = NOW + any((uint32_t)span);
			break;
		default:
			q.to_ms = NOW + any((uint32_t)span);
			break;
		}
	}
	return q;
}

static void
compare_all(struct fixture *f)
{
	read_rows(f);
	if (row_count > 0)
		(void)snprintf(some_consumer, sizeof(some_consumer), "%s",
		    rows[any(row_count)].consumer);
	for (unsigned i = 0; i < 12; i++)
		compare(f, any_query(f, i));
	for (unsigned i = 0; i < 25; i++)
		compare(f, any_query(f, 100));
}

/* Until the index has all there is. */
static void
settle(struct fixture *f)
{
	struct store_sqlite *s = (struct store_sqlite *)f->store;
	const struct timespec pause = { 0, 1000000 };
	uint64_t give_up = clock_mono_ms() + 20000;
	struct log_index_stats stats;

	do {
		(void)nanosleep(&pause, NULL);
		log_index_stats(index_of(f), &stats);
		assert_true(stats.usable);
		assert_true(clock_mono_ms() < give_up);
	} while (stats.last_event < s->last_committed ||
		 stats.last_change < s->changes_committed);
}

/* ---- tests -------------------------------------------------------------- */

static void
test_as_the_model(void **state)
{
	struct fixture *f = *state;
	struct log_index_stats stats;

	for (unsigned round = 0; round < 12; round++) {
		traffic(f, 250);
		if (round % 3 > 0)
			settle(f);
		compare_all(f);
		if (round % 4 == 3) {
			stop(f);
			start(f);
			compare_all(f);
		}
	}
	log_index_stats(index_of(f), &stats);
	assert_true(stats.segments > 10);
}

static void
test_late_deliveries(void **state)
{
	struct fixture *f = *state;

	traffic(f, 400);
	settle(f);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 30; i++)
			plan(f, any(f->events), 1);
		if (round % 2 == 0)
			settle(f);
		compare_all(f);
		stop(f);
		start(f);
		compare_all(f);
	}
}

static void
test_retention(void **state)
{
	struct fixture *f = *state;
	struct log_index_stats stats;
	uint64_t give_up = clock_mono_ms() + 30000;
	const struct timespec pause = { 0, 1000000 };

	traffic(f, 800);
	settle(f);
	for (unsigned round = 0; round < 4; round++) {
		sweep(f, (f->now_ms - NOW) / 2);
		finish(f, 40);
		compare_all(f);
		traffic(f, 50);
		compare_all(f);
	}
	/* What is left of nothing is dropped. */
	assert_int_equal(sqlite3_exec(f->db,
			     "PRAGMA busy_timeout = 5000;"
			     "UPDATE deliveries SET state = 3, due_ms = NULL",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	f->now_ms += 60000; /* it steps back now and then */
	for (unsigned i = 0; i < 20; i++)
		sweep(f, 0);
	do {
		(void)nanosleep(&pause, NULL);
		log_index_stats(index_of(f), &stats);
		assert_true(clock_mono_ms() < give_up);
	} while (stats.segments > 0);
	traffic(f, 200);
	compare_all(f);
}

/* Pages stay right while new rows come in front of them. */
static void
test_cursors_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct msg page, row;
	uint8_t cursor[16];
	struct buf out;

	traffic(f, 600);
	settle(f);
	buf_init(&out, LIMIT_MESSAGE_BYTES);
	for (unsigned i = 0; i < 5; i++) {
		struct msg q = any_query(f, i);
		uint32_t at = 0;

		q.limit = 7;
		read_rows(f);
		do {
			struct msg_list list;

			ask(f, &q, &out, &page);
			for (list = page.rows; msg_next(&list, MSG_ROW, &row);
			    at++) {
				while (
				    at < row_count && !matches(&rows[at], &q))
					at++;
				assert_true(at < row_count);
				assert_int_equal(
				    row.planned_ms, rows[at].planned_ms);
				assert_int_equal(
				    row.subscription, rows[at].subscription);
			}
			if (page.cursor.len > 0) {
				memcpy(
				    cursor, page.cursor.data, page.cursor.len);
				q.cursor =
				    (struct slice){ cursor, page.cursor.len };
				plan(f, f->events++, 0);
				plan(f, f->events++, 0);
				finish(f, 3);
			}
		} while (page.cursor.len > 0);
		for (; at < row_count; at++)
			assert_false(matches(&rows[at], &q));
	}
	buf_done(&out);
}

static void *
keep_busy(void *arg)
{
	struct fixture *f = arg;

	seed = 1234567;
	traffic(f, 1500);
	return NULL;
}

/* While the writer and the index are at work: what was there is found, in its
 * order, whatever comes in between. */
static void
test_at_the_same_time(void **state)
{
	struct fixture *f = *state;
	pthread_t writer;
	struct buf out;

	traffic(f, 500);
	read_rows(f);
	buf_init(&out, LIMIT_MESSAGE_BYTES);
	assert_int_equal(pthread_create(&writer, NULL, keep_busy, f), 0);
	for (unsigned i = 0; i < 40; i++) {
		struct msg q = { .type = MSG_QUERY,
			.query = 1,
			.what = MSG_QUERY_LOGS,
			.app = 1 + i % 3,
			.limit = 50 };
		struct msg page, row;
		uint8_t cursor[16];
		uint32_t at = 0;

		if (i % 2)
			q.event_type = slice_text(ANY(types));
		if (i % 4 > 1)
			q.entity_type = slice_text(ANY(entities));
		do {
			struct msg_list list;

			ask(f, &q, &out, &page);
			for (list = page.rows;
			    msg_next(&list, MSG_ROW, &row);) {
				while (
				    at < row_count && !matches(&rows[at], &q))
					at++;
				if (at < row_count &&
				    row.planned_ms == rows[at].planned_ms &&
				    row.subscription == rows[at].subscription)
					at++;
			}
			if (page.cursor.len > 0) {
				memcpy(
				    cursor, page.cursor.data, page.cursor.len);
				q.cursor =
				    (struct slice){ cursor, page.cursor.len };
			}
		} while (page.cursor.len > 0);
		for (; at < row_count; at++)
			assert_false(matches(&rows[at], &q));
	}
	assert_int_equal(pthread_join(writer, NULL), 0);
	buf_done(&out);
	compare_all(f);
}

/* ---- what may become of the file ---------------------------------------- */

static void
index_path(struct fixture *f, char out[160])
{
	(void)snprintf(out, 160, "%s-index", f->path);
}

static void
test_missing_or_broken(void **state)
{
	struct fixture *f = *state;
	char path[160];
	uint8_t junk[4096];
	int fd;

	index_path(f, path);
	traffic(f, 400);
	settle(f);
	stop(f);
	remove_files(f, "-index");
	start(f);
	compare_all(f);
	settle(f);
	compare_all(f);
	traffic(f, 50);
	stop(f);
	fd = open(path, O_WRONLY);
	memset(junk, 0x5a, sizeof(junk));
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	start(f);
	compare_all(f);
	settle(f);
	compare_all(f);
}

/* Broken where it is noticed only when it is read. */
static void
test_broken_inside(void **state)
{
	struct fixture *f = *state;
	const struct timespec pause = { 0, 1000000 };
	struct log_index_stats stats;
	sqlite3 *db;
	char path[160];

	index_path(f, path);
	traffic(f, 400);
	settle(f);
	stop(f);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
			     "UPDATE postings SET block = x'0102';"
			     "UPDATE maps SET map = x'ff'",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	start(f);
	compare_all(f);
	do {
		(void)nanosleep(&pause, NULL);
		log_index_stats(index_of(f), &stats);
	} while (stats.usable);
	traffic(f, 200); /* nothing is noted now */
	sweep(f, NOW);
	compare_all(f);
	stop(f);
	start(f);
	settle(f);
	compare_all(f);
}

static void
copy_file(struct fixture *f, const char *from, const char *to)
{
	char path[160], other[160];
	char command[400];

	(void)snprintf(path, sizeof(path), "%s%s", f->path, from);
	(void)snprintf(other, sizeof(other), "%s%s", f->path, to);
	(void)snprintf(command, sizeof(command), "cp %s %s", path, other);
	assert_int_equal(system(command), 0);
}

/* An older copy of the store, put back beside an index that has seen more. */
static void
test_restored_store(void **state)
{
	struct fixture *f = *state;

	traffic(f, 300);
	settle(f);
	stop(f);
	copy_file(f, "", ".old");
	start(f);
	finish(f, 64);
	traffic(f, 300);
	settle(f);
	stop(f);
	remove_files(f, "");
	copy_file(f, ".old", "");
	start(f);
	traffic(f, 300);
	compare_all(f);
	settle(f);
	compare_all(f);
}

/* An older copy of the index, put back beside its store: what changed since is
 * known to nobody any more. */
static void
test_restored_index(void **state)
{
	struct fixture *f = *state;

	traffic(f, 300);
	settle(f);
	stop(f);
	copy_file(f, "-index", ".old");
	start(f);
	for (unsigned i = 0; i < 20; i++) {
		for (unsigned n = 0; n < 20; n++)
			take(f);
		finish(f, 64);
	}
	settle(f);
	sweep(f, NOW);
	stop(f);
	remove_files(f, "-index");
	copy_file(f, ".old", "-index");
	start(f);
	compare_all(f);
	settle(f);
	compare_all(f);
}

/* ---- its disk ----------------------------------------------------------- */

/* What SQLite gets when it writes to a file of the index; 0: it works. */
static _Atomic int write_error;

static bool
refuses(int fd)
{
	char link[64], path[256];
	ssize_t len;

	if (atomic_load(&write_error) == 0)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = '\0';
	errno = atomic_load(&write_error);
	return strstr(path, "-index") != NULL;
}

static ssize_t
pwrite_or_not(int fd, const void *bytes, size_t len, off_t at)
{
	return refuses(fd) ? -1 : pwrite(fd, bytes, len, at);
}

static ssize_t
write_or_not(int fd, const void *bytes, size_t len)
{
	return refuses(fd) ? -1 : write(fd, bytes, len);
}

static int
setup_disk(void **state)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	int r;

	atomic_store(&write_error, 0);
	r = vfs->xSetSystemCall(
	    vfs, "pwrite", (sqlite3_syscall_ptr)pwrite_or_not);
	if (vfs->xGetSystemCall(vfs, "pwrite64") != NULL)
		r |= vfs->xSetSystemCall(
		    vfs, "pwrite64", (sqlite3_syscall_ptr)pwrite_or_not);
	r |= vfs->xSetSystemCall(
	    vfs, "write", (sqlite3_syscall_ptr)write_or_not);
	return r == SQLITE_OK ? setup(state) : -1;
}

static int
teardown_disk(void **state)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	atomic_store(&write_error, 0);
	(void)vfs->xSetSystemCall(vfs, NULL, NULL);
	return teardown(state);
}

static void
wait_usable(struct fixture *f, bool usable)
{
	const struct timespec pause = { 0, 1000000 };
	struct log_index_stats stats;

	do {
		sweep(f, NOW); /* as the logger does each second */
		(void)nanosleep(&pause, NULL);
		log_index_stats(index_of(f), &stats);
	} while (stats.usable != usable);
}

/* No room for the index alone: pages are right, the store goes on, and the
 * index, too, once there is room. */
static void
test_no_room(void **state)
{
	struct fixture *f = *state;
	struct log_index_stats before, after;

	traffic(f, 300);
	settle(f);
	log_index_stats(index_of(f), &before);
	atomic_store(&write_error, ENOSPC);
	traffic(f, 300);
	compare_all(f);
	traffic(f, 100);
	compare_all(f);
	log_index_stats(index_of(f), &after);
	assert_true(after.usable);
	assert_int_equal(after.segments, before.segments);
	atomic_store(&write_error, 0);
	settle(f);
	log_index_stats(index_of(f), &after);
	assert_true(after.segments > before.segments);
	compare_all(f);
	stop(f);
	start(f);
	compare_all(f);
}

/* Its disk fails: it is given up, tried again in vain, made anew when the disk
 * works, by itself, and it is the one that a restart finds. */
static void
test_made_anew(void **state)
{
	struct fixture *f = *state;
	uint64_t identity;

	log_index_set_again(index_of(f), 1);
	traffic(f, 300);
	settle(f);
	for (int i = 0; i < 3; i++) {
		atomic_store(&write_error, EIO);
		traffic(f, 300);
		wait_usable(f, false);
		traffic(f, 100); /* nothing is noted now */
		compare_all(f);
		atomic_store(&write_error, 0);
		wait_usable(f, true);
		compare_all(f);
		traffic(f, 100);
		compare_all(f);
		settle(f);
		compare_all(f);
	}
	sweep(f, NOW);
	identity = log_index_identity(index_of(f));
	stop(f);
	start(f);
	assert_true(log_index_identity(index_of(f)) == identity);
	compare_all(f);
	traffic(f, 200);
	settle(f);
	compare_all(f);
}

/* It cannot be made at the start, and can later. */
static void
test_in_the_way(void **state)
{
	struct fixture *f = *state;
	struct log_index_stats stats;
	char path[160];

	index_path(f, path);
	traffic(f, 300);
	stop(f);
	remove_files(f, "-index");
	assert_int_equal(mkdir(path, 0700), 0);
	start(f);
	log_index_stats(index_of(f), &stats);
	assert_false(stats.usable);
	log_index_set_again(index_of(f), 1);
	traffic(f, 200);
	compare_all(f);
	assert_int_equal(rmdir(path), 0);
	wait_usable(f, true);
	compare_all(f);
	settle(f);
	compare_all(f);
}

/* ---- killed at any point ------------------------------------------------ */

static void
die_at(struct fixture *f, const char *point)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		fail_point_set(point);
		start(f);
		for (unsigned i = 0; i < 100; i++) {
			traffic(f, 40);
			settle(f);
		}
		_exit(1); /* it was never passed */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static unsigned
count_events(struct fixture *f)
{
	sqlite3_stmt *st;
	unsigned count;

	assert_int_equal(sqlite3_prepare_v2(f->db,
			     "SELECT count(*) FROM events", -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	count = (unsigned)sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return count;
}

static void
test_killed(void **state)
{
	static const char *const points[] = { "logger.index.seal",
		"logger.index.sealed", "logger.index.settle",
		"logger.index.seal:3", "logger.index.settle:4",
		"logger.index.sealed:2" };
	struct fixture *f = *state;

	traffic(f, 100);
	settle(f);
	for (size_t i = 0; i < COUNT(points); i++) {
		stop(f);
		die_at(f, points[i]);
		start(f);
		f->events = count_events(f);
		f->now_ms += 60000;
		compare_all(f);
		traffic(f, 60);
		settle(f);
		compare_all(f);
	}
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_as_the_model),
		CASE(test_late_deliveries),
		CASE(test_retention),
		CASE(test_cursors_meanwhile),
		CASE(test_at_the_same_time),
		CASE(test_missing_or_broken),
		CASE(test_broken_inside),
		CASE(test_restored_store),
		CASE(test_restored_index),
		cmocka_unit_test_setup_teardown(
		    test_no_room, setup_disk, teardown_disk),
		cmocka_unit_test_setup_teardown(
		    test_made_anew, setup_disk, teardown_disk),
		CASE(test_in_the_way),
		CASE(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
