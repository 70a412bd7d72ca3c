#include "logger/log_states.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct log_states states, again;
static uint32_t given[LOG_STATES_MAX];

/* What is kept of `given` says of each delivery what it says itself. */
static void
assert_kept(uint32_t count, const struct log_state_filter *f)
{
	struct ordinals set;
	struct buf kept;

	buf_init(&kept, 65536);
	assert_int_equal(log_states_encode(&states, &kept), 0);
	assert_int_equal(log_states_decode(buf_slice(&kept), &again), 0);
	assert_int_equal(again.count, count);
	ordinals_clear(&set);
	assert_int_equal(log_states_match(buf_slice(&kept), f, 100, &set), 0);
	for (uint32_t i = 0; i < count; i++) {
		bool found = ordinals_next(&set, 100 + i, 101 + i) == 100 + i;

		assert_int_equal(again.kinds[again.codes[i]], given[i]);
		assert_int_equal(found, log_state_matches(f, given[i]));
	}
	assert_int_equal(
	    ordinals_next(&set, 100 + count, ORDINALS_MAX), ORDINALS_MAX);
	buf_done(&kept);
}

static struct log_state_filter
by_status(uint32_t status)
{
	struct log_state_filter f = { .by_status = true };

	f.statuses[status / 64] |= UINT64_C(1) << status % 64;
	return f;
}

static void
test_keeps(void **state)
{
	const struct log_state_filter failed = by_status(500);
	const struct log_state_filter good = { .by_success = true,
		.success = true };
	const struct log_state_filter third = { .attempts = 3 };

	(void)state;
	for (uint32_t i = 0; i < LOG_STATES_MAX; i++)
		given[i] = i % 7 ? log_state(true, 200, 1)
				 : log_state(false, 500 + i % 3, 1 + i % 4);
	log_states_fill(&states, given, LOG_STATES_MAX);
	assert_kept(LOG_STATES_MAX, &failed);
	assert_kept(LOG_STATES_MAX, &good);
	assert_kept(LOG_STATES_MAX, &third);
	log_states_fill(&states, given, 1);
	assert_kept(1, &failed);
	log_states_fill(&states, given, 0);
	assert_kept(0, &failed);
}

static void
test_changes(void **state)
{
	const struct log_state_filter f = by_status(200);

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		given[i] = LOG_STATE_PENDING;
	log_states_fill(&states, given, 1000);
	assert_kept(1000, &f);
	/* Each in turn through many kinds: those left behind do not stay. */
	for (uint32_t n = 0; n < 600; n++) {
		given[n] = log_state(n % 2, 200 + n % 5, n);
		log_states_set(&states, n, given[n]);
		if (n < 200)
			continue;
		given[n - 200] = log_state(true, 200, 1);
		log_states_set(&states, n - 200, given[n - 200]);
		assert_kept(1000, &f);
		states = again; /* as it is read back */
	}
}

/* More kinds than can be kept: those match everything. */
static void
test_too_many(void **state)
{
	const struct log_state_filter f = by_status(404);
	struct ordinals set;
	struct buf kept;

	(void)state;
	for (uint32_t i = 0; i < 400; i++)
		given[i] = log_state(false, i, 1);
	log_states_fill(&states, given, 400);
	buf_init(&kept, 65536);
	assert_int_equal(log_states_encode(&states, &kept), 0);
	ordinals_clear(&set);
	assert_int_equal(log_states_match(buf_slice(&kept), &f, 0, &set), 0);
	assert_int_equal(ordinals_next(&set, 0, 400), 255);
	assert_int_equal(ordinals_next(&set, 399, 400), 399);
	buf_done(&kept);
}

static void
test_beyond(void **state)
{
	const struct log_state_filter f = by_status(200);
	const struct log_state_filter many = { .attempts = 2000000 };

	(void)state;
	/* What does not fit is not known, and may be anything. */
	assert_true(log_state_matches(&f, log_state(true, 5000, 1)));
	assert_true(log_state_matches(&many, log_state(true, 200, 3000000)));
	assert_false(log_state_matches(&many, log_state(true, 200, 1)));
	assert_true(log_state_matches(&f, LOG_STATE_OTHER));
}

static void
test_hostile(void **state)
{
	const struct log_state_filter f = by_status(200);
	struct ordinals set;
	uint8_t bytes[64];
	uint32_t n = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t len = round % sizeof(bytes);
		int r;

		for (size_t i = 0; i < len; i++) {
			n = n * 1664525 + 1013904223;
			bytes[i] = (uint8_t)(n >> (round % 2 ? 24 : 30));
		}
		ordinals_clear(&set);
		r = log_states_decode((struct slice){ bytes, len }, &again);
		assert_true(r == 0 || r == -EBADMSG);
		assert_int_equal(log_states_match((struct slice){ bytes, len },
				     &f, 57344, &set),
		    r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_beyond),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
