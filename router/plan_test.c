#include "router/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SENT_MAX 4096
#define PEER ((void *)0x1000)

/* Both ends of the plans: what was sent, and what the sources were told. */
struct world {
	struct match *match;
	struct plan *plan;
	struct plan_source *source;
	uint64_t room;
	int send_result;
	uint64_t number;
	struct part {
		uint64_t cookie, number, part, parts, seq, age_ms;
		uint32_t count, first;
		bool has_body;
	} sent[SENT_MAX];
	size_t sent_count;
	uint64_t completed[64], refused[64];
	size_t completed_count, refused_count;
	char reason[256];
};

static bool
has_room(void *arg)
{
	struct world *w = arg;

	return w->room > 0;
}

/* The custody id of a test's event holds its seq in the first byte. */
static int
send(void *arg, struct slice bytes, uint64_t cookie)
{
	struct world *w = arg;
	struct part *p = &w->sent[w->sent_count];
	struct msg m, first;

	if (w->send_result < 0)
		return w->send_result;
	assert_true(w->sent_count < SENT_MAX);
	assert_int_equal(msg_unpack(bytes, &m), 0);
	assert_int_equal(m.type, MSG_PLAN);
	assert_int_equal(m.custody.len, 16);
	assert_true(slice_is(m.event_type, "crm.contact.created"));
	assert_int_equal(m.hole, 2);
	*p =
	    (struct part){ cookie, m.number, m.part, m.parts, m.custody.data[0],
		    m.age_ms, m.deliveries.count, 0, m.body.data != NULL };
	if (msg_next(&m.deliveries, MSG_PLANNED, &first))
		p->first = (uint32_t)first.subscription;
	w->sent_count++;
	w->room--;
	return 0;
}

static void
complete(void *arg, void *peer, uint64_t seq)
{
	struct world *w = arg;

	assert_ptr_equal(peer, PEER);
	w->completed[w->completed_count++] = seq;
}

static void
refuse(void *arg, void *peer, uint64_t seq, const char *reason)
{
	struct world *w = arg;

	assert_ptr_equal(peer, PEER);
	w->refused[w->refused_count++] = seq;
	snprintf(w->reason, sizeof(w->reason), "%s", reason);
}

static const struct plan_ops ops = { has_room, send, complete, refuse };

static void
subscribe(struct world *w, uint32_t from, uint32_t count)
{
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.app = 1,
		.unified_api = slice_text("crm"),
		.events = slice_text("crm.contact.created") };

	for (uint32_t i = from; i < from + count; i++) {
		e.subscription = i;
		assert_int_equal(match_entry(w->match, &e, 1), 0);
	}
}

static int
offer(struct world *w, uint64_t app, uint64_t seq)
{
	uint8_t custody[16] = { (uint8_t)seq };
	struct msg e = { .type = MSG_EVENT,
		.custody = { custody, sizeof(custody) },
		.app = app,
		.event_type = slice_text("crm.contact.created"),
		.body = slice_text("{}"),
		.hole = 2,
		.age_ms = 5 };
	struct buf b;
	int r;

	buf_init(&b, 4096);
	assert_int_equal(msg_pack(&e, &b), 0);
	r = plan_event(w->plan, w->source, seq, buf_slice(&b), 100);
	buf_done(&b);
	return r;
}

static void
event(struct world *w, uint64_t app, uint64_t seq)
{
	assert_int_equal(offer(w, app, seq), 0);
}

static bool
pump(struct world *w)
{
	return plan_pump(w->plan, w->number, 107);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->match = match_new();
	assert_non_null(w->match);
	w->plan = plan_new(&ops, w, w->match);
	assert_non_null(w->plan);
	w->source = plan_source_new(w->plan, PEER);
	assert_non_null(w->source);
	w->room = 1000;
	w->number = 50;
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	plan_free(w->plan);
	match_free(w->match);
	free(w);
	return 0;
}

static void
answer_stale(struct world *w, size_t i)
{
	plan_refused(
	    w->plan, w->sent[i].cookie, slice_text("stale: 50 before 60"));
}

static void
test_one_part(void **state)
{
	struct world *w = *state;

	subscribe(w, 1, 3);
	event(w, 1, 7);
	event(w, 2, 8); /* nobody there */
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 2);
	assert_int_equal(w->sent[0].seq, 7);
	assert_int_equal(w->sent[0].count, 3);
	assert_int_equal(w->sent[0].parts, 1);
	assert_int_equal(w->sent[0].number, 50);
	assert_int_equal(w->sent[0].age_ms, 12);
	assert_true(w->sent[0].has_body);
	assert_int_equal(w->sent[1].count, 0);
	assert_int_equal(w->sent[1].parts, 1);
	assert_false(pump(w));
	assert_int_equal(w->completed_count, 0);
	plan_completed(w->plan, w->sent[1].cookie);
	plan_completed(w->plan, w->sent[0].cookie);
	assert_int_equal(w->completed_count, 2);
	assert_int_equal(w->completed[0], 8);
	assert_int_equal(w->completed[1], 7);
	assert_int_equal(plan_counts(w->plan)->waiting, 0);
	assert_int_equal(plan_counts(w->plan)->unmatched, 1);
	assert_int_equal(plan_counts(w->plan)->matches, 3);
}

static void
test_waits_for_room(void **state)
{
	struct world *w = *state;

	w->room = 0;
	event(w, 1, 7);
	assert_false(pump(w));
	w->room = 5;
	w->send_result = -EAGAIN; /* the window of bytes is full */
	assert_false(pump(w));
	/* Matched when its turn comes, not when it arrived. */
	subscribe(w, 1, 1);
	w->send_result = 0;
	assert_true(pump(w));
	assert_int_equal(w->sent[0].count, 1);
	assert_int_equal(w->sent_count, 1);
}

static void
test_parts(void **state)
{
	struct world *w = *state;

	subscribe(w, 1, 1200);
	event(w, 1, 7);
	w->room = 1;
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 1);
	assert_true(plan_counts(w->plan)->targets >= 1200);
	plan_completed(w->plan, w->sent[0].cookie);
	assert_int_equal(w->completed_count, 0);
	w->room = 100;
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(w->sent[i].part, i);
		assert_int_equal(w->sent[i].parts, 3);
		assert_int_equal(w->sent[i].count, i < 2 ? 500 : 200);
		assert_int_equal(w->sent[i].has_body, i == 0);
	}
	assert_int_not_equal(w->sent[0].first, w->sent[1].first);
	assert_int_equal(plan_counts(w->plan)->targets, 0);
	plan_completed(w->plan, w->sent[2].cookie);
	assert_int_equal(w->completed_count, 0);
	plan_completed(w->plan, w->sent[1].cookie);
	assert_int_equal(w->completed_count, 1);
	assert_int_equal(plan_counts(w->plan)->waiting, 0);
}

static void
test_exactly_full_parts(void **state)
{
	struct world *w = *state;

	subscribe(w, 1, 500);
	event(w, 1, 1);
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 1);
	assert_int_equal(w->sent[0].parts, 1);
	subscribe(w, 501, 1);
	event(w, 1, 2);
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 3);
	assert_int_equal(w->sent[2].parts, 2);
	assert_int_equal(w->sent[2].count, 1);
}

/* Two large plans and small events: everybody gets on. */
static void
test_a_large_plan_holds_up_nobody(void **state)
{
	struct world *w = *state;
	size_t small = 0, last_small = 0;

	subscribe(w, 1, 20000);
	event(w, 1, 1);
	event(w, 1, 2);
	for (uint64_t seq = 3; seq < 13; seq++)
		event(w, 2, seq);
	w->room = 200;
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 2 * 40 + 10);
	for (size_t i = 0; i < w->sent_count; i++) {
		if (w->sent[i].seq < 3)
			continue;
		small++;
		last_small = i;
	}
	assert_int_equal(small, 10);
	assert_true(last_small < 30);
	/* The two are sent in turn. */
	assert_int_not_equal(w->sent[60].seq, w->sent[61].seq);
	for (size_t i = 0; i < w->sent_count; i++)
		plan_completed(w->plan, w->sent[i].cookie);
	assert_int_equal(w->completed_count, 12);
}

/* More matches than memory is set aside for: one after the other. */
static void
test_matches_are_bounded(void **state)
{
	struct world *w = *state;
	enum { COUNT = 100000, EVENTS = 60 };

	subscribe(w, 1, COUNT);
	for (uint64_t seq = 0; seq < EVENTS; seq++)
		event(w, 1, seq);
	event(w, 2, 200);
	for (unsigned i = 0; i < 200 * EVENTS + 1; i += SENT_MAX / 2) {
		w->room = SENT_MAX / 2;
		w->sent_count = 0;
		pump(w);
		assert_true(plan_counts(w->plan)->targets <= PLAN_TARGETS_MAX);
		for (size_t k = 0; k < w->sent_count; k++) {
			w->completed_count = 0;
			plan_completed(w->plan, w->sent[k].cookie);
		}
	}
	assert_int_equal(plan_counts(w->plan)->planned, EVENTS + 1);
	assert_int_equal(plan_counts(w->plan)->matches, EVENTS * COUNT);
	assert_int_equal(plan_counts(w->plan)->targets, 0);
}

static void
test_stale_is_matched_again(void **state)
{
	struct world *w = *state;

	event(w, 1, 7);
	assert_true(pump(w));
	assert_int_equal(w->sent[0].count, 0);
	answer_stale(w, 0);
	assert_false(pump(w));
	assert_int_equal(plan_counts(w->plan)->waiting_stale, 1);
	subscribe(w, 1, 2);
	w->number = 60;
	plan_advance(w->plan);
	assert_true(pump(w));
	assert_int_equal(w->sent[1].count, 2);
	assert_int_equal(w->sent[1].number, 60);
	plan_completed(w->plan, w->sent[1].cookie);
	assert_int_equal(w->completed_count, 1);
	assert_int_equal(w->refused_count, 0);
}

/* The directory moved on while the plan was on the way. */
static void
test_stale_with_news_is_matched_at_once(void **state)
{
	struct world *w = *state;

	event(w, 1, 7);
	assert_true(pump(w));
	subscribe(w, 1, 2);
	w->number = 60;
	plan_advance(w->plan);
	assert_false(pump(w));
	answer_stale(w, 0);
	assert_true(pump(w));
	assert_int_equal(w->sent[1].count, 2);
	assert_int_equal(w->sent[1].number, 60);
}

static void
test_busy_is_tried_again(void **state)
{
	struct world *w = *state;

	event(w, 1, 7);
	assert_true(pump(w));
	plan_refused(
	    w->plan, w->sent[0].cookie, slice_text("busy: out of memory"));
	assert_int_equal(w->refused_count, 0);
	plan_tick(w->plan);
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 2);
}

static void
test_stale_in_the_middle_of_parts(void **state)
{
	struct world *w = *state;

	subscribe(w, 1, 1200);
	event(w, 1, 7);
	w->room = 2;
	assert_true(pump(w));
	answer_stale(w, 1);
	/* Not before the other part is answered, and no third part. */
	w->room = 10;
	plan_advance(w->plan);
	assert_false(pump(w));
	plan_completed(w->plan, w->sent[0].cookie);
	assert_int_equal(w->completed_count, 0);
	plan_advance(w->plan);
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 5);
	for (unsigned i = 2; i < 5; i++) {
		assert_int_equal(w->sent[i].part, i - 2);
		plan_completed(w->plan, w->sent[i].cookie);
	}
	assert_int_equal(w->completed_count, 1);
}

static void
test_stale_without_news_is_tried_slowly(void **state)
{
	struct world *w = *state;
	size_t first;

	for (uint64_t seq = 0; seq < 40; seq++)
		event(w, 1, seq);
	assert_true(pump(w));
	for (size_t i = 0; i < 40; i++)
		answer_stale(w, i);
	assert_false(pump(w));
	plan_tick(w->plan);
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 40 + PLAN_STALE_PROBES);
	/* One of them passes now: then so will the others. */
	first = 40;
	for (size_t i = first + 1; i < w->sent_count; i++)
		answer_stale(w, i);
	plan_completed(w->plan, w->sent[first].cookie);
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 40 + PLAN_STALE_PROBES + 39);
}

static void
test_returned_is_planned_again_first(void **state)
{
	struct world *w = *state;

	for (uint64_t seq = 1; seq <= 3; seq++)
		event(w, 1, seq);
	w->room = 2;
	assert_true(pump(w));
	plan_returned(w->plan, w->sent[0].cookie);
	plan_returned(w->plan, w->sent[1].cookie);
	w->room = 10;
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 5);
	assert_int_equal(w->sent[2].seq, 1);
	assert_int_equal(w->sent[3].seq, 2);
	assert_int_equal(w->sent[4].seq, 3);
	assert_int_equal(w->completed_count, 0);
}

static void
test_refused_is_refused_at_the_source(void **state)
{
	struct world *w = *state;

	subscribe(w, 1, 600);
	event(w, 1, 7);
	event(w, 2, 8);
	assert_true(pump(w));
	assert_int_equal(w->sent_count, 3);
	plan_refused(
	    w->plan, w->sent[0].cookie, slice_text("malformed: no such app"));
	assert_int_equal(w->refused_count, 0); /* a part is on the way */
	for (size_t i = 1; i < 3; i++)
		if (w->sent[i].seq == 7)
			answer_stale(w, i);
	assert_int_equal(w->refused_count, 1);
	assert_int_equal(w->refused[0], 7);
	assert_string_equal(w->reason, "malformed: no such app");
	assert_int_equal(plan_counts(w->plan)->waiting, 1);
}

static void
test_what_is_no_event(void **state)
{
	struct world *w = *state;
	struct msg bad = { .type = MSG_EVENT,
		.custody = slice_text("short"),
		.app = 1,
		.event_type = slice_text("a.b.c"),
		.body = slice_text("{}") };
	struct buf b;

	buf_init(&b, 4096);
	assert_int_equal(msg_pack(&bad, &b), 0);
	assert_int_equal(
	    plan_event(w->plan, w->source, 1, buf_slice(&b), 100), 0);
	assert_int_equal(
	    plan_event(w->plan, w->source, 2, slice_text("\x0b rubbish"), 0),
	    0);
	event(w, 1, 3);
	assert_true(pump(w));
	assert_int_equal(w->refused_count, 2);
	assert_int_equal(w->sent_count, 1);
	assert_int_equal(w->sent[0].seq, 3);
	w->send_result = -EMSGSIZE;
	event(w, 1, 4);
	assert_false(pump(w));
	assert_int_equal(w->refused_count, 3);
	buf_done(&b);
}

static void
test_a_source_that_ends(void **state)
{
	struct world *w = *state;

	subscribe(w, 1, 1200);
	event(w, 1, 1); /* three parts, two on the way */
	w->room = 2;
	assert_true(pump(w));
	event(w, 2, 2); /* not sent */
	event(w, 2, 3); /* stale */
	plan_source_free(w->plan, w->source);
	assert_int_equal(plan_counts(w->plan)->waiting, 1);
	assert_int_equal(plan_counts(w->plan)->targets, 0);
	w->room = 10;
	assert_false(pump(w));
	plan_returned(w->plan, w->sent[0].cookie);
	assert_int_equal(plan_counts(w->plan)->waiting, 1);
	plan_completed(w->plan, w->sent[1].cookie);
	assert_int_equal(plan_counts(w->plan)->waiting, 0);
	assert_int_equal(w->completed_count, 0);
	assert_int_equal(w->refused_count, 0);
	assert_false(pump(w));
	w->source = plan_source_new(w->plan, PEER);
	assert_non_null(w->source);
	event(w, 2, 9);
	assert_true(pump(w));
}

static void
test_a_source_over_its_window(void **state)
{
	struct world *w = *state;

	w->room = 0;
	for (unsigned i = 0; i < PLAN_SOURCE_MAX; i++)
		event(w, 1, i);
	assert_int_equal(offer(w, 1, 1), -ENOBUFS);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_part),
		TEST(test_waits_for_room),
		TEST(test_parts),
		TEST(test_exactly_full_parts),
		TEST(test_a_large_plan_holds_up_nobody),
		TEST(test_matches_are_bounded),
		TEST(test_stale_is_matched_again),
		TEST(test_stale_with_news_is_matched_at_once),
		TEST(test_busy_is_tried_again),
		TEST(test_stale_in_the_middle_of_parts),
		TEST(test_stale_without_news_is_tried_slowly),
		TEST(test_returned_is_planned_again_first),
		TEST(test_refused_is_refused_at_the_source),
		TEST(test_what_is_no_event),
		TEST(test_a_source_that_ends),
		TEST(test_a_source_over_its_window),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
