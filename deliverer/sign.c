#include "deliverer/sign.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "whsec_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

/* An opened secret. One allocation each: sealed bytes, then the secret, then
 * the Standard Webhooks key where it is another one, then that of the secret
 * before, absent when there is none. */
struct opened {
	uint32_t app;
	struct slice sealed;
	struct slice secret;
	struct slice standard;
	struct slice before;
	size_t size;
	uint8_t bytes[];
};

struct signer {
	struct seal seal;
	struct opened *cache[SIGN_CACHE];
	struct buf secret;   /* scratch; wiped after use */
	struct buf standard; /* likewise */
	struct buf before;   /* likewise */
};

static void
opened_free(struct opened *o)
{
	if (o == NULL)
		return;
	explicit_bzero(o->bytes, o->size);
	free(o);
}

static void
wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	b->len = 0;
}

struct signer *
signer_new(const struct seal *seal)
{
	struct signer *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->seal = *seal;
	buf_init(&s->secret, SEAL_SECRET_MAX + 1);
	buf_init(&s->standard, SEAL_SECRET_MAX + 1);
	buf_init(&s->before, SEAL_SECRET_MAX + 1);
	return s;
}

void
signer_free(struct signer *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < SIGN_CACHE; i++)
		opened_free(s->cache[i]);
	wipe(&s->secret);
	buf_done(&s->secret);
	wipe(&s->standard);
	buf_done(&s->standard);
	wipe(&s->before);
	buf_done(&s->before);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

/* Sealed bytes start with a version and a random nonce: a hash of itself. */
static size_t
place(const struct sign_input *in)
{
	uint64_t nonce;

	memcpy(&nonce, in->sealed.data + 1, sizeof(nonce));
	return (nonce ^ in->app) % SIGN_CACHE;
}

static uint8_t *
keep(uint8_t *at, struct slice from, struct slice *ret)
{
	if (from.len > 0)
		memcpy(at, from.data, from.len);
	*ret = (struct slice){ at, from.len };
	return at + from.len;
}

static struct opened *
opened_new(const struct sign_input *in, struct slice secret,
    struct slice standard, struct slice before)
{
	size_t size = in->sealed.len + secret.len + standard.len + before.len;
	struct opened *o = malloc(sizeof(*o) + size);
	uint8_t *at;

	if (o == NULL)
		return NULL;
	o->app = in->app;
	o->size = size;
	at = keep(o->bytes, in->sealed, &o->sealed);
	at = keep(at, secret, &o->secret);
	at = keep(at, standard, &o->standard);
	(void)keep(at, before, &o->before);
	if (standard.data == NULL)
		o->standard = o->secret;
	if (before.data == NULL)
		o->before = before;
	return o;
}

/* The Standard Webhooks key, where it is not the secret itself: in out. */
static struct slice
standard_key(struct slice secret, struct buf *out)
{
	struct slice text;

	if (secret.len <= PREFIX_LEN ||
	    memcmp(secret.data, PREFIX, PREFIX_LEN) != 0)
		return (struct slice){ NULL, 0 };
	text =
	    (struct slice){ secret.data + PREFIX_LEN, secret.len - PREFIX_LEN };
	buf_clear(out);
	return crypto_unbase64(text, out) == 0 ? buf_slice(out)
					       : (struct slice){ NULL, 0 };
}

static int
open_secret(struct signer *s, const struct sign_input *in, struct opened **ret)
{
	char what[32];
	struct slice secret, before = { NULL, 0 }, key;
	const uint8_t *end;
	int r;

	(void)snprintf(what, sizeof(what), "secret:%" PRIu32, in->app);
	r = seal_open(&s->seal, what, in->sealed, &s->secret);
	if (r < 0)
		return r;
	secret = buf_slice(&s->secret);
	end = secret.len == 0 ? NULL : memchr(secret.data, '\0', secret.len);
	if (end != NULL) {
		before = (struct slice){ end + 1,
			(size_t)(secret.data + secret.len - end) - 1 };
		secret.len = (size_t)(end - secret.data);
		key = standard_key(before, &s->before);
		if (key.data != NULL)
			before = key;
	}
	*ret =
	    opened_new(in, secret, standard_key(secret, &s->standard), before);
	return *ret == NULL ? -ENOMEM : 0;
}

static int
find_secret(
    struct signer *s, const struct sign_input *in, const struct opened **ret)
{
	struct opened **at, *fresh = NULL;
	int r;

	if (in->sealed.len < SEAL_OVERHEAD)
		return -EBADMSG;
	at = &s->cache[place(in)];
	if (*at != NULL && (*at)->app == in->app &&
	    slice_same((*at)->sealed, in->sealed)) {
		*ret = *at;
		return 0;
	}
	r = open_secret(s, in, &fresh);
	wipe(&s->secret);
	wipe(&s->standard);
	wipe(&s->before);
	if (r < 0)
		return r;
	opened_free(*at);
	*at = fresh;
	*ret = fresh;
	return 0;
}

/* Appends "v1,BASE64" of the parts. */
static int
add_signature(struct slice key, const struct slice parts[3], struct buf *out)
{
	uint8_t mac[CRYPTO_HASH_SIZE];
	int r;

	crypto_hmac(key, parts, 3, mac);
	r = buf_add_text(out, "v1,");
	return r < 0 ? r
		     : crypto_base64((struct slice){ mac, sizeof(mac) }, out);
}

static int
standard_signature(struct signer *s, const struct opened *o,
    const struct sign_input *in, char text[SIGN_STANDARD_SIZE])
{
	char stamp[24];
	struct slice parts[3] = { in->id, { (const uint8_t *)stamp, 0 },
		in->body };
	int r;

	parts[1].len = (size_t)snprintf(
	    stamp, sizeof(stamp), ".%" PRIu64 ".", in->timestamp);
	buf_clear(&s->standard);
	r = add_signature(o->standard, parts, &s->standard);
	if (r == 0 && o->before.data != NULL) {
		r = buf_add(&s->standard, " ", 1);
		if (r == 0)
			r = add_signature(o->before, parts, &s->standard);
	}
	if (r == 0)
		r = slice_copy(
		    buf_slice(&s->standard), text, SIGN_STANDARD_SIZE);
	buf_clear(&s->standard);
	return r;
}

int
sign_body(struct signer *s, const struct sign_input *in,
    struct sign_result *ret_result)
{
	const struct opened *o;
	uint8_t mac[CRYPTO_HASH_SIZE];
	int r = find_secret(s, in, &o);

	if (r < 0)
		return r;
	crypto_hmac(o->secret, &in->body, 1, mac);
	crypto_hex((struct slice){ mac, sizeof(mac) }, ret_result->apideck);
	return standard_signature(s, o, in, ret_result->standard);
}
