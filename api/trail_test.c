#include "api/trail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

static struct slice
cursor_of(const uint32_t *n)
{
	return (struct slice){ (const uint8_t *)n, sizeof(*n) };
}

static void
test_forth_and_back(void **state)
{
	uint32_t pages = TRAIL_MAX + 4;
	struct slice here, trail, before;
	struct buf at, next;

	(void)state;
	buf_init(&at, 4096);
	buf_init(&next, 4096);
	assert_int_equal(trail_here(buf_slice(&at), &here), 0);
	assert_null(here.data);
	assert_false(trail_previous(buf_slice(&at), &before));
	for (uint32_t n = 1; n <= pages; n++) {
		buf_clear(&next);
		assert_int_equal(
		    trail_next(buf_slice(&at), cursor_of(&n), &next), 0);
		buf_clear(&at);
		assert_int_equal(buf_add(&at, next.data, next.len), 0);
		assert_int_equal(trail_here(buf_slice(&at), &here), 0);
		assert_true(slice_same(here, cursor_of(&n)));
		assert_true(at.len <= 1 + TRAIL_MAX * (2 + sizeof(n)));
	}
	/* Back as far as it was kept. */
	trail = buf_slice(&at);
	for (uint32_t n = pages - 1; n > pages - TRAIL_MAX; n--) {
		assert_true(trail_previous(trail, &before));
		assert_int_equal(trail_here(before, &here), 0);
		assert_true(slice_same(here, cursor_of(&n)));
		trail = before;
	}
	assert_false(trail_previous(trail, &before));
	buf_done(&at);
	buf_done(&next);
}

static void
test_back_to_the_beginning(void **state)
{
	struct slice before, here;
	struct buf one, two;
	uint32_t n = 7;

	(void)state;
	buf_init(&one, 256);
	buf_init(&two, 256);
	assert_int_equal(
	    trail_next((struct slice){ NULL, 0 }, cursor_of(&n), &one), 0);
	assert_int_equal(trail_next(buf_slice(&one), cursor_of(&n), &two), 0);
	assert_true(trail_previous(buf_slice(&two), &before));
	assert_true(slice_same(before, buf_slice(&one)));
	assert_true(trail_previous(before, &before));
	assert_int_equal(before.len, 0);
	assert_int_equal(
	    trail_here(
		(struct slice){ (const uint8_t *)"\x01\x09x\x09", 4 }, &here),
	    -EBADMSG);
	assert_int_equal(
	    trail_here((struct slice){ (const uint8_t *)"\x01", 1 }, &here),
	    -EBADMSG);
	buf_done(&one);
	buf_done(&two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forth_and_back),
		cmocka_unit_test(test_back_to_the_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
