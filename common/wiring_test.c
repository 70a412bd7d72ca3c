#include "common/wiring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void
stages_have_names(void **state)
{
	(void)state;
	for (unsigned s = STAGE_NONE + 1; s < STAGE_MAX; s++) {
		const char *name = stage_name((enum stage)s);

		assert_int_equal(stage_from(slice_text(name)), s);
		for (unsigned k = STAGE_NONE + 1; k < s; k++)
			assert_string_not_equal(
			    name, stage_name((enum stage)k));
	}
	assert_string_equal(stage_name(STAGE_NONE), "?");
	assert_string_equal(stage_name(STAGE_MAX), "?");
	assert_int_equal(stage_from(slice_text("")), STAGE_NONE);
	assert_int_equal(stage_from(slice_text("Router")), STAGE_NONE);
	assert_int_equal(stage_from(slice_text("routers")), STAGE_NONE);
	assert_int_equal(stage_from((struct slice){ NULL, 0 }), STAGE_NONE);
}

/* Who is connected to binds a port of his own; nobody connects to himself. */
static void
hops_make_sense(void **state)
{
	(void)state;
	for (unsigned f = STAGE_NONE; f <= STAGE_MAX; f++)
		for (unsigned t = STAGE_NONE; t <= STAGE_MAX; t++) {
			enum stage from = (enum stage)f, to = (enum stage)t;

			if (!wiring_connects(from, to))
				continue;
			assert_true(stage_port(to) > 1023);
			assert_true(stage_port(to) < 65536);
			assert_int_not_equal(from, to);
		}
	for (unsigned a = STAGE_NONE + 1; a < STAGE_MAX; a++)
		for (unsigned b = STAGE_NONE + 1; b < a; b++)
			if (stage_port((enum stage)a) != 0)
				assert_int_not_equal(stage_port((enum stage)a),
				    stage_port((enum stage)b));
	assert_int_equal(stage_port(STAGE_NONE), 0);
	assert_int_equal(stage_port(STAGE_MAX), 0);
}

/* What may travel does so over a connection, whoever opened it. */
static void
messages_travel_over_hops(void **state)
{
	(void)state;
	for (unsigned f = STAGE_NONE; f <= STAGE_MAX; f++)
		for (unsigned t = STAGE_NONE; t <= STAGE_MAX; t++)
			for (unsigned m = MSG_NONE; m <= MSG_TYPE_MAX; m++) {
				enum stage from = (enum stage)f;
				enum stage to = (enum stage)t;

				if (wiring_allows(from, to, (enum msg_type)m))
					assert_true(wiring_connects(from, to) ||
						    wiring_connects(to, from));
			}
}

/* Every message has somebody who sends it; frames and records nobody. */
static void
every_message_has_a_sender(void **state)
{
	(void)state;
	for (unsigned m = MSG_NONE; m <= MSG_TYPE_MAX; m++) {
		unsigned senders = 0;

		for (unsigned f = STAGE_NONE + 1; f < STAGE_MAX; f++)
			for (unsigned t = STAGE_NONE + 1; t < STAGE_MAX; t++)
				senders += wiring_allows((enum stage)f,
				    (enum stage)t, (enum msg_type)m);
		if (m >= MSG_EVENT && m <= MSG_REPLAY)
			assert_true(senders > 0);
		else
			assert_int_equal(senders, 0);
	}
}

/* The main road, spelled out once more. */
static void
the_road_of_an_event(void **state)
{
	(void)state;
	assert_true(wiring_allows(STAGE_INGEST, STAGE_ROUTER, MSG_EVENT));
	assert_true(wiring_allows(STAGE_ROUTER, STAGE_LOGGER, MSG_PLAN));
	assert_true(wiring_allows(STAGE_LOGGER, STAGE_DELIVERER, MSG_DELIVER));
	assert_true(wiring_allows(STAGE_DELIVERER, STAGE_LOGGER, MSG_OUTCOME));
	assert_false(wiring_allows(STAGE_ROUTER, STAGE_INGEST, MSG_EVENT));
	assert_false(wiring_allows(STAGE_ROUTER, STAGE_LOGGER, MSG_OUTCOME));
	assert_false(wiring_allows(STAGE_INGEST, STAGE_LOGGER, MSG_PLAN));
	assert_true(wiring_allows(STAGE_API, STAGE_ROUTER, MSG_DIRECTORY));
	assert_true(wiring_allows(STAGE_API, STAGE_INGEST, MSG_DIRECTORY));
	assert_true(wiring_allows(STAGE_API, STAGE_LOGGER, MSG_DIRECTORY));
	/* logger and api connect to each other: both hops count */
	assert_true(wiring_allows(STAGE_API, STAGE_LOGGER, MSG_QUERY));
	assert_true(wiring_allows(STAGE_LOGGER, STAGE_API, MSG_PAGE));
	assert_true(wiring_allows(STAGE_LOGGER, STAGE_API, MSG_NOTICE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stages_have_names),
		cmocka_unit_test(hops_make_sense),
		cmocka_unit_test(messages_travel_over_hops),
		cmocka_unit_test(every_message_has_a_sender),
		cmocka_unit_test(the_road_of_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
