#include "common/jwt.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/crypto.h"

/* The only header ever minted: compared as bytes, so no other "alg" passes. */
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static const char *const kinds[JWT_MAX] = {
	[JWT_INTEGRATION] = "i",
	[JWT_CONNECTION] = "c",
	[JWT_SESSION] = "s",
};

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

/* Adds a claim unless it is 0 or "". */
static int
set_number(json_t *json, const char *name, uint64_t value)
{
	if (value == 0)
		return 0;
	if (value > INT64_MAX)
		return -1;
	return json_object_set_new(json, name, json_integer((json_int_t)value));
}

static int
set_text(json_t *json, const char *name, const char *value)
{
	if (value[0] == '\0')
		return 0;
	return json_object_set_new(json, name, json_string(value));
}

static json_t *
claims_json(const struct jwt *c)
{
	json_t *json = json_object();

	if (set_text(json, "k", kinds[c->kind]) < 0 ||
	    set_number(json, "a", c->app) < 0 ||
	    set_number(json, "s", c->subscription) < 0 ||
	    set_text(json, "u", c->unified_api) < 0 ||
	    set_text(json, "l", c->lookup) < 0 ||
	    set_number(json, "n", c->number) < 0 ||
	    set_number(json, "e", c->expires_s) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static int
add_token(const struct jwt_key *key, struct slice claims, struct buf *out)
{
	uint8_t mac[CRYPTO_HASH_SIZE];
	size_t start = out->len;
	int r;

	r = crypto_base64url(slice_text(HEADER), out);
	if (r == 0)
		r = buf_add(out, ".", 1);
	if (r == 0)
		r = crypto_base64url(claims, out);
	if (r < 0)
		return r;
	sign(key, (struct slice){ out->data + start, out->len - start }, mac);
	r = buf_add(out, ".", 1);
	if (r == 0)
		r = crypto_base64url((struct slice){ mac, sizeof(mac) }, out);
	if (r == 0 && out->len - start > JWT_TEXT_MAX)
		r = -EMSGSIZE; /* jwt_check() would not take it */
	return r;
}

int
jwt_mint(const struct jwt_key *key, const struct jwt *claims, struct buf *out)
{
	char text[JWT_TEXT_MAX];
	size_t start = out->len, len;
	json_t *json;
	int r;

	if (claims->kind < JWT_INTEGRATION || claims->kind >= JWT_MAX)
		return -EINVAL;
	json = claims_json(claims);
	if (json == NULL)
		return -EINVAL;
	len = json_dumpb(json, text, sizeof(text), JSON_COMPACT);
	json_decref(json);
	if (len == 0 || len > sizeof(text))
		return -EMSGSIZE;
	r = add_token(key, (struct slice){ (const uint8_t *)text, len }, out);
	if (r < 0)
		out->len = start;
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
	for (unsigned k = JWT_INTEGRATION; kind != NULL && k < JWT_MAX; k++) {
		if (strcmp(kind, kinds[k]) == 0) {
			ret->kind = (enum jwt_kind)k;
			r = 0;
		}
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

	if (text.len == 0 || text.len > JWT_TEXT_MAX || split(text, part) < 0)
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
