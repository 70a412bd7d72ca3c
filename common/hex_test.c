#include "common/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
test_digits(void **state)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *at = c == 0 ? NULL : strchr(digits, c);

		assert_int_equal(hex_digit((uint8_t)c),
		    at == NULL ? -1 : (at - digits) % 16);
	}
}

static void
test_escapes(void **state)
{
	static const char *const none[] = { "", "%", "%4", "%4g", "%g4", "41",
		"a%41", "% 1", "%%41" };

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[16];

		(void)snprintf(text, sizeof(text), "%%%02xff", byte);
		assert_int_equal(hex_escape(slice_text(text)), (int)byte);
		(void)snprintf(text, sizeof(text), "%%%02X", byte);
		assert_int_equal(hex_escape(slice_text(text)), (int)byte);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_int_equal(hex_escape(slice_text(none[i])), -1);
	/* nothing behind the end counts */
	assert_int_equal(
	    hex_escape((struct slice){ (const uint8_t *)"%41", 2 }), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digits),
		cmocka_unit_test(test_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
