#include "common/clock.h"
#include "ingest/call.h"

static const char *
header(const void *arg, const char *name)
{
	return http_header(arg, name);
}

static enum signature_result
check(const struct call *c, struct slice secret)
{
	const struct signature *s = connector_signature(c->connector);
	struct signature_call call = {
		.method = http_method(c->request),
		.base = slice_text(c->public_url),
		.target = slice_text(http_target(c->request)),
		.body = http_body(c->request),
		.now_ms = clock_wall_ms(),
		.header = header,
		.arg = c->request,
		.items = JSON_NONE,
	};

	if (signature_is_in_body(s)) {
		call.json = c->json;
		call.items = connector_items(c->connector, c->json);
	}
	return signature_check(s, secret, &call);
}

static enum signature_result
open_and_check(const struct call *c)
{
	struct slice secret;

	if (secret_cache_open(c->secrets, c->who.app, c->who.secret, &secret) <
	    0)
		return SIGNATURE_UNREADABLE;
	return check(c, secret);
}

int
call_check_signature(struct call *c)
{
	static const char undeclared[] =
	    "The connection has a secret, but its connector declares "
	    "no signature that it could check.";
	static const char *const details[SIGNATURE_RESULT_MAX] = {
		[SIGNATURE_MISSING] = "The vendor's signature is missing.",
		[SIGNATURE_WRONG] = "The vendor's signature is wrong.",
		[SIGNATURE_STALE] =
		    "The vendor's signature is of another time than now.",
		[SIGNATURE_UNDECLARED] = undeclared,
		[SIGNATURE_UNREADABLE] =
		    "The connection's secret cannot be opened.",
	};
	enum signature_result result;

	if (c->who.secret.data == NULL || c->connector == NULL)
		return 0;
	result = open_and_check(c);
	if (result == SIGNATURE_RIGHT)
		return 0;
	connector_count_refused(c->connector, result, c->who.source);
	/* Unreadable is our fault: the vendor may call again. */
	return call_fail(c,
	    result == SIGNATURE_UNREADABLE ? HTTP_E_UNAVAILABLE
					   : HTTP_E_CREDENTIALS,
	    details[result]);
}
