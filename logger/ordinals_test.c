#include "logger/ordinals.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 88172645463325252u;

static uint32_t
any(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % below;
}

/* One of `of` is in, in runs of up to `run`: the list, and the same as bits. */
static uint32_t
make(uint32_t of, uint32_t run, uint16_t *list, struct ordinals *ret_bits)
{
	uint32_t count = 0;

	ordinals_clear(ret_bits);
	for (uint32_t i = any(of); i < ORDINALS_MAX; i += 1 + any(2 * of))
		for (uint32_t n = 1 + any(run); n > 0 && i < ORDINALS_MAX;
		    n--, i++) {
			list[count++] = (uint16_t)i;
			ordinals_add(ret_bits, i, i + 1);
		}
	return count;
}

static void
test_keeps(void **state)
{
	static const uint32_t of[] = { 1, 2, 3, 10, 100, 5000, 60000 };
	static uint16_t list[ORDINALS_MAX];
	struct ordinals want, got;
	struct buf kept;

	(void)state;
	buf_init(&kept, 2 * sizeof(want));
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
		for (uint32_t run = 1; run < 5000; run *= 8) {
			uint32_t count = make(of[i], run, list, &want);

			buf_clear(&kept);
			assert_int_equal(
			    ordinals_encode(list, count, &kept), 0);
			assert_true(kept.len <= sizeof(want) + 1);
			ordinals_clear(&got);
			assert_int_equal(
			    ordinals_decode(buf_slice(&kept), &got), 0);
			assert_memory_equal(&got, &want, sizeof(got));
		}
	buf_done(&kept);
}

static void
test_all_is_short(void **state)
{
	static uint16_t list[ORDINALS_MAX];
	struct ordinals got;
	struct buf kept;

	(void)state;
	for (uint32_t i = 0; i < ORDINALS_MAX; i++)
		list[i] = (uint16_t)i;
	buf_init(&kept, 64);
	assert_int_equal(ordinals_encode(list, ORDINALS_MAX, &kept), 0);
	assert_true(kept.len < 8);
	ordinals_clear(&got);
	assert_int_equal(ordinals_decode(buf_slice(&kept), &got), 0);
	assert_int_equal(ordinals_next(&got, 65535, ORDINALS_MAX), 65535);
	ordinals_cut(&got, 0, ORDINALS_MAX);
	assert_true(ordinals_empty(&got));
	buf_done(&kept);
}

/* Whatever stands there: an answer, and nothing written beyond the set. */
static void
test_hostile(void **state)
{
	uint8_t bytes[40];
	struct ordinals set;

	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		size_t len = any(sizeof(bytes));
		int r;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)any(n % 2 ? 256 : 4);
		ordinals_clear(&set);
		r = ordinals_decode((struct slice){ bytes, len }, &set);
		assert_true(r == 0 || r == -EBADMSG);
	}
}

static void
test_algebra(void **state)
{
	struct ordinals a, b;

	(void)state;
	ordinals_clear(&a);
	ordinals_clear(&b);
	ordinals_add(&a, 10, 1000);
	ordinals_add(&b, 64, 128);
	ordinals_and_not(&a, &b);
	assert_int_equal(ordinals_next(&a, 0, ORDINALS_MAX), 10);
	assert_int_equal(ordinals_next(&a, 64, ORDINALS_MAX), 128);
	assert_int_equal(ordinals_next(&a, 64, 100), 100);
	assert_int_equal(ordinals_next(&a, 1000, ORDINALS_MAX), ORDINALS_MAX);
	ordinals_and(&a, &b);
	assert_true(ordinals_empty(&a));
	ordinals_add(&a, 5, 5);
	assert_true(ordinals_empty(&a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps),
		cmocka_unit_test(test_all_is_short),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_algebra),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
