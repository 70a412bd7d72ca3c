#include "common/http_error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *
body_of(enum http_error error, const char *message, json_t *detail)
{
	struct buf out;
	json_t *json;

	buf_init(&out, 64 * 1024);
	assert_int_equal(http_error_body(error, message, detail, &out), 0);
	json = json_loadb((const char *)out.data, out.len, 0, NULL);
	assert_non_null(json);
	buf_done(&out);
	return json;
}

static const char *
text(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static void
every_row_is_whole(void **state)
{
	(void)state;
	for (unsigned e = 0; e < HTTP_E_MAX; e++) {
		json_t *json = body_of((enum http_error)e, NULL, NULL);

		assert_in_range(
		    http_error_status((enum http_error)e), 400, 599);
		assert_int_equal(
		    json_integer_value(json_object_get(json, "status_code")),
		    http_error_status((enum http_error)e));
		assert_non_null(text(json, "error"));
		assert_non_null(text(json, "type_name"));
		assert_non_null(text(json, "message"));
		assert_non_null(strstr(text(json, "ref"), "https://"));
		assert_null(json_object_get(json, "detail"));
		json_decref(json);
	}
}

/* As Apideck publishes it. */
static void
the_published_shape(void **state)
{
	json_t *json =
	    body_of(HTTP_E_UNAUTHORIZED, NULL, json_string("because"));

	(void)state;
	assert_int_equal(json_object_size(json), 6);
	assert_string_equal(text(json, "error"), "Unauthorized");
	assert_string_equal(text(json, "type_name"), "UnauthorizedError");
	assert_string_equal(text(json, "message"), "Unauthorized Request");
	assert_string_equal(text(json, "detail"), "because");
	assert_string_equal(text(json, "ref"),
	    "https://developers.apideck.com/errors#unauthorizederror");
	json_decref(json);
}

static void
message_and_detail_may_be_given(void **state)
{
	json_t *json = body_of(HTTP_E_VALIDATION, "No \"such\" thing\n",
	    json_pack("{s:[s]}", "missing", "delivery_url"));

	(void)state;
	assert_string_equal(text(json, "message"), "No \"such\" thing\n");
	assert_true(json_is_object(json_object_get(json, "detail")));
	json_decref(json);
}

/* A message with bytes of the caller in it must not cost the whole body. */
static void
a_message_that_is_no_utf8_is_replaced(void **state)
{
	json_t *json = body_of(
	    HTTP_E_CONNECTOR, "no \xff connector", json_string("d\xff"));

	(void)state;
	assert_string_equal(text(json, "message"), "Unknown Connector");
	assert_null(json_object_get(json, "detail"));
	json_decref(json);
}

static void
detail_is_taken_even_in_vain(void **state)
{
	json_t *detail = json_string("x");
	struct buf out;

	(void)state;
	buf_init(&out, 10);
	json_incref(detail);
	assert_int_equal(
	    http_error_body(HTTP_E_INTERNAL, NULL, detail, &out), -ENOBUFS);
	assert_int_equal(detail->refcount, 1);
	assert_int_equal(out.len, 0);
	json_decref(detail);
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test(the_published_shape),
		cmocka_unit_test(message_and_detail_may_be_given),
		cmocka_unit_test(a_message_that_is_no_utf8_is_replaced),
		cmocka_unit_test(detail_is_taken_even_in_vain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
