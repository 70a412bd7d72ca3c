#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/form_body.h"

static void
expect(const char *form, const char *json)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	assert_int_equal(form_body(slice_text(form), &out), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal((const char *)out.data, json);
	buf_done(&out);
}

static void
refuse(const char *form)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	assert_int_equal(form_body(slice_text(form), &out), -EBADMSG);
	buf_done(&out);
}

static void
test_forms(void **state)
{
	(void)state;
	expect("", "{}");
	expect("type=employee.updated", "{\"type\":\"employee.updated\"}");
	expect("a=1&b=&c&&d=x%3Dy", "{\"a\":\"1\",\"b\":\"\",\"c\":\"\","
				    "\"d\":\"x=y\"}");
	expect("a=two+words%20%C3%BC", "{\"a\":\"two words \xc3\xbc\"}");
	expect("data%5BemployeeId%5D=7&data[x][y]=8",
	    "{\"data\":{\"employeeId\":\"7\",\"x\":{\"y\":\"8\"}}}");
	expect("a[]=1&a[]=2", "{\"a\":[\"1\",\"2\"]}");
	expect("a[b][]=1", "{\"a\":{\"b\":[\"1\"]}}");
	expect("a=1&a=2&a=3", "{\"a\":[\"1\",\"2\",\"3\"]}");
	expect("a]=1", "{\"a]\":\"1\"}");
}

static void
test_what_is_none(void **state)
{
	(void)state;
	refuse("a=%");
	refuse("a=%zz");
	refuse("a=%ff");
	refuse("%00=1");
	refuse("=1");
	refuse("a=1&a[b]=2");
	refuse("a[b]=2&a=1");
	refuse("a[]=1&a[b]=1");
	refuse("a[b=1");
	refuse("a[b]c=1");
	refuse("a[][b]=1");
	refuse("a[1][2][3][4][5][6][7][8][9]=1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
