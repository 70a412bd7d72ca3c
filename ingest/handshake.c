#include "ingest/handshake.h"

#include <errno.h>
#include <string.h>

static int
answer_text(struct call *c, struct slice text)
{
	/* Never to be taken for a page. */
	http_add_header(c->request, "X-Content-Type-Options", "nosniff");
	http_reply(c->request, 200, "text/plain", text);
	return -ECANCELED;
}

static int
echo(struct call *c, const char *text)
{
	if (text == NULL)
		return 0;
	if (strlen(text) > HANDSHAKE_TEXT_MAX)
		return call_fail(
		    c, HTTP_E_VALIDATION, "The text to echo is too long.");
	return answer_text(c, slice_text(text));
}

static int
meta(struct call *c)
{
	const char *mode = http_query(c->request, "hub.mode");
	const char *challenge = http_query(c->request, "hub.challenge");

	if (mode == NULL && challenge == NULL)
		return 0;
	if (challenge == NULL ||
	    (mode != NULL && strcmp(mode, "subscribe") != 0))
		return call_fail(c, HTTP_E_FORBIDDEN,
		    "hub.mode must be subscribe, with a hub.challenge.");
	return echo(c, challenge);
}

int
handshake_query(struct call *c)
{
	const char *text;
	int r;

	if (strcmp(http_method(c->request), "POST") == 0) {
		text = http_query(c->request, "validationToken");
		if (text == NULL)
			text = http_query(c->request, "validationtoken");
		return echo(c, text);
	}
	r = echo(c, http_query(c->request, "challenge"));
	return r < 0 ? r : meta(c);
}

int
handshake_body(struct call *c)
{
	const struct json *j = c->json;
	uint32_t type = json_member(j, 0, "type");
	struct slice text = { 0 };
	int r;

	if (type == JSON_NONE || json_kind(j, type) != JSON_KIND_STRING ||
	    !slice_is(json_raw(j, type), "url_verification"))
		return 0;
	buf_clear(c->text);
	r = call_text(c, 0, "challenge", HANDSHAKE_TEXT_MAX, &text);
	if (r < 0 || text.data == NULL)
		return r;
	return answer_text(c, text);
}
