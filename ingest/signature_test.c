#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/log.h"
#include "ingest/signature.h"

#define NOW_S UINT64_C(1531420618) /* of Slack's example */
#define HEADERS_MAX 4

struct header {
	const char *name, *value;
};

static struct header headers[HEADERS_MAX];
static struct signature_call call;

static const char *
header(const void *arg, const char *name)
{
	const struct header *list = arg;

	for (int i = 0; i < HEADERS_MAX; i++)
		if (list[i].name != NULL && strcasecmp(list[i].name, name) == 0)
			return list[i].value;
	return NULL;
}

static int
setup(void **state)
{
	(void)state;
	log_init("test", LOG_AT_MAX);
	memset(headers, 0, sizeof(headers));
	call = (struct signature_call){
		.method = "POST",
		.base = slice_text("https://in.example.com"),
		.target = slice_text("/webhook/w/t/x?e=a%20b&c"),
		.body = slice_text("{\"a\":1}"),
		.now_ms = NOW_S * 1000,
		.header = header,
		.arg = headers,
		.items = JSON_NONE,
	};
	return 0;
}

static enum signature_result
check(const char *scheme, const char *secret)
{
	json_t *json = json_loads(scheme, 0, NULL);
	enum signature_result result;
	struct signature *s;

	assert_non_null(json);
	assert_int_equal(signature_read(json, &s), 0);
	result = signature_check(s, slice_text(secret), &call);
	signature_free(s);
	json_decref(json);
	return result;
}

/* By OpenSSL alone. */
static void
mac(const char *secret, const char *text, uint8_t bytes[32])
{
	assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret),
	    (const uint8_t *)text, strlen(text), bytes, NULL));
}

static const char *
base64(const char *secret, const char *text)
{
	static uint8_t out[48];
	uint8_t bytes[32];

	mac(secret, text, bytes);
	assert_int_equal(EVP_EncodeBlock(out, bytes, 32), 44);
	return (const char *)out;
}

static const char *
hex(const char *secret, const char *text)
{
	static char out[65];
	uint8_t bytes[32];

	mac(secret, text, bytes);
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return out;
}

/* ---- published vectors ------------------------------------------------ */

#define GITHUB                                                            \
	"{\"scheme\":\"hmac-sha256\",\"header\":\"X-Hub-Signature-256\"," \
	"\"encoding\":\"hex\",\"prefix\":\"sha256=\"}"
#define SLACK                                                              \
	"{\"scheme\":\"hmac-sha256\",\"header\":\"X-Slack-Signature\","    \
	"\"encoding\":\"hex\",\"prefix\":\"v0=\",\"signed\":[{\"text\":"   \
	"\"v0:\"},\"timestamp\",{\"text\":\":\"},\"body\"],\"timestamp\":" \
	"{\"header\":\"X-Slack-Request-Timestamp\",\"unit\":\"s\"}}"
#define DROPBOX                                                           \
	"{\"scheme\":\"hmac-sha256\",\"header\":\"X-Dropbox-Signature\"," \
	"\"encoding\":\"hex\"}"

static void
test_github(void **state)
{
	static const char secret[] = "It's a Secret to Everybody";

	(void)state;
	call.body = slice_text("Hello, World!");
	assert_int_equal(check(GITHUB, secret), SIGNATURE_MISSING);
	headers[0] = (struct header){ "x-hub-signature-256",
		"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379"
		"c8b043e17" };
	assert_int_equal(check(GITHUB, secret), SIGNATURE_RIGHT);
	assert_int_equal(check(GITHUB, "another"), SIGNATURE_WRONG);
	headers[0].value += 7; /* without its prefix */
	assert_int_equal(check(GITHUB, secret), SIGNATURE_WRONG);
	headers[0].value =
	    "sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379"
	    "C8B043E17";
	assert_int_equal(check(GITHUB, secret), SIGNATURE_RIGHT);
	headers[0].value =
	    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379"
	    "c8b043e1";
	assert_int_equal(check(GITHUB, secret), SIGNATURE_WRONG);
	headers[0].value = "sha256=";
	assert_int_equal(check(GITHUB, secret), SIGNATURE_WRONG);
	headers[0].value = "";
	assert_int_equal(check(GITHUB, secret), SIGNATURE_MISSING);
}

static void
test_slack(void **state)
{
	static const char secret[] = "8f742231b10e8888abcd99yyyzzz85a5";

	(void)state;
	call.body = slice_text(
	    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain="
	    "testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id="
	    "U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
	    "response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J"
	    "%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
	    "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c");
	headers[0] = (struct header){ "X-Slack-Signature",
		"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c6"
		"9b503" };
	assert_int_equal(check(SLACK, secret), SIGNATURE_MISSING);
	headers[1] =
	    (struct header){ "X-Slack-Request-Timestamp", "1531420618" };
	assert_int_equal(check(SLACK, secret), SIGNATURE_RIGHT);
	call.now_ms = (NOW_S + 300) * 1000;
	assert_int_equal(check(SLACK, secret), SIGNATURE_RIGHT);
	call.now_ms++;
	assert_int_equal(check(SLACK, secret), SIGNATURE_STALE);
	call.now_ms = (NOW_S - 300) * 1000;
	assert_int_equal(check(SLACK, secret), SIGNATURE_RIGHT);
	call.now_ms--;
	assert_int_equal(check(SLACK, secret), SIGNATURE_STALE);
	call.now_ms = NOW_S * 1000;
	headers[1].value = "1531420619"; /* not the one that was signed */
	assert_int_equal(check(SLACK, secret), SIGNATURE_WRONG);
	headers[1].value = "1531420618 ";
	assert_int_equal(check(SLACK, secret), SIGNATURE_WRONG);
	headers[1].value = "9999999999999999999";
	assert_int_equal(check(SLACK, secret), SIGNATURE_WRONG);
	headers[1].value = "-1";
	assert_int_equal(check(SLACK, secret), SIGNATURE_WRONG);
}

static void
test_dropbox(void **state)
{
	(void)state;
	call.body = slice_text("{\"delta\": {\"users\": [12345]}}");
	headers[0] = (struct header){ "X-Dropbox-Signature",
		"0a8c16b085420b960dc78664279fe09e936a2a01b1f91064869d9e77dfd645"
		"29" };
	assert_int_equal(check(DROPBOX, "the_secret"), SIGNATURE_RIGHT);
	/* The bytes count, not what they mean. */
	call.body = slice_text("{\"delta\":{\"users\":[12345]}}");
	assert_int_equal(check(DROPBOX, "the_secret"), SIGNATURE_WRONG);
}

/* ---- forms ------------------------------------------------------------ */

#define HUBSPOT                                                              \
	"{\"scheme\":\"hmac-sha256\",\"header\":\"X-HubSpot-Signature-v3\"," \
	"\"encoding\":\"base64\",\"signed\":[\"method\",\"uri\",\"body\","   \
	"\"timestamp\"],\"timestamp\":{\"header\":\"X-HubSpot-Request-Time"  \
	"stamp\",\"unit\":\"ms\",\"tolerance_s\":300}}"

static void
test_base64_over_method_uri_body_and_time(void **state)
{
	(void)state;
	headers[0] = (struct header){ "X-HubSpot-Signature-v3",
		base64("s", "POSThttps://in.example.com/webhook/w/t/x?e=a%20b&c"
			    "{\"a\":1}1531420618000") };
	headers[1] =
	    (struct header){ "X-HubSpot-Request-Timestamp", "1531420618000" };
	assert_int_equal(check(HUBSPOT, "s"), SIGNATURE_RIGHT);
	call.target = slice_text("/webhook/w/t/x?e=a b&c");
	assert_int_equal(check(HUBSPOT, "s"), SIGNATURE_WRONG);
	call.target = slice_text("/webhook/w/t/x?e=a%20b&c");
	call.method = "GET";
	assert_int_equal(check(HUBSPOT, "s"), SIGNATURE_WRONG);
	call.method = "POST";
	call.now_ms += 300001;
	assert_int_equal(check(HUBSPOT, "s"), SIGNATURE_STALE);
}

static void
test_a_uri_with_some_escapes_decoded(void **state)
{
	static const char scheme[] =
	    "{\"scheme\":\"hmac-sha256\",\"header\":\"X\",\"encoding\":"
	    "\"base64\",\"signed\":[\"uri\",\"body\"],"
	    "\"uri_decodes\":\":/?@!$'()*,;\"}";
	static const struct {
		const char *target, *is_signed;
		enum signature_result result;
	} cases[] = {
		{ "/a?e=x%3Ay", "/a?e=x%3Ay", SIGNATURE_RIGHT },
		{ "/a?e=x%3Ay", "/a?e=x:y", SIGNATURE_RIGHT },
		{ "/a?e=x%3ay", "/a?e=x:y", SIGNATURE_RIGHT },
		{ "/a?%3a%2F%3F%40%21%24%27%28%29%2A%2C%3B", "/a?:/?@!$'()*,;",
		    SIGNATURE_RIGHT },
		{ "/a?e=x%3Ay%20%2B", "/a?e=x:y%20%2B", SIGNATURE_RIGHT },
		{ "/a?e=x%3Ay%20%2B", "/a?e=x:y +", SIGNATURE_WRONG },
		{ "/a?e=%3A%3", "/a?e=:%3", SIGNATURE_RIGHT },
		{ "/a?e=%253A", "/a?e=%253A", SIGNATURE_RIGHT },
		{ "/a?e=%253A", "/a?e=%3A", SIGNATURE_WRONG },
		{ "/a?e=x:y", "/a?e=x%3Ay", SIGNATURE_WRONG },
		{ "%3A", ":", SIGNATURE_RIGHT },
		{ "%", "", SIGNATURE_WRONG },
		{ "", "", SIGNATURE_RIGHT },
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text),
		    "https://in.example.com%s{\"a\":1}", cases[i].is_signed);
		headers[0] = (struct header){ "X", base64("k", text) };
		call.target = slice_text(cases[i].target);
		assert_int_equal(check(scheme, "k"), cases[i].result);
	}
}

static void
test_base64_of_an_empty_body(void **state)
{
	static const char scheme[] =
	    "{\"scheme\":\"hmac-sha256\",\"header\":\"X\","
	    "\"encoding\":\"base64\",\"signed\":[\"body\"]}";
	char text[64];

	(void)state;
	call.body = (struct slice){ 0 };
	snprintf(text, sizeof(text), "%s", base64("k", ""));
	headers[0] = (struct header){ "X", text };
	assert_int_equal(check(scheme, "k"), SIGNATURE_RIGHT);
	text[43] = '\0'; /* its padding */
	assert_int_equal(check(scheme, "k"), SIGNATURE_WRONG);
}

static void
test_hex_after_a_word_and_a_space(void **state)
{
	static const char scheme[] =
	    "{\"scheme\":\"hmac-sha256\",\"header\":\"Signature\","
	    "\"encoding\":\"hex\",\"prefix\":\"sha256 \"}";
	char text[80];

	(void)state;
	snprintf(text, sizeof(text), "sha256 %s", hex("k", "{\"a\":1}"));
	headers[0] = (struct header){ "Signature", text };
	assert_int_equal(check(scheme, "k"), SIGNATURE_RIGHT);
	text[6] = '=';
	assert_int_equal(check(scheme, "k"), SIGNATURE_WRONG);
}

#define STRIPE                                                               \
	"{\"scheme\":\"hmac-sha256\",\"header\":\"Stripe-Signature\","       \
	"\"encoding\":\"hex\",\"list\":\"v1\",\"signed\":[\"timestamp\","    \
	"{\"text\":\".\"},\"body\"],\"timestamp\":{\"list\":\"t\",\"unit\":" \
	"\"s\",\"tolerance_s\":300}}"

SL_PRINTF(1, 2)
static enum signature_result
stripe(const char *format, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	headers[0] = (struct header){ "Stripe-Signature", text };
	return check(STRIPE, "whsec_x");
}

static void
test_a_list_of_signatures(void **state)
{
	const char *right = hex("whsec_x", "1531420618.{\"a\":1}");
	char others[5 * SIGNATURE_LIST_MAX];

	(void)state;
	assert_int_equal(stripe("t=1531420618,v1=%s", right), SIGNATURE_RIGHT);
	assert_int_equal(
	    stripe("v1=00,t=1531420618, v1=%s,v0=1", right), SIGNATURE_RIGHT);
	assert_int_equal(
	    stripe("t=1531420618,v0=%s", right), SIGNATURE_MISSING);
	assert_int_equal(stripe("v1=%s", right), SIGNATURE_MISSING);
	assert_int_equal(stripe("t=1531420619,v1=%s", right), SIGNATURE_WRONG);
	assert_int_equal(stripe("t=1531420000,v1=%s", right), SIGNATURE_STALE);
	assert_int_equal(stripe("t=,v1=%s", right), SIGNATURE_MISSING);
	assert_int_equal(
	    stripe(",,=,t,v1,t=1531420618,v1=%s,", right), SIGNATURE_RIGHT);
	assert_int_equal(stripe("%s", right), SIGNATURE_MISSING);
	for (size_t i = 0; i < SIGNATURE_LIST_MAX - 1; i++)
		snprintf(others + 5 * i, sizeof(others) - 5 * i, "v1=0,");
	assert_int_equal(stripe("%st=1531420618", others), SIGNATURE_WRONG);
	assert_int_equal(
	    stripe("t=1531420618,%sv1=%s", others, right), SIGNATURE_WRONG);
	assert_int_equal(
	    stripe("t=1531420618,%sv1=%s", others + 5, right), SIGNATURE_RIGHT);
}

/* ---- tokens ----------------------------------------------------------- */

static enum signature_result
token(const char *scheme, const char *body, const char *items)
{
	enum signature_result result;
	struct json json;

	json_init(&json);
	assert_int_equal(json_parse(&json, slice_text(body)), 0);
	call.json = &json;
	call.items = json_pointer(&json, 0, items);
	result = check(scheme, "tøken");
	json_done(&json);
	return result;
}

static void
test_a_token_in_each_item(void **state)
{
	static const char scheme[] =
	    "{\"scheme\":\"token\",\"item\":\"/clientState\"}";

	(void)state;
	assert_int_equal(
	    token(scheme, "{\"value\":[{\"clientState\":\"t\\u00f8ken\"}]}",
		"/value"),
	    SIGNATURE_RIGHT);
	assert_int_equal(token(scheme,
			     "{\"value\":[{\"clientState\":\"tøken\"},"
			     "{\"clientState\":\"tøkeN\"}]}",
			     "/value"),
	    SIGNATURE_WRONG);
	assert_int_equal(
	    token(scheme, "{\"value\":[{\"clientState\":\"tøken\"},{}]}",
		"/value"),
	    SIGNATURE_MISSING);
	assert_int_equal(
	    token(scheme, "{\"value\":[{\"clientState\":null},1]}", "/value"),
	    SIGNATURE_MISSING);
	assert_int_equal(
	    token(scheme, "{\"value\":[]}", "/value"), SIGNATURE_MISSING);
	assert_int_equal(token(scheme, "{}", "/value"), SIGNATURE_MISSING);
	assert_int_equal(
	    token(scheme, "{\"clientState\":\"tøken\"}", ""), SIGNATURE_RIGHT);
}

static void
test_a_token_in_the_body_or_a_header(void **state)
{
	static const char body[] = "{\"scheme\":\"token\",\"body\":\"/token\"}";
	static const char basic[] =
	    "{\"scheme\":\"token\",\"header\":\"Authorization\",\"prefix\":"
	    "\"Basic \",\"encoding\":\"base64\"}";
	static const char plain[] =
	    "{\"scheme\":\"token\",\"header\":\"X-Token\"}";

	(void)state;
	assert_int_equal(token(body, "{\"token\":\"tøken\",\"x\":[]}", "/x"),
	    SIGNATURE_RIGHT);
	assert_int_equal(token(body, "{\"token\":17}", "/x"), SIGNATURE_WRONG);
	headers[0] =
	    (struct header){ "Authorization", "Basic dXNlcjpwYXNzd29yZA==" };
	assert_int_equal(check(basic, "user:password"), SIGNATURE_RIGHT);
	assert_int_equal(check(basic, "user:other"), SIGNATURE_WRONG);
	headers[0].value = "Basic !";
	assert_int_equal(check(basic, "user:password"), SIGNATURE_WRONG);
	headers[0].value = "Bearer dXNlcjpwYXNzd29yZA==";
	assert_int_equal(check(basic, "user:password"), SIGNATURE_WRONG);
	assert_int_equal(check(plain, "x"), SIGNATURE_MISSING);
	headers[1] = (struct header){ "X-Token", "x" };
	assert_int_equal(check(plain, "x"), SIGNATURE_RIGHT);
	assert_int_equal(check(plain, "xx"), SIGNATURE_WRONG);
}

static void
test_none(void **state)
{
	struct signature *s;

	(void)state;
	assert_int_equal(signature_read(NULL, &s), 0);
	assert_null(s);
	assert_false(signature_is_in_body(s));
	assert_int_equal(
	    check("{\"scheme\":\"none\"}", "k"), SIGNATURE_UNDECLARED);
}

static void
test_what_is_refused(void **state)
{
#define H "\"scheme\":\"hmac-sha256\",\"header\":\"X\",\"encoding\":\"hex\""
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"scheme\":1}",
		"{\"scheme\":\"rot13\"}",
		"{\"scheme\":\"none\",\"header\":\"X\"}",
		"{\"scheme\":\"hmac-sha256\"}",
		"{\"scheme\":\"hmac-sha256\",\"header\":\"X\"}",
		"{\"scheme\":\"hmac-sha256\",\"header\":\"X\","
		"\"encoding\":\"base32\"}",
		"{" H ",\"haeder\":\"Y\"}",
		"{" H ",\"prefix\":\"\"}",
		"{" H ",\"uri_decodes\":\":\"}",
		"{" H ",\"signed\":\"body\"}",
		"{" H ",\"signed\":[]}",
		"{" H ",\"signed\":[\"bdy\"]}",
		"{" H ",\"signed\":[\"method\"]}",
		"{" H ",\"signed\":[\"body\",\"body\"]}",
		"{" H ",\"signed\":[\"body\",{\"text\":1}]}",
		"{" H ",\"signed\":[\"body\",{\"text\":\"\",\"x\":1}]}",
		"{" H ",\"signed\":[\"body\",\"method\",\"method\",\"method\","
		"\"method\",\"method\",\"method\",\"method\",\"method\"]}",
		"{" H ",\"signed\":[\"body\",\"timestamp\"]}",
		"{" H ",\"timestamp\":{\"header\":\"T\",\"unit\":\"s\"}}",
		"{" H ",\"signed\":[\"body\",\"timestamp\"],\"timestamp\":{}}",
		"{" H ",\"signed\":[\"body\",\"timestamp\"],\"timestamp\":"
		"{\"header\":\"T\",\"unit\":\"us\"}}",
		"{" H ",\"signed\":[\"body\",\"timestamp\"],\"timestamp\":"
		"{\"header\":\"T\",\"unit\":\"s\",\"tolerance_s\":0}}",
		"{" H ",\"signed\":[\"body\",\"timestamp\"],\"timestamp\":"
		"{\"list\":\"t\",\"unit\":\"s\"}}",
		"{" H ",\"signed\":[\"body\",\"timestamp\"],\"timestamp\":"
		"{\"header\":\"T\",\"unit\":\"s\",\"tolerance\":1}}",
		"{\"scheme\":\"token\"}",
		"{\"scheme\":\"token\",\"header\":\"X\",\"item\":\"/a\"}",
		"{\"scheme\":\"token\",\"header\":\"X\",\"signed\":[]}",
		"{\"scheme\":\"token\",\"header\":\"X\",\"encoding\":\"hex\"}",
	};
	struct signature *s;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		json_t *json = json_loads(bad[i], 0, NULL);

		assert_non_null(json);
		if (signature_read(json, &s) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_null(s);
		json_decref(json);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_github, setup),
		cmocka_unit_test_setup(test_slack, setup),
		cmocka_unit_test_setup(test_dropbox, setup),
		cmocka_unit_test_setup(
		    test_base64_over_method_uri_body_and_time, setup),
		cmocka_unit_test_setup(
		    test_a_uri_with_some_escapes_decoded, setup),
		cmocka_unit_test_setup(test_base64_of_an_empty_body, setup),
		cmocka_unit_test_setup(
		    test_hex_after_a_word_and_a_space, setup),
		cmocka_unit_test_setup(test_a_list_of_signatures, setup),
		cmocka_unit_test_setup(test_a_token_in_each_item, setup),
		cmocka_unit_test_setup(
		    test_a_token_in_the_body_or_a_header, setup),
		cmocka_unit_test_setup(test_none, setup),
		cmocka_unit_test_setup(test_what_is_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
