#include "router/scopes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool
allows(const char *json, const struct msg *event)
{
	struct scopes *s;
	bool allowed;

	assert_int_equal(scopes_parse(slice_text(json), &s), 0);
	allowed = scopes_allow(s, event, event->unified_api);
	scopes_free(s);
	return allowed;
}

static void
test_attributes(void **state)
{
	struct msg e = { .type = MSG_EVENT,
		.consumer_id = slice_text("b"),
		.service_id = slice_text("hubspot"),
		.entity_type = slice_text("contact"),
		.entity_id = slice_text("12"),
		.unified_api = slice_text("crm") };

	(void)state;
	assert_true(allows(NULL, &e));
	assert_true(allows("", &e));
	assert_true(allows("{}", &e));
	assert_true(allows("null", &e));
	assert_true(allows("{\"consumer_id\":[\"ccc\",\"b\",\"a\"]}", &e));
	assert_true(allows("{\"consumer_id\":\"b\"}", &e));
	assert_false(allows("{\"consumer_id\":[\"a\",\"bb\"]}", &e));
	assert_false(allows("{\"consumer_id\":[]}", &e));
	assert_true(allows("{\"consumer_id\":[\"b\"],\"service_id\":[\"xero\","
			   "\"hubspot\"],\"entity_type\":[\"contact\"],"
			   "\"entity_id\":[\"12\"],\"unified_api\":[\"crm\"]}",
	    &e));
	assert_false(
	    allows("{\"consumer_id\":[\"b\"],\"service_id\":[\"xero\"]}", &e));
	assert_false(allows("{\"entity_type\":[\"Contact\"]}", &e));
	assert_false(allows("{\"entity_id\":[\"1\"]}", &e));
	assert_false(allows("{\"unified_api\":[\"hris\"]}", &e));
}

static void
test_an_absent_attribute_is_none_of_the_values(void **state)
{
	struct msg e = { .type = MSG_EVENT };

	(void)state;
	assert_false(allows("{\"consumer_id\":[\"a\"]}", &e));
	assert_false(allows("{\"consumer_id\":[]}", &e));
}

static void
test_what_makes_no_sense(void **state)
{
	static const char *const bad[] = { "[", "[]", "1", "\"a\"",
		"{\"colour\":[\"a\"]}", "{\"consumer_id\":1}",
		"{\"consumer_id\":null}", "{\"consumer_id\":[\"a\",2]}",
		"{\"consumer_id\":[\"a\"],\"consumer_id\":[\"b\"]}",
		"{\"consumer_id\":{\"a\":1}}", "{} x" };
	struct scopes *s;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(scopes_parse(slice_text(bad[i]), &s), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(
		    test_an_absent_attribute_is_none_of_the_values),
		cmocka_unit_test(test_what_makes_no_sense),
	};

	return cmocka_run_group_tests_name("scopes", tests, NULL, NULL);
}
