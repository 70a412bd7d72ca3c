#include "api/headers_form.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/headers.h"

static const struct seal seal = { "a key of our own" };

/* What headers_form_read() complains about, as JSON text; "" for nothing. */
static const char *
patch(struct directory_hook *hook, const char *text)
{
	static char complaint[512];
	json_t *body = json_loads(text, 0, NULL), *detail;
	struct form f;

	assert_non_null(body);
	form_init(&f, body, false);
	assert_int_equal(headers_form_read(&f, &seal, hook), 0);
	detail = form_end(&f);
	complaint[0] = '\0';
	if (detail != NULL) {
		char *dumped = json_dumps(detail, JSON_COMPACT);

		(void)snprintf(complaint, sizeof(complaint), "%s", dumped);
		free(dumped);
	}
	json_decref(detail);
	json_decref(body);
	return complaint;
}

static void
assert_shown(const struct directory_hook *hook, const char *want)
{
	json_t *shown = headers_form_show(&seal, hook);
	char *text = json_dumps(shown, JSON_COMPACT);

	assert_string_equal(text, want);
	free(text);
	json_decref(shown);
}

/* What the deliverer will send. */
static void
assert_sealed(const struct directory_hook *hook, const char *want, size_t len)
{
	char what[HEADERS_SEAL_NAME_SIZE];
	struct buf block;

	buf_init(&block, HEADERS_BYTES + 1);
	headers_seal_name(hook->app, what);
	assert_int_equal(
	    seal_open(&seal, what,
		(struct slice){ hook->headers, hook->headers_len }, &block),
	    0);
	assert_true(headers_are_right(buf_slice(&block)));
	assert_true(slice_same(
	    buf_slice(&block), (struct slice){ (const uint8_t *)want, len }));
	buf_done(&block);
}

#define ASSERT_SEALED(hook, want) assert_sealed(hook, want, sizeof(want))

static void
test_patches(void **state)
{
	struct directory_hook hook = { .app = 7 };

	(void)state;
	assert_shown(&hook, "{}");
	assert_string_equal(patch(&hook, "{}"), "");
	assert_string_equal(
	    patch(&hook, "{\"headers\": {\"X-One\": \"1\", \"two\": \"b 2\"}}"),
	    "");
	assert_shown(&hook, "{\"x-one\":\"***\",\"two\":\"***\"}");
	ASSERT_SEALED(&hook, "x-one: 1\0two: b 2");
	/* The one named is set, the other stays. */
	assert_string_equal(
	    patch(&hook, "{\"headers\": {\"TWO\": \"3\"}}"), "");
	ASSERT_SEALED(&hook, "x-one: 1\0two: 3");
	/* What is shown can come back. */
	assert_string_equal(patch(&hook, "{\"headers\": {\"x-one\": \"***\", "
					 "\"two\": null, \"x-three\": \"4\"}}"),
	    "");
	ASSERT_SEALED(&hook, "x-one: 1\0x-three: 4");
	assert_string_equal(patch(&hook, "{\"headers\": {}}"), "");
	ASSERT_SEALED(&hook, "x-one: 1\0x-three: 4");
	assert_string_equal(patch(&hook, "{\"headers\": null}"), "");
	assert_int_equal(hook.headers_len, 0);
	assert_shown(&hook, "{}");
	/* Removing what is not there is no mistake. */
	assert_string_equal(
	    patch(&hook, "{\"headers\": {\"x-one\": null}}"), "");
	assert_int_equal(hook.headers_len, 0);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *patch, *complaint;
	} cases[] = {
		{ "{\"headers\": \"x\"}", "\"headers\":\"must be an object" },
		{ "{\"headers\": []}", "\"headers\":\"must be an object" },
		{ "{\"headers\": {\"a\": 1}}", "\"headers.a\":\"must be a" },
		{ "{\"headers\": {\"\": \"b\"}}", "\"headers.\":\"is no" },
		{ "{\"headers\": {\"a b\": \"c\"}}",
		    "\"headers.a b\":\"is no" },
		{ "{\"headers\": {\"a\\r\\nb\": \"c\"}}", "is no header name" },
		{ "{\"headers\": {\"Host\": \"c\"}}", "\"headers.Host\"" },
		{ "{\"headers\": {\"Host\": null}}", "\"headers.Host\"" },
		{ "{\"headers\": {\"webhook-id\": \"c\"}}", "is no header" },
		{ "{\"headers\": {\"a\": \"\"}}", "must be printable" },
		{ "{\"headers\": {\"a\": \"b\\r\\nc: d\"}}", "must be print" },
		{ "{\"headers\": {\"a\": \"b\\n\"}}", "must be printable" },
		{ "{\"headers\": {\"a\": \"caf\xc3\xa9\"}}", "must be print" },
		{ "{\"headers\": {\"a\": \"***\"}}", "has no value yet" },
		{ "{\"headers\": {\"a\": \"1\", \"A\": \"2\"}}",
		    "is there tw" },
	};
	struct directory_hook hook = { .app = 7 };
	char name[HEADERS_NAME_MAX + 2], text[256];

	(void)state;
	assert_string_equal(
	    patch(&hook, "{\"headers\": {\"x-kept\": \"1\"}}"), "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *got = patch(&hook, cases[i].patch);

		if (strstr(got, cases[i].complaint) == NULL)
			fail_msg("%s: %s", cases[i].patch, got);
		ASSERT_SEALED(&hook, "x-kept: 1");
	}
	memset(name, 'n', sizeof(name));
	name[HEADERS_NAME_MAX + 1] = '\0';
	(void)snprintf(
	    text, sizeof(text), "{\"headers\": {\"%s\": \"1\"}}", name);
	assert_non_null(strstr(patch(&hook, text), "is too long a name"));
	ASSERT_SEALED(&hook, "x-kept: 1");
}

static void
test_caps(void **state)
{
	struct directory_hook hook = { .app = 7 };
	char text[HEADERS_BYTES + 64], value[HEADERS_BYTES];

	(void)state;
	for (unsigned i = 0; i < HEADERS_MAX; i++) {
		(void)snprintf(
		    text, sizeof(text), "{\"headers\": {\"x-%u\": \"1\"}}", i);
		assert_string_equal(patch(&hook, text), "");
	}
	assert_non_null(strstr(
	    patch(&hook, "{\"headers\": {\"more\": \"1\"}}"), "32 at most"));
	assert_string_equal(
	    patch(&hook, "{\"headers\": {\"x-0\": null, \"more\": \"1\"}}"),
	    "");
	assert_string_equal(patch(&hook, "{\"headers\": null}"), "");
	/* "a: ", the value, a NUL */
	memset(value, 'v', sizeof(value));
	value[HEADERS_BYTES - 4] = '\0';
	(void)snprintf(
	    text, sizeof(text), "{\"headers\": {\"a\": \"%s\"}}", value);
	assert_string_equal(patch(&hook, text), "");
	assert_int_equal(hook.headers_len, HEADERS_BYTES + SEAL_OVERHEAD);
	assert_non_null(strstr(
	    patch(&hook, "{\"headers\": {\"b\": \"1\"}}"), "4,096 bytes"));
	assert_shown(&hook, "{\"a\":\"***\"}");
}

/* Sealed for one application, it says nothing in another. */
static void
test_foreign(void **state)
{
	struct directory_hook hook = { .app = 7 };
	json_t *body = json_loads("{\"headers\": {\"b\": \"1\"}}", 0, NULL);
	struct form f;

	(void)state;
	assert_string_equal(patch(&hook, "{\"headers\": {\"a\": \"1\"}}"), "");
	hook.app = 8;
	assert_null(headers_form_show(&seal, &hook));
	form_init(&f, body, false);
	assert_int_equal(headers_form_read(&f, &seal, &hook), -EBADMSG);
	assert_null(form_end(&f));
	json_decref(body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patches),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
