#include "api/validate.h"

#include <stddef.h>
#include <stdio.h>

#include "common/log.h"

#define EVENT_TYPE "apideck.subscription.created"
#define BODY "{\"message\":\"Validating delivery URL\"}"
#define SECRET_MAX (SEAL_SECRET_MAX + SEAL_OVERHEAD)

/* Why the URL is not taken for right: "status=404", what went wrong on the way,
 * or why nobody called it. */
static void
explain(const struct msg *probed, char why[LIMIT_NAME_TEXT + 1])
{
	const char *before = "";

	if (probed == NULL || probed->type != MSG_PROBED) {
		(void)snprintf(why, LIMIT_NAME_TEXT + 1,
		    "not called: the event store did not answer");
		return;
	}
	if (probed->verdict == MSG_VERDICT_NONE)
		before = "not called: ";
	if (probed->error.len > 0)
		(void)snprintf(why, LIMIT_NAME_TEXT + 1, "%s%.*s", before,
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
	right = answer != NULL && answer->type == MSG_PROBED &&
		answer->verdict == MSG_VERDICT_DELIVERED;
	if (!right) {
		explain(answer, why);
		log_warn("app=%s webhook=%s validation=failed cause=\"%s\"",
		    c->app.id, c->id[0] != '\0' ? c->id : "new", why);
	}
	ask_done(ask);
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
		.http2 = hook->http2,
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
