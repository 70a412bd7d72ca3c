#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/canonical.h"
#include "common/canonical_number.h"
#include "common/json.h"
#include "common/limits.h"

static struct canonical canonical;
static struct json json;
static struct buf out;

static int
setup(void **state)
{
	(void)state;
	canonical_init(&canonical);
	json_init(&json);
	buf_init(&out, 1024 * 1024);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	canonical_done(&canonical);
	json_done(&json);
	buf_done(&out);
	return 0;
}

static void
expect(const char *text, const char *want)
{
	buf_clear(&out);
	assert_int_equal(
	    canonical_document(&canonical, &json, slice_text(text), &out), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal((const char *)out.data, want);
}

static void
refuse(const char *text)
{
	buf_clear(&out);
	assert_int_equal(
	    canonical_document(&canonical, &json, slice_text(text), &out),
	    -EBADMSG);
	assert_int_equal(out.len, 0);
}

static void
test_objects(void **state)
{
	(void)state;
	expect("{}", "{}");
	expect(" { \"b\" : 1 , \"a\" : [ ] } \n", "{\"a\":[],\"b\":1}");
	expect("{\"b\":{\"d\":null,\"c\":true},\"a\":[{\"z\":1,\"y\":false}]}",
	    "{\"a\":[{\"y\":false,\"z\":1}],\"b\":{\"c\":true,\"d\":null}}");
	/* The last of one name stays, however it is spelled. */
	expect("{\"a\":1,\"b\":2,\"\\u0061\":3}", "{\"a\":3,\"b\":2}");
	expect("{\"ab\":1,\"a\":2,\"\":3,\"B\":4}",
	    "{\"\":3,\"B\":4,\"a\":2,\"ab\":1}");
	/* Array indexes first, by number, as JavaScript objects have them. */
	expect("{\"b\":1,\"10\":2,\"9\":3,\"01\":4,\"4294967294\":5,"
	       "\"4294967295\":6,\"\\u0037\":7}",
	    "{\"7\":7,\"9\":3,\"10\":2,\"4294967294\":5,\"01\":4,"
	    "\"4294967295\":6,\"b\":1}");
	/* U+1F600 is D83D DE00: before U+FFEE. */
	expect("{\"\xef\xbf\xae\":1,\"\xf0\x9f\x98\x80\":2,\"\xc3\xa9\":3}",
	    "{\"\xc3\xa9\":3,\"\xf0\x9f\x98\x80\":2,\"\xef\xbf\xae\":1}");
}

static void
test_large_object(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 65536);
	for (int i = 199; i >= 0; i--)
		assert_int_equal(buf_addf(&text, "%s\"k%03d\":%d",
				     i == 199 ? "{" : ",", i, i),
		    0);
	assert_int_equal(buf_add(&text, "}", 2), 0);
	buf_clear(&out);
	assert_int_equal(canonical_document(&canonical, &json,
			     slice_text((const char *)text.data), &out),
	    0);
	assert_memory_equal(out.data, "{\"k000\":0,\"k001\":1,", 19);
	buf_done(&text);
}

static void
test_strings(void **state)
{
	(void)state;
	expect("\"\\u0041\\/\\\"\\\\\\b\\f\\n\\r\\t\\u001F\\u007f\"",
	    "\"A/\\\"\\\\\\b\\f\\n\\r\\t\\u001f\x7f\"");
	expect("\"\\ud83d\\ude00\\u00e9\\u20ac\"",
	    "\"\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac\"");
	expect("\"\\uD83D \\uDE00\\ud83d\"", "\"\\ud83d \\ude00\\ud83d\"");
	expect("\"\\u0000\"", "\"\\u0000\"");
	expect("\"\\u2028\"", "\"\xe2\x80\xa8\"");
	buf_clear(&out);
	assert_int_equal(
	    canonical_string(slice_text("a\"\n\x01\xc3\xa9/"), &out), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal(
	    (const char *)out.data, "\"a\\\"\\n\\u0001\xc3\xa9/\"");
}

static void
test_numbers(void **state)
{
	static const char *const pairs[][2] = {
		{ "0", "0" },
		{ "-0", "0" },
		{ "-0.0e5", "0" },
		{ "1.10", "1.1" },
		{ "1E2", "100" },
		{ "-12.50e+1", "-125" },
		{ "0.000001", "0.000001" },
		{ "1e-7", "1e-7" },
		{ "0.00000012", "1.2e-7" },
		{ "1e20", "100000000000000000000" },
		{ "1e21", "1e+21" },
		{ "1.50e300", "1.5e+300" },
		{ "123456789012345680000", "123456789012345680000" },
		{ "9007199254740992", "9007199254740992" },
		{ "5e-324", "5e-324" },
		{ "0.30000000000000004", "0.30000000000000004" },
		{ "1.7976931348623157E308", "1.7976931348623157e+308" },
		/* These would lose digits. */
		{ "9007199254740993", "9007199254740993" },
		{ "12345678901234567890", "12345678901234567890" },
		{ "0.1000000000000000000001", "0.1000000000000000000001" },
		{ "1e400", "1e400" },
		{ "1E-400", "1E-400" },
		{ "3e-324", "3e-324" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		expect(pairs[i][0], pairs[i][1]);
}

static void
test_refused(void **state)
{
	static const char *const bad[] = { "", " ", "{", "[", "[1,]", "[1 2]",
		"{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "nul", "truex",
		"01", "1.", ".5", "-", "1e", "+1", "NaN", "'a'", "\"a",
		"\"\n\"", "\"\\x\"", "\"\\u12g4\"", "\"\\u12", "\"\\", "1 1",
		"{}]", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
		"\"\xf5\x80\x80\x80\"", "\"\xe2\x82\"", "\xef\xbb\xbf{}",
		"[1]/*x*/" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i]);
}

static void
test_depth(void **state)
{
	char text[2 * LIMIT_JSON_DEPTH + 4];

	(void)state;
	memset(text, '[', LIMIT_JSON_DEPTH);
	memset(text + LIMIT_JSON_DEPTH, ']', LIMIT_JSON_DEPTH);
	text[2 * LIMIT_JSON_DEPTH] = '\0';
	expect(text, text);
	memset(text, '[', LIMIT_JSON_DEPTH + 1);
	assert_int_equal(json_parse(&json, slice_text(text)), -E2BIG);
}

static void
test_truncation_never_passes(void **state)
{
	const char *text = "{\"a\":[1.5e3,\"\\u00e9\xc3\xa9\",{\"b\":null}],"
			   "\"c\":false}";

	(void)state;
	for (size_t len = 0; len < strlen(text); len++) {
		/* A copy of the exact size, for the sanitizer. */
		uint8_t *copy = malloc(len ? len : 1);

		assert_non_null(copy);
		memcpy(copy, text, len);
		assert_int_equal(
		    json_parse(&json, (struct slice){ copy, len }), -EBADMSG);
		free(copy);
	}
	assert_int_equal(json_parse(&json, slice_text(text)), 0);
}

static void
expect_text(const char *pointer, const char *want)
{
	uint32_t node = json_pointer(&json, 0, pointer);

	buf_clear(&out);
	if (want == NULL) {
		assert_int_equal(json_text(&json, node, &out), -EINVAL);
		return;
	}
	assert_int_equal(json_text(&json, node, &out), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal((const char *)out.data, want);
}

static void
test_pointers_and_text(void **state)
{
	(void)state;
	assert_int_equal(
	    json_parse(&json, slice_text("{\"a\":{\"b/c\":[1,\"x\\n\"]},"
					 "\"m~n\":true,\"s\":\"\\ud800z\","
					 "\"a\\u0062\":5,\"z\":\"\\u0000\"}")),
	    0);
	expect_text("/a/b~1c/0", "1");
	expect_text("/a/b~1c/1", "x\n");
	expect_text("/a/b~1c/2", NULL);
	expect_text("/a/b~1c/01", NULL);
	expect_text("/m~0n", "true");
	expect_text("/s", "\xef\xbf\xbdz");
	expect_text("/ab", "5");
	expect_text("/z", NULL);
	expect_text("", NULL);
	expect_text("/nothing/there", NULL);
	assert_int_equal(json_pointer(&json, 0, "a"), JSON_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_objects),
		TEST(test_large_object),
		TEST(test_strings),
		TEST(test_numbers),
		TEST(test_refused),
		TEST(test_depth),
		TEST(test_truncation_never_passes),
		TEST(test_pointers_and_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
