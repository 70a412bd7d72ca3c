#include "api/validate.h"

#include <stddef.h>
#include <stdio.h>

#define EVENT_TYPE "apideck.subscription.created"
#define BODY "{\"message\":\"Validating delivery URL\"}"
#define SECRET_MAX (SEAL_SECRET_MAX + SEAL_OVERHEAD)

/* ret_why: "status=404", or what went wrong on the way. */
static void
explain(const struct msg *probed, char why[LIMIT_NAME_TEXT + 1])
{
	if (probed->error.len > 0)
		(void)snprintf(why, LIMIT_NAME_TEXT + 1, "%.*s",
		    (int)probed->error.len, (const char *)probed->error.data);
	else
		(void)snprintf(why, LIMIT_NAME_TEXT + 1, "status=%u",
		    (unsigned)probed->status);
}

static void
on_probed(struct ask *ask, const struct msg *answer)
{
	struct call *c =
	    (struct call *)((char *)ask - offsetof(struct call, ask));
	char why[LIMIT_NAME_TEXT + 1] = "";
	bool right;

	c->asking = false;
	ask_done(ask);
	if (answer == NULL || answer->type != MSG_PROBED ||
	    answer->verdict == MSG_VERDICT_NONE) {
		call_fail_text(c, HTTP_E_UNAVAILABLE,
		    "The delivery URL could not be checked, so nothing was "
		    "changed.");
		return;
	}
	right = answer->verdict == MSG_VERDICT_DELIVERED;
	if (!right)
		explain(answer, why);
	c->validated(c, right, why);
}

void
validate_url(
    struct call *c, const struct directory_hook *hook, validate_fn *then)
{
	struct msg probe = {
		.type = MSG_PROBE,
		.app = c->app.app,
		.url = slice_text(hook->url),
		.event_type = slice_text(EVENT_TYPE),
		.body = slice_text(BODY),
		.headers = directory_hook_headers(hook),
	};
	struct buf secret;
	int r;

	buf_init(&secret, SECRET_MAX);
	r = directory_signing_secret(
	    c->api->directory, c->app.app, hook->subscription, &secret);
	if (r == 0) {
		probe.secret = buf_slice(&secret);
		c->validated = then;
		c->ask.done = on_probed;
		r = asks_send(c->api->asks, c->api->loggers, &c->ask, &probe,
		    VALIDATE_MS);
		if (r < 0)
			ask_done(&c->ask);
	}
	buf_done(&secret);
	if (r < 0)
		call_error(c, r);
	else
		c->asking = true;
}
