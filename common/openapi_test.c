#include "common/openapi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static json_t *
document(void)
{
	struct slice text = openapi_text();
	json_t *json = json_loadb(
	    (const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(json);
	return json;
}

static const json_t *
schemas(const json_t *doc)
{
	return json_object_get(json_object_get(doc, "components"), "schemas");
}

static const json_t *
property(const json_t *schema, const char *name, const char *key)
{
	const json_t *properties = json_object_get(schema, "properties");

	return json_object_get(json_object_get(properties, name), key);
}

static json_t *
body_of(enum http_error error)
{
	struct buf out;
	json_t *json;

	buf_init(&out, 4096);
	assert_int_equal(http_error_body(error, NULL, NULL, &out), 0);
	json = json_loadb((const char *)out.data, out.len, 0, NULL);
	assert_non_null(json);
	buf_done(&out);
	return json;
}

static void
is_a_document(void **state)
{
	json_t *doc = document();

	(void)state;
	assert_string_equal(
	    json_string_value(json_object_get(doc, "openapi")), "3.1.0");
	assert_true(json_object_size(json_object_get(doc, "paths")) > 0);
	json_decref(doc);
}

/* Each row of http_error.c stands in the document, to the letter. */
static void
has_every_error(void **state)
{
	static const char *const same[] = { "status_code", "error", "type_name",
		"ref" };
	json_t *doc = document();

	(void)state;
	for (unsigned e = 0; e < HTTP_E_MAX; e++) {
		json_t *body = body_of((enum http_error)e);
		const char *type =
		    json_string_value(json_object_get(body, "type_name"));
		const json_t *schema = json_object_get(schemas(doc), type);

		assert_non_null(schema);
		for (unsigned i = 0; i < sizeof(same) / sizeof(*same); i++)
			assert_true(
			    json_equal(property(schema, same[i], "const"),
				json_object_get(body, same[i])));
		assert_true(json_equal(property(schema, "message", "default"),
		    json_object_get(body, "message")));
		json_decref(body);
	}
	json_decref(doc);
}

/* And the document has no error that is not in the table. */
static void
has_no_other_error(void **state)
{
	json_t *doc = document();
	const json_t *schema;
	unsigned count = 0;
	const char *name;

	(void)state;
	json_object_foreach(
	    json_object_get(json_object_get(doc, "components"), "schemas"),
	    name, schema) count +=
	    property(schema, "type_name", "const") != NULL;
	assert_int_equal(count, HTTP_E_MAX);
	json_decref(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_a_document),
		cmocka_unit_test(has_every_error),
		cmocka_unit_test(has_no_other_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
