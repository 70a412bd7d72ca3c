#include "deliverer/body.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char template[] =
    "{\"payload\":{\"execution_attempt\":,\"event_type\":\"x.y.z\"}}";

static void
check(uint64_t hole, uint32_t attempt, const char *want)
{
	struct body *body = NULL;

	assert_int_equal(
	    body_make(slice_text(template), hole, attempt, &body), 0);
	assert_int_equal(body->len, strlen(want));
	assert_memory_equal(body->bytes, want, body->len);
	body_unref(body);
}

static void
test_number_goes_into_the_hole(void **state)
{
	uint64_t hole = (uint64_t)(strstr(template, ",\"event") - template);

	(void)state;
	check(hole, 1,
	    "{\"payload\":{\"execution_attempt\":1,\"event_type\":\"x.y.z\"}}");
	check(hole, 4294967295u,
	    "{\"payload\":{\"execution_attempt\":4294967295,"
	    "\"event_type\":\"x.y.z\"}}");
}

static void
test_no_hole_leaves_the_template(void **state)
{
	(void)state;
	check(0, 7, template);
}

static void
test_hole_outside_is_refused(void **state)
{
	struct body *body = NULL;

	(void)state;
	assert_int_equal(body_make(slice_text("{}"), 2, 1, &body), -EBADMSG);
	assert_int_equal(
	    body_make(slice_text("{}"), UINT64_MAX, 1, &body), -EBADMSG);
	assert_null(body);
}

static void
test_empty_template(void **state)
{
	struct body *body = NULL;

	(void)state;
	assert_int_equal(body_make((struct slice){ NULL, 0 }, 0, 1, &body), 0);
	assert_int_equal(body->len, 0);
	body_unref(body);
}

static void
test_references(void **state)
{
	struct body *body = NULL;

	(void)state;
	assert_int_equal(body_make(slice_text("{}"), 0, 1, &body), 0);
	assert_ptr_equal(body_ref(body), body);
	body_unref(body);
	assert_memory_equal(body_slice(body).data, "{}", 2);
	body_unref(body);
	body_unref(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_goes_into_the_hole),
		cmocka_unit_test(test_no_hole_leaves_the_template),
		cmocka_unit_test(test_hole_outside_is_refused),
		cmocka_unit_test(test_empty_template),
		cmocka_unit_test(test_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
