#include "deliverer/attempt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"

#define HOUR_MS UINT64_C(3600000)

static const struct attempt_policy policy = {
	.schedule = { .gaps_ms = { HOUR_MS, 2 * HOUR_MS }, .count = 2 },
	.jitter_percent = 10,
	.max_age_ms = 24 * HOUR_MS,
};

static struct lease
failed(struct id id, uint32_t cycle_attempt)
{
	struct lease l = { .cycle_attempt = cycle_attempt };

	l.transfer.id = id;
	l.transfer.verdict = MSG_VERDICT_RETRY;
	l.received_ms = clock_mono_ms();
	return l;
}

/* Ids of one ingest differ in time and counter alone. */
static void
test_each_delivery_has_its_own_jitter(void **state)
{
	struct id_maker maker;
	uint64_t due[100], low = UINT64_MAX, high = 0;
	unsigned same = 0;

	(void)state;
	id_maker_init(&maker);
	for (unsigned i = 0; i < 100; i++) {
		struct lease l = failed(id_delivery(id_make(&maker), 7), 1);

		attempt_decide(&policy, &l);
		assert_int_equal(l.verdict, MSG_VERDICT_RETRY);
		due[i] = l.due_ms - clock_mono_ms();
		low = due[i] < low ? due[i] : low;
		high = due[i] > high ? due[i] : high;
		for (unsigned j = 0; j < i; j++)
			same += due[j] == due[i];
	}
	assert_true(same < 10);
	assert_true(high - low > HOUR_MS / 10);
}

static void
test_verdicts(void **state)
{
	struct id id = { { 1 } };
	struct lease l = failed(id, 1);

	(void)state;
	l.transfer.verdict = MSG_VERDICT_DELIVERED;
	attempt_decide(&policy, &l);
	assert_int_equal(l.verdict, MSG_VERDICT_DELIVERED);
	assert_int_equal(l.due_ms, 0);
	l.transfer.verdict = MSG_VERDICT_DISABLE;
	attempt_decide(&policy, &l);
	assert_int_equal(l.verdict, MSG_VERDICT_DISABLE);
	l.flags = MSG_FLAG_ONCE;
	attempt_decide(&policy, &l);
	assert_int_equal(l.verdict, MSG_VERDICT_GIVE_UP);
	l = failed(id, 3);
	attempt_decide(&policy, &l);
	assert_int_equal(l.verdict, MSG_VERDICT_GIVE_UP);
	assert_int_equal(l.due_ms, 0);
	/* the age is that of now, not of when it came */
	l = failed(id, 1);
	l.age_ms = 22 * HOUR_MS;
	l.received_ms -= 2 * HOUR_MS;
	attempt_decide(&policy, &l);
	assert_int_equal(l.verdict, MSG_VERDICT_GIVE_UP);
}

static void
test_own_schedule(void **state)
{
	struct lease l = failed((struct id){ { 1 } }, 3);

	(void)state;
	l.schedule = slice_text("1s,1s,1s");
	attempt_decide(&policy, &l);
	assert_int_equal(l.verdict, MSG_VERDICT_RETRY);
	assert_in_range(l.due_ms - clock_mono_ms(), 800, 1100);
	l.schedule = slice_text("nonsense");
	attempt_decide(&policy, &l);
	assert_int_equal(l.verdict, MSG_VERDICT_GIVE_UP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_delivery_has_its_own_jitter),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_own_schedule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
