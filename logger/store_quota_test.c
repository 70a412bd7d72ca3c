/*
 * Quotas, usage and the cap of held deliveries, through the store's interface
 * alone.
 */
#include "logger/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NOVEMBER UINT64_C(1795996800000) /* 2026-11-30 00:00 UTC */
#define DAY_MS UINT64_C(86400000)
#define DECEMBER (NOVEMBER + DAY_MS)
#define APP 3
#define SUB 5

struct world {
	char folder[64], path[96];
	struct store *store;
	struct store_reader *reader;
	uint64_t now_ms, number;
	/* as loaded */
	struct store_app app;
	bool held, over;
};

static void
open_store(struct world *w)
{
	assert_int_equal(store_open(w->path, &w->store), 0);
	assert_int_equal(store_reader_open(w->store, &w->reader), 0);
}

static void
close_store(struct world *w)
{
	store_reader_close(w->reader);
	store_close(w->store);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/sluice-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	(void)snprintf(w->path, sizeof(w->path), "%s/events.db", w->folder);
	w->now_ms = NOVEMBER;
	w->number = 1;
	open_store(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	char command[96];

	close_store(w);
	(void)snprintf(command, sizeof(command), "rm -rf %s", w->folder);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static void
apply(struct world *w, struct store_op *op)
{
	assert_int_equal(store_apply(w->store, &op, 1, w->now_ms), 0);
	assert_int_equal(op->result, 0);
}

/* ---- loading ------------------------------------------------------------ */

static int
on_app(void *arg, const struct store_app *app)
{
	((struct world *)arg)->app = *app;
	return 0;
}

static int
on_endpoint(void *arg, const struct store_endpoint *e)
{
	struct world *w = arg;

	w->held = e->held;
	w->over = e->over;
	return 0;
}

static void
restart(struct world *w)
{
	static const struct store_loader loader = { .on_app = on_app,
		.on_endpoint = on_endpoint };

	close_store(w);
	open_store(w);
	assert_int_equal(store_load(w->store, &loader, w), 0);
}

/* ---- operations --------------------------------------------------------- */

/* The application with this quota, and its subscription. */
static struct store_op
directory(struct world *w, uint64_t quota, struct buf *entries)
{
	struct store_op op = { .type = STORE_DIRECTORY };
	struct msg app = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_APP,
		.number = ++w->number,
		.app = APP,
		.id = slice_text("app"),
		.quota = quota };
	struct msg sub = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.number = w->number,
		.app = APP,
		.subscription = SUB,
		.id = slice_text("sub"),
		.url = slice_text("http://x/"),
		.enabled = true };

	buf_init(entries, 4096);
	assert_int_equal(msg_pack_record(&app, entries), 0);
	assert_int_equal(msg_pack_record(&sub, entries), 0);
	op.u.directory.entries = (struct msg_list){ buf_slice(entries), 2 };
	op.u.directory.number = w->number;
	return op;
}

static void
set_quota(struct world *w, uint64_t quota)
{
	struct buf entries;
	struct store_op op = directory(w, quota, &entries);

	apply(w, &op);
	buf_done(&entries);
}

struct planned {
	struct id custody;
	struct msg msg;
	struct store_delivery delivery;
	struct store_op op;
};

static void
make(struct planned *p, unsigned n, enum msg_state state)
{
	*p = (struct planned){ .custody = { { 7 } } };
	p->custody.bytes[9] = (uint8_t)(n >> 16);
	p->custody.bytes[10] = (uint8_t)(n >> 8);
	p->custody.bytes[11] = (uint8_t)n;
	p->msg = (struct msg){ .type = MSG_PLAN,
		.custody = id_slice(&p->custody),
		.app = APP,
		.event_type = slice_text("crm.lead.created"),
		.body = slice_text("{}"),
		.number = 1,
		.parts = 1 };
	p->delivery.subscription = SUB;
	p->delivery.state = state;
	p->delivery.session = 1;
	p->op.type = STORE_PLAN;
	p->op.u.plan.plan = &p->msg;
	p->op.u.plan.deliveries = &p->delivery;
	p->op.u.plan.count = 1;
}

static enum msg_state
plan(struct world *w, unsigned n)
{
	struct planned p;

	make(&p, n, MSG_STATE_DUE);
	apply(w, &p.op);
	assert_true(p.delivery.inserted);
	return p.delivery.became;
}

static struct store_shift
shift(struct world *w, enum store_op_type type, bool hold)
{
	struct store_op op = { .type = type };

	op.u.shift.subscription = SUB;
	op.u.shift.app = APP;
	op.u.shift.hold = hold;
	apply(w, &op);
	return op.u.shift;
}

static struct msg
ask(struct world *w, const struct msg *query, struct buf *out)
{
	struct msg page;

	buf_clear(out);
	assert_int_equal(store_page(w->reader, query, out), 0);
	assert_int_equal(msg_unpack(buf_slice(out), &page), 0);
	return page;
}

static uint64_t
used(struct world *w, uint64_t at_ms)
{
	const struct msg query = { .type = MSG_QUERY,
		.what = MSG_QUERY_USAGE,
		.query = 1,
		.app = APP,
		.from_ms = at_ms };
	struct buf out;
	uint64_t events;

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	events = ask(w, &query, &out).used;
	buf_done(&out);
	return events;
}

/* Why a replay of the one delivery is refused; empty: it is due again. */
static const char *
replay(struct world *w, unsigned n, uint8_t job, struct store_op *op)
{
	struct store_op *ops[] = { op };
	struct planned p;

	make(&p, n, MSG_STATE_DUE);
	*op = (struct store_op){ .type = STORE_REPLAY };
	op->u.replay = (struct store_replay){ .job = { { 9, job } },
		.app = APP,
		.subscription = SUB,
		.custody = p.custody,
		.retention_ms = 1000 * DAY_MS };
	assert_int_equal(store_apply(w->store, ops, 1, w->now_ms), 0);
	return op->reason;
}

/* The whole of a job for what failed; how many are due again. */
static uint64_t
replay_failed(struct world *w, uint8_t job)
{
	struct store_op op = { .type = STORE_REPLAY };
	struct store_op step = { .type = STORE_REPLAY_STEP };

	op.u.replay = (struct store_replay){ .job = { { 9, job } },
		.app = APP,
		.subscription = SUB,
		.state = MSG_STATE_FAILED,
		.retention_ms = 1000 * DAY_MS };
	apply(w, &op);
	while (!step.u.step.done) {
		apply(w, &step);
		assert_false(step.u.step.idle);
	}
	return step.u.step.count;
}

/* Its first lease, and how that ends. */
static void
give_up(struct world *w, unsigned n)
{
	struct store_op take = { .type = STORE_TAKE };
	struct store_op op = { .type = STORE_OUTCOME };
	struct planned p;

	take.u.take = (struct store_take){
		.subscription = SUB, .session = 1, .limit = 1
	};
	apply(w, &take);
	assert_int_equal(take.u.take.count, 1);
	make(&p, n, MSG_STATE_DUE);
	op.u.outcome = (struct store_outcome){
		.delivery = id_delivery(p.custody, SUB),
		.token = take.u.take.taken->token,
		.attempt = take.u.take.taken->attempt,
		.status = 500,
		.verdict = MSG_VERDICT_GIVE_UP,
		.judge = { .success_ms = w->now_ms, .failed_enough = 99 },
	};
	free(take.u.take.taken);
	apply(w, &op);
	assert_true(op.u.outcome.current);
}

/* What the log says of the delivery; *ret_error has the first word. */
static enum msg_state
state_of(struct world *w, unsigned n, char ret_error[16])
{
	struct planned p;
	struct id delivery;
	struct msg query = {
		.type = MSG_QUERY, .what = MSG_QUERY_LOG, .query = 1, .app = APP
	};
	struct msg page, row;
	struct buf out;

	make(&p, n, MSG_STATE_DUE);
	delivery = id_delivery(p.custody, SUB);
	query.delivery = id_slice(&delivery);
	buf_init(&out, LIMIT_MESSAGE_BYTES);
	page = ask(w, &query, &out);
	assert_true(msg_next(&page.rows, MSG_ROW, &row));
	if (ret_error != NULL)
		(void)snprintf(ret_error, 16, "%.*s", (int)row.error.len,
		    row.error.len > 0 ? (const char *)row.error.data : "");
	buf_done(&out);
	return (enum msg_state)row.state;
}

/* ---- the quota ---------------------------------------------------------- */

static void
test_count_is_exact(void **state)
{
	struct world *w = *state;
	struct planned p, again;
	uint8_t key[32] = { 9 };

	set_quota(w, 3);
	make(&p, 1, MSG_STATE_LEASED);
	p.msg.dedupe_key = (struct slice){ key, sizeof(key) };
	apply(w, &p.op);
	assert_int_equal(p.delivery.became, MSG_STATE_LEASED);
	assert_int_equal(p.op.u.plan.usage.month, 202611);
	assert_int_equal(p.op.u.plan.usage.events, 1);
	/* The same plan again, and another event with its key. */
	apply(w, &p.op);
	assert_int_equal(p.op.u.plan.usage.events, 1);
	make(&again, 2, MSG_STATE_DUE);
	again.msg.dedupe_key = p.msg.dedupe_key;
	apply(w, &again.op);
	assert_int_equal(again.op.u.plan.event, 0);
	assert_int_equal(again.op.u.plan.usage.events, 1);
	assert_int_equal(plan(w, 3), MSG_STATE_DUE);
	assert_int_equal(plan(w, 4), MSG_STATE_DUE);
	make(&p, 5, MSG_STATE_LEASED);
	apply(w, &p.op);
	assert_int_equal(p.delivery.became, MSG_STATE_OVER);
	assert_int_equal(p.op.u.plan.usage.events, 4);
	assert_int_equal(state_of(w, 5, NULL), MSG_STATE_HELD);
	restart(w);
	assert_true(w->over);
	assert_false(w->held);
	assert_int_equal(w->app.quota, 3);
	assert_int_equal(w->app.usage.month, 202611);
	assert_int_equal(w->app.usage.events, 4);
	/* After the crash its plan comes once more. */
	apply(w, &p.op);
	assert_false(p.delivery.inserted);
	assert_int_equal(used(w, w->now_ms), 4);
	assert_int_equal(plan(w, 6), MSG_STATE_OVER);
	assert_int_equal(used(w, w->now_ms), 5);
}

static void
test_what_is_free(void **state)
{
	static const uint64_t flags[] = { MSG_FLAG_FREE,
		MSG_FLAG_ONCE | MSG_FLAG_FREE };
	struct world *w = *state;
	struct planned p;

	set_quota(w, 1);
	assert_int_equal(plan(w, 1), MSG_STATE_DUE);
	assert_int_equal(plan(w, 2), MSG_STATE_OVER);
	for (unsigned i = 0; i < 2; i++) {
		make(&p, 10 + i, MSG_STATE_LEASED);
		p.msg.flags = flags[i];
		apply(w, &p.op);
		assert_int_equal(p.delivery.became, MSG_STATE_LEASED);
	}
	assert_int_equal(used(w, w->now_ms), 2);
}

/* Parts of one event are judged alike, whatever comes between them. */
static void
test_later_parts(void **state)
{
	struct world *w = *state;
	struct planned in, out;

	set_quota(w, 1);
	make(&in, 1, MSG_STATE_DUE);
	in.msg.parts = 2;
	apply(w, &in.op);
	make(&out, 2, MSG_STATE_DUE);
	out.msg.parts = 2;
	apply(w, &out.op);
	in.msg.part = 1;
	in.delivery.subscription = SUB + 1;
	apply(w, &in.op);
	assert_int_equal(in.delivery.became, MSG_STATE_DUE);
	out.msg.part = 1;
	out.delivery.subscription = SUB + 1;
	apply(w, &out.op);
	assert_int_equal(out.delivery.became, MSG_STATE_OVER);
	set_quota(w, 0); /* the rest of it comes after the raise */
	out.delivery.subscription = SUB + 2;
	apply(w, &out.op);
	assert_int_equal(out.delivery.became, MSG_STATE_DUE);
	assert_int_equal(used(w, w->now_ms), 2);
}

static void
test_raise(void **state)
{
	struct world *w = *state;
	struct store_shift s;

	set_quota(w, 1);
	for (unsigned n = 1; n <= 4; n++)
		(void)plan(w, n);
	set_quota(w, 3); /* four were used */
	s = shift(w, STORE_LIFT, false);
	assert_true(s.over);
	assert_int_equal(s.changed, 0);
	assert_int_equal(s.usage.events, 4);
	assert_int_equal(plan(w, 5), MSG_STATE_OVER);
	set_quota(w, 5);
	w->now_ms += 1000;
	s = shift(w, STORE_LIFT, false);
	assert_false(s.over);
	assert_int_equal(s.changed, 4);
	assert_int_equal(s.next_due_ms, NOVEMBER); /* in the order they came */
	assert_int_equal(plan(w, 6), MSG_STATE_OVER);
	set_quota(w, 100);
	set_quota(w, 2); /* lowered: at once */
	assert_int_equal(plan(w, 7), MSG_STATE_OVER);
	set_quota(w, 0);
	assert_int_equal(plan(w, 8), MSG_STATE_DUE);
	assert_int_equal(shift(w, STORE_LIFT, false).changed, 2);
	restart(w);
	assert_false(w->over);
}

/* The reason of a hold is the delivery's own. */
static void
test_two_reasons(void **state)
{
	struct world *w = *state;
	struct planned p;

	set_quota(w, 1);
	make(&p, 1, MSG_STATE_HELD); /* disabled, within the quota */
	apply(w, &p.op);
	assert_int_equal(p.delivery.became, MSG_STATE_HELD);
	make(&p, 2, MSG_STATE_HELD); /* disabled, and over it */
	apply(w, &p.op);
	assert_int_equal(p.delivery.became, MSG_STATE_OVER);
	/* Enabled while over: only what the quota allowed. */
	assert_int_equal(shift(w, STORE_RESUME, false).changed, 1);
	assert_int_equal(state_of(w, 1, NULL), MSG_STATE_DUE);
	assert_int_equal(state_of(w, 2, NULL), MSG_STATE_HELD);
	/* Disabled again, then raised: held for that, until it is enabled. */
	set_quota(w, 9);
	assert_int_equal(shift(w, STORE_LIFT, true).changed, 1);
	assert_int_equal(state_of(w, 2, NULL), MSG_STATE_HELD);
	restart(w);
	assert_true(w->held);
	assert_false(w->over);
	assert_int_equal(shift(w, STORE_RESUME, false).changed, 1);
	assert_int_equal(state_of(w, 2, NULL), MSG_STATE_DUE);
}

static void
test_month_turns(void **state)
{
	struct world *w = *state;

	set_quota(w, 1);
	w->now_ms = DECEMBER - 1;
	assert_int_equal(plan(w, 1), MSG_STATE_DUE);
	assert_int_equal(plan(w, 2), MSG_STATE_OVER);
	assert_true(shift(w, STORE_LIFT, false).over);
	restart(w); /* right at the turn */
	w->now_ms = DECEMBER;
	assert_true(w->over);
	assert_int_equal(shift(w, STORE_LIFT, false).changed, 1);
	assert_int_equal(used(w, w->now_ms), 0); /* it counted when it came */
	assert_int_equal(plan(w, 3), MSG_STATE_DUE);
	assert_int_equal(plan(w, 4), MSG_STATE_OVER);
	w->now_ms = DECEMBER - 5; /* slewed back: still December */
	assert_int_equal(plan(w, 5), MSG_STATE_OVER);
	assert_int_equal(used(w, DECEMBER), 3);
	assert_int_equal(used(w, NOVEMBER), 2);
	/* A clock set back a day over a restart: November counts on. */
	restart(w);
	w->now_ms = NOVEMBER;
	assert_int_equal(plan(w, 6), MSG_STATE_OVER);
	assert_int_equal(used(w, NOVEMBER), 3);
}

/* What is undone counts for nothing, and a quota that was, not either. */
static void
test_undone(void **state)
{
	struct world *w = *state;
	struct planned a, bad, b;
	struct buf entries;
	struct store_op quota = directory(w, 2, &entries);
	struct store_op *ops[] = { &a.op, &quota, &bad.op, &b.op };

	make(&a, 1, MSG_STATE_LEASED);
	make(&bad, 2, MSG_STATE_DUE);
	bad.msg.body = (struct slice){ NULL, 0 };
	make(&b, 3, MSG_STATE_LEASED);
	assert_int_equal(store_apply(w->store, ops, 4, w->now_ms), 0);
	assert_int_not_equal(bad.op.result, 0);
	assert_int_equal(a.op.u.plan.usage.events, 1);
	assert_int_equal(b.op.u.plan.usage.events, 2);
	assert_int_equal(b.delivery.became, MSG_STATE_LEASED);
	assert_int_equal(used(w, w->now_ms), 2);
	assert_int_equal(plan(w, 4), MSG_STATE_OVER);
	assert_int_equal(used(w, w->now_ms), 3);
	restart(w);
	assert_int_equal(w->app.usage.events, 3);
	buf_done(&entries);
}

/* What was counted may be sent again, whatever was used since. */
static void
test_replay_costs_nothing(void **state)
{
	struct world *w = *state;
	struct store_op op;

	set_quota(w, 1);
	assert_int_equal(plan(w, 1), MSG_STATE_DUE);
	give_up(w, 1);
	assert_int_equal(plan(w, 2), MSG_STATE_OVER);
	assert_string_equal(replay(w, 1, 1, &op), "");
	assert_int_equal(state_of(w, 1, NULL), MSG_STATE_DUE);
	give_up(w, 1);
	assert_int_equal(replay_failed(w, 2), 1);
	give_up(w, 1);
	assert_int_equal(used(w, NOVEMBER), 2);
	/* What came over it waits. */
	assert_memory_equal(replay(w, 2, 3, &op), "held", 4);
	assert_int_equal(state_of(w, 2, NULL), MSG_STATE_HELD);
	set_quota(w, 2);
	assert_int_equal(shift(w, STORE_LIFT, false).changed, 1);
	/* Once let go, it is as any other, over the quota again or not. */
	give_up(w, 2);
	assert_int_equal(plan(w, 3), MSG_STATE_OVER);
	assert_string_equal(replay(w, 2, 4, &op), "");
	assert_int_equal(used(w, NOVEMBER), 3);
}

/* ---- the cap ------------------------------------------------------------ */

/* Plans from n to below end, as held ones, many in one transaction. */
static void
plan_held(struct world *w, unsigned n, unsigned end)
{
	static struct planned p[STORE_BATCH_MAX];
	struct store_op *ops[STORE_BATCH_MAX];

	while (n < end) {
		size_t count = 0;

		for (; n < end && count < STORE_BATCH_MAX; n++, count++) {
			make(&p[count], n, MSG_STATE_HELD);
			ops[count] = &p[count].op;
		}
		assert_int_equal(
		    store_apply(w->store, ops, count, w->now_ms), 0);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(p[i].delivery.became, MSG_STATE_HELD);
	}
}

static void
test_cap(void **state)
{
	struct world *w = *state;
	struct store_op sweep = { .type = STORE_SWEEP };
	struct planned p;
	char error[16];

	set_quota(w, 0);
	plan_held(w, 0, STORE_HELD_MAX);
	w->now_ms += 1000;
	make(&p, STORE_HELD_MAX, MSG_STATE_HELD);
	apply(w, &p.op);
	assert_int_equal(p.delivery.became, MSG_STATE_FAILED);
	assert_int_equal(state_of(w, STORE_HELD_MAX, error), MSG_STATE_FAILED);
	assert_string_equal(error, "not sent: as ma");
	set_quota(w, 1); /* over it or not: one cap */
	restart(w);
	make(&p, STORE_HELD_MAX + 1, MSG_STATE_DUE);
	apply(w, &p.op);
	assert_int_equal(p.delivery.became, MSG_STATE_FAILED);
	/* Due ones that are suspended are none of it, but count. */
	set_quota(w, 0);
	assert_int_equal(plan(w, STORE_HELD_MAX + 2), MSG_STATE_DUE);
	assert_int_equal(shift(w, STORE_SUSPEND, false).changed, 1);
	/* Room comes back when some are sent, and when some are too old. */
	assert_int_equal(
	    shift(w, STORE_RESUME, false).changed, STORE_SWEEP_ROWS);
	sweep.u.sweep.retention_ms = 10;
	w->now_ms += 9;
	apply(w, &sweep); /* due ones are live */
	assert_int_equal(sweep.u.sweep.deleted, 0);
	apply(w, &sweep);
	assert_int_equal(sweep.u.sweep.deleted, STORE_SWEEP_ROWS);
	plan_held(w, 200000, 200000 + 2 * STORE_SWEEP_ROWS - 1);
	restart(w);
	make(&p, 300000, MSG_STATE_HELD);
	apply(w, &p.op);
	assert_int_equal(p.delivery.became, MSG_STATE_FAILED);
}

/* Both at once: what came over the quota when as many as may be were held is
 * failed, and a replay does not let it past the quota. */
static void
test_cap_over_quota(void **state)
{
	struct world *w = *state;
	struct store_op op;

	set_quota(w, 0);
	plan_held(w, 0, STORE_HELD_MAX);
	set_quota(w, STORE_HELD_MAX + 1);
	assert_int_equal(plan(w, STORE_HELD_MAX), MSG_STATE_DUE);
	give_up(w, STORE_HELD_MAX);
	for (unsigned n = 1; n <= 2; n++)
		assert_int_equal(plan(w, STORE_HELD_MAX + n), MSG_STATE_FAILED);
	assert_memory_equal(
	    replay(w, STORE_HELD_MAX + 1, 1, &op), "held: over the quota", 20);
	assert_int_equal(
	    state_of(w, STORE_HELD_MAX + 1, NULL), MSG_STATE_FAILED);
	assert_int_equal(replay_failed(w, 2), 1); /* the one that was sent */
	give_up(w, STORE_HELD_MAX);
	set_quota(w, STORE_HELD_MAX + 3);
	assert_string_equal(replay(w, STORE_HELD_MAX + 1, 3, &op), "");
	assert_int_equal(state_of(w, STORE_HELD_MAX + 1, NULL), MSG_STATE_DUE);
	assert_int_equal(replay_failed(w, 4), 2);
	assert_int_equal(used(w, NOVEMBER), STORE_HELD_MAX + 3);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_count_is_exact),
		CASE(test_what_is_free),
		CASE(test_later_parts),
		CASE(test_raise),
		CASE(test_two_reasons),
		CASE(test_month_turns),
		CASE(test_undone),
		CASE(test_replay_costs_nothing),
		CASE(test_cap),
		CASE(test_cap_over_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
