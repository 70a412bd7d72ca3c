#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/rate.h"

static struct rate rate;

static unsigned
take_all(uint32_t key, uint64_t per_second, uint64_t now_ms)
{
	unsigned n = 0;

	while (n < 1000 && rate_take(&rate, key, per_second, now_ms))
		n++;
	return n;
}

static void
test_a_second_s_worth(void **state)
{
	(void)state;
	rate_init(&rate);
	assert_int_equal(take_all(7, 5, 10000), 5);
	assert_int_equal(take_all(7, 5, 10199), 0);
	assert_int_equal(take_all(7, 5, 10200), 1);
	assert_int_equal(take_all(7, 5, 10600), 2);
	assert_int_equal(take_all(7, 5, 99999), 5);
	/* The clock never runs back, but if it did nothing would be given. */
	assert_int_equal(take_all(7, 5, 5), 0);
}

static void
test_none(void **state)
{
	(void)state;
	rate_init(&rate);
	assert_int_equal(take_all(7, 0, 1), 1000);
}

static void
test_keys_are_apart(void **state)
{
	(void)state;
	rate_init(&rate);
	assert_int_equal(take_all(1, 3, 1), 3);
	assert_int_equal(take_all(2, 4, 1), 4);
	assert_int_equal(take_all(1, 3, 1), 0);
	/* Of the same place: pushed out, and full when it comes back. */
	assert_int_equal(take_all(1 + RATE_PLACES, 2, 1), 2);
	assert_int_equal(take_all(1, 3, 1), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_second_s_worth),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_keys_are_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
