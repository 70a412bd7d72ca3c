#include "logger/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "logger/turns.h"

#define NOW 1000000

struct fixture {
	struct schedules schedules;
	struct endpoints endpoints;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(schedules_init(&f->schedules, "1s,2s"), 0);
	assert_int_equal(endpoints_init(&f->endpoints, &f->schedules), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	endpoints_done(&f->endpoints);
	schedules_done(&f->schedules);
	free(f);
	return 0;
}

static struct msg
entry(uint32_t subscription, uint64_t number, bool enabled)
{
	return (struct msg){ .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.number = number,
		.app = 1 + subscription % 2,
		.subscription = subscription,
		.url = slice_text("http://x/"),
		.enabled = enabled };
}

static struct endpoint *
put(struct fixture *f, struct msg e)
{
	struct endpoint *p;

	assert_int_equal(endpoints_put(&f->endpoints, &e, 1, &p), 0);
	return p;
}

/* Ready ones stand in their application's queue, those for later in order of
 * time, busy and full ones nowhere. */
static void
test_places(void **state)
{
	struct fixture *f = *state;
	struct endpoints *e = &f->endpoints;
	struct endpoint *a = put(f, entry(1, 1, true));
	struct endpoint *b = put(f, entry(3, 1, true));

	endpoints_touch(e, a, NOW);
	assert_int_equal(e->ready_apps, 0);
	assert_int_equal(e->heap_count, 0);
	endpoint_due(a, NOW + 500);
	endpoint_due(a, NOW + 900); /* the earliest counts */
	endpoints_touch(e, a, NOW);
	endpoint_due(b, NOW);
	endpoints_touch(e, b, NOW);
	assert_int_equal(e->heap_count, 1);
	assert_int_equal(a->wake_ms, NOW + 500);
	assert_non_null(b->queue);
	assert_int_equal(e->ready_apps, 1);
	endpoints_wake(e, NOW + 499);
	assert_null(a->queue);
	endpoints_wake(e, NOW + 500);
	assert_non_null(a->queue);
	assert_int_equal(e->ready_apps, 1); /* the same application */
	b->busy = true;
	endpoints_touch(e, b, NOW);
	assert_null(b->queue);
	a->out = WINDOW_FIRST;
	endpoints_touch(e, a, NOW + 500);
	assert_null(a->queue);
	assert_int_equal(e->ready_apps, 0);
	assert_int_equal(e->heap_count, 0);
}

/* One that becomes ready so late, and is behind. */
static struct endpoint *
put_late(struct fixture *f, uint32_t subscription, uint64_t late_ms)
{
	struct endpoint *p = put(f, entry(subscription, 1, true));

	p->backlogged = true;
	endpoint_due(p, NOW - late_ms);
	endpoints_touch(&f->endpoints, p, NOW);
	return p;
}

/* The least late first, but none waits for ever. */
static void
test_levels(void **state)
{
	static const uint64_t late_ms[] = { 900000, 63999, 7999, 1000, 999 };
	static const unsigned levels[] = { 3, 2, 1, 1, 0 };
	struct fixture *f = *state;
	struct endpoints *e = &f->endpoints;
	struct endpoint *p[5], *fresh;
	unsigned turns[ENDPOINT_LEVELS] = { 0 };
	struct app *a;

	for (uint32_t i = 0; i < 5; i++) {
		p[i] = put_late(f, 1 + 2 * i, late_ms[i]);
		a = p[i]->app;
		assert_ptr_equal(p[i]->queue, &a->ready[levels[i]]);
	}
	assert_int_equal(e->ready_apps, 1);
	assert_int_equal(e->ready_count, 5);
	assert_ptr_equal(TAILQ_FIRST(&a->ready[1]), p[2]); /* came first */
	for (a->turns = 0; a->turns < 160; a->turns++)
		turns[turns_next(a) - a->ready]++;
	assert_int_equal(turns[0], 130);
	for (unsigned level = 1; level < ENDPOINT_LEVELS; level++)
		assert_int_equal(turns[level], 10);
	/* Nearly caught up: sooner than those it was among. */
	turns_leave(e, p[0]);
	p[0]->next_due_ms = NOW - 10;
	endpoints_touch(e, p[0], NOW);
	assert_ptr_equal(p[0]->queue, &a->ready[0]);
	assert_ptr_equal(TAILQ_FIRST(p[0]->queue), p[4]);
	/* What is not behind at all goes before, however late it woke up. */
	fresh = put(f, entry(11, 1, true));
	endpoint_due(fresh, NOW - 5000);
	endpoints_touch(e, fresh, NOW);
	assert_ptr_equal(TAILQ_FIRST(&a->ready[0]), fresh);

	/* Where the first of them gets nothing, the others are asked. */
	assert_ptr_equal(turns_other(a, &a->ready[0], a->ready), &a->ready[1]);
	assert_ptr_equal(
	    turns_other(a, &a->ready[2], &a->ready[1]), &a->ready[0]);
	assert_null(turns_other(a, &a->ready[2], a->ready));
	assert_true(turns_others(a, p[1]));
	for (uint32_t i = 0; i < 5; i++)
		if (i != 1)
			turns_leave(e, p[i]);
	turns_leave(e, fresh);
	assert_false(turns_others(a, p[1]));
	a->turns = 1;
	assert_ptr_equal(turns_next(a), p[1]->queue);
	assert_null(turns_other(a, p[1]->queue, p[1]->queue));
	turns_leave(e, p[1]);
	assert_false(turns_ready(a));
	assert_int_equal(e->ready_apps, 0);
	assert_int_equal(e->ready_count, 0);
}

static void
test_heap(void **state)
{
	struct fixture *f = *state;
	struct endpoints *e = &f->endpoints;
	uint64_t last = 0;

	for (uint32_t s = 1; s <= 500; s++) {
		struct endpoint *p = put(f, entry(s, 1, true));

		endpoint_due(p, NOW + 1 + (uint64_t)s * 7919 % 1009);
		endpoints_touch(e, p, NOW);
	}
	assert_int_equal(e->heap_count, 500);
	while (e->heap_count > 0) {
		struct endpoint *first = e->heap[1];

		assert_true(first->wake_ms >= last);
		last = first->wake_ms;
		first->next_due_ms = STORE_NEVER;
		endpoints_touch(e, first, NOW);
	}
}

static void
test_hold(void **state)
{
	struct fixture *f = *state;
	struct endpoints *e = &f->endpoints;
	struct endpoint *p = put(f, entry(1, 10, true));
	struct id delivery = { { 7 } };

	assert_true(endpoint_sends(p));
	endpoint_set_hold(e, p, "gone", delivery, NOW);
	assert_false(endpoint_sends(p));
	assert_non_null(
	    put(f, entry(1, 10, true))); /* known before: no answer */
	assert_false(endpoint_sends(p));
	assert_null(put(f, entry(1, 9, true)));
	(void)put(f, entry(1, 11, false));
	assert_null(p->hold);
	assert_true(TAILQ_EMPTY(&e->holds));
	assert_false(endpoint_sends(p));
	(void)put(f, entry(1, 12, true));
	assert_true(endpoint_sends(p));
}

/* A deleted one stays until its last delivery is final. */
static void
test_deleted(void **state)
{
	struct fixture *f = *state;
	struct endpoints *e = &f->endpoints;
	struct endpoint *p = put(f, entry(1, 10, true));
	struct msg gone = entry(1, 11, true);

	endpoint_due(p, NOW);
	gone.deleted = true;
	assert_ptr_equal(put(f, gone), p);
	assert_true(endpoint_sends(p));
	endpoints_forget(e);
	assert_ptr_equal(endpoints_find(e, 1), p);
	p->next_due_ms = STORE_NEVER;
	endpoints_forget(e);
	assert_null(endpoints_find(e, 1));
	assert_null(put(f, gone)); /* and is not made for being deleted */
	assert_null(endpoints_find(e, 1));
}

/* Its own secret and schedule, else the application's and the default. */
static void
test_defaults(void **state)
{
	struct fixture *f = *state;
	struct msg own = entry(1, 1, true), plain = entry(3, 1, true);
	struct msg app = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_APP,
		.number = 1,
		.app = 2,
		.secret = slice_text("app's") };
	struct endpoint *p;

	assert_int_equal(endpoints_put_app(&f->endpoints, &app, 1), 0);
	own.secret = slice_text("own");
	own.schedule = slice_text("5s");
	own.headers = slice_text("sealed");
	own.http2 = true;
	p = put(f, own);
	assert_true(slice_is(endpoint_secret(p), "own"));
	assert_true(slice_is(endpoint_schedule(&f->endpoints, p), "5s"));
	assert_true(slice_is(endpoint_headers(p), "sealed"));
	assert_true(p->http2);
	assert_int_equal(endpoint_judge(p).failed_enough, 2);
	assert_int_equal(endpoint_judge(p).gaps[0], 5000);
	p = put(f, plain);
	assert_true(slice_is(endpoint_secret(p), "app's"));
	assert_null(endpoint_schedule(&f->endpoints, p).data);
	assert_null(endpoint_headers(p).data);
	assert_false(p->http2);
	assert_int_equal(endpoint_judge(p).failed_enough, 3);
	plain.number = 2;
	plain.schedule = slice_text("nonsense");
	(void)put(f, plain);
	assert_int_equal(endpoint_judge(p).gap_count, 2);
}

/* In order: one is out, and nothing fresh passes what waits, what is held or
 * what is on its way to the store. */
static void
test_order(void **state)
{
	struct fixture *f = *state;
	struct msg e = entry(1, 1, true);
	struct endpoint *p = put(f, e);

	p->out = 3;
	assert_int_equal(endpoint_room(p), WINDOW_FIRST - 3);
	assert_true(endpoint_order_free(p));
	e.ordered = true;
	e.number = 2;
	assert_ptr_equal(put(f, e), p);
	assert_int_equal(endpoint_room(p), 0);
	assert_false(endpoint_order_free(p));
	p->out = 0;
	assert_int_equal(endpoint_room(p), 1);
	assert_true(endpoint_order_free(p));
	p->busy = true;
	assert_false(endpoint_order_free(p));
	p->busy = false;
	endpoint_due(p, NOW + 3600000); /* a retry, later */
	assert_false(endpoint_order_free(p));
	p->next_due_ms = STORE_NEVER;
	endpoint_waits(p, MSG_STATE_DUE, NOW);
	assert_false(endpoint_order_free(p));
	p->next_due_ms = STORE_NEVER;
	endpoint_waits(p, MSG_STATE_HELD, NOW);
	assert_false(endpoint_order_free(p));
	p->held = false;
	assert_true(endpoint_order_free(p));
}

/* It waited a day for its turn; its life begins with that. */
static void
test_turn(void **state)
{
	const uint64_t day = UINT64_C(24) * 3600 * 1000;
	struct fixture *f = *state;
	struct msg e = entry(1, 1, true);
	struct endpoint *p = put(f, e);
	struct store_taken t = {
		.event = 5, .cycle_attempt = 1, .age_ms = day
	};

	assert_int_equal(endpoint_age(p, &t, NOW), day);
	p->ordered = true;
	assert_int_equal(endpoint_age(p, &t, NOW), 0);
	t.cycle_attempt = 2;
	assert_int_equal(endpoint_age(p, &t, NOW + 3000), 3000);
	t.event = 6;
	assert_int_equal(endpoint_age(p, &t, NOW + 3000), 0);
	assert_int_equal(endpoint_age(p, &t, NOW + 9000), 6000);
	t.age_ms = 50; /* replayed */
	assert_int_equal(endpoint_age(p, &t, NOW + 10000), 50);
	t.cycle_attempt = 1;
	assert_int_equal(endpoint_age(p, &t, NOW + 10000), 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_places),
		CASE(test_levels),
		CASE(test_heap),
		CASE(test_hold),
		CASE(test_deleted),
		CASE(test_defaults),
		CASE(test_order),
		CASE(test_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
