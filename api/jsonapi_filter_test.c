#include "api/jsonapi_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char row[] =
    "{\"account_id\":3,\"name\":\"Alpha 50%_x\",\"url\":\"http://a/\","
    "\"secret\":\"s1\",\"events\":[\"crm.lead.created\",\"*\"],"
    "\"scopes\":{\"consumer_id\":[\"a\",\"b\"]},"
    "\"created_at\":\"2026-01-02T03:04:05.678Z\","
    "\"updated_at\":\"2026-01-02T03:04:05.678Z\"}";
static const char bare[] =
    "{\"account_id\":3,\"name\":null,\"url\":\"http://a/\",\"secret\":null,"
    "\"events\":[],\"scopes\":{}}";

/* Webhook 7 of these attributes. */
static bool
holds(const char *attributes, const char *name, const char *value)
{
	json_t *json = json_loads(attributes, 0, NULL);
	struct jsonapi_filter f;
	bool result;

	jsonapi_filter_init(&f);
	assert_null(jsonapi_filter_add(&f, name, false, value));
	result = jsonapi_filter_holds(&f, 7, json);
	jsonapi_filter_done(&f);
	json_decref(json);
	return result;
}

static void
each_operator(void **state)
{
	static const struct {
		const char *name, *right, *wrong;
	} cases[] = {
		{ "id", "7", "8" },
		{ "id__in", "1,7", "1,8" },
		{ "id__lt", "8", "7" },
		{ "id__lte", "7", "6" },
		{ "id__gt", "6", "7" },
		{ "id__gt", "-1", "7" },
		{ "id__gte", "7", "8" },
		{ "id__neq", "8", "7" },
		{ "id__prefix", "7", "8" },
		{ "account_id__eq", "3", "7" },
		{ "name", "Alpha 50%_x", "alpha 50%_x" },
		{ "name__prefix", "aLPHA", "lpha" },
		{ "name__suffix", "%_X", "%_" },
		{ "name__match", "0%_", "%0" },
		{ "name__contains", "pha", "PHA" },
		{ "name__exists", "true", "false" },
		{ "name__lt", "B", "A" },
		{ "url__neq", "x", "http://a/" },
		{ "secret", "s1", "s" },
		{ "secret__in", "x,s1", "x" },
		{ "events", "*", "crm" },
		{ "events__neq", "crm", "*" },
		{ "events__prefix", "crm.", "hris" },
		{ "events__contains", "crm.lead.created", "crm.lead" },
		{ "scopes", "{\"consumer_id\":[\"a\",\"b\"]}", "{}" },
		{ "scopes__contains", "{\"consumer_id\":\"b\"}",
		    "{\"consumer_id\":[\"b\",\"c\"]}" },
		{ "created_at", "2026-01-02T05:04:05.678+02:00", "2026-01-02" },
		{ "created_at__gt", "2026-01-02", "2026-01-03" },
		{ "created_at__prefix", "2026-01", "2027" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (!holds(row, cases[i].name, cases[i].right))
			fail_msg("%s=%s", cases[i].name, cases[i].right);
		if (holds(row, cases[i].name, cases[i].wrong))
			fail_msg("%s=%s", cases[i].name, cases[i].wrong);
	}
}

static void
nothing_is_there(void **state)
{
	(void)state;
	assert_true(holds(bare, "name", ""));
	assert_true(holds(bare, "name__exists", "0"));
	assert_true(holds(bare, "events__neq", "*"));
	assert_true(holds(bare, "scopes__exists", ""));
	assert_false(holds(bare, "name__neq", "x"));
	assert_false(holds(bare, "name__neq", ""));
	assert_false(holds(bare, "name__prefix", ""));
	assert_false(holds(bare, "secret", "s1"));
	assert_false(holds(row, "name", ""));
	assert_false(holds(bare, "created_at__lt", "2027-01-01"));
}

static void
unknown_ones_are_ignored(void **state)
{
	struct jsonapi_filter f;

	(void)state;
	jsonapi_filter_init(&f);
	assert_null(jsonapi_filter_add(&f, "color", false, "x"));
	assert_null(jsonapi_filter_add(&f, "name__like", false, "x"));
	assert_null(jsonapi_filter_add(&f, "name__", false, "x"));
	assert_null(jsonapi_filter_add(&f, "", false, "x"));
	assert_null(jsonapi_filter_add(&f, "secret__prefix", false, "s"));
	assert_int_equal(f.count, 0);
	jsonapi_filter_done(&f);
}

static void
wrong_values_are_told(void **state)
{
	static const char *const wrong[][2] = {
		{ "id", "x" },
		{ "id", "+1" },
		{ "id", " 1" },
		{ "id", "99999999999999999999" },
		{ "id__in", "1,,2" },
		{ "created_at", "soon" },
		{ "scopes", "{" },
		{ "scopes", "{\"a\":1,\"a\":2}" },
		{ "name", "\xff" },
	};
	struct jsonapi_filter f;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		jsonapi_filter_init(&f);
		assert_non_null(
		    jsonapi_filter_add(&f, wrong[i][0], false, wrong[i][1]));
		jsonapi_filter_done(&f);
	}
}

static void
lists_grow_and_others_are_replaced(void **state)
{
	json_t *json = json_loads(row, 0, NULL);
	struct jsonapi_filter f;

	(void)state;
	jsonapi_filter_init(&f);
	assert_null(jsonapi_filter_add(&f, "id", true, "1"));
	assert_null(jsonapi_filter_add(&f, "id", true, "7"));
	assert_true(jsonapi_filter_holds(&f, 7, json));
	assert_null(jsonapi_filter_add(&f, "id", false, "1"));
	assert_false(jsonapi_filter_holds(&f, 7, json));
	assert_true(jsonapi_filter_holds(&f, 1, json));
	/* All of them must hold. */
	assert_null(jsonapi_filter_add(&f, "name__match", false, "nobody"));
	assert_false(jsonapi_filter_holds(&f, 1, json));
	jsonapi_filter_done(&f);
	json_decref(json);
}

static void
caps_hold(void **state)
{
	struct jsonapi_filter f;
	char name[64];

	(void)state;
	jsonapi_filter_init(&f);
	for (int i = 0; i < JSONAPI_VALUES_MAX; i++)
		assert_null(jsonapi_filter_add(&f, "id", true, "1"));
	assert_non_null(jsonapi_filter_add(&f, "id", true, "1"));
	jsonapi_filter_done(&f);

	jsonapi_filter_init(&f);
	for (int i = 0; i < 4; i++) {
		static const char *const fields[] = { "id", "name", "url",
			"account_id" };
		static const char *const ops[] = { "eq", "neq", "in", "lt",
			"lte", "gt", "gte", "exists" };

		for (size_t k = 0; k < sizeof(ops) / sizeof(*ops); k++) {
			snprintf(
			    name, sizeof(name), "%s__%s", fields[i], ops[k]);
			assert_null(jsonapi_filter_add(&f, name, false, "1"));
		}
	}
	assert_int_equal(f.count, JSONAPI_TERMS_MAX);
	assert_non_null(jsonapi_filter_add(&f, "events", false, "*"));
	jsonapi_filter_done(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_operator),
		cmocka_unit_test(nothing_is_there),
		cmocka_unit_test(unknown_ones_are_ignored),
		cmocka_unit_test(wrong_values_are_told),
		cmocka_unit_test(lists_grow_and_others_are_replaced),
		cmocka_unit_test(caps_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
