#include "common/crypto.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
fill(uint8_t *bytes, size_t len, uint8_t value)
{
	memset(bytes, value, len);
}

static void
expect_hmac(struct slice key, struct slice data, const char *hex, size_t digits)
{
	uint8_t mac[CRYPTO_HASH_SIZE];
	char text[CRYPTO_HEX_SIZE];

	crypto_hmac(key, &data, 1, mac);
	crypto_hex((struct slice){ mac, sizeof(mac) }, text);
	text[digits] = '\0';
	assert_string_equal(text, hex);
}

/* RFC 4231 section 4, test cases 1 to 7 (5 is cut to 128 bits there). */
static void
hmac_of_rfc_4231(void **state)
{
	uint8_t key[131], data[50];

	(void)state;
	fill(key, 20, 0x0b);
	expect_hmac((struct slice){ key, 20 }, slice_text("Hi There"),
	    "b0344c61d8db38535ca8afceaf0bf12b"
	    "881dc200c9833da726e9376c2e32cff7",
	    64);
	expect_hmac(slice_text("Jefe"),
	    slice_text("what do ya want for nothing?"),
	    "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843",
	    64);
	fill(key, 20, 0xaa);
	fill(data, 50, 0xdd);
	expect_hmac((struct slice){ key, 20 }, (struct slice){ data, 50 },
	    "773ea91e36800e46854db8ebd09181a7"
	    "2959098b3ef8c122d9635514ced565fe",
	    64);
	for (uint8_t i = 0; i < 25; i++)
		key[i] = (uint8_t)(i + 1);
	fill(data, 50, 0xcd);
	expect_hmac((struct slice){ key, 25 }, (struct slice){ data, 50 },
	    "82558a389a443c0ea4cc819899f2083a"
	    "85f0faa3e578f8077a2e3ff46729665b",
	    64);
	fill(key, 20, 0x0c);
	expect_hmac((struct slice){ key, 20 },
	    slice_text("Test With Truncation"),
	    "a3b6167473100ee06e0c796c2955552b", 32);
	fill(key, 131, 0xaa);
	expect_hmac((struct slice){ key, 131 },
	    slice_text("Test Using Larger Than Block-Size Key - Hash Key "
		       "First"),
	    "60e431591ee0b67f0d8a26aacbf5b77f"
	    "8e0bc6213728c5140546040f0ee37f54",
	    64);
	expect_hmac((struct slice){ key, 131 },
	    slice_text("This is a test using a larger than block-size key and "
		       "a larger than block-size data. The key needs to be "
		       "hashed before being used by the HMAC algorithm."),
	    "9b09ffa71b942fcb27635fbcd5b0e944"
	    "bfdc63644f0713938a7f51535c3a35e2",
	    64);
}

/* An empty key must not mean the key of the call before. */
static void
hmac_of_nothing(void **state)
{
	static const char empty[] = "b613679a0814d9ec772f95d778c35fc5"
				    "ff1697c493715653c6c712144292c5ad";
	struct slice nothing = { NULL, 0 };

	(void)state;
	expect_hmac(nothing, nothing, empty, 64);
	expect_hmac(slice_text("Jefe"),
	    slice_text("what do ya want for nothing?"),
	    "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843",
	    64);
	expect_hmac(nothing, nothing, empty, 64);
}

static void
hmac_of_parts_is_hmac_of_the_whole(void **state)
{
	struct slice parts[] = { slice_text("what do "), slice_text(""),
		{ NULL, 0 }, slice_text("ya want "),
		slice_text("for nothing?") };
	uint8_t mac[CRYPTO_HASH_SIZE];
	char text[CRYPTO_HEX_SIZE];

	(void)state;
	crypto_hmac(slice_text("Jefe"), parts, 5, mac);
	crypto_hex((struct slice){ mac, sizeof(mac) }, text);
	assert_string_equal(text, "5bdcc146bf60754e6a042426089575c7"
				  "5a003f089d2739839dec58b964ec3843");
}

static void *
sign_a_while(void *arg)
{
	uint8_t first[CRYPTO_HASH_SIZE], mac[CRYPTO_HASH_SIZE];
	struct slice key = slice_text(arg), part = slice_text("text");
	bool same = true;

	crypto_hmac(key, &part, 1, first);
	for (int i = 0; i < 2000; i++) {
		crypto_hmac(key, &part, 1, mac);
		same = same && !memcmp(first, mac, sizeof(mac));
	}
	return same ? NULL : arg;
}

/* The context is the thread's own, and goes with it (the leak checker of the
 * sanitizer build watches). */
static void
hmac_in_threads(void **state)
{
	static char keys[4][2] = { "a", "b", "c", "d" };
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, sign_a_while, keys[i]),
		    0);
	for (int i = 0; i < 4; i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
}

/* FIPS 180-4 examples. */
static void
sha256_of_the_standard(void **state)
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	char text[CRYPTO_HEX_SIZE];

	(void)state;
	crypto_sha256(slice_text("abc"), hash);
	crypto_hex((struct slice){ hash, sizeof(hash) }, text);
	assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223"
				  "b00361a396177a9cb410ff61f20015ad");
	crypto_sha256((struct slice){ NULL, 0 }, hash);
	crypto_hex((struct slice){ hash, sizeof(hash) }, text);
	assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb924"
				  "27ae41e4649b934ca495991b7852b855");
}

static const struct {
	const char *plain, *standard, *url;
} vectors[] = {
	/* RFC 4648 section 10 */
	{ "", "", "" },
	{ "f", "Zg==", "Zg" },
	{ "fo", "Zm8=", "Zm8" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg==", "Zm9vYg" },
	{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	/* where the alphabets differ */
	{ "\xfb\xff\xfe", "+//+", "-__-" },
	{ "\xff\xef", "/+8=", "_-8" },
};

static void
base64_of_rfc_4648(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct slice plain = slice_text(vectors[i].plain);

		buf_clear(&out);
		assert_int_equal(crypto_base64(plain, &out), 0);
		assert_true(slice_is(buf_slice(&out), vectors[i].standard));
		buf_clear(&out);
		assert_int_equal(crypto_base64url(plain, &out), 0);
		assert_true(slice_is(buf_slice(&out), vectors[i].url));
		buf_clear(&out);
		assert_int_equal(
		    crypto_unbase64(slice_text(vectors[i].standard), &out), 0);
		assert_int_equal(
		    crypto_unbase64(slice_text(vectors[i].url), &out), 0);
		assert_int_equal(out.len, 2 * plain.len);
		assert_memory_equal(out.data, plain.data, plain.len);
		assert_memory_equal(
		    out.data + plain.len, plain.data, plain.len);
	}
	buf_done(&out);
}

static void
base64_of_every_length(void **state)
{
	uint8_t bytes[256];
	struct buf text, back;

	(void)state;
	buf_init(&text, 1024);
	buf_init(&back, 1024);
	crypto_random(bytes, sizeof(bytes));
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		struct slice data = { bytes, len };

		buf_clear(&text);
		buf_clear(&back);
		assert_int_equal(len % 2 ? crypto_base64(data, &text)
					 : crypto_base64url(data, &text),
		    0);
		assert_int_equal(crypto_unbase64(buf_slice(&text), &back), 0);
		assert_true(slice_same(buf_slice(&back), data));
	}
	buf_done(&text);
	buf_done(&back);
}

static void
base64_refuses_the_rest(void **state)
{
	static const char *const bad[] = { "=", "==", "===", "====", "A",
		"A=", "A==", "A===", "Zg=", "Zg===", "Zm8==", "Zm9v=",
		"Zm9v====", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9v!",
		"Z=g=", "Zg==Zg==", "Zm9vA", "Zm9*", "\xc3\xa9\x61\x61",
		/* bits that encode nothing must be zero (section 3.5) */
		"Zh==", "Zh", "Zm9=", "Zm9" };
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	assert_int_equal(buf_add_text(&out, "kept"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (crypto_unbase64(slice_text(bad[i]), &out) != -EINVAL)
			fail_msg("\"%s\" was read", bad[i]);
		assert_true(slice_is(buf_slice(&out), "kept"));
	}
	buf_done(&out);
	buf_init(&out, 3);
	assert_int_equal(crypto_base64(slice_text("foo"), &out), -ENOBUFS);
	assert_int_equal(
	    crypto_unbase64(slice_text("Zm9vYmFy"), &out), -ENOBUFS);
	/* exactly full is not too full */
	assert_int_equal(crypto_unbase64(slice_text("Zm9v"), &out), 0);
	assert_int_equal(out.len, 3);
	buf_done(&out);
}

static void
compares(void **state)
{
	(void)state;
	assert_true(crypto_same(slice_text("same"), slice_text("same")));
	assert_false(crypto_same(slice_text("same"), slice_text("samE")));
	assert_false(crypto_same(slice_text("same"), slice_text("sam")));
	assert_true(crypto_same((struct slice){ NULL, 0 }, slice_text("")));
}

static void
random_is_not_constant(void **state)
{
	enum { LARGE = 34 * 1024 * 1024 };
	uint8_t a[32] = { 0 }, b[32] = { 0 }, *large;

	(void)state;
	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	crypto_random(a, 0);
	/* more than getrandom(2) gives in one piece */
	large = calloc(1, LARGE);
	assert_non_null(large);
	crypto_random(large, LARGE);
	assert_memory_not_equal(large + LARGE - 32, (uint8_t[32]){ 0 }, 32);
	free(large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_of_rfc_4231),
		cmocka_unit_test(hmac_of_nothing),
		cmocka_unit_test(hmac_of_parts_is_hmac_of_the_whole),
		cmocka_unit_test(hmac_in_threads),
		cmocka_unit_test(sha256_of_the_standard),
		cmocka_unit_test(base64_of_rfc_4648),
		cmocka_unit_test(base64_of_every_length),
		cmocka_unit_test(base64_refuses_the_rest),
		cmocka_unit_test(compares),
		cmocka_unit_test(random_is_not_constant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
