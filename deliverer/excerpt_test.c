#include "deliverer/excerpt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BAD "\xef\xbf\xbd"

static void
check(const char *in, size_t len, const char *want)
{
	struct excerpt e;
	struct buf out;

	excerpt_init(&e);
	buf_init(&out, 1 << 20);
	assert_true(
	    excerpt_add(&e, 500, (struct slice){ (const uint8_t *)in, len }));
	assert_int_equal(excerpt_text(&e, &out), 0);
	assert_int_equal(out.len, strlen(want));
	assert_memory_equal(
	    out.data == NULL ? (const void *)"" : out.data, want, out.len);
	buf_done(&out);
	excerpt_done(&e);
}

static void
test_utf8(void **state)
{
	static const struct {
		const char *in, *want;
	} table[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		    "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xff", BAD },
		{ "a\x80z", "a" BAD "z" },
		{ "\xc3", BAD },		 /* cut */
		{ "\xe2\x82", BAD BAD },	 /* cut */
		{ "\xc0\xaf", BAD BAD },	 /* overlong */
		{ "\xe0\x80\xaf", BAD BAD BAD }, /* overlong */
		{ "\xed\xa0\x80", BAD BAD BAD }, /* surrogate */
		{ "\xf4\x90\x80\x80", BAD BAD BAD BAD },
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
		{ "\xc3(", BAD "(" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		check(table[i].in, strlen(table[i].in), table[i].want);
}

static void
add_many(unsigned status, uint8_t byte, size_t want_text)
{
	struct excerpt e;
	struct buf out;
	uint8_t block[1000];
	size_t added = 0;

	memset(block, byte, sizeof(block));
	excerpt_init(&e);
	buf_init(&out, 1 << 20);
	while (
	    excerpt_add(&e, status, (struct slice){ block, sizeof(block) })) {
		added += sizeof(block);
		assert_true(added <= EXCERPT_READ_MAX);
	}
	assert_int_equal(excerpt_text(&e, &out), 0);
	assert_int_equal(out.len, want_text);
	buf_done(&out);
	excerpt_done(&e);
}

static void
test_caps(void **state)
{
	(void)state;
	add_many(200, 'x', LIMIT_EXCERPT_OK_BYTES);
	add_many(299, 'x', LIMIT_EXCERPT_OK_BYTES);
	add_many(500, 'x', LIMIT_EXCERPT_BYTES);
	add_many(302, 'x', LIMIT_EXCERPT_BYTES);
	/* replaced bytes grow to three each, and stay below the cap */
	add_many(500, 0xff, LIMIT_EXCERPT_BYTES / 3 * 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
