#include "common/http_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"

#define TEXT_MAX 4096
#define MANY 2000

static bool
show(void *arg, const char *name, const char *value)
{
	return buf_addf(arg, "[%s=%s]", name, value) == 0;
}

/* What target's query is taken for; the target must be left without it. */
static void
reads(const char *target, const char *left, const char *want)
{
	char *copy = strdup(target);
	struct http_query q;
	struct buf text;

	assert_non_null(copy);
	buf_init(&text, TEXT_MAX);
	assert_int_equal(http_query_take(&q, copy), 0);
	assert_string_equal(copy, left);
	free(copy); /* it is not needed any more */
	http_query_each(&q, show, &text);
	assert_int_equal(buf_add(&text, "", 1), 0);
	assert_string_equal((const char *)text.data, want);
	buf_done(&text);
	http_query_done(&q);
}

static void
names_and_values(void **state)
{
	(void)state;
	reads("/a", "/a", "");
	reads("", "", "");
	reads("/a?", "/a?", "");
	reads("/a?b", "/a?", "[b=]");
	reads("/a?b=", "/a?", "[b=]");
	reads("/a?b=c", "/a?", "[b=c]");
	reads("/a?b=c=d?e", "/a?", "[b=c=d?e]");
	reads("/a?=c", "/a?", "[=c]");
	reads("/a?=", "/a?", "[=]");
	reads("?a=1&b&a=2&B=3", "?", "[a=1][b=][a=2][B=3]");
	reads("/a?&&b=1&&c&&", "/a?", "[b=1][c=]");
	reads("/a?&", "/a?", "");
}

static void
escapes(void **state)
{
	(void)state;
	reads("/%41?%41=%42", "/%41?", "[A=B]");
	reads("?filter%5Bservice%5d%5Bid%5D=a%26b%3Dc", "?",
	    "[filter[service][id]=a&b=c]");
	reads("?a+b=c+d%2B", "?", "[a b=c d+]");
	/* what is no escape */
	reads("?%=%&%4=%4&%zz=%4g", "?", "[%=%][%4=%4][%zz=%4g]");
	reads("?a%3=%4&1=2", "?", "[a%3=%4][1=2]");
	reads("?%25%34%31=%ff", "?", "[%41=\xff]");
}

static void
many(void **state)
{
	char target[2 * MANY + 2] = "?";
	struct http_query q;
	struct buf text;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		memcpy(target + 1 + 2 * i, "a&", 3);
	buf_init(&text, 4 * MANY);
	assert_int_equal(http_query_take(&q, target), 0);
	assert_int_equal(q.count, MANY);
	http_query_each(&q, show, &text);
	assert_int_equal(text.len, 4 * MANY);
	buf_clear(&text);
	text.max_bytes = 10; /* the third says that it is enough */
	http_query_each(&q, show, &text);
	assert_int_equal(text.len, 8);
	buf_done(&text);
	http_query_done(&q);
	http_query_done(&q);
}

static void
no_target(void **state)
{
	struct http_query q;

	(void)state;
	assert_int_equal(http_query_take(&q, NULL), 0);
	http_query_each(&q, show, NULL);
	http_query_done(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_values),
		cmocka_unit_test(escapes),
		cmocka_unit_test(many),
		cmocka_unit_test(no_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
