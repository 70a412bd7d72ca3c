#include "logger/postings.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
add(struct buf *block, uint64_t key, const struct log_check *check,
    uint16_t ordinal)
{
	const struct postings_entry e = { key, check, &ordinal, 1 };

	assert_int_equal(postings_add(block, &e), 0);
}

/* The ordinal that is found, or ORDINALS_MAX. */
static uint32_t
find(const struct buf *block, uint64_t key, const struct log_check *check)
{
	struct ordinals set;

	ordinals_clear(&set);
	assert_int_equal(postings_find(buf_slice(block), key, check, &set), 0);
	return ordinals_next(&set, 0, ORDINALS_MAX);
}

static void
test_finds(void **state)
{
	struct buf block;

	(void)state;
	buf_init(&block, POSTINGS_BLOCK_MAX);
	assert_int_equal(find(&block, 1, NULL), ORDINALS_MAX);
	for (uint16_t i = 1; i < 200; i++)
		add(&block, i * UINT64_C(1000), NULL, i);
	for (uint32_t i = 1; i < 200; i++) {
		assert_int_equal(find(&block, i * UINT64_C(1000), NULL), i);
		assert_int_equal(
		    find(&block, i * UINT64_C(1000) + 1, NULL), ORDINALS_MAX);
	}
	buf_done(&block);
}

/* Whoever takes rows away must mean that very value. */
static void
test_checks(void **state)
{
	const struct log_check crm = log_check(1, slice_text("crm"));
	const struct log_check other = log_check(2, slice_text("crm"));
	char text[100] = { 0 };
	struct log_check none;
	struct buf block;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	none = log_check(1, slice_text(text)); /* too long for one */
	assert_int_equal(none.len, 0);
	buf_init(&block, POSTINGS_BLOCK_MAX);
	add(&block, 5, &crm, 50);
	add(&block, 6, &none, 60);
	add(&block, 7, NULL, 70);
	assert_int_equal(find(&block, 5, &crm), 50);
	assert_int_equal(find(&block, 5, NULL), 50);
	assert_int_equal(find(&block, 5, &other), ORDINALS_MAX);
	assert_int_equal(find(&block, 6, &none), ORDINALS_MAX);
	assert_int_equal(find(&block, 6, NULL), 60);
	assert_int_equal(find(&block, 7, &crm), ORDINALS_MAX);
	buf_done(&block);
}

/* Cut anywhere: an answer, and no byte read behind the end. */
static void
test_broken(void **state)
{
	const struct log_check crm = log_check(1, slice_text("crm"));
	struct buf block;

	(void)state;
	buf_init(&block, POSTINGS_BLOCK_MAX);
	add(&block, 5, &crm, 50);
	add(&block, 6, NULL, 60000);
	for (size_t len = 0; len < block.len; len++) {
		struct buf part;
		struct ordinals set;
		int r;

		buf_init(&part, POSTINGS_BLOCK_MAX);
		assert_int_equal(buf_add(&part, block.data, len), 0);
		ordinals_clear(&set);
		r = postings_find(buf_slice(&part), 6, NULL, &set);
		assert_true(r == 0 || r == -EBADMSG);
		assert_int_equal(
		    ordinals_next(&set, 0, ORDINALS_MAX), ORDINALS_MAX);
		buf_done(&part);
	}
	buf_done(&block);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
