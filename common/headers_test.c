#include "common/headers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
test_names(void **state)
{
	static const char *const free_names[] = { "x-api-key", "Authorization",
		"cookie", "accept", "hosting", "te-st", "x_y.z~!#$%&'*+^`|",
		"webhook", "x-apideckish" };
	static const char *const owned[] = { "Host", "hOsT", "content-length",
		"Content-Type", "content-encoding", "transfer-encoding",
		"connection", "TE", "trailer", "upgrade", "expect",
		"keep-alive", "http2-settings", "proxy-authorization",
		"user-agent", "accept-encoding", "webhook-id",
		"Webhook-Signature", "webhook-anything", "x-apideck-signature",
		"X-Apideck-Anything" };
	static const char *const no_tokens[] = { "", "a b", "a:", ":path",
		"a\r", "a\nb", "a\t", "(a)", "a/b", "\"a\"", "caf\xc3\xa9",
		"a\x7f" };
	char long_name[HEADERS_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(free_names) / sizeof(*free_names); i++)
		assert_true(headers_may_set(slice_text(free_names[i])));
	for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++)
		assert_false(headers_may_set(slice_text(owned[i])));
	for (size_t i = 0; i < sizeof(no_tokens) / sizeof(*no_tokens); i++)
		assert_false(headers_may_set(slice_text(no_tokens[i])));
	assert_false(
	    headers_may_set((struct slice){ (const uint8_t *)"a\0b", 3 }));
	memset(long_name, 'a', sizeof(long_name));
	long_name[HEADERS_NAME_MAX + 1] = '\0';
	assert_false(headers_may_set(slice_text(long_name)));
	assert_true(headers_may_set(slice_text(long_name + 1)));
}

static void
test_values(void **state)
{
	static const char *const right[] = { "a", "Bearer a b", "!~", "a  b" };
	static const char *const wrong[] = { "", " ", " a", "a ", "a\r\nb: c",
		"a\n", "a\rb", "a\tb", "a\x7f", "caf\xc3\xa9", "\x01" };

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++)
		assert_true(headers_is_value(slice_text(right[i])));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(headers_is_value(slice_text(wrong[i])));
	assert_false(
	    headers_is_value((struct slice){ (const uint8_t *)"a\0b", 3 }));
}

static void
test_block(void **state)
{
	struct slice block, name, value;
	struct buf buf;

	(void)state;
	buf_init(&buf, 24);
	assert_int_equal(
	    headers_add(&buf, slice_text("X-One"), slice_text("Ab: c")), 0);
	assert_int_equal(
	    headers_add(&buf, slice_text("two"), slice_text("2")), 0);
	/* What does not fit leaves nothing behind. */
	assert_int_equal(
	    headers_add(&buf, slice_text("x"), slice_text("2")), -ENOBUFS);
	block = buf_slice(&buf);
	assert_true(slice_same(block,
	    (struct slice){ (const uint8_t *)"x-one: Ab: c\0two: 2", 20 }));
	assert_true(headers_are_right(block));
	assert_true(headers_next(&block, &name, &value));
	assert_true(slice_is(name, "x-one"));
	assert_true(slice_is(value, "Ab: c"));
	assert_true(headers_next(&block, &name, &value));
	assert_true(slice_is(name, "two"));
	assert_true(slice_is(value, "2"));
	assert_false(headers_next(&block, &name, &value));
	buf_done(&buf);
}

static void
test_wrong_blocks(void **state)
{
	static const struct slice wrong[] = {
		{ (const uint8_t *)"a: b", 4 },		   /* no NUL */
		{ (const uint8_t *)"a: b\0c", 6 },	   /* nor here */
		{ (const uint8_t *)"a: b\0\0", 6 },	   /* no colon */
		{ (const uint8_t *)"a:b\0", 4 },	   /* no blank */
		{ (const uint8_t *)"a:\0", 3 },		   /* likewise */
		{ (const uint8_t *)"a: \0", 4 },	   /* no value */
		{ (const uint8_t *)": b\0", 4 },	   /* no name */
		{ (const uint8_t *)"host: b\0", 8 },	   /* not to be set */
		{ (const uint8_t *)"a: b\r\nc: d\0", 11 }, /* two in one */
	};
	struct buf buf;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(headers_are_right(wrong[i]));
	assert_true(headers_are_right((struct slice){ NULL, 0 }));
	buf_init(&buf, HEADERS_BYTES);
	for (unsigned i = 0; i < HEADERS_MAX; i++)
		assert_int_equal(
		    headers_add(&buf, slice_text("a"), slice_text("b")), 0);
	assert_true(headers_are_right(buf_slice(&buf)));
	assert_int_equal(
	    headers_add(&buf, slice_text("a"), slice_text("b")), 0);
	assert_false(headers_are_right(buf_slice(&buf)));
	buf_done(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_block),
		cmocka_unit_test(test_wrong_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
