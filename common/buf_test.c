#include "common/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
grows_to_its_cap_and_no_further(void **state)
{
	struct buf b;
	uint8_t chunk[100];

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	buf_init(&b, 1000);
	for (int i = 0; i < 10; i++)
		assert_int_equal(buf_add(&b, chunk, sizeof(chunk)), 0);
	assert_int_equal(b.len, 1000);
	assert_true(b.cap <= 1000);
	assert_int_equal(buf_add(&b, chunk, 1), -ENOBUFS);
	assert_int_equal(buf_add_text(&b, "x"), -ENOBUFS);
	assert_int_equal(buf_addf(&b, "%d", 1), -ENOBUFS);
	assert_int_equal(buf_reserve(&b, 1), -ENOBUFS);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOBUFS);
	assert_int_equal(b.len, 1000);
	for (size_t i = 0; i < b.len; i++)
		assert_int_equal(b.data[i], 'x');
	buf_done(&b);
	assert_int_equal(b.max_bytes, 1000);
	assert_null(b.data);
	assert_int_equal(buf_add(&b, chunk, sizeof(chunk)), 0);
	buf_done(&b);
}

/* AddressSanitizer asks this: a huge malloc shall fail as it does elsewhere. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* Doubling must not run over the end of size_t. */
static void
an_unreachable_cap_is_no_trap(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	assert_int_equal(buf_reserve(&b, SIZE_MAX / 2 + 2), -ENOMEM);
	assert_int_equal(buf_add_text(&b, "still well"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOBUFS);
	buf_done(&b);
	buf_init(&b, 0);
	assert_int_equal(buf_add(&b, "", 0), 0);
	assert_int_equal(buf_add(&b, "a", 1), -ENOBUFS);
	buf_done(&b);
}

static void
empty_and_absent_differ(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_null(buf_slice(&b).data);
	assert_int_equal(buf_add_text(&b, ""), 0);
	assert_non_null(buf_slice(&b).data);
	assert_int_equal(buf_slice(&b).len, 0);
	assert_null(slice_text(NULL).data);
	assert_non_null(slice_text("").data);
	buf_done(&b);
}

static void
formats_short_and_long(void **state)
{
	struct buf b;
	char longest[2000];

	(void)state;
	memset(longest, 'y', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	buf_init(&b, 4096);
	assert_int_equal(buf_addf(&b, "%s=%d;", "a", 7), 0);
	assert_true(slice_is(buf_slice(&b), "a=7;"));
	/* around the size of the buffer on the stack */
	for (int len = 510; len <= 514; len++) {
		buf_clear(&b);
		assert_int_equal(buf_addf(&b, "%.*s", len, longest), 0);
		assert_int_equal(b.len, len);
		assert_memory_equal(b.data, longest, (size_t)len);
	}
	buf_clear(&b);
	assert_int_equal(buf_addf(&b, "%s", longest), 0);
	assert_int_equal(b.len, sizeof(longest) - 1);
	buf_done(&b);
}

static void
shifts(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_shift(&b, 0);
	buf_shift(&b, 5);
	assert_int_equal(buf_add_text(&b, "0123456789"), 0);
	buf_shift(&b, 3);
	assert_true(slice_is(buf_slice(&b), "3456789"));
	buf_shift(&b, 0);
	assert_true(slice_is(buf_slice(&b), "3456789"));
	assert_int_equal(buf_add_text(&b, "abc"), 0);
	buf_shift(&b, 9);
	assert_true(slice_is(buf_slice(&b), "c"));
	buf_shift(&b, 100);
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

static void
slices_compare_and_copy(void **state)
{
	struct slice s = slice_text("hello");
	struct slice absent = { NULL, 0 };
	char text[6];
	char *copy;

	(void)state;
	assert_true(slice_is(s, "hello"));
	assert_false(slice_is(s, "hell"));
	assert_false(slice_is(s, "hellO"));
	assert_true(slice_is(absent, ""));
	assert_true(slice_same(absent, absent));
	assert_int_equal(slice_copy(s, text, 5), -ENOBUFS);
	assert_int_equal(slice_copy(s, text, 6), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(slice_copy(s, text, 0), -ENOBUFS);
	assert_int_equal(slice_copy(absent, text, 1), 0);
	assert_string_equal(text, "");
	copy = slice_dup(s);
	assert_string_equal(copy, "hello");
	free(copy);
	copy = slice_dup(absent);
	assert_string_equal(copy, "");
	free(copy);
}

static void
runes_are_utf_8(void **state)
{
	static const struct {
		uint32_t rune;
		const char *text;
	} runes[] = {
		{ 0x01, "\x01" },
		{ 0x7f, "\x7f" },
		{ 0x80, "\xc2\x80" },
		{ 0x7ff, "\xdf\xbf" },
		{ 0x800, "\xe0\xa0\x80" },
		{ 0xfffd, "\xef\xbf\xbd" },
		{ 0xffff, "\xef\xbf\xbf" },
		{ 0x10000, "\xf0\x90\x80\x80" },
		{ 0x1f600, "\xf0\x9f\x98\x80" },
		{ 0x10ffff, "\xf4\x8f\xbf\xbf" },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	for (size_t i = 0; i < sizeof(runes) / sizeof(*runes); i++) {
		buf_clear(&b);
		assert_int_equal(buf_add_rune(&b, runes[i].rune), 0);
		assert_true(slice_is(buf_slice(&b), runes[i].text));
	}
	assert_int_equal(buf_add_rune(&b, 'x'), -ENOBUFS);
	assert_int_equal(b.len, 4);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runes_are_utf_8),
		cmocka_unit_test(grows_to_its_cap_and_no_further),
		cmocka_unit_test(an_unreachable_cap_is_no_trap),
		cmocka_unit_test(empty_and_absent_differ),
		cmocka_unit_test(formats_short_and_long),
		cmocka_unit_test(shifts),
		cmocka_unit_test(slices_compare_and_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
