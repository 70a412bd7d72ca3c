#include "common/crypto.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "common/log.h"

static _Noreturn void
broken(const char *what)
{
	log_error("OpenSSL cannot %s", what);
	abort();
}

void
crypto_random(void *bytes, size_t len)
{
	uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno != EINTR) {
			log_error("getrandom: %s", strerror(errno));
			abort();
		}
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

void
crypto_sha256(struct slice data, uint8_t hash[CRYPTO_HASH_SIZE])
{
	if (EVP_Digest(data.data, data.len, hash, NULL, EVP_sha256(), NULL) !=
	    1)
		broken("hash");
}

static pthread_key_t mac_key;

static void
free_context(void *context)
{
	EVP_MAC_CTX_free(context);
}

static void
make_key(void)
{
	if (pthread_key_create(&mac_key, free_context) != 0)
		broken("free HMAC at the end of a thread");
}

/* A keyed context is costly to make and cheap to key again. The key is there
 * for its destructor: it frees the context when its thread ends. */
static EVP_MAC_CTX *
mac_context(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static _Thread_local EVP_MAC_CTX *context;
	EVP_MAC *mac;
	OSSL_PARAM params[2];
	char digest[] = "SHA256";

	if (context != NULL)
		return context;
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (mac == NULL)
		broken("fetch HMAC");
	context = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	params[0] =
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	if (context == NULL || EVP_MAC_CTX_set_params(context, params) != 1)
		broken("set up HMAC");
	(void)pthread_once(&once, make_key);
	if (pthread_setspecific(mac_key, context) != 0)
		broken("keep HMAC");
	return context;
}

void
crypto_hmac(struct slice key, const struct slice *parts, size_t count,
    uint8_t mac[CRYPTO_HASH_SIZE])
{
	static const uint8_t no_key[1];
	EVP_MAC_CTX *context = mac_context();
	size_t len = 0;

	/* A NULL key would mean "the one before". */
	if (EVP_MAC_init(context, key.len ? key.data : no_key, key.len, NULL) !=
	    1)
		broken("key HMAC");
	for (size_t i = 0; i < count; i++)
		if (parts[i].len > 0 &&
		    EVP_MAC_update(context, parts[i].data, parts[i].len) != 1)
			broken("feed HMAC");
	if (EVP_MAC_final(context, mac, &len, CRYPTO_HASH_SIZE) != 1)
		broken("finish HMAC");
}

bool
crypto_same(struct slice a, struct slice b)
{
	return a.len == b.len &&
	       (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}

void
crypto_hex(struct slice data, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < data.len; i++) {
		text[2 * i] = digits[data.data[i] >> 4];
		text[2 * i + 1] = digits[data.data[i] & 15];
	}
	text[2 * data.len] = '\0';
}

static int
encode(struct slice data, struct buf *out, const char *alphabet, bool pad)
{
	int r = buf_reserve(out, (data.len + 2) / 3 * 4);
	uint8_t *at;

	if (r < 0)
		return r;
	at = out->data + out->len;
	for (size_t i = 0; i < data.len; i += 3) {
		size_t left = data.len - i;
		uint32_t v = (uint32_t)data.data[i] << 16;

		if (left > 1)
			v |= (uint32_t)data.data[i + 1] << 8;
		if (left > 2)
			v |= data.data[i + 2];
		*at++ = (uint8_t)alphabet[v >> 18];
		*at++ = (uint8_t)alphabet[(v >> 12) & 63];
		if (left > 1 || pad)
			*at++ =
			    left > 1 ? (uint8_t)alphabet[(v >> 6) & 63] : '=';
		if (left > 2 || pad)
			*at++ = left > 2 ? (uint8_t)alphabet[v & 63] : '=';
	}
	out->len = (size_t)(at - out->data);
	return 0;
}

int
crypto_base64(struct slice data, struct buf *out)
{
	return encode(data, out,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
	    true);
}

int
crypto_base64url(struct slice data, struct buf *out)
{
	return encode(data, out,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
	    false);
}

static int
sextet(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

int
crypto_unbase64(struct slice text, struct buf *out)
{
	size_t len = text.len, start = out->len;
	uint32_t bits = 0;
	unsigned have = 0;
	int r;

	/* Padding, if any, fills the last four. */
	if (len > 0 && len % 4 == 0 && text.data[len - 1] == '=')
		len -= text.data[len - 2] == '=' ? 2 : 1;
	if (len % 4 == 1)
		return -EINVAL;
	r = buf_reserve(out, len * 3 / 4);
	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++) {
		int value = sextet(text.data[i]);

		if (value < 0) {
			out->len = start;
			return -EINVAL;
		}
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out->data[out->len++] = (uint8_t)(bits >> have);
		}
	}
	/* One text for one value: what is left over must be zero. */
	if (bits & ((1u << have) - 1)) {
		out->len = start;
		return -EINVAL;
	}
	return 0;
}
