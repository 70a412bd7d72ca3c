#include "deliverer/sign.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct seal seal;

static void
close_secret(uint32_t app, const char *secret, struct buf *out)
{
	char what[32];

	(void)snprintf(what, sizeof(what), "secret:%u", app);
	buf_init(out, 8192);
	assert_int_equal(seal_close(&seal, what, slice_text(secret), out), 0);
}

static void
sign_with(struct signer *s, const char *secret, struct sign_input in,
    struct sign_result *ret)
{
	struct buf sealed;

	close_secret(in.app, secret, &sealed);
	in.sealed = buf_slice(&sealed);
	assert_int_equal(sign_body(s, &in, ret), 0);
	buf_done(&sealed);
}

static void
test_apideck_vectors(void **state)
{
	struct signer *s = signer_new(&seal);
	struct sign_result got;

	(void)state;
	sign_with(s, "sk_live_test",
	    (struct sign_input){ .app = 1,
		.id = slice_text("id1"),
		.timestamp = 1700000000,
		.body =
		    slice_text("{\"message\":\"Validating delivery URL\"}") },
	    &got);
	assert_string_equal(got.apideck, "f2408ee602775022275d7a7a24be105445bb"
					 "4899487321721ec56100c31d81c2");
	assert_string_equal(
	    got.standard, "v1,3k1R0MHeg0PWDaNr67nR9CH0l6dEhkbjcAeJHCv5fGw=");
	sign_with(s, "sk_live_test",
	    (struct sign_input){ .app = 1,
		.id = slice_text("id1"),
		.body = slice_text(
		    "{\"payload\":{\"consumer_id\":\"test_user_id\","
		    "\"entity_id\":\"123456ASDF\",\"entity_type\":\"activity\","
		    "\"entity_url\":\"https://unify.apideck.com/crm/activities/"
		    "123456ASDF\",\"event_id\":\"d290f1ee-6c54-4b01-90e6-"
		    "d701748f0851\",\"event_type\":\"crm.activity.created\","
		    "\"occurred_at\":\"2020-01-01T00:00:00.000Z\","
		    "\"service_id\":\"hubspot\",\"unified_api\":\"crm\"}}") },
	    &got);
	assert_string_equal(got.apideck, "dc818aa53da2e9b1538b913d0f3fd80449fb"
					 "d4816da23de607bbd2d5e7ee572c");
	signer_free(s);
}

/* The vector of the Standard Webhooks specification. */
static void
test_standard_vector(void **state)
{
	struct signer *s = signer_new(&seal);
	struct sign_result got;

	(void)state;
	sign_with(s, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	    (struct sign_input){ .app = 7,
		.id = slice_text("msg_p5jXN8AQM9LWM0D4loKWxJek"),
		.timestamp = 1614265330,
		.body = slice_text("{\"test\": 2432232314}") },
	    &got);
	assert_string_equal(
	    got.standard, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	signer_free(s);
}

/* whsec_ with something that is no base64 behind it is a plain secret. */
static void
test_false_prefix(void **state)
{
	static const char secret[] = "whsec_not base64!";
	struct signer *s = signer_new(&seal);
	struct slice parts[2] = { slice_text("a.1."), slice_text("{}") };
	uint8_t mac[CRYPTO_HASH_SIZE];
	struct sign_result got;
	struct buf text;

	(void)state;
	sign_with(s, secret,
	    (struct sign_input){ .app = 7,
		.id = slice_text("a"),
		.timestamp = 1,
		.body = slice_text("{}") },
	    &got);
	crypto_hmac(slice_text(secret), parts, 2, mac);
	buf_init(&text, 64);
	assert_int_equal(
	    crypto_base64((struct slice){ mac, sizeof(mac) }, &text), 0);
	assert_memory_equal(got.standard + 3, text.data, text.len);
	buf_done(&text);
	signer_free(s);
}

static void
test_foreign_secrets_are_refused(void **state)
{
	struct signer *s = signer_new(&seal);
	struct sign_input in = { .app = 1, .body = slice_text("{}") };
	struct sign_result got;
	struct buf sealed;

	(void)state;
	assert_int_equal(sign_body(s, &in, &got), -EBADMSG);
	close_secret(1, "one", &sealed);
	in.sealed = buf_slice(&sealed);
	in.app = 2;
	assert_int_equal(sign_body(s, &in, &got), -EBADMSG);
	in.app = 1;
	assert_int_equal(sign_body(s, &in, &got), 0);
	in.app = 2; /* also with the secret in the cache */
	assert_int_equal(sign_body(s, &in, &got), -EBADMSG);
	sealed.data[20] ^= 1;
	in.app = 1;
	assert_int_equal(sign_body(s, &in, &got), -EBADMSG);
	buf_done(&sealed);
	signer_free(s);
}

/* More secrets than places: every one still signs as itself, twice. */
static void
test_cache_overflows(void **state)
{
	struct signer *s = signer_new(&seal);
	enum { APPS = 2 * SIGN_CACHE };
	static struct buf sealed[APPS];

	(void)state;
	for (uint32_t i = 0; i < APPS; i++) {
		char secret[32];

		(void)snprintf(secret, sizeof(secret), "secret %u", i);
		close_secret(i, secret, &sealed[i]);
	}
	for (uint32_t i = 0; i < 2 * APPS; i++) {
		uint32_t app = i % APPS;
		struct sign_input in = { .app = app,
			.sealed = buf_slice(&sealed[app]),
			.id = slice_text("x"),
			.body = slice_text("{}") };
		struct sign_result got;
		uint8_t mac[CRYPTO_HASH_SIZE];
		char secret[32], want[CRYPTO_HEX_SIZE];

		(void)snprintf(secret, sizeof(secret), "secret %u", app);
		crypto_hmac(slice_text(secret), &in.body, 1, mac);
		crypto_hex((struct slice){ mac, sizeof(mac) }, want);
		assert_int_equal(sign_body(s, &in, &got), 0);
		assert_string_equal(got.apideck, want);
	}
	for (uint32_t i = 0; i < APPS; i++)
		buf_done(&sealed[i]);
	signer_free(s);
}

/* While a secret is rotated the one before signs too, and only there. */
static void
test_two_secrets(void **state)
{
	static const char both[] = "new secret\0sk_live_test";
	struct sign_input in = { .app = 1,
		.id = slice_text("id1"),
		.timestamp = 1700000000,
		.body = slice_text("{}") };
	struct sign_result got, fresh, before;
	struct signer *s = signer_new(&seal);
	char wanted[2 * SIGN_STANDARD_SIZE];
	struct buf sealed;

	(void)state;
	sign_with(s, "new secret", in, &fresh);
	sign_with(s, "sk_live_test", in, &before);
	buf_init(&sealed, 8192);
	assert_int_equal(
	    seal_close(&seal, "secret:1",
		(struct slice){ (const uint8_t *)both, sizeof(both) - 1 },
		&sealed),
	    0);
	in.sealed = buf_slice(&sealed);
	for (int i = 0; i < 2; i++) { /* opened, then remembered */
		assert_int_equal(sign_body(s, &in, &got), 0);
		assert_string_equal(got.apideck, fresh.apideck);
		(void)snprintf(wanted, sizeof(wanted), "%s %s", fresh.standard,
		    before.standard);
		assert_string_equal(got.standard, wanted);
	}
	buf_done(&sealed);
	signer_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apideck_vectors),
		cmocka_unit_test(test_two_secrets),
		cmocka_unit_test(test_standard_vector),
		cmocka_unit_test(test_false_prefix),
		cmocka_unit_test(test_foreign_secrets_are_refused),
		cmocka_unit_test(test_cache_overflows),
	};

	crypto_random(seal.key, sizeof(seal.key));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
