#include "common/jwt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto.h"

#define NOW 1800000000
#define SIXTEEN "0123456789abcdef"
#define GOOD_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static struct jwt_key key;

static int
set_up(void **state)
{
	struct seal seal;

	(void)state;
	memset(seal.key, 42, sizeof(seal.key));
	jwt_key_init(&key, &seal);
	return 0;
}

/* A token of any header and claims, signed with k. */
static void
forge(const struct jwt_key *k, const char *header, const char *claims,
    struct buf *out)
{
	uint8_t mac[CRYPTO_HASH_SIZE];
	struct slice text;

	buf_clear(out);
	assert_int_equal(crypto_base64url(slice_text(header), out), 0);
	assert_int_equal(buf_add(out, ".", 1), 0);
	assert_int_equal(crypto_base64url(slice_text(claims), out), 0);
	text = buf_slice(out);
	crypto_hmac(
	    (struct slice){ k->bytes, sizeof(k->bytes) }, &text, 1, mac);
	assert_int_equal(buf_add(out, ".", 1), 0);
	assert_int_equal(
	    crypto_base64url((struct slice){ mac, sizeof(mac) }, out), 0);
}

static void
everything_comes_back(void **state)
{
	struct jwt all = {
		.kind = JWT_CONNECTION,
		.app = 7,
		.subscription = UINT32_MAX,
		.number = INT64_MAX,
		.expires_s = NOW + 1,
		.unified_api = "crm",
		.lookup = "lookup\"\\\xc3\xa9",
	};
	struct jwt little = { .kind = JWT_INTEGRATION }, back;
	struct buf out;

	(void)state;
	memset(all.unified_api, 'u', JWT_CLAIM_MAX - 1);
	buf_init(&out, 2048);
	assert_int_equal(jwt_mint(&key, &all, &out), 0);
	assert_true(out.len <= JWT_TEXT_MAX);
	assert_int_equal(jwt_check(&key, buf_slice(&out), NOW, &back), 0);
	assert_int_equal(back.kind, all.kind);
	assert_true(back.app == all.app);
	assert_true(back.subscription == all.subscription);
	assert_true(back.number == all.number);
	assert_true(back.expires_s == all.expires_s);
	assert_string_equal(back.unified_api, all.unified_api);
	assert_string_equal(back.lookup, all.lookup);
	buf_clear(&out);
	assert_int_equal(jwt_mint(&key, &little, &out), 0);
	assert_int_equal(
	    jwt_check(&key, buf_slice(&out), UINT64_MAX, &back), 0);
	assert_int_equal(back.kind, JWT_INTEGRATION);
	assert_true(back.app == 0 && back.number == 0 && back.expires_s == 0);
	assert_string_equal(back.lookup, "");
	buf_done(&out);
}

/* An outsider's view: three parts of base64url, the header of RFC 7515 A.1. */
static void
it_is_a_jwt(void **state)
{
	struct jwt claims = { .kind = JWT_CONNECTION, .lookup = "abc" };
	struct buf out, twin;

	(void)state;
	buf_init(&out, 1024);
	buf_init(&twin, 1024);
	assert_int_equal(jwt_mint(&key, &claims, &out), 0);
	forge(&key, GOOD_HEADER, "{\"k\":\"c\",\"l\":\"abc\"}", &twin);
	assert_true(slice_same(buf_slice(&out), buf_slice(&twin)));
	for (size_t i = 0; i < out.len; i++)
		assert_null(memchr("+/=", out.data[i], 3));
	buf_done(&out);
	buf_done(&twin);
}

static void
a_session_is_another_kind(void **state)
{
	struct jwt claims = { .kind = JWT_SESSION, .app = 4, .lookup = "key" };
	struct buf out;
	struct jwt back;

	(void)state;
	buf_init(&out, 1024);
	assert_int_equal(jwt_mint(&key, &claims, &out), 0);
	assert_int_equal(jwt_check(&key, buf_slice(&out), NOW, &back), 0);
	assert_int_equal(back.kind, JWT_SESSION);
	assert_true(back.app == 4);
	assert_string_equal(back.lookup, "key");
	buf_done(&out);
}

static void
expires_on_the_second(void **state)
{
	struct jwt claims = { .kind = JWT_INTEGRATION, .expires_s = NOW };
	struct jwt back = { .app = 99 };
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	assert_int_equal(jwt_mint(&key, &claims, &out), 0);
	assert_int_equal(jwt_check(&key, buf_slice(&out), NOW - 1, &back), 0);
	back.app = 99;
	assert_int_equal(jwt_check(&key, buf_slice(&out), NOW, &back), -ETIME);
	assert_int_equal(back.app, 99);
	assert_int_equal(
	    jwt_check(&key, buf_slice(&out), UINT64_MAX, &back), -ETIME);
	buf_done(&out);
}

static void
other_algorithms_do_not_pass(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"none\",\"typ\":\"JWT\"}",
		"{\"alg\":\"None\",\"typ\":\"JWT\"}",
		"{\"alg\":\"HS512\",\"typ\":\"JWT\"}",
		"{\"alg\":\"RS256\",\"typ\":\"JWT\"}",
		"{\"typ\":\"JWT\",\"alg\":\"HS256\"}",
		"{\"alg\":\"HS256\"}",
		"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"alg\":\"none\"}",
		"{\"alg\":\"HS256\",\"typ\":\"JWT\"} ",
		"{}",
		"",
	};
	struct buf out;
	struct jwt back;

	(void)state;
	buf_init(&out, 1024);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		/* even signed with the right key */
		forge(&key, headers[i], "{\"k\":\"i\"}", &out);
		assert_int_equal(
		    jwt_check(&key, buf_slice(&out), NOW, &back), -EBADMSG);
	}
	/* the classic: no algorithm, no signature */
	forge(&key, headers[0], "{\"k\":\"i\"}", &out);
	while (out.data[out.len - 1] != '.')
		out.len--;
	assert_int_equal(
	    jwt_check(&key, buf_slice(&out), NOW, &back), -EBADMSG);
	/* the right header without a signature */
	forge(&key, GOOD_HEADER, "{\"k\":\"i\"}", &out);
	while (out.data[out.len - 1] != '.')
		out.len--;
	assert_int_equal(jwt_check(&key, buf_slice(&out), NOW, &back), -EACCES);
	buf_done(&out);
}

static void
a_changed_character_does_not_pass(void **state)
{
	struct jwt claims = { .kind = JWT_CONNECTION,
		.app = 3,
		.lookup = "f00",
		.expires_s = NOW + 60 };
	struct jwt back;
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	assert_int_equal(jwt_mint(&key, &claims, &out), 0);
	for (size_t i = 0; i < out.len; i++) {
		static const char others[] = "ABCxyz019-_+/=. ";
		uint8_t was = out.data[i];

		for (size_t k = 0; k < sizeof(others); k++) {
			int r;

			/* "-_" and "+/" mean the same in the signature */
			if (others[k] == (char)was || was == '-' || was == '_')
				continue;
			out.data[i] = (uint8_t)others[k];
			r = jwt_check(&key, buf_slice(&out), NOW, &back);
			assert_true(r == -EBADMSG || r == -EACCES);
		}
		out.data[i] = was;
	}
	for (size_t len = 0; len < out.len; len++)
		assert_int_not_equal(
		    jwt_check(
			&key, (struct slice){ out.data, len }, NOW, &back),
		    0);
	buf_done(&out);
}

static void
another_key_does_not_pass(void **state)
{
	struct jwt claims = { .kind = JWT_INTEGRATION }, back;
	struct jwt_key other = key;
	struct buf out;

	(void)state;
	other.bytes[31] ^= 1;
	buf_init(&out, 1024);
	assert_int_equal(jwt_mint(&other, &claims, &out), 0);
	assert_int_equal(jwt_check(&key, buf_slice(&out), NOW, &back), -EACCES);
	buf_done(&out);
}

/* Signed by us, and still not to be believed. */
static void
wrong_claims_do_not_pass(void **state)
{
	static const char *const claims[] = {
		"",
		"{}",
		"[]",
		"null",
		"{\"k\":1}",
		"{\"k\":\"x\"}",
		"{\"k\":\"\"}",
		"{\"k\":\"ic\"}",
		"{\"k\":\"i\",\"k\":\"c\"}",
		"{\"k\":\"i\",\"a\":\"1\"}",
		"{\"k\":\"i\",\"a\":-1}",
		"{\"k\":\"i\",\"a\":1.5}",
		"{\"k\":\"i\",\"a\":99999999999999999999}",
		"{\"k\":\"i\",\"e\":-1}",
		"{\"k\":\"i\",\"e\":null}",
		"{\"k\":\"i\",\"n\":true}",
		"{\"k\":\"i\",\"s\":[]}",
		"{\"k\":\"i\",\"l\":5}",
		"{\"k\":\"i\",\"l\":\"a\\u0000b\"}",
		"{\"k\":\"i\",\"l\":\"\xff\"}",
		/* 64 letters: one too many */
		"{\"k\":\"i\",\"u\":\"" SIXTEEN SIXTEEN SIXTEEN SIXTEEN "\"}",
		"{\"k\":\"i\"} x",
		"{\"k\":\"i\"",
	};
	struct buf out;
	struct jwt back;

	(void)state;
	buf_init(&out, 1024);
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		forge(&key, GOOD_HEADER, claims[i], &out);
		if (jwt_check(&key, buf_slice(&out), NOW, &back) != -EBADMSG)
			fail_msg("%s passed", claims[i]);
	}
	forge(&key, GOOD_HEADER, "{\"k\":\"i\",\"new\":[1]}", &out);
	assert_int_equal(jwt_check(&key, buf_slice(&out), NOW, &back), 0);
	buf_done(&out);
}

static void
garbage_does_not_pass(void **state)
{
	static char longer[JWT_TEXT_MAX + 2];
	static const char *const garbage[] = { "", ".", "..", "...", "a.b.c",
		"a.b", "a.b.c.d", " ", "Bearer x", "\xff\xfe", "%2e%2e" };
	struct jwt back;

	(void)state;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
		assert_int_equal(
		    jwt_check(&key, slice_text(garbage[i]), NOW, &back),
		    -EBADMSG);
	assert_int_equal(
	    jwt_check(&key, (struct slice){ NULL, 0 }, NOW, &back), -EBADMSG);
	memset(longer, 'a', JWT_TEXT_MAX + 1);
	longer[10] = longer[20] = '.';
	assert_int_equal(
	    jwt_check(&key, slice_text(longer), NOW, &back), -EBADMSG);
	/* many dots */
	memset(longer, '.', JWT_TEXT_MAX);
	assert_int_equal(
	    jwt_check(&key, slice_text(longer), NOW, &back), -EBADMSG);
}

/* What could not be checked is not minted, and leaves no trace. */
static void
mints_nothing_false(void **state)
{
	struct jwt no_kind = { .app = 1 };
	struct jwt large = { .kind = JWT_INTEGRATION, .app = UINT64_MAX };
	struct jwt no_utf8 = { .kind = JWT_CONNECTION, .lookup = "\xff" };
	struct jwt swollen = { .kind = JWT_CONNECTION };
	struct jwt fine = { .kind = JWT_INTEGRATION };
	struct buf out, tight;

	(void)state;
	buf_init(&out, 4096);
	assert_int_equal(buf_add_text(&out, "kept"), 0);
	assert_int_equal(jwt_mint(&key, &no_kind, &out), -EINVAL);
	assert_int_equal(jwt_mint(&key, &large, &out), -EINVAL);
	assert_int_equal(jwt_mint(&key, &no_utf8, &out), -EINVAL);
	/* control characters become \u0001: six times as long */
	memset(swollen.lookup, 1, JWT_CLAIM_MAX - 1);
	memset(swollen.unified_api, 1, JWT_CLAIM_MAX - 1);
	assert_int_equal(jwt_mint(&key, &swollen, &out), -EMSGSIZE);
	assert_true(slice_is(buf_slice(&out), "kept"));
	for (size_t room = 0; room < 80; room++) {
		buf_init(&tight, room);
		assert_int_equal(jwt_mint(&key, &fine, &tight), -ENOBUFS);
		assert_int_equal(tight.len, 0);
		buf_done(&tight);
	}
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_comes_back),
		cmocka_unit_test(it_is_a_jwt),
		cmocka_unit_test(a_session_is_another_kind),
		cmocka_unit_test(expires_on_the_second),
		cmocka_unit_test(other_algorithms_do_not_pass),
		cmocka_unit_test(a_changed_character_does_not_pass),
		cmocka_unit_test(another_key_does_not_pass),
		cmocka_unit_test(wrong_claims_do_not_pass),
		cmocka_unit_test(garbage_does_not_pass),
		cmocka_unit_test(mints_nothing_false),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
