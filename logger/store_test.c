/*
 * The store through its interface alone, so that every engine can be put to
 * the same tests.
 */
#include "logger/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW UINT64_C(1800000000000)
#define SESSION 77

struct fixture {
	char folder[64];
	char path[96];
	struct store *store;
	struct store_reader *reader;
	uint64_t now_ms;
};

static const uint64_t gaps[] = { 1000, 2000 };
static const struct store_judge judge = {
	.failed_enough = 3, .gaps = gaps, .gap_count = 2
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof(f->folder), "/tmp/sluice-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->path, sizeof(f->path), "%s/events.db", f->folder);
	assert_int_equal(store_open(f->path, &f->store), 0);
	assert_int_equal(store_reader_open(f->store, &f->reader), 0);
	f->now_ms = NOW;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".lock",
		"-index", "-index-wal", "-index-shm" };
	struct fixture *f = *state;
	char path[128];

	store_reader_close(f->reader);
	store_close(f->store);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
		(void)unlink(path);
	}
	(void)rmdir(f->folder);
	free(f);
	return 0;
}

static void
apply(struct fixture *f, struct store_op *op)
{
	struct store_op *ops[] = { op };

	assert_int_equal(store_apply(f->store, ops, 1, f->now_ms), 0);
}

static struct id
custody(unsigned n)
{
	struct id id = { { 1, 2, 3, 4 } };

	id.bytes[9] = (uint8_t)(n >> 16);
	id.bytes[10] = (uint8_t)(n >> 8);
	id.bytes[11] = (uint8_t)n;
	return id;
}

/* What a PLAN needs to live as long as its operation. */
struct planned {
	struct id custody;
	struct msg msg;
	struct store_delivery deliveries[4];
	struct store_op op;
};

static void
make_plan(struct planned *p, unsigned n, enum msg_state state)
{
	*p = (struct planned){ .custody = custody(n) };
	p->msg = (struct msg){
		.type = MSG_PLAN,
		.custody = id_slice(&p->custody),
		.app = 1,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm"),
		.body = slice_text("{\"n\":}"),
		.hole = 5,
		.number = 1,
		.parts = 1,
	};
	p->deliveries[0].subscription = 9;
	p->deliveries[0].state = state;
	p->deliveries[0].session = SESSION;
	p->op.type = STORE_PLAN;
	p->op.u.plan.plan = &p->msg;
	p->op.u.plan.deliveries = p->deliveries;
	p->op.u.plan.count = 1;
}

static uint64_t
plan(struct fixture *f, unsigned n, enum msg_state state)
{
	struct planned p;

	make_plan(&p, n, state);
	apply(f, &p.op);
	assert_int_equal(p.op.result, 0);
	assert_true(p.deliveries[0].inserted);
	return p.op.u.plan.event;
}

static struct store_outcome
outcome(struct fixture *f, unsigned n, uint64_t token, uint32_t attempt,
    enum msg_verdict verdict)
{
	struct store_op op = { .type = STORE_OUTCOME };

	op.u.outcome = (struct store_outcome){
		.delivery = id_delivery(custody(n), 9),
		.token = token,
		.attempt = attempt,
		.status = verdict == MSG_VERDICT_DELIVERED ? 200 : 500,
		.verdict = verdict,
		.delay_ms = 1000,
		.at_ms = f->now_ms,
		.duration_ms = 3,
		.response = slice_text("ok"),
		.judge = judge,
	};
	apply(f, &op);
	assert_int_equal(op.result, 0);
	return op.u.outcome;
}

static void
put_entry(struct fixture *f, uint64_t number, bool enabled, bool deleted)
{
	struct store_op op = { .type = STORE_DIRECTORY };
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.number = number,
		.app = 1,
		.id = slice_text("sub"),
		.subscription = 9,
		.url = slice_text("http://x/"),
		.headers = slice_text("sealed headers"),
		.http2 = true,
		.enabled = enabled,
		.deleted = deleted };
	struct buf entries;

	buf_init(&entries, 4096);
	assert_int_equal(msg_pack_record(&e, &entries), 0);
	op.u.directory.entries = (struct msg_list){ buf_slice(&entries), 1 };
	op.u.directory.number = number;
	apply(f, &op);
	assert_int_equal(op.result, 0);
	buf_done(&entries);
}

static void
put_endpoint(struct fixture *f, uint64_t number, bool enabled)
{
	put_entry(f, number, enabled, false);
}

static void
put_deleted(struct fixture *f, uint64_t number)
{
	put_entry(f, number, false, true);
}

/* Takes up to limit; the list is freed, the first one copied. */
static uint32_t
take(struct fixture *f, uint32_t limit, struct store_taken *ret_first,
    uint64_t *ret_next)
{
	struct store_op op = { .type = STORE_TAKE };
	struct store_taken *t;
	uint32_t count = 0;

	op.u.take.subscription = 9;
	op.u.take.session = SESSION;
	op.u.take.limit = limit;
	apply(f, &op);
	assert_int_equal(op.result, 0);
	while ((t = op.u.take.taken) != NULL) {
		if (count++ == 0 && ret_first != NULL)
			*ret_first = *t;
		op.u.take.taken = t->next;
		free(t);
	}
	assert_int_equal(count, op.u.take.count);
	if (ret_next != NULL)
		*ret_next = op.u.take.next_due_ms;
	return count;
}

static uint64_t
give_back(struct fixture *f, uint64_t event, uint64_t token, bool lost)
{
	struct store_returned g = {
		.lease = { event, 9, token }, .lost = lost, .judge = judge
	};
	struct store_op op = { .type = STORE_GIVE_BACK };

	op.u.give_back.leases = &g;
	op.u.give_back.count = 1;
	apply(f, &op);
	return g.due_ms;
}

/* Rows of a page; the last is copied, *page must stay. */
static uint32_t
page(struct fixture *f, const struct msg *query, struct buf *out,
    struct msg *ret_page, struct msg *ret_last)
{
	struct msg_list rows;
	uint32_t count = 0;

	buf_clear(out);
	assert_int_equal(store_page(f->reader, query, out), 0);
	assert_int_equal(msg_unpack(buf_slice(out), ret_page), 0);
	rows = ret_page->rows;
	while (msg_next(&rows, MSG_ROW, ret_last))
		count++;
	return count;
}

static struct msg
query_log(const struct id *delivery)
{
	return (struct msg){ .type = MSG_QUERY,
		.query = 5,
		.what = MSG_QUERY_LOG,
		.app = 1,
		.delivery = id_slice(delivery) };
}

/* State and number of attempts of the delivery, as the log shows them. */
static void
assert_log(
    struct fixture *f, unsigned n, enum msg_state state, uint32_t attempts)
{
	struct id delivery = id_delivery(custody(n), 9);
	struct msg query = query_log(&delivery), answer, row;
	struct buf out;

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	assert_int_equal(page(f, &query, &out, &answer, &row), 1);
	assert_int_equal(row.state, state);
	assert_int_equal(row.attempts.count, attempts);
	buf_done(&out);
}

/* ---- plans -------------------------------------------------------------- */

static void
test_plan_twice(void **state)
{
	struct fixture *f = *state;
	struct planned p;
	uint64_t event = plan(f, 1, MSG_STATE_LEASED);

	make_plan(&p, 1, MSG_STATE_DUE);
	p.deliveries[1].subscription = 10;
	p.deliveries[1].state = MSG_STATE_DUE;
	p.op.u.plan.count = 2;
	apply(f, &p.op);
	assert_int_equal(p.op.u.plan.event, event);
	assert_false(p.deliveries[0].inserted);
	assert_true(p.deliveries[1].inserted);
	assert_log(f, 1, MSG_STATE_LEASED, 0);
}

static void
test_dedupe(void **state)
{
	struct fixture *f = *state;
	uint8_t key[32] = { 5 };
	struct planned p;

	make_plan(&p, 1, MSG_STATE_DUE);
	p.msg.dedupe_key = (struct slice){ key, sizeof(key) };
	apply(f, &p.op);
	assert_int_not_equal(p.op.u.plan.event, 0);
	apply(f, &p.op); /* the same event again is no duplicate */
	assert_int_not_equal(p.op.u.plan.event, 0);

	make_plan(&p, 2, MSG_STATE_DUE);
	p.msg.dedupe_key = (struct slice){ key, sizeof(key) };
	apply(f, &p.op);
	assert_int_equal(p.op.result, 0);
	assert_int_equal(p.op.u.plan.event, 0);
	p.msg.part = 1; /* nor is a later part an error then */
	apply(f, &p.op);
	assert_int_equal(p.op.result, 0);

	f->now_ms += STORE_DEDUPE_MS; /* the key has served its time */
	p.msg.part = 0;
	apply(f, &p.op);
	assert_int_not_equal(p.op.u.plan.event, 0);
}

/* The key of the nth event, spread as a hash is. */
static struct slice
nth_key(unsigned n, uint8_t key[32])
{
	uint64_t x = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

	for (int i = 0; i < 32; i++, x = x * 6364136223846793005u + 1)
		key[i] = (uint8_t)(x >> 56);
	return (struct slice){ key, 32 };
}

#define BATCH 512
#define RUN_MAX                                                       \
	65536 /* keys that SQLite gathers in memory: DEDUPE_YOUNG_MAX \
	       */

static void
plan_keyed(struct fixture *f, unsigned first, unsigned count)
{
	struct planned *p = calloc(BATCH, sizeof(*p));
	struct store_op *ops[BATCH];
	uint8_t keys[BATCH][32];

	assert_non_null(p);
	for (unsigned at = 0; at < count; at += BATCH) {
		unsigned n = count - at < BATCH ? count - at : BATCH;

		for (unsigned i = 0; i < n; i++) {
			make_plan(&p[i], first + at + i, MSG_STATE_DUE);
			p[i].op.u.plan.count = 0;
			p[i].msg.dedupe_key = nth_key(first + at + i, keys[i]);
			ops[i] = &p[i].op;
		}
		assert_int_equal(store_apply(f->store, ops, n, f->now_ms), 0);
		for (unsigned i = 0; i < n; i++)
			assert_int_not_equal(p[i].op.u.plan.event, 0);
	}
	free(p);
}

/* Another event with the key of the nth. */
static bool
is_duplicate(struct fixture *f, unsigned n)
{
	struct planned p;
	uint8_t key[32];

	make_plan(&p, 1000000 + n, MSG_STATE_DUE);
	p.op.u.plan.count = 0;
	p.msg.dedupe_key = nth_key(n, key);
	apply(f, &p.op);
	assert_int_equal(p.op.result, 0);
	return p.op.u.plan.event == 0;
}

static void
test_orphan_part(void **state)
{
	struct fixture *f = *state;
	struct planned p, q;
	struct store_op *ops[2] = { &p.op, &q.op };

	make_plan(&p, 1, MSG_STATE_DUE);
	p.msg.part = 1;
	p.msg.parts = 2;
	make_plan(&q, 2, MSG_STATE_DUE);
	assert_int_equal(store_apply(f->store, ops, 2, NOW), 0);
	assert_int_not_equal(p.op.result, 0);
	assert_memory_equal(p.op.reason, "orphan", 6);
	assert_int_equal(q.op.result, 0);
	assert_log(f, 2, MSG_STATE_DUE, 0);
}

/* One that breaks a constraint half way harms nobody else of its batch, and
 * leaves nothing of itself. */
static void
test_poison(void **state)
{
	struct fixture *f = *state;
	struct planned a, bad, b;
	struct store_op *ops[3] = { &a.op, &bad.op, &b.op };
	uint8_t key[32] = { 6 };

	make_plan(&a, 1, MSG_STATE_DUE);
	make_plan(&bad, 2, MSG_STATE_DUE);
	bad.msg.dedupe_key = (struct slice){ key, sizeof(key) };
	bad.msg.body = (struct slice){ NULL, 0 };
	make_plan(&b, 3, MSG_STATE_DUE);
	assert_int_equal(store_apply(f->store, ops, 3, NOW), 0);
	assert_int_equal(a.op.result, 0);
	assert_int_not_equal(bad.op.result, 0);
	assert_int_equal(b.op.result, 0);
	assert_log(f, 1, MSG_STATE_DUE, 0);
	assert_log(f, 3, MSG_STATE_DUE, 0);
	make_plan(&b, 4, MSG_STATE_DUE);
	b.msg.dedupe_key = bad.msg.dedupe_key;
	apply(f, &b.op);
	assert_int_not_equal(b.op.u.plan.event, 0);
}

/* ---- outcomes ----------------------------------------------------------- */

static void
test_delivered_at_once(void **state)
{
	struct fixture *f = *state;
	struct store_outcome o;

	plan(f, 1, MSG_STATE_LEASED);
	o = outcome(f, 1, 1, 1, MSG_VERDICT_DELIVERED);
	assert_true(o.current);
	assert_int_equal(o.state, MSG_STATE_DELIVERED);
	assert_log(f, 1, MSG_STATE_DELIVERED, 1);
	o = outcome(f, 1, 1, 1, MSG_VERDICT_DELIVERED); /* sent again */
	assert_false(o.current);
	assert_log(f, 1, MSG_STATE_DELIVERED, 1);
}

static void
test_retry_then_delivered(void **state)
{
	struct fixture *f = *state;
	struct store_taken t;
	struct store_outcome o;
	uint64_t next;

	plan(f, 1, MSG_STATE_LEASED);
	o = outcome(f, 1, 1, 1, MSG_VERDICT_RETRY);
	assert_int_equal(o.state, MSG_STATE_DUE);
	assert_int_equal(o.due_ms, NOW + 1000);
	assert_int_equal(take(f, 5, NULL, &next), 0);
	assert_int_equal(next, NOW + 1000);
	f->now_ms += 1000;
	assert_int_equal(take(f, 5, &t, &next), 1);
	assert_int_equal(next, STORE_NEVER);
	assert_int_equal(t.token, 2);
	assert_int_equal(t.attempt, 2);
	assert_int_equal(t.cycle_attempt, 2);
	assert_int_equal(t.age_ms, 1000);
	assert_int_equal(t.hole, 5);
	assert_log(f, 1, MSG_STATE_LEASED, 1);
	o = outcome(f, 1, 2, 2, MSG_VERDICT_DELIVERED);
	assert_true(o.current);
	assert_log(f, 1, MSG_STATE_DELIVERED, 2);
}

/* A 2xx counts under any token, nothing else does. */
static void
test_old_token(void **state)
{
	struct fixture *f = *state;
	struct store_outcome o;
	uint64_t event = plan(f, 1, MSG_STATE_LEASED);

	assert_int_equal(give_back(f, event, 1, true), NOW);
	assert_int_equal(take(f, 5, NULL, NULL), 1);
	o = outcome(f, 1, 1, 1, MSG_VERDICT_GIVE_UP);
	assert_false(o.current);
	assert_int_equal(o.state, MSG_STATE_LEASED);
	assert_log(f, 1, MSG_STATE_LEASED, 1);
	assert_int_equal(give_back(f, event, 2, false), NOW + 50);
	f->now_ms += 50;
	assert_int_equal(take(f, 5, NULL, NULL), 1);
	o = outcome(f, 1, 2, 2, MSG_VERDICT_DELIVERED);
	assert_false(o.current);
	assert_int_equal(o.state, MSG_STATE_DELIVERED);
	o = outcome(f, 1, 3, 2, MSG_VERDICT_RETRY);
	assert_int_equal(o.state, MSG_STATE_DELIVERED);
	assert_log(f, 1, MSG_STATE_DELIVERED, 3);
}

static void
test_lost_leases_back_off(void **state)
{
	static const uint64_t waits[] = { 0, 1000, 5000, 30000, 120000, 120000,
		120000, 120000, 120000 };
	struct fixture *f = *state;
	struct store_taken t;
	uint64_t event = plan(f, 1, MSG_STATE_LEASED);

	for (uint64_t i = 0; i < 9; i++) {
		assert_int_equal(
		    give_back(f, event, i + 1, true), f->now_ms + waits[i]);
		f->now_ms += waits[i];
		assert_int_equal(take(f, 5, &t, NULL), 1);
		assert_int_equal(t.lost, i + 1);
		assert_int_equal(t.attempt, 1);
	}
	assert_int_equal(give_back(f, event, 10, true), f->now_ms + gaps[0]);
	assert_log(f, 1, MSG_STATE_DUE, 1);
	f->now_ms += gaps[0];
	assert_int_equal(take(f, 5, &t, NULL), 1);
	assert_int_equal(t.attempt, 2);
	assert_int_equal(t.lost, 0);
}

static void
test_garbage_outcome(void **state)
{
	struct fixture *f = *state;
	struct store_outcome o;

	plan(f, 1, MSG_STATE_LEASED);
	o = outcome(f, 1, 1, 1, MSG_VERDICT_NONE);
	assert_true(o.current);
	assert_int_equal(o.state, MSG_STATE_DUE);
	assert_log(f, 1, MSG_STATE_DUE, 1);
}

static void
test_unknown_delivery(void **state)
{
	struct fixture *f = *state;
	struct store_op op = { .type = STORE_OUTCOME };

	op.u.outcome.delivery = id_delivery(custody(1), 9);
	op.u.outcome.token = 1;
	op.u.outcome.verdict = MSG_VERDICT_DELIVERED;
	apply(f, &op);
	assert_int_not_equal(op.result, 0);
	assert_memory_equal(op.reason, "unknown", 7);
}

/* Three failed attempts in a cycle without a success switch it off. */
static void
test_retry_limit(void **state)
{
	struct fixture *f = *state;
	struct store_outcome o;

	put_endpoint(f, 3, true);
	plan(f, 1, MSG_STATE_LEASED);
	(void)outcome(f, 1, 1, 1, MSG_VERDICT_RETRY);
	f->now_ms += 1000;
	assert_int_equal(take(f, 1, NULL, NULL), 1);
	(void)outcome(f, 1, 2, 2, MSG_VERDICT_RETRY);
	f->now_ms += 1000;
	assert_int_equal(take(f, 1, NULL, NULL), 1);
	o = outcome(f, 1, 3, 3, MSG_VERDICT_GIVE_UP);
	assert_int_equal(o.state, MSG_STATE_FAILED);
	assert_string_equal(o.hold, "retry_limit");
	plan(f, 2, MSG_STATE_LEASED);
	o = outcome(f, 2, 1, 1, MSG_VERDICT_DISABLE);
	assert_null(o.hold); /* it is held already */
	put_endpoint(f, 4, true);
	plan(f, 3, MSG_STATE_LEASED);
	o = outcome(f, 3, 1, 1, MSG_VERDICT_DISABLE);
	assert_string_equal(o.hold, "gone");
}

/* ---- endpoints ---------------------------------------------------------- */

static uint32_t
shift(struct fixture *f, enum store_op_type type, uint64_t *ret_next)
{
	struct store_op op = { .type = type };

	op.u.shift.subscription = 9;
	apply(f, &op);
	*ret_next = op.u.shift.next_due_ms;
	return op.u.shift.changed;
}

static void
test_suspend_and_resume(void **state)
{
	struct fixture *f = *state;
	struct store_taken t;
	uint64_t next;

	plan(f, 1, MSG_STATE_LEASED);
	(void)outcome(f, 1, 1, 1, MSG_VERDICT_RETRY);
	plan(f, 2, MSG_STATE_HELD);
	assert_int_equal(shift(f, STORE_SUSPEND, &next), 0);
	assert_int_equal(next, NOW + 1000);
	f->now_ms += 1000;
	assert_int_equal(shift(f, STORE_SUSPEND, &next), 1);
	assert_int_equal(next, STORE_NEVER);
	assert_log(f, 1, MSG_STATE_HELD, 1);
	assert_int_equal(take(f, 5, NULL, NULL), 0);
	f->now_ms += 100000;
	assert_int_equal(shift(f, STORE_RESUME, &next), 2);
	assert_int_equal(next, NOW);
	assert_int_equal(take(f, 1, &t, NULL), 1);
	assert_int_equal(t.attempt, 1);
	assert_int_equal(take(f, 1, &t, NULL), 1);
	assert_int_equal(t.attempt, 2);
	assert_int_equal(t.cycle_attempt, 1);
	assert_int_equal(t.age_ms, 0);
}

/* The oldest that waits, or nobody: it may have to wait for its retry. */
static void
test_take_ordered(void **state)
{
	struct fixture *f = *state;
	struct store_op op = { .type = STORE_TAKE };
	struct store_take *t = &op.u.take;

	plan(f, 1, MSG_STATE_LEASED);
	plan(f, 2, MSG_STATE_DUE);
	plan(f, 3, MSG_STATE_HELD);
	(void)outcome(f, 1, 1, 1, MSG_VERDICT_RETRY); /* after 1000 ms */
	t->subscription = 9;
	t->session = SESSION;
	t->limit = 5;
	t->ordered = true;
	f->now_ms += 999;
	apply(f, &op);
	assert_int_equal(t->count, 0);
	assert_int_equal(t->next_due_ms, NOW + 1000);
	f->now_ms += 1;
	apply(f, &op);
	assert_int_equal(t->count, 1);
	assert_true(id_same(t->taken->delivery, id_delivery(custody(1), 9)));
	assert_int_equal(t->next_due_ms, NOW); /* of 2: it waits for 1 */
	(void)outcome(f, 1, 2, 2, MSG_VERDICT_DELIVERED);
	apply(f, &op); /* frees what it took */
	assert_int_equal(t->count, 1);
	assert_true(id_same(t->taken->delivery, id_delivery(custody(2), 9)));
	assert_int_equal(t->next_due_ms, STORE_NEVER);
	apply(f, &op);
	assert_int_equal(t->count, 0);
}

struct loaded {
	unsigned apps, endpoints, leases;
	uint64_t next_due_ms, number, last_event, session;
	bool enabled, deleted, hold;
};

static int
on_app(void *arg, const struct store_app *app)
{
	struct loaded *l = arg;

	assert_int_equal(app->app, 1);
	l->apps++;
	return 0;
}

static int
on_endpoint(void *arg, const struct store_endpoint *e)
{
	struct loaded *l = arg;

	assert_true(slice_is(e->url, "http://x/"));
	assert_true(slice_is(e->headers, "sealed headers"));
	assert_true(e->http2);
	l->endpoints++;
	l->next_due_ms = e->next_due_ms;
	l->enabled = e->enabled;
	l->deleted = e->deleted;
	l->hold = e->hold.data != NULL;
	return 0;
}

static int
on_lease(void *arg, const struct store_loaded_lease *lease)
{
	struct loaded *l = arg;

	l->session = lease->session;
	l->leases++;
	return 0;
}

static int
on_marks(void *arg, uint64_t number, uint64_t last_event)
{
	struct loaded *l = arg;

	l->number = number;
	l->last_event = last_event;
	return 0;
}

static const struct store_loader loader = { on_app, on_endpoint, on_lease,
	on_marks };

static void
reopen(struct fixture *f, struct loaded *l)
{
	store_reader_close(f->reader);
	f->reader = NULL;
	store_close(f->store);
	f->store = NULL;
	assert_int_equal(store_open(f->path, &f->store), 0);
	assert_int_equal(store_reader_open(f->store, &f->reader), 0);
	*l = (struct loaded){ 0 };
	assert_int_equal(store_load(f->store, &loader, l), 0);
}

/* Keys that are merged into the table, that are on their way, and that are
 * only in memory all count, before a restart and after it. */
static void
test_dedupe_runs(void **state)
{
	static const unsigned totals[] = { 100, RUN_MAX + 600,
		2 * RUN_MAX + 5000 };
	struct fixture *f = *state;
	unsigned have = 0;
	struct loaded l;

	for (size_t t = 0; t < 3; t++) {
		plan_keyed(f, have, totals[t] - have);
		have = totals[t];
		for (int again = 0; again < 2; again++) {
			for (unsigned n = 0; n < have; n += have / 97 + 1)
				assert_true(is_duplicate(f, n));
			assert_true(is_duplicate(f, have - 1));
			reopen(f, &l);
		}
	}
	assert_false(is_duplicate(f, have));
	f->now_ms += STORE_DEDUPE_MS; /* all have served their time */
	assert_false(is_duplicate(f, 0));
	assert_false(is_duplicate(f, have - 1));
}

static void
test_load(void **state)
{
	struct fixture *f = *state;
	struct store_op sweep = { .type = STORE_SWEEP };
	struct loaded l;
	uint64_t event;

	put_endpoint(f, 42, true);
	plan(f, 1, MSG_STATE_LEASED);
	(void)outcome(f, 1, 1, 1, MSG_VERDICT_DELIVERED);
	plan(f, 2, MSG_STATE_DUE);
	assert_int_equal(take(f, 1, NULL, NULL), 1); /* not fresh any more */
	event = plan(f, 3, MSG_STATE_LEASED);
	plan(f, 4, MSG_STATE_DUE);
	sweep.u.sweep.retention_ms = UINT64_C(1) << 40;
	sweep.u.sweep.lease_floor = event;
	apply(f, &sweep);
	reopen(f, &l);
	assert_int_equal(l.endpoints, 1);
	assert_int_equal(l.leases, 2);
	assert_int_equal(l.session, SESSION);
	assert_int_equal(l.next_due_ms, NOW);
	assert_int_equal(l.number, 42);
	assert_int_equal(l.last_event, event + 1);
	assert_int_equal(plan(f, 5, MSG_STATE_DUE), event + 2);
	put_endpoint(f, 41, false); /* an older one changes nothing */
	reopen(f, &l);
	assert_true(l.enabled);
}

static void
test_one_process(void **state)
{
	struct fixture *f = *state;
	struct store *other = NULL;

	assert_int_equal(store_open(f->path, &other), -EBUSY);
	assert_null(other);
}

/* ---- pages -------------------------------------------------------------- */

static void
test_pages(void **state)
{
	struct fixture *f = *state;
	struct msg query = { .type = MSG_QUERY,
		.query = 1,
		.what = MSG_QUERY_LOGS,
		.app = 1,
		.limit = 3 };
	struct msg answer, row;
	struct buf out;
	uint8_t cursor[64];

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	for (unsigned n = 1; n <= 7; n++)
		plan(f, n, n % 2 ? MSG_STATE_LEASED : MSG_STATE_DUE);
	(void)outcome(f, 3, 1, 1, MSG_VERDICT_DELIVERED);
	assert_int_equal(page(f, &query, &out, &answer, &row), 3);
	assert_true(slice_is(row.body, "{\"n\":}"));
	assert_int_equal(row.delivery.data[11], 5); /* 7, 6, 5 */
	assert_non_null(answer.cursor.data);
	memcpy(cursor, answer.cursor.data, answer.cursor.len);
	query.cursor = (struct slice){ cursor, answer.cursor.len };
	assert_int_equal(page(f, &query, &out, &answer, &row), 3);
	assert_int_equal(row.delivery.data[11], 2);
	memcpy(cursor, answer.cursor.data, answer.cursor.len);
	assert_int_equal(page(f, &query, &out, &answer, &row), 1);
	assert_null(answer.cursor.data);

	query.cursor = (struct slice){ NULL, 0 };
	query.success = MSG_TRUE;
	assert_int_equal(page(f, &query, &out, &answer, &row), 1);
	assert_int_equal(row.status, 200);
	assert_true(slice_is(row.response, "ok"));
	query.success = MSG_ANY;
	query.statuses = slice_text("404,200");
	assert_int_equal(page(f, &query, &out, &answer, &row), 1);
	query.statuses = (struct slice){ NULL, 0 };
	query.exclude_apis = slice_text("vault,crm");
	assert_int_equal(page(f, &query, &out, &answer, &row), 0);
	query.exclude_apis = slice_text("vault");
	query.event_type = slice_text("crm.contact.created");
	query.limit = 0;
	assert_int_equal(page(f, &query, &out, &answer, &row), 7);
	query.app = 2;
	assert_int_equal(page(f, &query, &out, &answer, &row), 0);
	query.cursor = slice_text("nonsense");
	assert_int_equal(store_page(f->reader, &query, &out), -EINVAL);
	buf_done(&out);
}

/* Two of the rows of an event id. */
static struct msg
query_named(const char *name)
{
	return (struct msg){ .type = MSG_QUERY,
		.query = 1,
		.what = MSG_QUERY_LOGS,
		.app = 1,
		.limit = 2,
		.event_id = slice_text(name) };
}

/* By the custody id, and by an id that several events may share. */
static void
test_event_ids(void **state)
{
	struct fixture *f = *state;
	struct msg query = query_named("order-17");
	struct msg answer, row;
	struct id id = custody(3);
	struct buf out;
	uint8_t cursor[64];

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	for (unsigned n = 1; n <= 5; n++) {
		struct planned p;

		make_plan(&p, n, MSG_STATE_DUE);
		if (n != 3)
			p.msg.event_id = slice_text("order-17");
		apply(f, &p.op);
	}
	assert_int_equal(page(f, &query, &out, &answer, &row), 2);
	assert_int_equal(row.delivery.data[11], 4); /* 5, 4 */
	assert_non_null(answer.cursor.data);
	memcpy(cursor, answer.cursor.data, answer.cursor.len);
	query.cursor = (struct slice){ cursor, answer.cursor.len };
	assert_int_equal(page(f, &query, &out, &answer, &row), 2);
	assert_int_equal(row.delivery.data[11], 1); /* 2, 1 */
	assert_null(answer.cursor.data);

	/* Also when another event has it for its own. */
	query.cursor = (struct slice){ NULL, 0 };
	query.custody = id_slice(&id);
	query.limit = 5;
	assert_int_equal(page(f, &query, &out, &answer, &row), 5);
	query.event_id = slice_text("order-18");
	assert_int_equal(page(f, &query, &out, &answer, &row), 1);
	assert_int_equal(row.delivery.data[11], 3);
	query.success = MSG_TRUE;
	assert_int_equal(page(f, &query, &out, &answer, &row), 0);
	query.success = MSG_ANY;
	query.app = 2;
	assert_int_equal(page(f, &query, &out, &answer, &row), 0);
	buf_done(&out);
}

/* Due ones in few commits, with that id of their publisher's. */
static void
plan_due(
    struct fixture *f, unsigned first, unsigned count, struct slice event_id)
{
	enum { AT_ONCE = 500 };
	struct planned *plans = calloc(AT_ONCE, sizeof(*plans));
	struct store_op *ops[AT_ONCE];
	unsigned last = first + count;

	assert_non_null(plans);
	while (first < last) {
		unsigned n = 0;

		for (; n < AT_ONCE && first < last; n++) {
			make_plan(&plans[n], first++, MSG_STATE_DUE);
			plans[n].msg.event_id = event_id;
			ops[n] = &plans[n].op;
		}
		assert_int_equal(store_apply(f->store, ops, n, f->now_ms), 0);
	}
	free(plans);
}

/* However many events have one id, and whatever else is asked of them: what
 * there is is found, in the time that a page may take. */
static void
test_event_id_of_many(void **state)
{
	const unsigned many = 100000;
	struct fixture *f = *state;
	struct msg query = query_named("all the same");
	struct msg answer, row;
	struct planned rare;
	struct buf out;

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	make_plan(&rare, 1, MSG_STATE_DUE);
	rare.msg.event_id = query.event_id;
	rare.msg.consumer_id = slice_text("rare");
	apply(f, &rare.op);
	plan_due(f, 2, many, query.event_id);
	assert_int_equal(page(f, &query, &out, &answer, &row), 2);
	assert_non_null(answer.cursor.data);
	query.consumer_id = slice_text("rare"); /* behind all of them */
	assert_int_equal(page(f, &query, &out, &answer, &row), 1);
	assert_int_equal(row.delivery.data[11], 1);
	assert_null(answer.cursor.data);
	query.consumer_id = slice_text("nobody");
	assert_int_equal(page(f, &query, &out, &answer, &row), 0);
	query.consumer_id = slice_text("");
	query.success = MSG_TRUE;
	assert_int_equal(page(f, &query, &out, &answer, &row), 0);
	buf_done(&out);
}

/* An event that nobody wanted can still be looked up. */
static void
test_event_alone(void **state)
{
	struct fixture *f = *state;
	struct msg query = {
		.type = MSG_QUERY, .query = 1, .what = MSG_QUERY_EVENT, .app = 1
	};
	struct id request = custody(700);
	struct msg answer, row;
	struct planned p;
	struct buf out;

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	make_plan(&p, 1, MSG_STATE_DUE);
	p.op.u.plan.count = 0;
	p.msg.request_id = id_slice(&request);
	apply(f, &p.op);
	query.custody = id_slice(&p.custody);
	assert_int_equal(page(f, &query, &out, &answer, &row), 1);
	assert_int_equal(row.state, MSG_STATE_NONE);
	assert_int_equal(row.subscription, 0);
	query.custody = (struct slice){ NULL, 0 };
	query.request_id = id_slice(&request);
	assert_int_equal(page(f, &query, &out, &answer, &row), 1);
	buf_done(&out);
}

/* A page ends at 1 MiB, and one large row still fits. */
static void
test_large_page(void **state)
{
	struct fixture *f = *state;
	struct msg query = { .type = MSG_QUERY,
		.query = 1,
		.what = MSG_QUERY_LOGS,
		.app = 1,
		.limit = 10 };
	uint8_t *body = calloc(1, LIMIT_TEMPLATE_BYTES);
	struct msg answer, row;
	struct buf out;

	assert_non_null(body);
	buf_init(&out, LIMIT_MESSAGE_BYTES);
	for (unsigned n = 1; n <= 3; n++) {
		struct planned p;

		make_plan(&p, n, MSG_STATE_DUE);
		p.msg.body = (struct slice){ body, LIMIT_TEMPLATE_BYTES };
		apply(f, &p.op);
	}
	assert_int_equal(page(f, &query, &out, &answer, &row), 1);
	assert_int_equal(row.body.len, LIMIT_TEMPLATE_BYTES);
	assert_non_null(answer.cursor.data);
	buf_done(&out);
	free(body);
}

/* ---- retention ---------------------------------------------------------- */

static uint32_t
sweep(struct fixture *f, uint64_t retention_ms)
{
	struct store_op op = { .type = STORE_SWEEP };

	op.u.sweep.retention_ms = retention_ms;
	apply(f, &op);
	assert_int_equal(op.result, 0);
	return op.u.sweep.deleted;
}

static void
test_retention(void **state)
{
	struct fixture *f = *state;
	struct loaded l;
	uint64_t last;

	plan(f, 1, MSG_STATE_LEASED);
	(void)outcome(f, 1, 1, 1, MSG_VERDICT_DELIVERED);
	plan(f, 2, MSG_STATE_DUE);
	plan(f, 3, MSG_STATE_HELD);
	f->now_ms += 60000;
	assert_int_equal(sweep(f, 60001), 0);
	assert_int_equal(sweep(f, 60000), 2); /* 2 is live */
	assert_int_equal(sweep(f, 60000), 0);
	assert_log(f, 2, MSG_STATE_DUE, 0);
	assert_int_equal(take(f, 1, NULL, NULL), 1);
	(void)outcome(f, 2, 2, 1, MSG_VERDICT_DELIVERED);
	assert_int_equal(sweep(f, 60000), 1);
	reopen(f, &l);
	last = l.last_event; /* no sequence comes back */
	assert_int_equal(last, 3);
	assert_int_equal(plan(f, 4, MSG_STATE_DUE), 4);
}

/* ---- replays ------------------------------------------------------------ */

static struct store_op
replay_op(unsigned job)
{
	struct store_op op = { .type = STORE_REPLAY };

	op.u.replay = (struct store_replay){ .job = { { 7, (uint8_t)job } },
		.app = 1,
		.subscription = 9,
		.retention_ms = 1000000000 };
	return op;
}

/* What one delivery's replay is answered; NULL: it is due again. */
static const char *
replay_one(struct fixture *f, unsigned n, unsigned job, struct store_op *op)
{
	*op = replay_op(job);
	op->u.replay.custody = custody(n);
	apply(f, op);
	if (op->result == 0) {
		assert_true(op->u.replay.done);
		assert_int_equal(op->u.replay.count, 1);
		return NULL;
	}
	assert_int_equal(op->result, -EINVAL);
	return op->reason;
}

static struct store_replay_step
step(struct fixture *f, uint64_t after)
{
	struct store_op op = { .type = STORE_REPLAY_STEP };

	op.u.step.after = after;
	apply(f, &op);
	assert_int_equal(op.result, 0);
	return op.u.step;
}

static void
test_replay_one(void **state)
{
	struct fixture *f = *state;
	struct store_taken t;
	struct store_op op;

	put_endpoint(f, 1, true);
	plan(f, 1, MSG_STATE_LEASED);
	assert_memory_equal(replay_one(f, 1, 1, &op), "live", 4);
	(void)outcome(f, 1, 1, 1, MSG_VERDICT_RETRY);
	assert_memory_equal(replay_one(f, 1, 1, &op), "live", 4);
	f->now_ms += 1000;
	assert_int_equal(take(f, 1, NULL, NULL), 1);
	(void)outcome(f, 1, 2, 2, MSG_VERDICT_DELIVERED);
	assert_log(f, 1, MSG_STATE_DELIVERED, 2);
	assert_memory_equal(replay_one(f, 2, 1, &op), "unknown", 7);

	f->now_ms += 5000;
	assert_null(replay_one(f, 1, 1, &op));
	assert_log(f, 1, MSG_STATE_DUE, 2);
	/* The answer was lost: the same job changes nothing. */
	assert_null(replay_one(f, 1, 1, &op));
	assert_memory_equal(replay_one(f, 1, 2, &op), "live", 4);
	f->now_ms += 10;
	assert_int_equal(take(f, 5, &t, NULL), 1);
	assert_true(t.token > 2);
	assert_int_equal(t.attempt, 3);
	assert_int_equal(t.cycle_attempt, 1);
	assert_int_equal(t.age_ms, 10);
	(void)outcome(f, 1, t.token, 3, MSG_VERDICT_GIVE_UP);
	assert_null(replay_one(f, 1, 1, &op));
	assert_log(f, 1, MSG_STATE_FAILED, 3);
	assert_null(replay_one(f, 1, 3, &op));
	assert_log(f, 1, MSG_STATE_DUE, 3);
}

/* What was leased before a replay is an attempt, and not what that comes to;
 * what was leased since counts as ever. */
static void
test_replay_and_late_outcomes(void **state)
{
	struct fixture *f = *state;
	struct store_taken t, again;
	struct store_outcome o;
	struct store_op op;
	uint64_t event;

	put_endpoint(f, 1, true);
	event = plan(f, 1, MSG_STATE_LEASED);
	assert_int_equal(give_back(f, event, 1, true), f->now_ms);
	assert_int_equal(take(f, 5, NULL, NULL), 1);
	f->now_ms = give_back(f, event, 2, true);
	assert_int_equal(take(f, 5, NULL, NULL), 1);
	(void)outcome(f, 1, 3, 1, MSG_VERDICT_GIVE_UP);
	assert_null(replay_one(f, 1, 1, &op));

	o = outcome(f, 1, 1, 1, MSG_VERDICT_DELIVERED); /* it is due */
	assert_false(o.current);
	assert_int_equal(o.state, MSG_STATE_DUE);
	assert_log(f, 1, MSG_STATE_DUE, 2);
	assert_int_equal(take(f, 5, &t, NULL), 1);
	assert_int_equal(t.attempt, 2);
	assert_int_equal(t.cycle_attempt, 1);
	o = outcome(f, 1, 2, 2, MSG_VERDICT_DELIVERED); /* it is out */
	assert_int_equal(o.state, MSG_STATE_LEASED);
	assert_log(f, 1, MSG_STATE_LEASED, 3);
	assert_int_equal(give_back(f, event, t.token, true), f->now_ms);
	assert_int_equal(take(f, 5, &again, NULL), 1);
	assert_int_equal(again.attempt, 2); /* the schedule is its own */
	assert_int_equal(again.lost, 1);
	o = outcome(f, 1, again.token, 2, MSG_VERDICT_GIVE_UP);
	assert_true(o.current);
	assert_log(f, 1, MSG_STATE_FAILED, 4);
	o = outcome(f, 1, t.token, 2, MSG_VERDICT_DELIVERED);
	assert_int_equal(o.state, MSG_STATE_DELIVERED);
	assert_log(f, 1, MSG_STATE_DELIVERED, 5);
	assert_null(replay_one(f, 1, 2, &op));
	o = outcome(f, 1, again.token, 2, MSG_VERDICT_DELIVERED);
	assert_int_equal(o.state, MSG_STATE_DUE);
	o = outcome(f, 1, 1, 1, MSG_VERDICT_DELIVERED);
	assert_int_equal(o.state, MSG_STATE_DUE);
}

static void
test_replay_refused(void **state)
{
	struct fixture *f = *state;
	struct store_op op = replay_op(1);

	put_endpoint(f, 1, true);
	plan(f, 1, MSG_STATE_LEASED);
	(void)outcome(f, 1, 1, 1, MSG_VERDICT_DELIVERED);
	op.u.replay.custody = custody(1);
	op.u.replay.app = 2; /* somebody else's */
	apply(f, &op);
	assert_memory_equal(op.reason, "unknown", 7);
	op = replay_op(1);
	op.u.replay.custody = custody(1);
	op.u.replay.leased = true; /* an older token came in late */
	apply(f, &op);
	assert_memory_equal(op.reason, "live", 4);
	op.u.replay.leased = false;
	op.u.replay.held = "held: not sent to";
	apply(f, &op);
	assert_string_equal(op.reason, "held: not sent to");
	op.u.replay.held = NULL;
	op.u.replay.retention_ms = 500;
	f->now_ms += 500; /* as good as gone */
	apply(f, &op);
	assert_memory_equal(op.reason, "unknown", 7);
	op.u.replay.retention_ms = 501;
	apply(f, &op);
	assert_int_equal(op.result, 0);
	assert_log(f, 1, MSG_STATE_DUE, 1);
	op.u.replay.app = 2; /* nor the answer to its job */
	apply(f, &op);
	assert_memory_equal(op.reason, "unknown", 7);
}

/* n deliveries: delivered, failed, held and due ones in turn, 10 ms apart. */
static void
plan_mixed(struct fixture *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned kind = i % 4;

		plan(f, i,
		    kind < 2	? MSG_STATE_LEASED
		    : kind == 2 ? MSG_STATE_HELD
				: MSG_STATE_DUE);
		if (kind < 2)
			(void)outcome(f, i, 1, 1,
			    kind == 0 ? MSG_VERDICT_DELIVERED
				      : MSG_VERDICT_GIVE_UP);
		f->now_ms += 10;
	}
}

static uint32_t
count_state(struct fixture *f, unsigned n, enum msg_state state)
{
	uint32_t count = 0;
	struct buf out;

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	for (unsigned i = 0; i < n; i++) {
		struct id delivery = id_delivery(custody(i), 9);
		struct msg query = query_log(&delivery), answer, row;

		assert_int_equal(page(f, &query, &out, &answer, &row), 1);
		count += row.state == state;
	}
	buf_done(&out);
	return count;
}

/* A job goes on where it was after a restart, leaves alone what came later, and
 * makes everything due once. */
static void
test_replay_job(void **state)
{
	struct fixture *f = *state;
	struct store_op op = replay_op(1);
	struct store_replay_step s;
	struct store_taken t = { 0 };
	struct loaded l;
	const unsigned n = 4 * (STORE_REPLAY_ROWS + 50);

	put_endpoint(f, 1, true);
	plan_mixed(f, n);
	op.u.replay.state = MSG_STATE_FAILED;
	apply(f, &op);
	assert_int_equal(op.result, 0);
	assert_false(op.u.replay.done);
	plan(f, n, MSG_STATE_LEASED); /* after the job was made */
	(void)outcome(f, n, 1, 1, MSG_VERDICT_GIVE_UP);

	s = step(f, 0);
	assert_int_equal(s.changed, STORE_REPLAY_ROWS);
	assert_false(s.done);
	/* One of them fails again: that is its own affair. */
	f->now_ms += 10;
	while (t.attempt != 2) /* after those that were due before */
		assert_int_equal(take(f, 1, &t, NULL), 1);
	assert_int_equal(t.attempt, 2);
	assert_int_equal(t.cycle_attempt, 1);
	(void)outcome(f, 1, t.token, 2, MSG_VERDICT_GIVE_UP);
	reopen(f, &l);
	apply(f, &op); /* asked again: nothing new */
	assert_int_equal(op.result, 0);
	assert_false(op.u.replay.done);
	assert_int_equal(op.u.replay.count, STORE_REPLAY_ROWS);
	s = step(f, 0);
	assert_int_equal(s.changed, 50);
	assert_int_equal(s.count, STORE_REPLAY_ROWS + 50);
	assert_true(s.done);
	assert_true(step(f, s.after).idle);
	apply(f, &op);
	assert_true(op.u.replay.done);
	assert_int_equal(op.u.replay.count, STORE_REPLAY_ROWS + 50);
	assert_true(step(f, 0).idle);
	assert_int_equal(count_state(f, n, MSG_STATE_FAILED), 1);
	assert_log(f, n, MSG_STATE_FAILED, 1);
	assert_int_equal(count_state(f, n, MSG_STATE_DELIVERED), n / 4);
	assert_int_equal(count_state(f, n, MSG_STATE_HELD), n / 4);
}

/* A job does not make a long queue where there is one. */
static void
test_replay_rests(void **state)
{
	struct fixture *f = *state;
	struct store_op op = replay_op(1);
	struct store_replay_step s;

	put_endpoint(f, 1, true);
	plan(f, 0, MSG_STATE_LEASED);
	(void)outcome(f, 0, 1, 1, MSG_VERDICT_DELIVERED);
	plan_due(f, 1, STORE_REPLAY_AHEAD, (struct slice){ NULL, 0 });
	apply(f, &op);
	s = step(f, 0);
	assert_true(s.rests);
	assert_false(s.done);
	assert_int_equal(take(f, 1, NULL, NULL), 1);
	s = step(f, s.after);
	assert_false(s.rests);
	assert_int_equal(s.changed, 1);
}

/* Runs the job to its end; what it made due. */
static uint64_t
run_job(struct fixture *f, struct store_op *op)
{
	struct store_replay_step s;

	apply(f, op);
	assert_int_equal(op->result, 0);
	do {
		s = step(f, 0);
		assert_true(id_same(s.job, op->u.replay.job));
	} while (!s.done);
	return s.count;
}

static void
test_replay_range(void **state)
{
	struct fixture *f = *state;
	struct store_op op = replay_op(1);

	put_endpoint(f, 1, true);
	plan_mixed(f, 40);
	/* A tenant without deliveries between. */
	op.u.replay.from_ms = NOW + 100; /* 10 to 19, both inclusive */
	op.u.replay.to_ms = NOW + 190;
	assert_int_equal(run_job(f, &op), 7); /* of 10, three are due */
	assert_int_equal(count_state(f, 40, MSG_STATE_HELD), 10 - 3);
	op = replay_op(2);
	op.u.replay.state = MSG_STATE_HELD;
	assert_int_equal(run_job(f, &op), 7);
	op = replay_op(3);
	op.u.replay.app = 2;
	assert_int_equal(run_job(f, &op), 0);
	op = replay_op(4); /* the first day is past retention */
	f->now_ms += 1000;
	op.u.replay.retention_ms = f->now_ms - NOW - 300;
	op.u.replay.state = MSG_STATE_DELIVERED;
	assert_int_equal(run_job(f, &op), 2); /* 32, 36 */
}

/* Long before and after the range nothing is looked at. */
static void
test_replay_skips(void **state)
{
	struct fixture *f = *state;
	const uint64_t day = STORE_CLOCK_SLACK_MS;
	struct store_op op = replay_op(1);
	struct store_replay_step s;

	put_endpoint(f, 1, true);
	for (unsigned i = 0; i < 9; i++) {
		plan(f, i, MSG_STATE_LEASED);
		(void)outcome(f, i, 1, 1, MSG_VERDICT_DELIVERED);
		f->now_ms += day;
	}
	op.u.replay.retention_ms = 30 * day;
	op.u.replay.from_ms = NOW + 4 * day - 5;
	op.u.replay.to_ms = NOW + 5 * day + 5;
	apply(f, &op);
	s = step(f, 0);
	assert_true(s.done);
	assert_int_equal(s.changed, 2);
	assert_log(f, 3, MSG_STATE_DELIVERED, 1);
	assert_log(f, 4, MSG_STATE_DUE, 1);
	assert_log(f, 5, MSG_STATE_DUE, 1);
	assert_log(f, 6, MSG_STATE_DELIVERED, 1);
}

/* Jobs take turns, a tenant has few, those done are forgotten. */
static void
test_replay_many_jobs(void **state)
{
	struct fixture *f = *state;
	struct store_replay_step s, other;
	struct store_op op;
	unsigned i;

	put_endpoint(f, 1, true);
	plan_mixed(f, 4 * STORE_REPLAY_ROWS + 8);
	for (i = 0; i < STORE_REPLAYS_APP_MAX; i++) {
		op = replay_op(i);
		op.u.replay.state = MSG_STATE_DELIVERED;
		apply(f, &op);
		assert_int_equal(op.result, 0);
	}
	op = replay_op(i);
	apply(f, &op);
	assert_memory_equal(op.reason, "many", 4);
	op.u.replay.app = 2;
	apply(f, &op);
	assert_int_equal(op.result, 0);
	s = step(f, 0);
	assert_false(s.done);
	other = step(f, s.after);
	assert_false(id_same(s.job, other.job));
	for (i = 0; i < 3 * STORE_REPLAYS_APP_MAX && !s.idle; i++)
		s = step(f, s.after);
	assert_true(s.idle);

	f->now_ms += STORE_REPLAY_KEPT_MS + 1;
	for (i = 0; i < 3; i++) {
		op = replay_op(100 + i);
		assert_int_equal(run_job(f, &op), i == 0 ? 204 : 0);
	}
	op = replay_op(0); /* as if never asked for */
	apply(f, &op);
	assert_false(op.u.replay.done);
	put_deleted(f, 2); /* nothing more is sent for that */
	s = step(f, 0);
	assert_true(s.done);
	assert_int_equal(s.changed, 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_plan_twice),
		CASE(test_dedupe),
		CASE(test_dedupe_runs),
		CASE(test_orphan_part),
		CASE(test_poison),
		CASE(test_delivered_at_once),
		CASE(test_retry_then_delivered),
		CASE(test_old_token),
		CASE(test_lost_leases_back_off),
		CASE(test_garbage_outcome),
		CASE(test_unknown_delivery),
		CASE(test_retry_limit),
		CASE(test_suspend_and_resume),
		CASE(test_take_ordered),
		CASE(test_load),
		CASE(test_one_process),
		CASE(test_pages),
		CASE(test_event_ids),
		CASE(test_event_id_of_many),
		CASE(test_event_alone),
		CASE(test_large_page),
		CASE(test_retention),
		CASE(test_replay_one),
		CASE(test_replay_and_late_outcomes),
		CASE(test_replay_refused),
		CASE(test_replay_job),
		CASE(test_replay_rests),
		CASE(test_replay_range),
		CASE(test_replay_skips),
		CASE(test_replay_many_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
