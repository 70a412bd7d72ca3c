#include "api/jsonapi_login.h"

#include <errno.h>
#include <string.h>

#include "api/auth.h"
#include "api/jsonapi.h"
#include "common/clock.h"

static void
refuse(struct call *c, const char *detail)
{
	http_add_header(c->request, "WWW-Authenticate", "Bearer");
	call_fail_text(c, HTTP_E_UNAUTHORIZED, detail);
}

/* ---- giving a token --------------------------------------------------- */

static json_t *
make_answer(const struct buf *token, uint64_t expires_s)
{
	return json_pack("{s:{s:s#,s:o}}", "meta", "token",
	    (const char *)token->data, (size_t)token->len, "expires_at",
	    call_time(expires_s * 1000));
}

static void
answer(struct call *c, const struct directory_app *app, const char *key_id)
{
	struct jwt claims = {
		.kind = JWT_SESSION,
		.app = app->app,
		.expires_s = clock_wall_ms() / 1000 + JSONAPI_LOGIN_S,
	};
	struct buf token;
	int r;

	buf_init(&token, JWT_TEXT_MAX);
	r = slice_copy(
	    slice_text(key_id), claims.lookup, sizeof(claims.lookup));
	if (r == 0)
		r = jwt_mint(&c->api->tokens, &claims, &token);
	if (r < 0)
		call_error(c, r);
	else
		call_reply(c, 200, JSONAPI_MEDIA,
		    make_answer(&token, claims.expires_s));
	buf_done(&token);
}

void
jsonapi_login(struct call *c)
{
	json_t *body = call_body(c);
	uint8_t hash[CRYPTO_HASH_SIZE];
	char key_id[LIMIT_ID_TEXT + 1];
	struct directory_app app;
	const json_t *key;
	int r;

	if (body == NULL)
		return;
	c->body = body;
	key = json_object_get(body, "key");
	if (!json_is_string(key)) {
		jsonapi_refuse_one(c, "pointer", "/key",
		    key == NULL ? "is required" : "must be a string");
		return;
	}
	crypto_sha256(slice_text(json_string_value(key)), hash);
	r = directory_app_of_key(c->api->directory, hash, &app);
	if (r == 0)
		r = directory_key_id(
		    c->api->directory, hash, key_id, sizeof(key_id));
	if (r == -ENOENT)
		refuse(c, "Unknown API key");
	else if (r < 0)
		call_error(c, r);
	else
		answer(c, &app, key_id);
}

/* ---- taking one ------------------------------------------------------- */

/* -ENOENT: unknown, expired, or its key is gone. */
static int
find(struct call *c, struct slice bearer)
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	struct jwt claims;
	int r;

	r = jwt_check(&c->api->tokens, bearer, clock_wall_ms() / 1000, &claims);
	if (r == 0) {
		if (claims.kind != JWT_SESSION)
			return -ENOENT;
		r = directory_app_of_key_id(
		    c->api->directory, claims.lookup, &c->app);
		return r == 0 && c->app.app != claims.app ? -ENOENT : r;
	}
	if (r == -ETIME)
		return -ENOENT;
	crypto_sha256(bearer, hash);
	return directory_app_of_key(c->api->directory, hash, &c->app);
}

bool
jsonapi_login_check(struct call *c)
{
	struct slice bearer =
	    auth_bearer(http_header(c->request, "Authorization"));
	int r;

	if (bearer.data == NULL) {
		refuse(c, "Missing authentication");
		return false;
	}
	r = find(c, bearer);
	if (r == -ENOENT)
		refuse(c, "Unknown API key, or a token that has expired");
	else if (r < 0)
		call_error(c, r);
	return r == 0 && auth_rate(c);
}
