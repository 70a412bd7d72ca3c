#include "logger/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_size(void **state)
{
	struct window w;

	(void)state;
	window_init(&w);
	assert_int_equal(window_room(&w, 0), WINDOW_FIRST);
	assert_int_equal(window_room(&w, WINDOW_FIRST), 0);
	assert_int_equal(window_room(&w, WINDOW_FIRST + 5), 0);
	window_success(&w, 10, 0);
	assert_int_equal(window_room(&w, 0), WINDOW_FIRST + 1);
	for (int i = 0; i < 2 * WINDOW_MAX; i++)
		window_success(&w, 10, 0);
	assert_int_equal(window_room(&w, 0), WINDOW_MAX);
	window_failure(&w);
	assert_int_equal(window_room(&w, 0), WINDOW_MAX / 2);
}

/* As long as it only makes them wait, but never to less than is carried. */
static void
test_waiting(void **state)
{
	struct window w;

	(void)state;
	window_init(&w);
	window_success(&w, 10, WINDOW_WAITED_MS + 1);
	assert_int_equal(window_room(&w, 0), WINDOW_FIRST + 1);
	for (int i = 0; i < 2 * WINDOW_MAX; i++)
		window_success(&w, 10, WINDOW_WAITED_MS);
	assert_int_equal(window_room(&w, 0), WINDOW_MAX);
	window_success(&w, 10, WINDOW_WAITED_MS + 1);
	assert_int_equal(window_room(&w, 0), WINDOW_MAX - 1);
	for (int i = 0; i < 2 * WINDOW_MAX; i++)
		window_success(&w, 10, 1000);
	assert_int_equal(window_room(&w, 0), WINDOW_BUSY);
}

static void
test_breaker(void **state)
{
	struct window w;

	(void)state;
	window_init(&w);
	for (int i = 1; i < WINDOW_BREAKER_FAILURES; i++)
		window_failure(&w);
	assert_false(window_open(&w));
	assert_int_equal(window_room(&w, 0), WINDOW_MIN);
	window_failure(&w);
	assert_true(window_open(&w));
	assert_int_equal(window_room(&w, 0), 1);
	assert_int_equal(window_room(&w, 1), 0);
	window_success(&w, 10, 0);
	assert_false(window_open(&w));
	assert_int_equal(window_room(&w, 0), WINDOW_MIN + 1);
}

static void
test_trouble(void **state)
{
	struct window w;

	(void)state;
	window_init(&w);
	assert_false(w.troubled);
	window_failure(&w);
	assert_true(w.troubled);
	window_success(&w, 10, 0);
	assert_false(w.troubled);
	window_success(&w, WINDOW_SLOW_MS + 1, 0);
	assert_true(w.troubled);
}

/* 10 a second: a second's worth at once, then one each 100 ms. */
static void
test_rate(void **state)
{
	const uint64_t now = 1000000;
	struct window w;

	(void)state;
	window_init(&w);
	assert_int_equal(window_rate_room(&w, 0, now), UINT32_MAX);
	assert_int_equal(window_rate_room(&w, 10, now), 10);
	window_rate_spend(&w, 10, now, 10);
	assert_int_equal(window_rate_room(&w, 10, now), 0);
	assert_int_equal(window_rate_next(&w, 10, now), now + 100);
	assert_int_equal(window_rate_room(&w, 10, now + 100), 1);
	assert_int_equal(window_rate_room(&w, 10, now + 99999), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_breaker),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
