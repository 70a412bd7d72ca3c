#include "api/auth.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* The token of "Bearer TOKEN" (RFC 6750; the scheme's case does not matter).
 * Absent when there is none. */
struct slice
auth_bearer(const char *header)
{
	static const struct slice none = { NULL, 0 };

	if (header == NULL || strncasecmp(header, "Bearer", 6) != 0 ||
	    header[6] != ' ')
		return none;
	header += 7;
	header += strspn(header, " ");
	return *header == '\0' ? none : slice_text(header);
}

static void
refuse(struct call *c, const char *detail)
{
	http_add_header(c->request, "WWW-Authenticate", "Bearer");
	call_fail_text(c, HTTP_E_UNAUTHORIZED, detail);
}

bool
auth_rate(struct call *c)
{
	if (rate_take(&c->api->rate, c->app.app, c->app.rate,
		loop_now_ms(c->api->proc->loop)))
		return true;
	call_fail_text(c, HTTP_E_RATE,
	    "The application makes too many requests a second.");
	return false;
}

bool
auth_check(struct call *c)
{
	struct slice key =
	    auth_bearer(http_header(c->request, "Authorization"));
	const char *app = http_header(c->request, "x-apideck-app-id");
	uint8_t hash[CRYPTO_HASH_SIZE];
	int r;

	if (key.data == NULL) {
		refuse(c, "Missing authentication");
		return false;
	}
	crypto_sha256(key, hash);
	r = directory_app_of_key(c->api->directory, hash, &c->app);
	if (r < 0 && r != -ENOENT) {
		call_error(c, r);
		return false;
	}
	if (r == -ENOENT) {
		refuse(c, "Unknown API key");
		return false;
	}
	if (app == NULL || app[0] == '\0') {
		call_fail_text(
		    c, HTTP_E_HEADERS, "Missing Header: x-apideck-app-id");
		return false;
	}
	if (strcmp(app, c->app.id) != 0) {
		refuse(c, "The API key is of another application");
		return false;
	}
	return auth_rate(c);
}
