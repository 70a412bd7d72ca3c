#include "common/jwt.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/crypto.h"

/* The only header ever minted: compared as bytes, so no other "alg" passes. */
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

void
jwt_key_init(struct jwt_key *key, const struct seal *seal)
{
	seal_derive(seal, "sluice token v1", key->bytes);
}

static void
sign(
    const struct jwt_key *key, struct slice text, uint8_t mac[CRYPTO_HASH_SIZE])
{
	crypto_hmac(
	    (struct slice){ key->bytes, sizeof(key->bytes) }, &text, 1, mac);
}

static json_t *
claims_json(const struct jwt *c)
{
	json_t *json = json_object();

	if (json == NULL)
		return NULL;
	json_object_set_new(
	    json, "k", json_string(c->kind == JWT_CONNECTION ? "c" : "i"));
	if (c->app)
		json_object_set_new(
		    json, "a", json_integer((json_int_t)c->app));
	if (c->subscription)
		json_object_set_new(
		    json, "s", json_integer((json_int_t)c->subscription));
	if (c->unified_api[0])
		json_object_set_new(json, "u", json_string(c->unified_api));
	if (c->lookup[0])
		json_object_set_new(json, "l", json_string(c->lookup));
	if (c->number)
		json_object_set_new(
		    json, "n", json_integer((json_int_t)c->number));
	if (c->expires_s)
		json_object_set_new(
		    json, "e", json_integer((json_int_t)c->expires_s));
	return json;
}

int
jwt_mint(const struct jwt_key *key, const struct jwt *claims, struct buf *out)
{
	char text[JWT_TEXT_MAX];
	uint8_t mac[CRYPTO_HASH_SIZE];
	json_t *json = claims_json(claims);
	size_t start = out->len, len;
	int r;

	if (json == NULL)
		return -ENOMEM;
	len = json_dumpb(json, text, sizeof(text), JSON_COMPACT);
	json_decref(json);
	if (len == 0 || len > sizeof(text))
		return -EMSGSIZE;
	r = crypto_base64url(slice_text(HEADER), out);
	if (r == 0)
		r = buf_add(out, ".", 1);
	if (r == 0)
		r = crypto_base64url(
		    (struct slice){ (const uint8_t *)text, len }, out);
	if (r < 0)
		return r;
	sign(key, (struct slice){ out->data + start, out->len - start }, mac);
	r = buf_add(out, ".", 1);
	if (r == 0)
		r = crypto_base64url((struct slice){ mac, sizeof(mac) }, out);
	return r;
}

static int
read_number(const json_t *json, const char *name, uint64_t *ret)
{
	const json_t *value = json_object_get(json, name);

	if (value == NULL)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return -EBADMSG;
	*ret = (uint64_t)json_integer_value(value);
	return 0;
}

static int
read_text(const json_t *json, const char *name, char *text, size_t size)
{
	const json_t *value = json_object_get(json, name);

	if (value == NULL)
		return 0;
	if (!json_is_string(value))
		return -EBADMSG;
	return slice_copy(slice_text(json_string_value(value)), text, size) < 0
		   ? -EBADMSG
		   : 0;
}

static int
read_claims(struct slice text, struct jwt *ret)
{
	json_t *json = json_loadb(
	    (const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	const char *kind = json_string_value(json_object_get(json, "k"));
	int r = -EBADMSG;

	*ret = (struct jwt){ 0 };
	if (kind != NULL && (!strcmp(kind, "i") || !strcmp(kind, "c"))) {
		ret->kind = kind[0] == 'c' ? JWT_CONNECTION : JWT_INTEGRATION;
		r = 0;
	}
	if (r == 0)
		r = read_number(json, "a", &ret->app);
	if (r == 0)
		r = read_number(json, "s", &ret->subscription);
	if (r == 0)
		r = read_number(json, "n", &ret->number);
	if (r == 0)
		r = read_number(json, "e", &ret->expires_s);
	if (r == 0)
		r = read_text(
		    json, "u", ret->unified_api, sizeof(ret->unified_api));
	if (r == 0)
		r = read_text(json, "l", ret->lookup, sizeof(ret->lookup));
	json_decref(json);
	return r;
}

/* Splits at the two dots. */
static int
split(struct slice text, struct slice part[3])
{
	size_t from = 0, n = 0;

	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.data[i] != '.')
			continue;
		if (n == 3)
			return -EBADMSG;
		part[n++] = (struct slice){ text.data + from, i - from };
		from = i + 1;
	}
	return n == 3 ? 0 : -EBADMSG;
}

/* The signature is judged before a byte of the claims is read. */
static int
check_signature(const struct jwt_key *key, struct slice text,
    const struct slice part[3], struct buf *scratch)
{
	uint8_t mac[CRYPTO_HASH_SIZE];
	int r;

	r = crypto_unbase64(part[0], scratch);
	if (r < 0 || !slice_is(buf_slice(scratch), HEADER))
		return -EBADMSG;
	buf_clear(scratch);
	r = crypto_unbase64(part[2], scratch);
	if (r < 0)
		return -EBADMSG;
	sign(key, (struct slice){ text.data, part[0].len + 1 + part[1].len },
	    mac);
	if (!crypto_same(
		buf_slice(scratch), (struct slice){ mac, sizeof(mac) }))
		return -EACCES;
	buf_clear(scratch);
	return 0;
}

int
jwt_check(const struct jwt_key *key, struct slice text, uint64_t now_s,
    struct jwt *ret_claims)
{
	struct slice part[3];
	struct jwt claims;
	struct buf scratch;
	int r;

	if (text.len > JWT_TEXT_MAX || split(text, part) < 0)
		return -EBADMSG;
	buf_init(&scratch, JWT_TEXT_MAX);
	r = check_signature(key, text, part, &scratch);
	if (r == 0 && crypto_unbase64(part[1], &scratch) < 0)
		r = -EBADMSG;
	if (r == 0)
		r = read_claims(buf_slice(&scratch), &claims);
	if (r == 0 && claims.expires_s != 0 && claims.expires_s <= now_s)
		r = -ETIME;
	if (r == 0)
		*ret_claims = claims;
	buf_done(&scratch);
	return r;
}
