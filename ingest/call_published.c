#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"
#include "common/limits.h"
#include "ingest/call.h"
#include "ingest/event_type.h"

static const char vault_service[] = "apideck-vault";

/* A header that stands in for an absent member; empty is absent. */
static int
default_header(
    struct call *c, const char *header, size_t max, struct slice *value)
{
	const char *text;
	char detail[64];

	if (value->data != NULL)
		return 0;
	text = http_header(c->request, header);
	if (text == NULL || *text == '\0')
		return 0;
	if (strlen(text) > max) {
		(void)snprintf(detail, sizeof(detail),
		    "%s must not be longer than %zu bytes.", header, max);
		return call_fail(c, HTTP_E_VALIDATION, detail);
	}
	*value = slice_text(text);
	return 0;
}

static int
fail_missing(struct call *c, const char *name)
{
	json_t *detail = json_pack("{s:[{s:s}]}", "missing", name, "required");

	http_fail(c->request, HTTP_E_VALIDATION, NULL, detail);
	return -ECANCELED;
}

static int
read_required(struct call *c, uint32_t item, const char *name, size_t max,
    struct slice *ret)
{
	int r = call_text(c, item, name, max, ret);

	if (r == 0 && ret->data == NULL)
		return fail_missing(c, name);
	return r;
}

static int
read_type(struct call *c, uint32_t item, struct event *e)
{
	size_t start;
	int r = read_required(c, item, "event_type", LIMIT_TYPE_TEXT, &e->type);

	if (r < 0)
		return r;
	if (!event_type_is_valid(e->type))
		return call_fail(c, HTTP_E_VALIDATION,
		    "event_type must be like crm.contact.created.");
	start = c->text->len;
	if (event_type_normalise(e->type, c->text) < 0)
		return call_fail(
		    c, HTTP_E_VALIDATION, "event_type is too long.");
	e->type = (struct slice){ c->text->data + start, c->text->len - start };
	return 0;
}

/* As RFC 3339 has it, with T, seconds and zone: subscribers may be strict. */
static bool
is_strict(struct slice time)
{
	const uint8_t *end = time.data + time.len;

	return time.len > strlen("2021-10-01T03:14:55") &&
	       time.data[10] == 'T' && time.data[16] == ':' &&
	       (end[-1] == 'Z' || end[-3] == ':');
}

static int
read_time(struct call *c, uint32_t item, struct event *e)
{
	char text[CLOCK_TEXT_SIZE];
	size_t start = 0;
	uint64_t ms;
	int r = call_text(c, item, "occurred_at", 64, &e->occurred_at);

	if (r < 0)
		return r;
	if (e->occurred_at.data == NULL) {
		e->occurred_at = slice_text(c->timestamp);
		return 0;
	}
	if (clock_parse(e->occurred_at, &ms) < 0)
		return call_fail(c, HTTP_E_VALIDATION,
		    "occurred_at must be a time like "
		    "2021-10-01T03:14:55.419Z.");
	if (is_strict(e->occurred_at))
		return 0;
	clock_text(ms, text);
	start = c->text->len;
	if (buf_add_text(c->text, text) < 0)
		return call_fail(
		    c, HTTP_E_VALIDATION, "occurred_at is too long.");
	e->occurred_at =
	    (struct slice){ c->text->data + start, c->text->len - start };
	return 0;
}

/* What a vault event is about lies in its entity. */
static int
read_vault(struct call *c, struct event *e)
{
	int r;

	if (e->entity != JSON_NONE &&
	    json_kind(c->json, e->entity) != JSON_KIND_OBJECT)
		return call_fail(
		    c, HTTP_E_VALIDATION, "entity must be an object.");
	r = call_text(
	    c, e->entity, "unified_api", LIMIT_API_TEXT, &e->connection_api);
	if (r == 0)
		r = call_text(c, e->entity, "consumer_id", LIMIT_CONSUMER_TEXT,
		    &e->connection_consumer);
	return r;
}

static int
read_optional(struct call *c, uint32_t item, struct event *e)
{
	int r;

	r = call_text(c, item, "unified_api", LIMIT_API_TEXT, &e->unified_api);
	if (r == 0)
		r = call_text(
		    c, item, "service_id", LIMIT_SERVICE_TEXT, &e->service_id);
	if (r == 0)
		r = call_text(c, item, "consumer_id", LIMIT_CONSUMER_TEXT,
		    &e->consumer_id);
	if (r == 0)
		r = call_text(
		    c, item, "event_id", LIMIT_EVENT_ID_TEXT, &e->event_id);
	if (r == 0)
		r = read_time(c, item, e);
	return r;
}

static int
set_defaults(struct call *c, struct event *e)
{
	int r;

	r = default_header(
	    c, "x-apideck-service-id", LIMIT_SERVICE_TEXT, &e->service_id);
	if (r == 0)
		r = default_header(c, "x-apideck-consumer-id",
		    LIMIT_CONSUMER_TEXT, &e->consumer_id);
	if (r < 0)
		return r;
	if (e->service_id.data == NULL && event_type_is_vault(e->type))
		e->service_id = slice_text(vault_service);
	if (e->unified_api.data == NULL)
		e->unified_api = event_type_api(e->type);
	return 0;
}

uint32_t
call_unwrap(const struct json *j, uint32_t node)
{
	uint32_t payload = json_member(j, node, "payload");

	if (payload != JSON_NONE &&
	    json_member(j, node, "event_type") == JSON_NONE)
		return payload;
	return node;
}

static int
publish(struct call *c, uint32_t item)
{
	const char *key = http_header(c->request, "Idempotency-Key");
	uint8_t dedupe[CRYPTO_HASH_SIZE];
	struct event e = {
		.app = c->who.app,
		.number = directory_number(c->directory),
		.request_id = http_request_id(c->request),
		.json = c->json,
		.members = item,
		.entity = json_member(c->json, item, "entity"),
	};
	int r;

	buf_clear(c->text);
	r = read_type(c, item, &e);
	if (r == 0)
		r = read_required(
		    c, item, "entity_id", LIMIT_ENTITY_TEXT, &e.entity_id);
	if (r == 0)
		r = read_required(
		    c, item, "entity_type", LIMIT_API_TEXT, &e.entity_type);
	if (r == 0)
		r = read_optional(c, item, &e);
	if (r == 0)
		r = set_defaults(c, &e);
	if (r < 0)
		return r;
	if (event_type_is_vault(e.type)) {
		r = read_vault(c, &e);
		if (r < 0)
			return r;
	}
	if (key != NULL && *key != '\0') {
		event_dedupe_key(e.app, slice_text("events"), slice_text(key),
		    c->count, dedupe);
		e.dedupe_key = dedupe;
	}
	return call_add(c, &e);
}

/* Of an array, each element may be wrapped. */
int
call_published(struct call *c, uint32_t item)
{
	uint32_t event = call_unwrap(c->json, item);

	if (json_kind(c->json, event) != JSON_KIND_OBJECT)
		return call_fail(
		    c, HTTP_E_VALIDATION, "payload must be an object.");
	return publish(c, event);
}
