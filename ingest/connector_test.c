#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "ingest/connector.h"

#define FILE_PATH_MAX 128

static char folder[64], path[FILE_PATH_MAX];

static int
setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/connector_test.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/one.json", folder);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

static int
load(const char *text, struct connectors **ret)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return connectors_load(folder, ret);
}

static void
test_what_is_refused(void **state)
{
	static const char upper_case[] =
	    "{\"id\":\"one\",\"ignore_case\":true,"
	    "\"events\":{\"A\":\"crm.lead.created\"}}";
	static const char twice[] =
	    "{\"id\":\"one\",\"content_types\":{\"a/b\":\"json\","
	    "\"A/B\":\"form\"}}";
	static const char five_parts[] = "{\"id\":\"one\",\"event\":[{\"item\":"
					 "[\"\",\"\",\"\",\"\",\"\"]}]}";
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{\"id\":\"two\"}",
		"{\"id\":\"one\",\"id\":\"one\"}",
		"{\"id\":\"one\",\"evnts\":{}}",
		"{\"id\":\"one\",\"events\":{\"a\":1}}",
		"{\"id\":\"one\",\"events\":{\"a\":\"Not A Type\"}}",
		"{\"id\":\"one\",\"event\":{\"item\":\"/a\"}}",
		"{\"id\":\"one\",\"event\":[{\"itm\":\"/a\"}]}",
		"{\"id\":\"one\",\"event\":[{\"item\":\"\",\"body\":\"\"}]}",
		"{\"id\":\"one\",\"event\":[{\"item\":[]}]}",
		"{\"id\":\"one\",\"event\":[{\"item\":[1]}]}",
		"{\"id\":\"one\",\"event\":[{\"join\":[]}]}",
		"{\"id\":\"one\",\"event\":[{\"join\":[{\"itm\":\"/a\"}]}]}",
		"{\"id\":\"one\",\"event\":[{\"join\":[],\"item\":\"/a\"}]}",
		five_parts,
		upper_case,
		"{\"id\":\"one\",\"answer\":\"none\"}",
		"{\"id\":\"one\",\"answer\":false}",
		"{\"id\":\"one\",\"content_types\":[]}",
		"{\"id\":\"one\",\"content_types\":{\"a/b\":\"xml\"}}",
		"{\"id\":\"one\",\"content_types\":{\"a/b\":1}}",
		"{\"id\":\"one\",\"content_types\":{\"ab\":\"json\"}}",
		"{\"id\":\"one\",\"content_types\":{\"a/b;c\":\"json\"}}",
		twice,
		"{\"id\":\"one\",\"signature\":{\"scheme\":\"rot13\"}}",
	};
	struct connectors *c = NULL;

	(void)state;
	log_init("test", LOG_AT_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(load(bad[i], &c) < 0);
	assert_null(c);
	assert_true(connectors_load("/nowhere", &c) < 0);
}

static void
read_into(struct connector *one, const struct json *json,
    enum connector_field field, uint32_t item, const char *want)
{
	const struct connector_call call = { NULL, json };
	struct buf out;

	buf_init(&out, 256);
	assert_int_equal(connector_read(one, field, &call, item, &out), 0);
	assert_true(
	    slice_is(buf_slice(&out), want) || (out.len == 0 && *want == '\0'));
	buf_done(&out);
}

static void
test_reading(void **state)
{
	struct connectors *c;
	struct connector *one;
	struct json json;
	uint32_t items;

	(void)state;
	assert_int_equal(
	    load("{\"id\":\"one\",\"unified_apis\":[\"crm\"],"
		 "\"items\":\"/list\","
		 "\"event\":[{\"item\":[\"/meta/entity\",\"/meta/action\"]},"
		 "{\"item\":\"/type\"}],"
		 "\"events\":{\"deal.change\":\"crm.opportunity.updated\"},"
		 "\"consumer_id\":[{\"body\":\"/account\"}]}",
		&c),
	    0);
	assert_null(connectors_find(c, "two"));
	one = connectors_find(c, "one");
	assert_non_null(one);
	assert_true(connector_serves(one, slice_text("crm")));
	assert_true(connector_serves(one, (struct slice){ 0 }));
	assert_false(connector_serves(one, slice_text("hris")));
	assert_string_equal(
	    connector_map(one, "deal.change"), "crm.opportunity.updated");
	assert_null(connector_map(one, "deal.create"));
	assert_null(connector_map(one, "crm.lead.created"));
	json_init(&json);
	assert_int_equal(
	    json_parse(&json,
		slice_text("{\"account\":17,\"list\":[{\"meta\":{\"entity\":"
			   "\"deal\",\"action\":\"change\"}},{\"type\":\"t\","
			   "\"meta\":{\"entity\":\"deal\"}}]}")),
	    0);
	items = connector_items(one, &json);
	read_into(one, &json, CONNECTOR_EVENT, items + 1, "deal.change");
	read_into(one, &json, CONNECTOR_EVENT, json.nodes[items + 1].next, "t");
	read_into(one, &json, CONNECTOR_CONSUMER_ID, items + 1, "17");
	read_into(one, &json, CONNECTOR_ENTITY_ID, items + 1, "");
	json_done(&json);
	connectors_free(c);
}

static void
test_names_without_case_and_joined_sources(void **state)
{
	struct connectors *c;
	struct connector *one;
	struct json json;

	(void)state;
	assert_int_equal(
	    load("{\"id\":\"one\",\"ignore_case\":true,\"unified\":true,"
		 "\"event\":[{\"join\":["
		 "{\"body\":\"/what\"},{\"item\":[\"/a\",\"/b\"]}]},"
		 "{\"item\":\"/a\"}],"
		 "\"events\":{\"invoice.create\":\"crm.lead.created\"}}",
		&c),
	    0);
	one = connectors_find(c, "one");
	assert_string_equal(
	    connector_map(one, "INVOICE.Create"), "crm.lead.created");
	assert_null(connector_map(one, "INVOICE.Creates"));
	assert_string_equal(
	    connector_map(one, "crm.lead.deleted"), "crm.lead.deleted");
	json_init(&json);
	assert_int_equal(
	    json_parse(&json, slice_text("{\"what\":\"w\",\"a\":1,\"b\":2}")),
	    0);
	read_into(one, &json, CONNECTOR_EVENT, 0, "w.1.2");
	assert_int_equal(json_parse(&json, slice_text("{\"a\":1,\"b\":2}")), 0);
	read_into(one, &json, CONNECTOR_EVENT, 0, "1");
	json_done(&json);
	connectors_free(c);
}

static void
test_bodies_by_their_type(void **state)
{
	static const struct {
		const char *type;
		enum connector_body body;
	} cases[] = {
		{ NULL, CONNECTOR_BODY_UNDECLARED },
		{ "", CONNECTOR_BODY_UNDECLARED },
		{ ";", CONNECTOR_BODY_UNDECLARED },
		{ "text/plain", CONNECTOR_BODY_JSON },
		{ " TEXT/Plain ; charset=x", CONNECTOR_BODY_JSON },
		{ "text/plain;charset=x", CONNECTOR_BODY_JSON },
		{ "text/plainer", CONNECTOR_BODY_UNDECLARED },
		{ "text/plai", CONNECTOR_BODY_UNDECLARED },
		{ "application/x-f", CONNECTOR_BODY_FORM },
		{ "application/json", CONNECTOR_BODY_UNDECLARED },
	};
	struct connectors *c;

	(void)state;
	assert_int_equal(
	    load("{\"id\":\"one\",\"content_types\":{\"Text/plain\":"
		 "\"json\",\"application/x-f\":\"form\"}}",
		&c),
	    0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
		    connector_body(connectors_find(c, "one"), cases[i].type),
		    cases[i].body);
	connectors_free(c);
}

static void
test_those_that_are_installed(void **state)
{
	struct connectors *c;

	(void)state;
	assert_int_equal(connectors_load(SLUICE_CONNECTORS_SOURCE, &c), 0);
	assert_non_null(connectors_find(c, "hubspot"));
	assert_non_null(connectors_find(c, "shopify"));
	assert_string_equal(connector_map(connectors_find(c, "generic"),
				"hris.employee.created"),
	    "hris.employee.created");
	connectors_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_what_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_names_without_case_and_joined_sources, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_bodies_by_their_type, setup, teardown),
		cmocka_unit_test(test_those_that_are_installed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
