#include "ingest/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/crypto.h"

struct cached {
	char *text; /* NULL: empty */
	size_t len;
	struct jwt claims;
};

struct token_checker {
	struct jwt_key key;
	const struct directory *directory;
	struct cached cache[TOKEN_CACHE];
};

struct token_checker *
token_new(const struct jwt_key *key, const struct directory *directory)
{
	struct token_checker *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->key = *key;
	t->directory = directory;
	return t;
}

void
token_free(struct token_checker *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < TOKEN_CACHE; i++)
		free(t->cache[i].text);
	free(t);
}

/* The end of a token is its signature: as good as a hash. */
static struct cached *
cache_slot(struct token_checker *t, struct slice text)
{
	uint32_t hash = 0;

	for (size_t i = text.len - (text.len < 8 ? text.len : 8); i < text.len;
	    i++)
		hash = hash * 31 + text.data[i];
	return &t->cache[hash % TOKEN_CACHE];
}

/* Only tokens whose signature is right get in, so nobody can fill it. */
static void
remember(struct cached *slot, struct slice text, const struct jwt *claims)
{
	char *copy = slice_dup(text);

	if (copy == NULL)
		return;
	free(slot->text);
	*slot = (struct cached){ copy, text.len, *claims };
}

static bool
check(struct token_checker *t, struct slice text, struct jwt *ret)
{
	uint64_t now_s = clock_wall_ms() / 1000;
	struct cached *slot;

	if (text.len == 0)
		return false;
	slot = cache_slot(t, text);
	if (slot->text != NULL && slot->len == text.len &&
	    memcmp(slot->text, text.data, text.len) == 0) {
		*ret = slot->claims;
		return ret->expires_s == 0 || ret->expires_s > now_s;
	}
	if (jwt_check(&t->key, text, now_s, ret) < 0)
		return false;
	remember(slot, text, ret);
	return true;
}

static bool
is_bare(struct slice text)
{
	return text.len == 0 || memchr(text.data, '.', text.len) == NULL;
}

/* TOKEN_OK when what the directory says about the claims can be trusted. */
static enum token_result
directory_reaches(const struct token_checker *t, uint64_t number)
{
	if (!directory_known(t->directory))
		return TOKEN_UNKNOWABLE;
	return directory_number(t->directory) < number ? TOKEN_BEHIND
						       : TOKEN_OK;
}

static struct slice
present(struct slice s)
{
	return s.len == 0 ? (struct slice){ 0 } : s;
}

enum token_result
token_key(struct token_checker *t, const char *bearer, const char *app_id,
    struct identity *ret)
{
	const struct directory_entry *key, *app;
	uint8_t hash[CRYPTO_HASH_SIZE];

	if (bearer == NULL || strncasecmp(bearer, "Bearer ", 7) != 0)
		return TOKEN_UNAUTHORIZED;
	if (!directory_known(t->directory))
		return TOKEN_UNKNOWABLE;
	for (bearer += 7; *bearer == ' ';)
		bearer++;
	crypto_sha256(slice_text(bearer), hash);
	key = directory_key(t->directory, hash);
	if (key == NULL)
		return TOKEN_UNAUTHORIZED;
	if (app_id == NULL || *app_id == '\0')
		return TOKEN_NO_APP_HEADER;
	app = directory_app(t->directory, key->app);
	if (app == NULL || !slice_is(app->id, app_id))
		return TOKEN_UNAUTHORIZED;
	*ret = (struct identity){ .app = key->app };
	return TOKEN_OK;
}

static enum token_result
bare_integration(struct token_checker *t, struct slice id, const char *bearer,
    const char *app_id, struct identity *ret)
{
	const struct directory_entry *s;
	enum token_result result;

	result = token_key(t, bearer, app_id, ret);
	if (result == TOKEN_NO_APP_HEADER)
		return TOKEN_UNAUTHORIZED;
	if (result != TOKEN_OK)
		return result;
	s = directory_subscription_by_id(t->directory, id);
	if (s == NULL || s->app != ret->app)
		return TOKEN_NO_INTEGRATION;
	ret->unified_api = present(s->unified_api);
	return TOKEN_OK;
}

enum token_result
token_integration(struct token_checker *t, struct slice text,
    const char *bearer, const char *app_id, struct identity *ret)
{
	const struct directory_entry *s;
	enum token_result result;
	struct jwt claims;

	if (is_bare(text))
		return bare_integration(t, text, bearer, app_id, ret);
	if (!check(t, text, &claims) || claims.kind != JWT_INTEGRATION ||
	    claims.app == 0 || claims.app > UINT32_MAX)
		return TOKEN_UNAUTHORIZED;
	result = directory_reaches(t, claims.number);
	if (result != TOKEN_OK)
		return result;
	if (directory_app(t->directory, (uint32_t)claims.app) == NULL)
		return TOKEN_UNAUTHORIZED;
	*ret = (struct identity){ .app = (uint32_t)claims.app };
	if (claims.subscription == 0)
		return TOKEN_OK;
	s = directory_subscription(t->directory, (uint32_t)claims.subscription);
	if (s == NULL || s->app != claims.app)
		return TOKEN_NO_INTEGRATION;
	ret->unified_api = present(s->unified_api);
	return TOKEN_OK;
}

/* ret->app: whose it must be, 0: anybody's. claims: of a token, else NULL; one
 * minted before a revocation is void. */
static enum token_result
resolve(struct token_checker *t, struct slice lookup, const struct jwt *claims,
    struct identity *ret)
{
	uint32_t app = ret->app;
	const struct directory_entry *c =
	    directory_connection(t->directory, lookup);

	if (c == NULL || (app != 0 && c->app != app) ||
	    directory_app(t->directory, c->app) == NULL)
		return TOKEN_NO_CONNECTION;
	if (claims != NULL && claims->number < c->born)
		return TOKEN_UNAUTHORIZED;
	if (!c->enabled)
		return TOKEN_DISABLED;
	ret->app = c->app;
	ret->consumer_id = present(c->consumer_id);
	ret->service_id = present(c->service_id);
	ret->source = present(c->id);
	ret->secret = present(c->secret);
	if (c->unified_api.len > 0)
		ret->unified_api = c->unified_api;
	return TOKEN_OK;
}

enum token_result
token_connection(
    struct token_checker *t, struct slice text, struct identity *ret)
{
	enum token_result result;
	struct jwt claims;

	*ret = (struct identity){ 0 };
	if (!check(t, text, &claims) || claims.kind != JWT_CONNECTION)
		return TOKEN_UNAUTHORIZED;
	result = directory_reaches(t, claims.number);
	if (result != TOKEN_OK)
		return result;
	ret->app = (uint32_t)claims.app;
	return resolve(t, slice_text(claims.lookup), &claims, ret);
}

enum token_result
token_lookup(
    struct token_checker *t, struct slice text, struct identity *identity)
{
	enum token_result result;
	struct jwt claims;

	if (is_bare(text))
		return resolve(t, text, NULL, identity);
	if (!check(t, text, &claims) || claims.kind != JWT_CONNECTION)
		return TOKEN_NO_CONNECTION;
	result = directory_reaches(t, claims.number);
	if (result != TOKEN_OK)
		return result;
	result = resolve(t, slice_text(claims.lookup), &claims, identity);
	/* It names a connection; it is not what the call is let in by. */
	return result == TOKEN_UNAUTHORIZED ? TOKEN_NO_CONNECTION : result;
}
