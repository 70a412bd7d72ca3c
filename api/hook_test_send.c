#include "api/hook_options.h"

#include <errno.h>
#include <string.h>

#include "api/catalogue.h"
#include "api/form.h"
#include "api/hook_form.h"
#include "api/test_send.h"
#include "api/webhooks.h"
#include "common/clock.h"
#include "common/msg.h"

#define SERVICE "apideck-webhook"
#define ENTITY_TYPE "webhook"
#define BODY_MAX 4096

/* Members in canonical order; none of the texts needs an escape. */
static int
pack(struct call *c, const struct directory_hook *hook, const char *type,
    struct id custody, struct buf *out)
{
	char id[ID_TEXT_SIZE], now[CLOCK_TEXT_SIZE];
	struct id request = http_request_id(c->request);
	struct msg m = {
		.type = MSG_EVENT,
		.custody = id_slice(&custody),
		.app = hook->app,
		.event_type = slice_text(type),
		.unified_api = slice_text(hook_form_api(hook)),
		.service_id = slice_text(SERVICE),
		.entity_id = slice_text(hook->id),
		.entity_type = slice_text(ENTITY_TYPE),
		.request_id = id_slice(&request),
		.number = hook->number,
		.flags = MSG_FLAG_ONCE | MSG_FLAG_FREE,
		.subscription = hook->subscription,
	};
	struct buf body;
	int r;

	id_text(custody, id);
	clock_text(clock_wall_ms(), now);
	buf_init(&body, BODY_MAX);
	r = buf_addf(&body,
	    "{\"payload\":{\"entity_id\":\"%s\",\"entity_type\":\"%s\","
	    "\"event_id\":\"%s\",\"event_type\":\"%s\","
	    "\"execution_attempt\":",
	    hook->id, ENTITY_TYPE, id, type);
	m.hole = body.len;
	if (r == 0)
		r = buf_addf(&body,
		    ",\"occurred_at\":\"%s\",\"service_id\":\"%s\","
		    "\"unified_api\":\"%s\"}}",
		    now, SERVICE, hook_form_api(hook));
	m.body = buf_slice(&body);
	if (r == 0)
		r = msg_pack(&m, out);
	buf_done(&body);
	return r;
}

int
test_send_post(struct call *c, const struct directory_hook *hook,
    const char *type, struct id custody)
{
	struct buf event;
	int r;

	buf_init(&event, LIMIT_MESSAGE_BYTES);
	r = pack(c, hook, type, custody, &event);
	if (r == 0)
		r = directory_outbox_add(
		    c->api->directory, hook->app, custody, buf_slice(&event));
	buf_done(&event);
	if (r == 0)
		outbox_pump(c->api->outbox);
	return r;
}

static json_t *
show(struct id custody, uint32_t subscription)
{
	char event[ID_TEXT_SIZE], delivery[ID_TEXT_SIZE];

	id_text(custody, event);
	id_text(id_delivery(custody, subscription), delivery);
	return json_pack("{s:s,s:s}", "event_id", event, "log_id", delivery);
}

/* The event type that the body asks for. */
static json_t *
read_body(const json_t *body, char type[LIMIT_TYPE_TEXT + 1])
{
	char text[LIMIT_TYPE_TEXT + 1];
	struct form f;

	form_init(&f, body, false);
	if (form_text(&f, "event_type", FORM_OPTIONAL, 1, text, sizeof(text)) &&
	    (catalogue_event(slice_text(text), type, LIMIT_TYPE_TEXT + 1) < 0 ||
		strchr(type, '*') != NULL))
		form_complain(&f, "event_type", "is no event that exists");
	return form_end(&f);
}

void
hook_test(struct call *c)
{
	char type[LIMIT_TYPE_TEXT + 1] = TEST_SEND_TYPE;
	struct id custody = id_make(&c->api->ids);
	struct directory_hook hook;
	json_t *detail = NULL;
	int r;

	if (http_body(c->request).len > 0) {
		json_t *body = call_body(c);

		if (body == NULL)
			return; /* answered; the call is gone */
		c->body = body;
		detail = read_body(c->body, type);
	}
	if (detail != NULL) {
		call_fail(c, HTTP_E_VALIDATION, NULL, detail);
		return;
	}
	if (!webhooks_find(c, &hook))
		return;
	r = test_send_post(c, &hook, type, custody);
	if (r < 0) {
		call_error(c, r);
		return;
	}
	call_data(c, 200, show(custody, hook.subscription));
}
