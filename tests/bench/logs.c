/*
 * What a page of the log costs, for each filter, and what the index behind it
 * costs.
 *
 *   sluice-bench-logs FILE [LOGS [BODY_BYTES [ASK]]]
 *
 * Makes LOGS logs (5,000,000) in FILE, unless it is there: three applications
 * of very different size, twenty event types, skewed values, some rare ones,
 * an event in 2,000 with 100 subscribers, one delivery in 50 that fails at
 * first. Then builds the index anew, and asks for pages of 200: the first, one
 * from the middle, one from far back. Then 20,000 deliveries of all ages get
 * another attempt; and the questions are asked again while 20,000 events a
 * second come in. ASK 0 makes the logs, and no more; 2 asks under load alone.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/config.h"
#include "logger/store.h"

#define BATCH 128
#define FANOUT 100
#define REPEATS 21
#define PAGE 200
#define SESSION 5

struct made {
	struct id custody;
	char type[64], consumer[32];
	struct msg msg;
	struct store_delivery deliveries[FANOUT];
	struct store_op op;
};

static _Thread_local uint64_t seed = 88172645463325252u;

static uint32_t
any(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % below;
}

/* Small numbers often, large ones seldom. */
static uint32_t
skewed(uint32_t below)
{
	return any(1 + any(1 + any(below)));
}

static double
cpu_us(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int
load_nothing(void *arg, uint64_t number, uint64_t last_event)
{
	*(uint64_t *)arg = last_event;
	(void)number;
	return 0;
}

/* ---- making ------------------------------------------------------------- */

#define BODY_MIN 100

static const char body_begin[] = "{\"payload\":{\"execution_attempt\":";
static const char body_note[] = ",\"note\":\"";
static const char body_end[] = "\"}}";

/* What a delivery's body may look like; the attempt goes into its hole. */
static struct slice
make_body(uint8_t *bytes, size_t len)
{
	uint8_t *at = bytes;

	memset(bytes, 'x', len);
	memcpy(at, body_begin, sizeof(body_begin) - 1);
	at += sizeof(body_begin) - 1;
	memcpy(at, body_note, sizeof(body_note) - 1);
	memcpy(bytes + len - (sizeof(body_end) - 1), body_end,
	    sizeof(body_end) - 1);
	return (struct slice){ bytes, len };
}

static const char *const apis[] = { "crm", "crm", "accounting", "hris", "ats",
	"vault" };
static const char *const services[] = { "hubspot", "xero", "salesforce",
	"bamboohr", "greenhouse", "quickbooks" };
static const char *const actions[] = { "created", "updated", "deleted" };
static const char *const entities[] = { "contact", "invoice", "employee", "job",
	"connection", "company", "lead" };

#define COUNT(list) ((uint32_t)(sizeof(list) / sizeof((list)[0])))

static void
make(struct made *m, struct id_maker *ids, struct slice body, uint64_t n)
{
	uint32_t api = skewed(COUNT(apis)), entity = skewed(COUNT(entities));
	bool rare = n % 1000003 == 5;

	m->custody = id_make(ids);
	(void)snprintf(m->type, sizeof(m->type), "%s.%s.%s", apis[api],
	    rare ? "rare" : entities[entity], actions[skewed(3)]);
	(void)snprintf(m->consumer, sizeof(m->consumer), "consumer-%u",
	    rare ? 1000000u : skewed(50000));
	m->msg = (struct msg){ .type = MSG_PLAN,
		.custody = id_slice(&m->custody),
		.app = any(100) < 90 ? 1 : 2 + (any(10) == 0),
		.event_type = slice_text(m->type),
		.unified_api = slice_text(apis[api]),
		.service_id = slice_text(rare ? "rare" : services[api]),
		.consumer_id = slice_text(m->consumer),
		.entity_id = slice_text("1234567"),
		.entity_type = slice_text(rare ? "rare" : entities[entity]),
		.request_id = id_slice(&m->custody),
		.body = body,
		.hole = sizeof(body_begin) - 1,
		.number = 1,
		.parts = 1 };
	m->op = (struct store_op){ .type = STORE_PLAN };
	m->op.u.plan.plan = &m->msg;
	m->op.u.plan.deliveries = m->deliveries;
	m->op.u.plan.count = any(2000) == 0 ? FANOUT : 1;
	for (uint32_t i = 0; i < m->op.u.plan.count; i++)
		m->deliveries[i] = (struct store_delivery){
			.subscription = m->op.u.plan.count > 1
					    ? 100 + i
					    : (rare ? 99 : 1 + skewed(12)),
			.state = MSG_STATE_LEASED,
			.session = SESSION
		};
}

static void
end(struct store_op *op, struct id custody, uint64_t event,
    uint32_t subscription, uint64_t token, uint32_t attempt)
{
	bool fails = any(50) == 0, gone = any(400) == 0;
	uint64_t now = clock_wall_ms();

	*op = (struct store_op){ .type = STORE_OUTCOME };
	op->u.outcome = (struct store_outcome){
		.delivery = id_delivery(custody, subscription),
		.event = event,
		.token = token,
		.attempt = attempt,
		.status = 200,
		.verdict = MSG_VERDICT_DELIVERED,
		.at_ms = now,
		.duration_ms = 2,
		.response = slice_text("ok"),
		.judge = { .success_ms = now, .failed_enough = 5 },
	};
	if (!fails)
		return;
	op->u.outcome.status =
	    subscription == 99 ? 418 : 500 + skewed(5) + 2 * gone;
	op->u.outcome.verdict = gone ? MSG_VERDICT_GIVE_UP : MSG_VERDICT_RETRY;
}

static int
apply(struct store *store, struct store_op *ops, size_t count)
{
	struct store_op *list[STORE_BATCH_MAX];
	int r = 0;

	for (size_t at = 0; r == 0 && at < count; at += STORE_BATCH_MAX) {
		size_t n = count - at;

		if (n > STORE_BATCH_MAX)
			n = STORE_BATCH_MAX;
		for (size_t i = 0; i < n; i++)
			list[i] = &ops[at + i];
		r = store_apply(store, list, n, clock_wall_ms());
	}
	return r;
}

/* What failed at first is tried again. */
static int
retry(struct store *store, uint32_t subscription, struct store_op *outcomes)
{
	struct store_op op = { .type = STORE_TAKE }, *ops[] = { &op };
	size_t count = 0;
	int r;

	op.u.take.subscription = subscription;
	op.u.take.session = SESSION;
	op.u.take.limit = STORE_TAKE_MAX;
	r = store_apply(store, ops, 1, clock_wall_ms());
	while (op.u.take.taken != NULL) {
		struct store_taken *t = op.u.take.taken;

		if (r == 0)
			end(&outcomes[count++], t->delivery, t->event,
			    subscription, t->token, t->attempt);
		op.u.take.taken = t->next;
		free(t);
	}
	return r < 0 ? r : apply(store, outcomes, count);
}

static int
make_all(struct store *store, uint64_t logs, struct slice body)
{
	static struct made made[BATCH];
	static struct store_op ops[BATCH], outcomes[BATCH * FANOUT];
	static struct id_maker ids;
	static uint64_t n;
	uint64_t done = 0;
	int r = 0;

	if (n == 0)
		id_maker_init(&ids);
	while (r == 0 && done < logs) {
		size_t count = 0;

		for (size_t i = 0; i < BATCH; i++) {
			make(&made[i], &ids, body, n++);
			ops[i] = made[i].op;
		}
		r = apply(store, ops, BATCH);
		for (size_t i = 0; i < BATCH; i++)
			for (size_t d = 0; d < ops[i].u.plan.count; d++)
				end(&outcomes[count++], made[i].custody,
				    ops[i].u.plan.event,
				    made[i].deliveries[d].subscription, 1, 1);
		if (r == 0)
			r = apply(store, outcomes, count);
		done += count;
		if (r == 0 && n % (BATCH * 8) == 0)
			r = retry(store, 1 + any(12), outcomes);
		if (r == 0 && n % (BATCH * 4096) == 0)
			(void)fprintf(stderr, "made %" PRIu64 " logs\n", done);
	}
	return r;
}

static int
retry_all(struct store *store)
{
	static struct store_op outcomes[STORE_TAKE_MAX];
	int r = 0;

	for (uint32_t s = 1; r == 0 && s < 100 + FANOUT; s++)
		r = retry(store, s, outcomes);
	return r;
}

/* ---- asking ------------------------------------------------------------- */

struct question {
	const char *name;
	struct msg query;
};

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* One page, several times: p50 and the longest; *ret_page lives in out. */
static int
ask(struct store_reader *reader, const struct msg *q, struct buf *out,
    struct msg *ret_page, const char *what)
{
	double ms[REPEATS];
	int r = 0;

	for (int i = 0; r == 0 && i < REPEATS; i++) {
		double begin = cpu_us(CLOCK_MONOTONIC);

		buf_clear(out);
		r = store_page(reader, q, out);
		ms[i] = (cpu_us(CLOCK_MONOTONIC) - begin) / 1e3;
		if (r < 0 || ms[i] > 1000) {
			(void)printf("  %s: %.1f ms (%d)", what, ms[i], r);
			return r < 0 ? r : msg_unpack(buf_slice(out), ret_page);
		}
	}
	qsort(ms, REPEATS, sizeof(ms[0]), compare);
	r = msg_unpack(buf_slice(out), ret_page);
	(void)printf("  %s %3u rows %6.2f %6.2f", what, ret_page->rows.count,
	    ms[REPEATS / 2], ms[REPEATS - 1]);
	return r;
}

static void
set_event(uint8_t cursor[12], uint64_t event)
{
	memset(cursor, 0, 12);
	for (int i = 0; i < 8; i++)
		cursor[i] = (uint8_t)(event >> (56 - 8 * i));
}

static int
ask_all(struct store_reader *reader, uint64_t last_event, struct question *q)
{
	static const struct {
		const char *name;
		unsigned percent;
	} places[] = { { "middle", 50 }, { "deep", 3 } };
	uint8_t cursor[12];
	struct msg page;
	struct buf out;
	int r;

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	q->query.type = MSG_QUERY;
	q->query.query = 1;
	q->query.what = MSG_QUERY_LOGS;
	q->query.limit = PAGE;
	if (q->query.app == 0)
		q->query.app = 1;
	(void)printf("%-34s", q->name);
	r = ask(reader, &q->query, &out, &page, "first");
	for (size_t i = 0; r == 0 && i < 2; i++) {
		set_event(cursor, last_event * places[i].percent / 100);
		q->query.cursor = (struct slice){ cursor, sizeof(cursor) };
		r = ask(reader, &q->query, &out, &page, places[i].name);
	}
	q->query.cursor = (struct slice){ NULL, 0 };
	(void)printf("\n");
	buf_done(&out);
	return 0;
}

#define TEXT(text) { (const uint8_t *)(text), sizeof(text) - 1 }

/* When the event there was planned. */
static uint64_t
time_at(struct store_reader *reader, uint64_t event)
{
	uint8_t cursor[12];
	struct msg q = { .type = MSG_QUERY,
		.query = 1,
		.what = MSG_QUERY_LOGS,
		.app = 1,
		.limit = 1,
		.cursor = { cursor, sizeof(cursor) } };
	struct msg page, row = { .planned_ms = 0 };
	struct buf out;

	set_event(cursor, event);
	buf_init(&out, LIMIT_MESSAGE_BYTES);
	if (store_page(reader, &q, &out) == 0 &&
	    msg_unpack(buf_slice(&out), &page) == 0)
		(void)msg_next(&page.rows, MSG_ROW, &row);
	buf_done(&out);
	return row.planned_ms;
}

static struct question questions[] = {
	{ "no filter", { 0 } },
	{ "no filter, small application", { .app = 3 } },
	{ "no filter, unknown application", { .app = 9 } },
	{ "event_type common", { .event_type = TEXT("crm.contact.created") } },
	{ "event_type rare", { .event_type = TEXT("crm.rare.created") } },
	{ "event_type nobody has",
	    { .event_type = TEXT("crm.nothing.created") } },
	{ "service common", { .service_id = TEXT("hubspot") } },
	{ "service rare", { .service_id = TEXT("rare") } },
	{ "service nobody has", { .service_id = TEXT("nobody") } },
	{ "entity_type common", { .entity_type = TEXT("contact") } },
	{ "entity_type rare", { .entity_type = TEXT("rare") } },
	{ "entity_type nobody has", { .entity_type = TEXT("nobody") } },
	{ "consumer common", { .consumer_id = TEXT("consumer-0") } },
	{ "consumer of some", { .consumer_id = TEXT("consumer-45000") } },
	{ "consumer rare", { .consumer_id = TEXT("consumer-1000000") } },
	{ "consumer nobody has", { .consumer_id = TEXT("nobody") } },
	{ "success true", { .success = MSG_TRUE } },
	{ "success false", { .success = MSG_FALSE } },
	{ "status 200", { .statuses = TEXT("200") } },
	{ "status 500", { .statuses = TEXT("500") } },
	{ "status 418, rare", { .statuses = TEXT("418") } },
	{ "status 404, nobody has", { .statuses = TEXT("404") } },
	{ "statuses 404,418,503,504", { .statuses = TEXT("404,418,503,504") } },
	{ "attempt 1", { .attempt = 1 } },
	{ "attempt 3", { .attempt = 3 } },
	{ "attempt 9, nobody has", { .attempt = 9 } },
	{ "subscription common", { .subscription = 1 } },
	{ "subscription of fan-out", { .subscription = 150 } },
	{ "subscription rare", { .subscription = 99 } },
	{ "subscription nobody has", { .subscription = 77 } },
	{ "exclude_apis one", { .exclude_apis = TEXT("vault") } },
	{ "exclude_apis most",
	    { .exclude_apis = TEXT("crm,accounting,hris,ats") } },
	{ "exclude_apis all",
	    { .exclude_apis = TEXT("crm,accounting,hris,ats,vault") } },
	{ "service and failed",
	    { .service_id = TEXT("xero"), .success = MSG_FALSE } },
	{ "type, subscription, 500",
	    { .event_type = TEXT("hris.contact.created"),
		.subscription = 4,
		.statuses = TEXT("500") } },
	{ "service and type that never meet",
	    { .service_id = TEXT("hubspot"),
		.event_type = TEXT("accounting.contact.created") } },
	{ "consumer, failed, excluded", { .consumer_id = TEXT("consumer-1"),
					    .success = MSG_FALSE,
					    .exclude_apis = TEXT("vault") } },
	{ "fan-out subscription, failed",
	    { .subscription = 150, .success = MSG_FALSE } },
};

static int
ask_everything(struct store *store, uint64_t last_event)
{
	struct store_reader *reader = NULL;
	int r = store_reader_open(store, &reader);
	uint64_t now = clock_wall_ms();
	uint64_t middle = r == 0 ? time_at(reader, last_event / 2) : 0;
	struct question dates[] = {
		{ "from: the middle", { .from_ms = middle } },
		{ "to: the middle", { .to_ms = middle } },
		{ "one second of the middle",
		    { .from_ms = middle, .to_ms = middle + 1000 } },
		{ "to: a day before now", { .to_ms = now - 86400000 } },
		{ "from: an hour after all", { .from_ms = now + 3600000 } },
	};

	(void)printf("ms, p50 and longest of %d, pages of %d\n", REPEATS, PAGE);
	for (size_t i = 0; r == 0 && i < COUNT(questions); i++)
		r = ask_all(reader, last_event, &questions[i]);
	for (size_t i = 0; r == 0 && i < COUNT(dates); i++)
		r = ask_all(reader, last_event, &dates[i]);
	store_reader_close(reader);
	return r;
}

/* ---- the index ---------------------------------------------------------- */

static int
wait_indexed(struct store *store, uint64_t last_event)
{
	const struct timespec pause = { 0, 10000000 };
	struct store_stats stats;

	do {
		(void)nanosleep(&pause, NULL);
		store_stats(store, &stats);
	} while (stats.log_indexed && stats.log_event < last_event);
	return stats.log_indexed ? 0 : -1;
}

/* Deliveries of all ages get another attempt: what each costs the index. */
static int
change_some(struct store *store, uint64_t last_event)
{
	static struct store_op ops[256];
	struct store_reader *reader = NULL;
	double cpu = 0, all = cpu_us(CLOCK_PROCESS_CPUTIME_ID), before;
	uint64_t changed = 0;
	uint8_t cursor[12];
	struct buf out;
	int r = store_reader_open(store, &reader);

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	before = cpu_us(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned n = 0; r == 0 && n < 1000; n++) {
		struct msg q = { .type = MSG_QUERY,
			.query = 1,
			.what = MSG_QUERY_LOGS,
			.app = 1,
			.limit = 20,
			.success = MSG_TRUE,
			.cursor = { cursor, sizeof(cursor) } };
		struct msg page, row;
		size_t count = 0;

		set_event(cursor, 1 + any((uint32_t)last_event));
		buf_clear(&out);
		r = store_page(reader, &q, &out);
		if (r == 0)
			r = msg_unpack(buf_slice(&out), &page);
		while (r == 0 && msg_next(&page.rows, MSG_ROW, &row)) {
			struct id id;

			if (id_from(row.delivery, &id) < 0)
				continue;
			end(&ops[count], id_custody(id), 0, id_subscription(id),
			    1000 + n, (uint32_t)row.attempt + 1);
			count++;
		}
		if (r == 0)
			r = apply(store, ops, count);
		changed += count;
	}
	for (struct store_stats s = { .log_changes = 1 };
	    r == 0 && s.log_changes > 0;)
		store_stats(store, &s);
	cpu = cpu_us(CLOCK_THREAD_CPUTIME_ID) - before;
	all = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - all;
	(void)printf("%" PRIu64 " changes in 1,000 places: index and "
		     "checkpoints CPU %.1f us per change\n",
	    changed, (all - cpu) / (double)changed);
	buf_done(&out);
	store_reader_close(reader);
	return r;
}

/* ---- under load --------------------------------------------------------- */

#define LOAD_SECONDS 10
#define LOAD_EVENTS 20000 /* a second */

struct load {
	struct store *store;
	struct slice body;
	_Atomic bool over;
	uint64_t events;
	int result;
};

static void *
load_run(void *arg)
{
	struct load *l = arg;
	double began = cpu_us(CLOCK_MONOTONIC), now = began;

	while (l->result == 0 && now < began + LOAD_SECONDS * 1e6) {
		l->result = make_all(l->store, BATCH, l->body);
		l->events += BATCH;
		while (now < began + (double)l->events * 1e6 / LOAD_EVENTS) {
			const struct timespec pause = { 0, 200000 };

			(void)nanosleep(&pause, NULL);
			now = cpu_us(CLOCK_MONOTONIC);
		}
		now = cpu_us(CLOCK_MONOTONIC);
	}
	atomic_store(&l->over, true);
	return NULL;
}

struct asked {
	const char *name;
	double ms, cpu_ms;
	long blocks;   /* of 512 bytes that it had to wait for */
	long waits;    /* how often it waited for something */
	long switches; /* how often its processor was taken away */
};

static int
compare_asked(const void *a, const void *b)
{
	return compare(
	    &((const struct asked *)a)->ms, &((const struct asked *)b)->ms);
}

/* One page; -1: none came. */
static int
ask_once(struct store_reader *reader, struct question *q, struct buf *out,
    struct asked *ret)
{
	double began, cpu = cpu_us(CLOCK_THREAD_CPUTIME_ID);
	struct rusage before, after;

	q->query.type = MSG_QUERY;
	q->query.query = 1;
	q->query.what = MSG_QUERY_LOGS;
	q->query.limit = PAGE;
	q->query.app = 1;
	buf_clear(out);
	(void)getrusage(RUSAGE_THREAD, &before);
	began = cpu_us(CLOCK_MONOTONIC);
	if (store_page(reader, &q->query, out) < 0)
		return -1;
	(void)getrusage(RUSAGE_THREAD, &after);
	ret->blocks = after.ru_inblock - before.ru_inblock;
	ret->waits = after.ru_nvcsw - before.ru_nvcsw;
	ret->switches = after.ru_nivcsw - before.ru_nivcsw;
	ret->name = q->name;
	ret->ms = (cpu_us(CLOCK_MONOTONIC) - began) / 1e3;
	ret->cpu_ms = (cpu_us(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1e3;
	return 0;
}

static void
report_one(const char *what, const struct asked *a)
{
	(void)printf("  %s %.2f: %s; CPU %.2f, %ld blocks read, waited %ld "
		     "times, taken off its processor %ld times\n",
	    what, a->ms, a->name, a->cpu_ms, a->blocks, a->waits, a->switches);
}

static void
report_asked(
    const struct load *load, struct asked *asked, size_t count, uint64_t behind)
{
	size_t most = 0;

	qsort(asked, count, sizeof(*asked), compare_asked);
	(void)printf("at %" PRIu64 " events/s, at most %" PRIu64
		     " behind: %zu pages, ms p50 %.2f, p99 %.2f\n",
	    load->events / LOAD_SECONDS, behind, count, asked[count / 2].ms,
	    asked[count * 99 / 100].ms);
	report_one("p99", &asked[count * 99 / 100]);
	for (size_t i = 1; i <= 3 && i < count; i++)
		report_one("longest", &asked[count - i]);
	for (size_t i = 0; i < count; i++)
		if (asked[i].cpu_ms > asked[most].cpu_ms)
			most = i;
	report_one("most CPU", &asked[most]);
}

static int
ask_under_load(struct store *store, struct slice body)
{
	static struct asked asked[100000];
	struct load load = { .store = store, .body = body };
	struct store_reader *reader = NULL;
	size_t count = 0;
	uint64_t behind = 0;
	pthread_t thread = 0;
	struct buf out;
	int r = store_reader_open(store, &reader);

	if (r == 0)
		r = -pthread_create(&thread, NULL, load_run, &load);
	if (r < 0)
		return r;
	buf_init(&out, LIMIT_MESSAGE_BYTES);
	while (!atomic_load(&load.over) && count < COUNT(asked)) {
		const struct timespec pause = { 0, 20000000 };
		struct question *q = &questions[count % COUNT(questions)];
		struct store_stats stats;

		(void)nanosleep(&pause, NULL);
		store_stats(store, &stats);
		if (stats.last_event - stats.log_event > behind)
			behind = stats.last_event - stats.log_event;
		if (ask_once(reader, q, &out, &asked[count]) < 0)
			break;
		count++;
	}
	r = -pthread_join(thread, NULL);
	if (count > 0)
		report_asked(&load, asked, count, behind);
	buf_done(&out);
	store_reader_close(reader);
	return r < 0 ? r : load.result;
}

static uint64_t
file_bytes(const char *path, const char *end)
{
	char name[4096];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", path, end);
	return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void
remove_index(const char *path)
{
	static const char *const ends[] = { "-index", "-index-wal",
		"-index-shm" };
	char name[4096];

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
}

static uint64_t
argument(int argc, char **argv, int at, uint64_t otherwise)
{
	uint64_t value = otherwise;

	if (argc > at && config_parse_number(slice_text(argv[at]), &value) < 0)
		return otherwise;
	return value;
}

static int
open_store(const char *path, struct store **ret, uint64_t *ret_event)
{
	static const struct store_loader loader = { .on_marks = load_nothing };
	int r = store_open(path, ret);

	return r < 0 ? r : store_load(*ret, &loader, ret_event);
}

int
main(int argc, char **argv)
{
	static uint8_t content[1 << 20];
	uint64_t logs = argument(argc, argv, 2, 5000000), last_event = 0;
	struct slice body = { content, argument(argc, argv, 3, 300) };
	uint64_t mode = argument(argc, argv, 4, 1);
	struct store *store = NULL;
	double began, cpu;

	if (argc < 2 || body.len < BODY_MIN || body.len > sizeof(content))
		return 1;
	body = make_body(content, body.len);
	if (file_bytes(argv[1], "") == 0) {
		if (open_store(argv[1], &store, &last_event) < 0 ||
		    make_all(store, logs, body) < 0 || retry_all(store) < 0)
			return 1;
		store_close(store);
	}
	if (mode == 0)
		return 0;
	remove_index(argv[1]);
	began = cpu_us(CLOCK_MONOTONIC);
	cpu = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
	if (open_store(argv[1], &store, &last_event) < 0 ||
	    wait_indexed(store, last_event) < 0)
		return 1;
	cpu = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	began = cpu_us(CLOCK_MONOTONIC) - began;
	(void)printf("events %" PRIu64 " logs %" PRIu64 ": index built in "
		     "%.1f s, CPU %.2f us per event, %.1f bytes per event, "
		     "store %.0f\n",
	    last_event, logs, began / 1e6, cpu / (double)last_event,
	    (double)file_bytes(argv[1], "-index") / (double)last_event,
	    (double)file_bytes(argv[1], "") / (double)last_event);
	if (mode == 1 && (ask_everything(store, last_event) < 0 ||
			     change_some(store, last_event) < 0))
		return 1;
	if (ask_under_load(store, body) < 0)
		return 1;
	store_close(store);
	return 0;
}
