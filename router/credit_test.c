#include "router/credit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/link.h"

static void
test_what_must_hold(void **state)
{
	struct credit c = { .sources = 1, .loggers = 1, .outlet = true };

	(void)state;
	assert_int_equal(credit_bytes(&c), 0);
	c.whole = true;
	assert_int_equal(credit_bytes(&c), CREDIT_BYTES);
	c.loggers = 0;
	assert_int_equal(credit_bytes(&c), 0);
	c.loggers = 1;
	c.draining = true;
	assert_int_equal(credit_bytes(&c), 0);
}

static void
test_many_sources_share(void **state)
{
	struct credit c = { .loggers = 1, .whole = true, .outlet = true };

	(void)state;
	for (c.sources = 0; c.sources < 300; c.sources++) {
		uint64_t bytes = credit_bytes(&c);

		assert_in_range(bytes, LINK_WINDOW_MIN_BYTES, CREDIT_BYTES);
		assert_true(
		    c.sources > 8 || bytes * c.sources <= CREDIT_TOTAL_BYTES);
	}
}

static void
test_a_lost_outlet_is_missed_first(void **state)
{
	struct credit c = { .sources = 1, .loggers = 1, .whole = true };

	(void)state;
	/* Never had one: no credit to begin with. */
	assert_int_equal(credit_bytes(&c), 0);
	c.outlet = true;
	c.granted_bytes = credit_bytes(&c);
	assert_true(c.granted_bytes > 0);
	c.outlet = false;
	for (unsigned i = 0; i < CREDIT_MISSES; i++) {
		assert_true(credit_bytes(&c) > 0);
		credit_tick(&c);
	}
	assert_int_equal(credit_bytes(&c), 0);
	c.granted_bytes = 0;
	c.outlet = true;
	assert_true(credit_bytes(&c) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_must_hold),
		cmocka_unit_test(test_many_sources_share),
		cmocka_unit_test(test_a_lost_outlet_is_missed_first),
	};

	return cmocka_run_group_tests_name("credit", tests, NULL, NULL);
}
