#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/secret_cache.h"

#define SECRETS (2 * SECRET_CACHE_SLOTS)

static const struct seal seal = { { 1, 2, 3 } };

static void
sealed_of(const char *what, const char *secret, struct buf *out)
{
	buf_init(out, SEAL_SECRET_MAX + SEAL_OVERHEAD);
	assert_int_equal(seal_close(&seal, what, slice_text(secret), out), 0);
}

static void
test_opens_what_was_sealed_for_the_application(void **state)
{
	struct secret_cache *c = secret_cache_new(&seal);
	struct slice secret;
	struct buf one, other;

	(void)state;
	sealed_of("secret:1", "first", &one);
	sealed_of("secret:1", "second", &other);
	for (int i = 0; i < 3; i++) { /* opened, then found */
		assert_int_equal(
		    secret_cache_open(c, 1, buf_slice(&one), &secret), 0);
		assert_true(slice_is(secret, "first"));
		assert_int_equal(
		    secret_cache_open(c, 1, buf_slice(&other), &secret), 0);
		assert_true(slice_is(secret, "second"));
		assert_int_equal(
		    secret_cache_open(c, 2, buf_slice(&one), &secret),
		    -EBADMSG);
		assert_int_equal(secret.len, 0);
	}
	one.data[one.len - 1] ^= 1;
	assert_int_equal(
	    secret_cache_open(c, 1, buf_slice(&one), &secret), -EBADMSG);
	assert_int_equal(
	    secret_cache_open(c, 1, (struct slice){ 0 }, &secret), -EBADMSG);
	buf_done(&one);
	buf_done(&other);
	secret_cache_free(c);
}

static void
test_more_secrets_than_slots(void **state)
{
	static struct buf sealed[SECRETS];
	struct secret_cache *c = secret_cache_new(&seal);
	char text[32];

	(void)state;
	for (unsigned i = 0; i < SECRETS; i++) {
		snprintf(text, sizeof(text), "secret %u", i);
		sealed_of("secret:7", text, &sealed[i]);
	}
	for (unsigned i = 0; i < 2 * SECRETS; i++) {
		struct slice secret;

		snprintf(text, sizeof(text), "secret %u", i % SECRETS);
		assert_int_equal(secret_cache_open(c, 7,
				     buf_slice(&sealed[i % SECRETS]), &secret),
		    0);
		assert_true(slice_is(secret, text));
	}
	for (unsigned i = 0; i < SECRETS; i++)
		buf_done(&sealed[i]);
	secret_cache_free(c);
	secret_cache_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_opens_what_was_sealed_for_the_application),
		cmocka_unit_test(test_more_secrets_than_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
