#include "deliverer/sign.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "whsec_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

/* An opened secret. One allocation each: sealed bytes, then the secret, then
 * the Standard Webhooks key where it is another one. */
struct opened {
	uint32_t app;
	struct slice sealed;
	struct slice secret;
	struct slice standard;
	size_t size;
	uint8_t bytes[];
};

struct signer {
	struct seal seal;
	struct opened *cache[SIGN_CACHE];
	struct buf secret;   /* scratch; wiped after use */
	struct buf standard; /* likewise */
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
opened_new(
    const struct sign_input *in, struct slice secret, struct slice standard)
{
	size_t size = in->sealed.len + secret.len + standard.len;
	struct opened *o = malloc(sizeof(*o) + size);
	uint8_t *at;

	if (o == NULL)
		return NULL;
	o->app = in->app;
	o->size = size;
	at = keep(o->bytes, in->sealed, &o->sealed);
	at = keep(at, secret, &o->secret);
	(void)keep(at, standard, &o->standard);
	if (standard.data == NULL)
		o->standard = o->secret;
	return o;
}

static int
open_secret(struct signer *s, const struct sign_input *in, struct opened **ret)
{
	char what[32];
	struct slice secret, standard = { NULL, 0 };
	int r;

	(void)snprintf(what, sizeof(what), "secret:%" PRIu32, in->app);
	r = seal_open(&s->seal, what, in->sealed, &s->secret);
	if (r < 0)
		return r;
	secret = buf_slice(&s->secret);
	if (secret.len > PREFIX_LEN &&
	    !memcmp(secret.data, PREFIX, PREFIX_LEN)) {
		struct slice text = { secret.data + PREFIX_LEN,
			secret.len - PREFIX_LEN };

		if (crypto_unbase64(text, &s->standard) == 0)
			standard = buf_slice(&s->standard);
	}
	*ret = opened_new(in, secret, standard);
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
	if (r < 0)
		return r;
	opened_free(*at);
	*at = fresh;
	*ret = fresh;
	return 0;
}

static int
standard_signature(struct signer *s, const struct opened *o,
    const struct sign_input *in, char text[SIGN_STANDARD_SIZE])
{
	char stamp[24];
	uint8_t mac[CRYPTO_HASH_SIZE];
	struct slice parts[3] = { in->id, { (const uint8_t *)stamp, 0 },
		in->body };
	int r;

	parts[1].len = (size_t)snprintf(
	    stamp, sizeof(stamp), ".%" PRIu64 ".", in->timestamp);
	crypto_hmac(o->standard, parts, 3, mac);
	buf_clear(&s->standard);
	r = buf_add_text(&s->standard, "v1,");
	if (r == 0)
		r = crypto_base64(
		    (struct slice){ mac, sizeof(mac) }, &s->standard);
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
