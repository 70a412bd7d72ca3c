#include "deliverer/retry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static struct retry_schedule
schedule(const char *text)
{
	struct retry_schedule s;

	assert_int_equal(retry_parse(slice_text(text), &s), 0);
	return s;
}

static void
test_parse(void **state)
{
	static const char *const bad[] = { "", ",", "3m,", ",3m", "3", "3m,,4m",
		"3m, 4m", "3m;4m", "-3m", "m", "3m,5x" };
	struct retry_schedule s = schedule("250ms,3m,5h,1d");

	(void)state;
	assert_int_equal(s.count, 4);
	assert_int_equal(s.gaps_ms[0], 250);
	assert_int_equal(s.gaps_ms[1], 3 * MINUTE);
	assert_int_equal(s.gaps_ms[2], 5 * HOUR);
	assert_int_equal(s.gaps_ms[3], DAY);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(retry_parse(slice_text(bad[i]), &s), -EINVAL);
	assert_int_equal(s.count, 4);
}

static void
test_parse_too_many(void **state)
{
	char text[3 * (RETRY_GAPS_MAX + 1)];
	struct retry_schedule s;

	(void)state;
	for (unsigned i = 0; i <= RETRY_GAPS_MAX; i++) {
		text[3 * i] = '1';
		text[3 * i + 1] = 's';
		text[3 * i + 2] = ',';
	}
	assert_int_equal(retry_parse((struct slice){ (const uint8_t *)text,
					 3 * RETRY_GAPS_MAX - 1 },
			     &s),
	    0);
	assert_int_equal(s.count, RETRY_GAPS_MAX);
	assert_int_equal(retry_parse((struct slice){ (const uint8_t *)text,
					 3 * (RETRY_GAPS_MAX + 1) - 1 },
			     &s),
	    -EINVAL);
}

static const struct {
	const char *schedule;
	struct retry_case c;
	bool again;
	uint64_t delay_ms;
} table[] = {
	/* each attempt has its gap, then it is over */
	{ "3m,5m", { .cycle_attempt = 1, .max_age_ms = DAY }, true,
	    3 * MINUTE },
	{ "3m,5m", { .cycle_attempt = 2, .max_age_ms = DAY }, true,
	    5 * MINUTE },
	{ "3m,5m", { .cycle_attempt = 3, .max_age_ms = DAY }, false, 0 },
	{ "3m,5m", { .cycle_attempt = UINT32_MAX, .max_age_ms = DAY }, false,
	    0 },
	{ "3m,5m", { .cycle_attempt = 0, .max_age_ms = DAY }, false, 0 },
	/* the age ends it too, exactly at its bound */
	{ "3m",
	    { .cycle_attempt = 1,
		.age_ms = DAY - 3 * MINUTE,
		.max_age_ms = DAY },
	    true, 3 * MINUTE },
	{ "3m",
	    { .cycle_attempt = 1,
		.age_ms = DAY - 3 * MINUTE + 1,
		.max_age_ms = DAY },
	    false, 0 },
	{ "3m", { .cycle_attempt = 1, .age_ms = UINT64_MAX, .max_age_ms = DAY },
	    false, 0 },
	/* of the default schedule eight gaps fit into a day, the ninth not */
	{ "3m,5m,10m,30m,1h,2h,4h,8h,12h",
	    { .cycle_attempt = 8,
		.age_ms = 7 * HOUR + 48 * MINUTE,
		.max_age_ms = DAY },
	    true, 8 * HOUR },
	{ "3m,5m,10m,30m,1h,2h,4h,8h,12h",
	    { .cycle_attempt = 9,
		.age_ms = 15 * HOUR + 48 * MINUTE,
		.max_age_ms = DAY },
	    false, 0 },
	/* Retry-After: never below the gap */
	{ "3m",
	    { .cycle_attempt = 1, .max_age_ms = DAY, .retry_after_ms = 1000 },
	    true, 3 * MINUTE },
	{ "3m",
	    { .cycle_attempt = 1,
		.max_age_ms = DAY,
		.retry_after_ms = 20 * MINUTE },
	    true, 20 * MINUTE },
	/* never above an hour, or twice the gap when that is more */
	{ "3m",
	    { .cycle_attempt = 1,
		.max_age_ms = DAY,
		.retry_after_ms = UINT64_MAX },
	    true, HOUR },
	{ "2h",
	    { .cycle_attempt = 1,
		.max_age_ms = DAY,
		.retry_after_ms = 9 * HOUR },
	    true, 4 * HOUR },
	{ "30m",
	    { .cycle_attempt = 1,
		.max_age_ms = DAY,
		.retry_after_ms = 9 * HOUR },
	    true, HOUR },
	/* never beyond the life, and not a reason to end it */
	{ "3m",
	    { .cycle_attempt = 1,
		.age_ms = DAY - 10 * MINUTE,
		.max_age_ms = DAY,
		.retry_after_ms = 20 * MINUTE },
	    true, 10 * MINUTE },
	/* after the last attempt it changes nothing */
	{ "3m",
	    { .cycle_attempt = 2,
		.max_age_ms = DAY,
		.retry_after_ms = 20 * MINUTE },
	    false, 0 },
};

static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct retry_schedule s = schedule(table[i].schedule);
		uint64_t delay = 0;

		if (retry_next(&s, &table[i].c, &delay) != table[i].again ||
		    delay != table[i].delay_ms)
			fail_msg("row %zu: delay %lu", i, (unsigned long)delay);
	}
}

static void
test_jitter(void **state)
{
	struct retry_schedule s = schedule("100s");
	uint64_t low = UINT64_MAX, high = 0, sum = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		struct retry_case c = { .cycle_attempt = 1,
			.max_age_ms = DAY,
			.seed = seed,
			.jitter_percent = 10 };
		uint64_t delay = 0, same = 0;

		assert_true(retry_next(&s, &c, &delay));
		assert_true(retry_next(&s, &c, &same));
		assert_int_equal(delay, same);
		low = delay < low ? delay : low;
		high = delay > high ? delay : high;
		sum += delay;
	}
	assert_in_range(low, 90000, 90500);
	assert_in_range(high, 109500, 110000);
	assert_in_range(sum / 1000, 99000, 101000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_too_many),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_jitter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
