#include "deliverer/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	struct verdict_case c;
	enum msg_verdict verdict;
	unsigned status;
	const char *text;
	bool may_ask;
} table[] = {
	{ { .status = 200 }, MSG_VERDICT_DELIVERED, 200, "", false },
	{ { .status = 204 }, MSG_VERDICT_DELIVERED, 204, "", false },
	{ { .status = 299 }, MSG_VERDICT_DELIVERED, 299, "", false },
	/* a 2xx whose body was cut or too long is delivered all the same */
	{ { .status = 200, .code = CURLE_WRITE_ERROR }, MSG_VERDICT_DELIVERED,
	    200, "", false },
	{ { .status = 202, .code = CURLE_OPERATION_TIMEDOUT },
	    MSG_VERDICT_DELIVERED, 202, "", false },
	{ { .status = 301 }, MSG_VERDICT_RETRY, 301,
	    "redirect: HTTP 301, not followed", false },
	{ { .status = 304 }, MSG_VERDICT_RETRY, 304,
	    "redirect: HTTP 304, not followed", false },
	{ { .status = 400 }, MSG_VERDICT_RETRY, 400, "status: HTTP 400",
	    false },
	{ { .status = 404 }, MSG_VERDICT_RETRY, 404, "status: HTTP 404",
	    false },
	{ { .status = 410 }, MSG_VERDICT_DISABLE, 410, "status: HTTP 410",
	    false },
	{ { .status = 400, .unwanted = true }, MSG_VERDICT_DISABLE, 400,
	    "status: HTTP 400, webhook-delivery: disable", false },
	{ { .status = 204, .unwanted = true }, MSG_VERDICT_DELIVERED, 204, "",
	    false },
	{ { .status = 302, .unwanted = true }, MSG_VERDICT_DISABLE, 302,
	    "redirect: HTTP 302, not followed", false },
	{ { .code = CURLE_RECV_ERROR, .unwanted = true }, MSG_VERDICT_RETRY, 0,
	    "connection: Failure when receiving data from the peer", false },
	{ { .status = 429 }, MSG_VERDICT_RETRY, 429, "status: HTTP 429", true },
	{ { .status = 500 }, MSG_VERDICT_RETRY, 500, "status: HTTP 500",
	    false },
	{ { .status = 503, .code = CURLE_WRITE_ERROR }, MSG_VERDICT_RETRY, 503,
	    "status: HTTP 503", true },
	{ { .status = 999 }, MSG_VERDICT_RETRY, 999, "status: HTTP 999",
	    false },
	/* no answer */
	{ { .status = 0,
	      .code = CURLE_OPERATION_TIMEDOUT,
	      .duration_ms = 60000 },
	    MSG_VERDICT_RETRY, 0, "timeout: no answer after 60000 ms", false },
	{ { .status = 100, .code = CURLE_OPERATION_TIMEDOUT, .duration_ms = 5 },
	    MSG_VERDICT_RETRY, 0, "timeout: no answer after 5 ms", false },
	{ { .status = 101 }, MSG_VERDICT_RETRY, 0,
	    "http: status 101 is no answer", false },
	{ { .code = CURLE_COULDNT_RESOLVE_HOST,
	      .detail = "Could not resolve host: x" },
	    MSG_VERDICT_RETRY, 0, "dns: Could not resolve host: x", false },
	{ { .code = CURLE_PEER_FAILED_VERIFICATION, .detail = "bad" },
	    MSG_VERDICT_RETRY, 0, "tls: bad", false },
	{ { .code = CURLE_RECV_ERROR, .detail = "a\r\n\xff" },
	    MSG_VERDICT_RETRY, 0, "connection: a???", false },
	/* a refused address is not told */
	{ { .code = CURLE_COULDNT_CONNECT,
	      .refused = true,
	      .detail = "10.0.0.1" },
	    MSG_VERDICT_RETRY, 0, "refused: the address may not be called",
	    false },
	{ { .problem = "secret: it cannot be opened" }, MSG_VERDICT_RETRY, 0,
	    "secret: it cannot be opened", false },
};

static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct verdict_case c = table[i].c;
		char text[VERDICT_TEXT_SIZE];

		if (c.detail == NULL)
			c.detail = "";
		verdict_text(&c, text);
		if (verdict_of(&c) != table[i].verdict ||
		    verdict_status(&c) != table[i].status ||
		    verdict_may_ask(&c) != table[i].may_ask ||
		    strcmp(text, table[i].text) != 0)
			fail_msg("row %zu: %s", i, text);
	}
}

/* Then it is libcurl's own text, which changes with its versions. */
static void
test_no_detail(void **state)
{
	struct verdict_case c = { .code = CURLE_COULDNT_CONNECT, .detail = "" };
	char text[VERDICT_TEXT_SIZE];

	(void)state;
	verdict_text(&c, text);
	assert_memory_equal(text, "connect: ", 9);
	assert_string_equal(text + 9, curl_easy_strerror(c.code));
	assert_int_equal(verdict_of(&c), MSG_VERDICT_RETRY);
}

static void
test_long_detail_is_cut(void **state)
{
	char detail[2 * VERDICT_TEXT_SIZE], text[VERDICT_TEXT_SIZE];
	struct verdict_case c = { .code = CURLE_RECV_ERROR, .detail = detail };

	(void)state;
	memset(detail, 'x', sizeof(detail));
	detail[sizeof(detail) - 1] = '\0';
	verdict_text(&c, text);
	assert_int_equal(strlen(text), VERDICT_TEXT_SIZE - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_no_detail),
		cmocka_unit_test(test_long_detail_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
