/*
 * The small readers of text that strangers send: times, ids, base64, tokens.
 * What is read can be written, and is then read as the same.
 */
#include <string.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/crypto.h"
#include "common/id.h"
#include "common/jwt.h"
#include "tests/fuzz/fuzz.h"

static void
check_clock(struct slice text)
{
	char written[CLOCK_TEXT_SIZE];
	uint64_t ms, again;

	if (clock_parse(text, &ms) < 0)
		return;
	clock_text(ms, written);
	HOLDS(ms > UINT64_C(253402300799999) || /* east of the year 9999 */
	      (clock_parse(slice_text(written), &again) == 0 && again == ms));
}

static void
check_id(struct slice text)
{
	char written[ID_TEXT_SIZE];
	struct id id, again;

	if (id_parse(text, &id) < 0)
		return;
	id_text(id, written);
	HOLDS(id_parse(slice_text(written), &again) == 0);
	HOLDS(id_same(id, again));
}

static void
check_base64(struct slice text)
{
	struct buf bytes, written;

	buf_init(&bytes, text.len + 1);
	buf_init(&written, 2 * text.len + 8);
	if (crypto_unbase64(text, &bytes) == 0) {
		HOLDS(crypto_base64url(buf_slice(&bytes), &written) == 0);
		/* but for padding and the two letters that differ */
		HOLDS(written.len <= text.len && text.len < written.len + 3);
	}
	buf_done(&bytes);
	buf_done(&written);
}

static void
check_numbers(struct slice text)
{
	uint64_t number = 0;

	if (config_parse_number(text, &number) == 0)
		HOLDS(text.len <= 19);
	if (config_parse_ms(text, &number) == 0)
		HOLDS(text.len <= 21);
}

/* Nobody guesses a signature; with the right one, claims are anything. */
static void
check_token(struct slice text)
{
	static const struct jwt_key key = { { 42 } };
	struct slice head = slice_text("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.");
	uint8_t mac[CRYPTO_HASH_SIZE];
	struct buf token;
	struct jwt claims;

	HOLDS(jwt_check(&key, text, 0, &claims) < 0);
	buf_init(&token, JWT_TEXT_MAX);
	if (buf_add(&token, head.data, head.len) == 0 &&
	    crypto_base64url(text, &token) == 0) {
		struct slice part = buf_slice(&token);

		crypto_hmac((struct slice){ key.bytes, sizeof(key.bytes) },
		    &part, 1, mac);
		if (buf_add(&token, ".", 1) == 0 &&
		    crypto_base64url(
			(struct slice){ mac, sizeof(mac) }, &token) == 0 &&
		    jwt_check(&key, buf_slice(&token), 0, &claims) == 0) {
			HOLDS(claims.kind == JWT_INTEGRATION ||
			      claims.kind == JWT_CONNECTION);
			HOLDS(strlen(claims.lookup) < JWT_CLAIM_MAX);
		}
	}
	buf_done(&token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { data, size };

	check_clock(text);
	check_id(text);
	check_base64(text);
	check_numbers(text);
	check_token(text);
	return 0;
}
