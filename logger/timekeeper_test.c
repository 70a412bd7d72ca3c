#include "logger/timekeeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The wall clock jumps an hour; ours follows by a few ms a second. */
static void
test_slew(void **state)
{
	const uint64_t wall = UINT64_C(1800000000000), mono = 5000;
	const uint64_t hour = 3600000;
	struct timekeeper t;

	(void)state;
	timekeeper_init(&t, wall, mono);
	assert_int_equal(timekeeper_at(&t, mono + 10), wall + 10);
	timekeeper_slew(&t, wall + 1000 + hour, mono + 1000);
	assert_int_equal(
	    timekeeper_at(&t, mono + 1000), wall + 1000 + TIMEKEEPER_SLEW_MS);
	timekeeper_slew(&t, wall + 2000 - hour, mono + 2000);
	timekeeper_slew(&t, wall + 3000 - hour, mono + 3000);
	assert_int_equal(
	    timekeeper_at(&t, mono + 3000), wall + 3000 - TIMEKEEPER_SLEW_MS);
	timekeeper_slew(&t, wall + 4000 - 2, mono + 4000);
	assert_int_equal(timekeeper_at(&t, mono + 4000), wall + 4000 - 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_slew) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
