/*
 * The quota of an application: the real logger process, and peers that the
 * test plays (world.h).
 */
#include "logger/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define QUIET_MS 400

static size_t wanted;

static bool
has_leases(struct world *w)
{
	return w->got_count >= wanted;
}

/* Exactly so many leases are out by now, and no more come. */
static void
assert_got(struct world *w, size_t count)
{
	wanted = count;
	world_until(w, has_leases);
	world_run(w, QUIET_MS);
	assert_int_equal(w->got_count, count);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			assert_false(
			    id_same(w->got[i].delivery, w->got[k].delivery));
}

static bool
plans_answered(struct world *w)
{
	return w->router.completed >= wanted;
}

static bool
all_answered(struct world *w)
{
	return w->router.completed + w->router.refused >= wanted;
}

static void
plan(struct world *w, unsigned count, uint32_t endpoints)
{
	wanted = w->router.completed + count;
	for (unsigned i = 0; i < count; i++)
		world_plan(w, world_id(w), w->number, 1, endpoints);
	world_until(w, plans_answered);
	assert_int_equal(w->router.refused, 0);
}

static unsigned told;

static bool
was_told(struct world *w)
{
	return w->notices >= told;
}

/* So many notices about the application in all. */
static void
until_told(struct world *w, unsigned count)
{
	told = count;
	world_until(w, was_told);
	assert_string_equal(w->notice, "usage_limit");
	assert_int_equal(w->notice_subscription, 0);
	assert_int_equal(w->notice_number, w->number);
}

static unsigned starts;

static bool
is_back(struct world *w)
{
	return w->router.ups == starts && w->api.ups == starts &&
	       w->feed.ups == starts && w->deliverers[0].ups == starts &&
	       link_room(w->feed.peer, MSG_LANE_CONTROL) > 0;
}

static bool
takes_plans(struct world *w)
{
	return link_room(w->router.peer, MSG_LANE_WORK) > 0;
}

static void
restart(struct world *w, uint32_t count)
{
	starts = w->router.ups + 1;
	world_kill(w);
	world_start(w);
	world_until(w, is_back);
	world_snapshot(w, count);
	world_until(w, takes_plans);
}

/* Held over the quota, told until it is answered, kept over a kill, sent once
 * each when it is raised. */
static void
test_over_and_raised(void **state)
{
	struct world *w = *state;
	unsigned before;

	w->quota = 3;
	w->answer = true;
	world_begin(w, 2);
	plan(w, 2, 2);
	assert_got(w, 4);
	assert_int_equal(w->notices, 0);
	plan(w, 4, 2);
	assert_got(w, 6);
	until_told(w, 2); /* and again */
	assert_int_equal(world_used(w), 6);
	w->limited = true;
	world_change_app(w);
	before = w->notices;
	restart(w, 2);
	plan(w, 1, 2);
	assert_got(w, 6);
	assert_int_equal(world_used(w), 7);
	assert_int_equal(w->notices, before); /* the snapshot answers it */
	w->quota = 7;
	w->limited = false;
	world_change_app(w);
	assert_got(w, 14);
	until_told(w, before + 1); /* used up to the last one */
	assert_int_equal(world_used(w), 7);
	plan(w, 1, 2);
	assert_got(w, 14);
}

/* Lowered under what was used: told at once, without another event. */
static void
test_lowered_and_removed(void **state)
{
	struct world *w = *state;

	w->answer = true;
	world_begin(w, 1);
	plan(w, 3, 1);
	assert_got(w, 3);
	w->quota = 2;
	world_change_app(w);
	until_told(w, 1);
	plan(w, 2, 1);
	assert_got(w, 3);
	w->quota = 4; /* five were used: still over */
	world_change_app(w);
	until_told(w, 2);
	assert_got(w, 3);
	w->quota = 0;
	world_change_app(w);
	assert_got(w, 5);
}

/* Enabling sends what was held for that, and not what is over the quota;
 * raising sends nothing to who is disabled. */
static void
test_disabled_too(void **state)
{
	struct world *w = *state;

	w->quota = 1;
	w->answer = true;
	world_begin(w, 2);
	world_change(w, 1, false);
	world_change(w, 2, false);
	plan(w, 3, 2);
	assert_got(w, 0);
	until_told(w, 1);
	world_change(w, 1, true);
	assert_got(w, 1);
	w->quota = 3;
	world_change_app(w);
	assert_got(w, 3);
	restart(w, 2); /* the directory that comes has both enabled */
	assert_got(w, 6);
}

/* A raise among the plans: every one of them goes out, once. */
static void
test_raised_in_between(void **state)
{
	enum { PLANS = 600, QUOTA = 50 };
	struct world *w = *state;

	w->quota = QUOTA;
	w->answer = true;
	world_begin(w, 2);
	for (unsigned i = 0; i < PLANS; i++) {
		world_plan(w, world_id(w), w->number, 1, 2);
		if (i != PLANS / 3 && i != 2 * PLANS / 3)
			continue;
		w->quota += PLANS / 2;
		world_change_app(w);
	}
	wanted = PLANS;
	world_until(w, all_answered);
	/* Those matched before the change were stale, and are not there. */
	assert_int_equal(world_used(w), w->router.completed);
	assert_got(w, 2 * w->router.completed);
}

#define CASE(fn) \
	cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(test_over_and_raised),
		CASE(test_lowered_and_removed),
		CASE(test_disabled_too),
		CASE(test_raised_in_between),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
