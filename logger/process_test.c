/*
 * The logger process among routers, deliverers and an api that the test plays.
 */
#include "logger/world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/clock.h"

#define QUIET_MS 300 /* what has not come by then, does not come */

static size_t expected;

static bool
got_expected(struct world *w)
{
	return w->got_count >= expected;
}

static void
until_got(struct world *w, size_t count)
{
	expected = count;
	world_until(w, got_expected);
	assert_int_equal(w->got_count, count);
}

static bool
plans_answered(struct world *w)
{
	return w->router.completed + w->router.refused >= expected;
}

static void
until_answered(struct world *w, size_t count)
{
	expected = count;
	world_until(w, plans_answered);
}

static unsigned outcomes;

static bool
outcomes_answered(struct world *w)
{
	const struct end *d = w->deliverers;

	return d[0].completed + d[0].refused + d[1].completed + d[1].refused >=
	       outcomes;
}

static void
until_outcomes(struct world *w, unsigned count)
{
	outcomes = count;
	world_until(w, outcomes_answered);
}

static bool
second_is_up(struct world *w)
{
	return w->deliverers[1].peer != NULL;
}

/* ---- the main path ------------------------------------------------------ */

static void
test_plan_deliver_outcome_page(void **state)
{
	struct world *w = *state;
	struct id custody;
	struct msg row;

	world_begin(w, 1);
	custody = world_id(w);
	world_plan(w, custody, w->number, 1, 1);
	until_got(w, 1);
	assert_int_equal(w->got[0].token, 1);
	assert_int_equal(w->got[0].attempt, 1);
	assert_int_equal(w->got[0].body_len, 34);
	assert_string_equal(w->got[0].secret, "sealed by the app");
	assert_string_equal(w->got[0].url, "http://127.0.0.1/hook");
	until_answered(w, 1);
	row = world_row(w, id_delivery(custody, 1));
	assert_int_equal(row.state, MSG_STATE_LEASED);
	world_outcome(w, &w->got[0], MSG_VERDICT_DELIVERED, 200, 0);
	until_outcomes(w, 1);
	row = world_row(w, id_delivery(custody, 1));
	assert_int_equal(row.state, MSG_STATE_DELIVERED);
	assert_int_equal(row.status, 200);
	assert_int_equal(row.attempts.count, 1);
	assert_true(slice_is(row.response, "thanks"));
	assert_true(slice_is(row.url, "http://127.0.0.1/hook"));
}

static void
test_fan_out(void **state)
{
	struct world *w = *state;
	unsigned seen = 0;

	world_begin(w, 100);
	world_open(w, &w->deliverers[1], STAGE_DELIVERER);
	world_until(w, second_is_up);
	world_plan(w, world_id(w), w->number, 1, 100);
	until_got(w, 100);
	for (size_t i = 0; i < w->got_count; i++)
		seen |= 1u << w->got[i].deliverer;
	assert_int_equal(seen, 3);
}

static void
test_planned_twice(void **state)
{
	struct world *w = *state;
	struct id custody;

	world_begin(w, 2);
	custody = world_id(w);
	world_plan(w, custody, w->number, 1, 1);
	until_got(w, 1);
	world_plan(w, custody, w->number, 1, 2); /* one more delivery */
	until_answered(w, 2);
	until_got(w, 2);
	assert_int_equal(w->got[1].subscription, 2);
	world_outcome(w, &w->got[0], MSG_VERDICT_DELIVERED, 200, 0);
	world_plan(w, custody, w->number, 1, 2);
	until_answered(w, 3);
	world_run(w, QUIET_MS);
	assert_int_equal(w->got_count, 2);
	assert_int_equal(w->router.refused, 0);
}

static void
test_stale(void **state)
{
	struct world *w = *state;

	world_begin(w, 1);
	world_plan(w, world_id(w), w->number - 1, 1, 1);
	until_answered(w, 1);
	assert_int_equal(w->router.refused, 1);
	assert_memory_equal(w->router.reason, "stale", 5);
	/* The logger has yet to learn of subscription 2. */
	world_plan(w, world_id(w), w->number + 1, 2, 1);
	until_answered(w, 2);
	assert_int_equal(w->router.refused, 2);
	assert_memory_equal(w->router.reason, "stale", 5);
	world_change(w, 2, true);
	world_plan(w, world_id(w), w->number, 2, 1);
	until_got(w, 1);
}

static void
test_retry(void **state)
{
	struct world *w = *state;
	struct id custody;
	struct msg row;

	world_begin(w, 1);
	custody = world_id(w);
	world_plan(w, custody, w->number, 1, 1);
	until_got(w, 1);
	world_outcome(w, &w->got[0], MSG_VERDICT_RETRY, 500, 100);
	until_got(w, 2);
	assert_int_equal(w->got[1].attempt, 2);
	assert_true((w->got[1].flags & MSG_FLAG_TROUBLED) != 0);
	world_outcome(w, &w->got[1], MSG_VERDICT_RETRY, 500, 100);
	until_got(w, 3);
	world_outcome(w, &w->got[2], MSG_VERDICT_DELIVERED, 204, 0);
	until_outcomes(w, 3);
	row = world_row(w, id_delivery(custody, 1));
	assert_int_equal(row.state, MSG_STATE_DELIVERED);
	assert_int_equal(row.status, 204);
	assert_int_equal(row.attempts.count, 3);
}

/* ---- leases ------------------------------------------------------------- */

static void
test_deliverer_goes(void **state)
{
	struct world *w = *state;

	world_begin(w, 1);
	world_plan(w, world_id(w), w->number, 1, 1);
	until_got(w, 1);
	world_open(w, &w->deliverers[1], STAGE_DELIVERER);
	world_until(w, second_is_up);
	world_close(&w->deliverers[0]);
	until_got(w, 2);
	assert_int_equal(w->got[1].token, 2);
	assert_int_equal(w->got[1].attempt, 1);
	assert_int_equal(w->got[1].deliverer, 1);
}

static void
test_release(void **state)
{
	struct world *w = *state;

	world_begin(w, 1);
	world_plan(w, world_id(w), w->number, 1, 1);
	until_got(w, 1);
	world_lease_ids(w, 0, MSG_RELEASE, w->got, 1);
	until_got(w, 2);
	assert_int_equal(w->got[1].token, 2);
	assert_int_equal(w->got[1].attempt, 1);
}

/* The logger's second start is known to everybody. */
static bool
is_back(struct world *w)
{
	return w->router.ups == 2 && w->deliverers[0].ups == 2 &&
	       w->api.ups == 2 && w->feed.ups == 2;
}

/* Of two leases over a restart one is held on, the other was never received. */
static void
test_restart_with_held(void **state)
{
	struct world *w = *state;
	struct id custody;
	struct msg row;

	world_begin(w, 2);
	custody = world_id(w);
	world_plan(w, custody, w->number, 1, 2);
	until_got(w, 2);
	until_answered(w, 1);
	world_kill(w);
	world_start(w);
	world_until(w, is_back);
	world_lease_ids(w, 0, MSG_HELD, &w->got[0], 1);
	until_got(w, 3);
	assert_true(id_same(w->got[2].delivery, w->got[1].delivery));
	assert_int_equal(w->got[2].token, 2);
	world_outcome(w, &w->got[0], MSG_VERDICT_DELIVERED, 200, 0);
	world_run(w, QUIET_MS);
	assert_int_equal(w->got_count, 3);
	row = world_row(w, w->got[0].delivery);
	assert_int_equal(row.state, MSG_STATE_DELIVERED);
}

/* Its deliverer never comes back: 10 s after the start it is dead. */
static void
test_restart_without(void **state)
{
	struct world *w = *state;
	uint64_t began;

	world_begin(w, 1);
	world_plan(w, world_id(w), w->number, 1, 1);
	until_got(w, 1);
	until_answered(w, 1);
	world_kill(w);
	world_close(&w->deliverers[0]);
	world_open(w, &w->deliverers[0], STAGE_DELIVERER);
	world_start(w);
	began = clock_mono_ms();
	until_got(w, 2);
	assert_int_equal(w->got[1].token, 2);
	assert_true(clock_mono_ms() - began < 15000);
}

/* Dies between committing a lease and sending it. */
static void
test_dies_before_sending(void **state)
{
	struct world *w = *state;

	w->fail_point = "logger.lease_committed";
	world_begin(w, 1);
	world_plan(w, world_id(w), w->number, 1, 1);
	world_run(w, QUIET_MS);
	(void)waitpid(w->logger, NULL, 0);
	assert_int_equal(w->got_count, 0);
	world_start(w);
	world_until(w, is_back);
	world_lease_ids(w, 0, MSG_HELD, NULL, 0);
	until_got(w, 1);
	assert_int_equal(w->got[0].token, 2);
	assert_int_equal(w->got[0].attempt, 1);
}

/* ---- what is wrong ------------------------------------------------------ */

static void
test_poison_outcome(void **state)
{
	struct world *w = *state;
	struct id custody;
	struct msg row, attempt;

	world_begin(w, 1);
	custody = world_id(w);
	world_plan(w, custody, w->number, 1, 1);
	until_got(w, 1);
	world_outcome(w, &w->got[0], (enum msg_verdict)9, 200, 0);
	until_outcomes(w, 1);
	assert_int_equal(w->deliverers[0].refused, 1);
	until_got(w, 2); /* as after a lost lease */
	row = world_row(w, id_delivery(custody, 1));
	assert_int_equal(row.attempts.count, 1);
	assert_true(msg_next(&row.attempts, MSG_ATTEMPT, &attempt));
	assert_int_equal(attempt.status, 0);
	world_outcome(w, &w->got[1], MSG_VERDICT_DELIVERED, 200, 0);
	until_outcomes(w, 2);
	row = world_row(w, id_delivery(custody, 1));
	assert_int_equal(row.state, MSG_STATE_DELIVERED);
}

static void
test_garbage(void **state)
{
	struct world *w = *state;
	uint8_t bytes[] = { MSG_PLAN, 0x81, 0x14, 0xc4 };
	struct slice plan = { bytes, sizeof(bytes) };

	world_begin(w, 1);
	assert_int_equal(link_send(w->router.peer, MSG_PLAN, plan, 1), 0);
	link_flush(w->router.link);
	until_answered(w, 1);
	assert_int_equal(w->router.refused, 1);
	bytes[0] = MSG_OUTCOME;
	assert_int_equal(
	    link_send(w->deliverers[0].peer, MSG_OUTCOME, plan, 1), 0);
	link_flush(w->deliverers[0].link);
	until_outcomes(w, 1);
	assert_int_equal(w->deliverers[0].refused, 1);
	world_plan(w, world_id(w), w->number, 1, 1);
	until_got(w, 1);
}

/* ---- fairness ----------------------------------------------------------- */

static bool
others_done(struct world *w)
{
	size_t count = 0;

	for (size_t i = 0; i < w->got_count; i++)
		count += w->got[i].subscription != w->but_not;
	return count >= expected;
}

/* One endpoint answers nothing: the others get all of theirs. */
static void
test_hanging_endpoint(void **state)
{
	struct world *w = *state;
	size_t hanging;

	world_begin(w, 4);
	w->answer = true;
	w->but_not = 1;
	for (unsigned i = 0; i < 100; i++)
		world_plan(w, world_id(w), w->number, 1, 4);
	expected = 300;
	world_until(w, others_done);
	hanging = w->got_count - expected;
	assert_in_range(hanging, 1, 16);
	until_answered(w, 100);
	assert_int_equal(w->router.refused, 0);
}

/* ---- hold --------------------------------------------------------------- */

static bool
has_notice(struct world *w)
{
	return w->notices > 0;
}

static void
test_gone_is_held(void **state)
{
	struct world *w = *state;
	struct id custody;
	struct msg row;

	world_begin(w, 1);
	world_plan(w, world_id(w), w->number, 1, 1);
	until_got(w, 1);
	world_outcome(w, &w->got[0], MSG_VERDICT_DISABLE, 410, 0);
	world_until(w, has_notice);
	assert_string_equal(w->notice, "gone");
	custody = world_id(w);
	world_plan(w, custody, w->number, 1, 1);
	until_answered(w, 2);
	row = world_row(w, id_delivery(custody, 1));
	assert_int_equal(row.state, MSG_STATE_HELD);
	world_change(w, 1, false); /* the api's answer */
	world_run(w, QUIET_MS);
	assert_int_equal(w->got_count, 1);
	world_change(w, 1, true); /* somebody switches it on again */
	until_got(w, 2);
	assert_true(id_same(w->got[1].delivery, id_delivery(custody, 1)));
}

/* ---- the rest ----------------------------------------------------------- */

static bool
has_probe(struct world *w)
{
	return w->probes > 0;
}

static bool
has_probed(struct world *w)
{
	return w->probeds > 0;
}

static void
test_probe(void **state)
{
	struct world *w = *state;
	struct msg probe = { .type = MSG_PROBE,
		.query = 1234,
		.app = WORLD_APP,
		.url = slice_text("http://127.0.0.1/new"),
		.event_type = slice_text("webhook.validation"),
		.body = slice_text("{}") };
	struct msg probed = { .type = MSG_PROBED,
		.status = 200,
		.verdict = MSG_VERDICT_DELIVERED };
	struct msg m;

	world_begin(w, 1);
	world_send(&w->api, &probe);
	world_until(w, has_probe);
	assert_int_equal(msg_unpack(buf_slice(&w->probe), &m), 0);
	assert_true(slice_is(m.url, "http://127.0.0.1/new"));
	probed.query = m.query;
	world_send(&w->deliverers[0], &probed);
	world_until(w, has_probed);
	assert_int_equal(msg_unpack(buf_slice(&w->probed), &m), 0);
	assert_int_equal(m.query, 1234);
	assert_int_equal(m.status, 200);
}

/* ---- order -------------------------------------------------------------- */

static struct id ordered[64]; /* custody ids in the order of their plans */
static size_t planned;

static void
plan_next(struct world *w)
{
	ordered[planned] = world_id(w);
	world_plan(w, ordered[planned++], w->number, 1, 1);
}

/* The next lease, the count-th of all, is of that event. */
static struct got *
until_turn(struct world *w, size_t count, size_t event)
{
	struct got *g = &w->got[count - 1];

	until_got(w, count);
	assert_true(id_same(g->delivery, id_delivery(ordered[event], 1)));
	return g;
}

/* One at a time, and none before an older one is final, whatever happens to
 * that while newer ones are planned. */
static void
test_ordered(void **state)
{
	struct world *w = *state;
	struct got *g;
	size_t got = 0, event = 0;

	planned = 0;
	w->ordered = true;
	world_begin(w, 1);
	world_open(w, &w->deliverers[1], STAGE_DELIVERER);
	world_until(w, second_is_up);
	for (unsigned i = 0; i < 3; i++)
		plan_next(w);
	while (event < 20) {
		g = until_turn(w, ++got, event);
		plan_next(w);
		if (event % 4 == 1 && g->token == 2) {
			world_lease_ids(w, g->deliverer, MSG_RELEASE, g, 1);
			w->deliverers[g->deliverer].held = 0;
			plan_next(w); /* comes before that is committed */
			until_outcomes(w, (unsigned)got);
			continue;
		}
		if (event % 4 == 0 && g->attempt == 1) {
			world_outcome(w, g, MSG_VERDICT_RETRY, 500, 50);
			until_outcomes(w, (unsigned)got);
			plan_next(w); /* comes before that is due again */
			continue;
		}
		if (event % 4 == 2)
			world_outcome(w, g, MSG_VERDICT_GIVE_UP, 500, 0);
		else
			world_outcome(w, g, MSG_VERDICT_DELIVERED, 200, 0);
		event++;
	}
	g = until_turn(w, ++got, event);
	world_close(&w->deliverers[g->deliverer]);
	g = until_turn(w, ++got, event);
	world_run(w, QUIET_MS);
	assert_int_equal(w->got_count, got);
	/* Until nobody waits for anybody any more. */
	world_change(w, 1, false);
	world_outcome(w, g, MSG_VERDICT_DELIVERED, 200, 0);
	world_run(w, QUIET_MS);
	assert_int_equal(w->got_count, got);
	w->ordered = false;
	w->answer = true;
	world_change(w, 1, true);
	until_got(w, got + planned - event - 1);
}

/* What is replayed takes the place of its event. */
static void
test_ordered_replay(void **state)
{
	struct world *w = *state;

	planned = 0;
	w->ordered = true;
	world_begin(w, 1);
	plan_next(w);
	world_outcome(w, until_turn(w, 1, 0), MSG_VERDICT_DELIVERED, 200, 0);
	until_outcomes(w, 1);
	plan_next(w);
	plan_next(w);
	(void)until_turn(w, 2, 1);
	assert_int_equal(
	    world_replay(w, world_id(w), id_delivery(ordered[0], 1)).count, 1);
	world_outcome(w, &w->got[1], MSG_VERDICT_DELIVERED, 200, 0);
	world_outcome(w, until_turn(w, 3, 0), MSG_VERDICT_DELIVERED, 200, 0);
	(void)until_turn(w, 4, 2);
}

/* ---- replays ------------------------------------------------------------ */

static const struct id whole_range;

static void
assert_refused(struct world *w, struct id delivery, const char *why)
{
	struct msg page = world_replay(w, world_id(w), delivery);

	assert_non_null(page.error.data);
	assert_memory_equal(page.error.data, why, strlen(why));
}

static void
test_replay_of_one(void **state)
{
	struct world *w = *state;
	struct id custody, delivery, job;
	struct msg page;

	world_begin(w, 1);
	custody = world_id(w);
	job = world_id(w);
	delivery = id_delivery(custody, 1);
	world_plan(w, custody, w->number, 1, 1);
	until_got(w, 1);
	assert_refused(w, delivery, "live");
	assert_refused(w, world_id(w), "unknown");
	world_outcome(w, &w->got[0], MSG_VERDICT_DELIVERED, 200, 0);
	until_outcomes(w, 1);
	page = world_replay(w, job, delivery);
	assert_null(page.error.data);
	assert_int_equal(page.count, 1);
	until_got(w, 2);
	assert_true(id_same(w->got[1].delivery, delivery));
	assert_int_equal(w->got[1].attempt, 2);
	assert_int_equal(w->got[1].cycle_attempt, 1);
	world_outcome(w, &w->got[1], MSG_VERDICT_DELIVERED, 200, 0);
	until_outcomes(w, 2);
	/* Its answer was lost, so the api thinks. */
	assert_int_equal(world_replay(w, job, delivery).count, 1);
	world_change(w, 1, false);
	assert_refused(w, delivery, "held");
	assert_refused(w, whole_range, "held");
	world_run(w, QUIET_MS);
	assert_int_equal(w->got_count, 2);
	assert_int_equal(world_row(w, delivery).state, MSG_STATE_DELIVERED);
}

static bool
has_died(struct world *w)
{
	return w->router.peer == NULL && w->api.peer == NULL &&
	       w->feed.peer == NULL && w->deliverers[0].peer == NULL;
}

/* The logger dies when a step is committed and nobody has heard of it; the api
 * asks again in its next session. */
static void
test_replay_survives(void **state)
{
	enum { COUNT = 250 };
	struct world *w = *state;
	struct id job;
	size_t seconds = 0;

	w->fail_point = "logger.replay_step:2";
	world_begin(w, 1);
	w->answer = true;
	for (size_t i = 0; i < COUNT; i++)
		world_plan(w, world_id(w), w->number, 1, 1);
	until_outcomes(w, COUNT);
	w->answer = false;
	job = world_id(w);
	world_ask_replay(w, job, whole_range);
	world_until(w, has_died);
	assert_int_equal(w->pages, 0);
	(void)waitpid(w->logger, NULL, 0);
	world_start(w);
	world_until(w, is_back);
	w->deliverers[0].held = 0;
	w->answer = true;
	world_lease_ids(w, 0, MSG_HELD, NULL, 0);
	assert_int_equal(world_replay(w, job, whole_range).count, COUNT);
	until_outcomes(w, 2 * COUNT + 1); /* HELD is completed, too */
	assert_int_equal(world_replay(w, job, whole_range).count, COUNT);
	world_run(w, QUIET_MS);
	assert_int_equal(w->deliverers[0].completed, 2 * COUNT + 1);
	for (size_t i = 0; i < w->got_count; i++) {
		assert_true(w->got[i].attempt <= 2);
		seconds += w->got[i].attempt == 2;
	}
	assert_true(seconds >= COUNT);
}

/* SIGTERM: what was taken is committed, then it ends. */
static void
test_drain(void **state)
{
	struct world *w = *state;
	int status = -1;

	world_begin(w, 1);
	world_plan(w, world_id(w), w->number, 1, 1);
	until_got(w, 1);
	assert_int_equal(kill(w->logger, SIGTERM), 0);
	assert_int_equal(waitpid(w->logger, &status, 0), w->logger);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	w->logger = 0;
}

#define CASE(fn) \
	cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(test_plan_deliver_outcome_page),
		CASE(test_fan_out),
		CASE(test_planned_twice),
		CASE(test_stale),
		CASE(test_retry),
		CASE(test_deliverer_goes),
		CASE(test_release),
		CASE(test_restart_with_held),
		CASE(test_restart_without),
		CASE(test_dies_before_sending),
		CASE(test_poison_outcome),
		CASE(test_garbage),
		CASE(test_hanging_endpoint),
		CASE(test_gone_is_held),
		CASE(test_ordered),
		CASE(test_ordered_replay),
		CASE(test_replay_of_one),
		CASE(test_replay_survives),
		CASE(test_probe),
		CASE(test_drain),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
