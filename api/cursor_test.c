#include "api/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/crypto.h"

static void
test_bound_and_sealed(void **state)
{
	struct buf text, place;
	struct seal seal;

	(void)state;
	crypto_random(seal.key, sizeof(seal.key));
	buf_init(&text, CURSOR_TEXT_MAX);
	buf_init(&place, CURSOR_PLACE_MAX);
	assert_int_equal(
	    cursor_make(&seal, "logs:1", slice_text("there"), &text), 0);
	assert_int_equal(buf_add(&text, "=", 2), 0); /* padding is optional */
	assert_int_equal(
	    cursor_read(&seal, "logs:1", (const char *)text.data, &place), 0);
	assert_true(slice_is(buf_slice(&place), "there"));
	buf_clear(&place);
	assert_int_equal(
	    cursor_read(&seal, "logs:2", (const char *)text.data, &place),
	    -EBADMSG);
	text.data[5] ^= 1;
	assert_int_equal(
	    cursor_read(&seal, "logs:1", (const char *)text.data, &place),
	    -EBADMSG);
	assert_int_equal(
	    cursor_read(&seal, "logs:1", "not one", &place), -EBADMSG);
	assert_int_equal(cursor_read(&seal, "logs:1", "", &place), -EBADMSG);
	assert_int_equal(place.len, 0);

	buf_clear(&text);
	assert_int_equal(
	    cursor_make(&seal, "a", (struct slice){ NULL, 0 }, &text), 0);
	assert_int_equal(buf_add(&text, "", 1), 0);
	assert_int_equal(
	    cursor_read(&seal, "a", (const char *)text.data, &place), 0);
	assert_int_equal(place.len, 0);
	buf_done(&text);
	buf_done(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound_and_sealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
