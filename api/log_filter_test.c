#include "api/log_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static bool
read_pairs(struct log_filter *f, const char *const *pairs)
{
	log_filter_init(f);
	for (; *pairs != NULL; pairs += 2)
		if (!log_filter_add(f, pairs[0], pairs[1]))
			return false;
	return log_filter_end(f);
}

static void
test_every_filter(void **state)
{
	static const char *const pairs[] = { "limit", "20",		    /**/
		"filter[exclude_apis]", "vault, proxy",			    /**/
		"filter[service][id]", "hubspot",			    /**/
		"filter[consumer_id]", "c1",				    /**/
		"filter[entity_type]", "contact",			    /**/
		"filter[event_type]", "crm.contact.created",		    /**/
		"filter[start_date]", "2024-01-01T00:00:00.000Z",	    /**/
		"filter[end_date]", "2024-01-01",			    /**/
		"filter[success]", "false",				    /**/
		"filter[status_codes]", "200",				    /**/
		"filter[status_codes]", "500,503",			    /**/
		"filter[event_id]", "01a20cc8-d674-7000-bcbf-e8f000000000", /**/
		"filter[execution_attempt]", "2",			    /**/
		NULL };
	struct log_filter f;

	(void)state;
	assert_true(read_pairs(&f, pairs));
	assert_int_equal(f.query.what, MSG_QUERY_LOGS);
	assert_true(slice_is(f.query.exclude_apis, "vault,proxy"));
	assert_true(slice_is(f.query.service_id, "hubspot"));
	assert_true(slice_is(f.query.consumer_id, "c1"));
	assert_true(slice_is(f.query.entity_type, "contact"));
	assert_true(slice_is(f.query.event_type, "crm.contact.created"));
	assert_true(log_filter_add(
	    &f, "filter[event_type]", "pos.modifier_group.created"));
	assert_true(slice_is(f.query.event_type, "pos.modifier-group.created"));
	assert_true(
	    log_filter_add(&f, "filter[event_type]", "acme.thing.done"));
	assert_true(slice_is(f.query.event_type, "acme.thing.done"));
	assert_int_equal(f.query.from_ms, UINT64_C(1704067200000));
	assert_int_equal(f.query.to_ms, UINT64_C(1704067200000) + 86400000 - 1);
	assert_int_equal(f.query.success, MSG_FALSE);
	assert_true(slice_is(f.query.statuses, "200,500,503"));
	assert_int_equal(f.query.custody.len, ID_SIZE);
	assert_int_equal(f.query.event_id.len, ID_TEXT_SIZE - 1);
	assert_int_equal(f.query.attempt, 2);
}

static void
test_statuses_together(void **state)
{
	static const char *const one[] = { "filter[status_code]", "0", NULL };
	static const char *const in[] = { "filter[status_code]", "500",
		"filter[status_codes]", "200,500", NULL };
	static const char *const out[] = { "filter[status_code]", "503",
		"filter[status_codes][]", "200", NULL };
	static const char *const empty[] = { "filter[status_code]", "",
		"filter[success]", "", NULL };
	struct log_filter f;

	(void)state;
	assert_true(read_pairs(&f, one));
	assert_true(slice_is(f.query.statuses, "0"));
	assert_true(read_pairs(&f, in));
	assert_true(slice_is(f.query.statuses, "500"));
	assert_true(read_pairs(&f, out));
	assert_true(slice_is(f.query.statuses, "999"));
	assert_true(read_pairs(&f, empty));
	assert_null(f.query.statuses.data);
	assert_int_equal(f.query.success, MSG_ANY);
}

/* As Apideck's Python SDK sends them. */
static void
test_numbers_as_floats(void **state)
{
	static const char *const pairs[] = { "filter[status_codes]", "200.0",
		"filter[status_codes]", "500.0", "filter[execution_attempt]",
		"2.0", NULL };
	struct log_filter f;

	(void)state;
	assert_true(read_pairs(&f, pairs));
	assert_true(slice_is(f.query.statuses, "200,500"));
	assert_int_equal(f.query.attempt, 2);
}

/* Some clients' least date; nothing is that old. */
static void
test_dates_before_1970(void **state)
{
	static const char *const start[] = { "filter[start_date]",
		"0001-01-01T00:00:00Z", NULL };
	static const char *const end[] = { "filter[end_date]",
		"1969-12-31T23:59:59.999Z", NULL };
	static const char *const wrong[] = { "filter[start_date]", "1969-02-30",
		NULL };
	static const char *const late[] = { "filter[start_date]", "2024-01-01",
		"filter[end_date]", "1969-01-01T00:00:00Z", NULL };
	struct log_filter f;

	(void)state;
	assert_true(read_pairs(&f, start));
	assert_int_equal(f.query.from_ms, 0);
	assert_true(read_pairs(&f, end));
	assert_int_equal(f.query.to_ms, 1);
	assert_false(read_pairs(&f, wrong));
	assert_false(read_pairs(&f, late));
}

static void
test_refused(void **state)
{
	static const char *const rows[][5] = {
		{ "filter[foo]", "1", NULL },
		{ "filter", "1", NULL },
		{ "filter[service]", "1", NULL },
		{ "filter[success]", "yes", NULL },
		{ "filter[start_date]", "soon", NULL },
		{ "filter[status_code]", "600", NULL },
		{ "filter[status_codes]", "99", NULL },
		{ "filter[status_codes]", "200,", NULL },
		{ "filter[status_code]", "200.5", NULL },
		{ "filter[status_code]", ".0", NULL },
		{ "filter[execution_attempt]", "0", NULL },
		{ "filter[start_date]", "2024-01-02", "filter[end_date]",
		    "2024-01-01", NULL },
	};
	char many[LOG_FILTER_STATUSES_MAX * 4 + 8] = "";
	const char *pairs[] = { "filter[status_codes]", many, NULL };
	struct log_filter f;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_false(read_pairs(&f, rows[i]));
		assert_non_null(f.why);
	}
	for (int i = 0; i < LOG_FILTER_STATUSES_MAX; i++)
		memcpy(many + 4 * i, i ? ",200" : "0200", 5);
	assert_true(read_pairs(&f, pairs));
	memcpy(many + 4 * LOG_FILTER_STATUSES_MAX, ",200", 5);
	assert_false(read_pairs(&f, pairs));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_filter),
		cmocka_unit_test(test_statuses_together),
		cmocka_unit_test(test_numbers_as_floats),
		cmocka_unit_test(test_dates_before_1970),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
