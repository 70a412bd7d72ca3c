#include "logger/recent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX 640

static void
test_by_deliveries(void **state)
{
	struct recent r;
	uint64_t before = 100;

	(void)state;
	recent_init(&r, MAX, 100);
	assert_int_equal(recent_after(&r), 100);
	for (uint64_t event = 101; event < 5000; event++) {
		uint64_t after;

		recent_add(&r, event, 2);
		after = recent_after(&r);
		assert_true(after >= before);
		assert_true(after < event);
		assert_true((event - after) * 2 <= MAX + MAX / 4);
		before = after;
	}
	assert_true(5000 - before > MAX / 4);
}

static void
test_without_deliveries(void **state)
{
	struct recent r;

	(void)state;
	recent_init(&r, MAX, 0);
	for (uint64_t event = 1; event < 5000; event++)
		recent_add(&r, event, 0);
	assert_true(5000 - recent_after(&r) <= MAX + 1);
	/* Deliveries that join events later make no mark. */
	recent_add(&r, 4999, 10 * MAX);
	assert_true(recent_after(&r) >= 5000 - MAX / 32);
}

static void
test_none(void **state)
{
	struct recent r;

	(void)state;
	recent_init(&r, 0, 7);
	recent_add(&r, 8, 1);
	assert_int_equal(recent_after(&r), 8);
	recent_add(&r, 20, 300);
	assert_int_equal(recent_after(&r), 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_deliveries),
		cmocka_unit_test(test_without_deliveries),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
