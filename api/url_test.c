#include "api/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
test_syntax(void **state)
{
	static const char *const right[] = {
		"http://a",
		"https://example.com/webhook?a=b#c",
		"http://127.0.0.1:9000/hook",
		"http://[::1]:9000/",
		"http://[::ffff:10.0.0.1]",
		"https://user:pa%20ss@example.com:443",
		"http://example.com:",
		"http://a_b.example.com/%7Bx%7D",
	};
	static const char *const wrong[] = {
		"",
		"http://",
		"http:///path",
		"HTTP://a",
		"ftp://a",
		"//a/b",
		"http:/a",
		"http://a:0",
		"http://a:65536",
		"http://a:80x",
		"http://a:1:2",
		"http://a b",
		"http://a/b c",
		"http://a/\nb",
		"http://\xc3\xa9.fr/",
		"http://[::1",
		"http://[]/",
		"http://[::g]/",
		"http://[::1]x",
		"http://a\\b/",
		"http://user@",
		"http://@:80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++)
		assert_true(url_is_http(right[i]));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(url_is_http(wrong[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_syntax) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
