#include <errno.h>
#include <string.h>

#include "common/config.h"
#include "common/crypto.h"
#include "common/limits.h"
#include "ingest/call.h"
#include "ingest/event_type.h"

/* Numbers from here on are ms, below seconds: the year 1973 in ms, 5138 in
 * seconds. */
#define MS_FROM UINT64_C(100000000000)
#define DEDUPE_TEXT_MAX 1024

/* A field by the connector's rule, absent when there is none. */
static int
read_field(struct call *c, enum connector_field field, uint32_t item,
    size_t max, struct slice *ret)
{
	const struct connector_call call = { c->request, c->json };
	size_t start = c->text->len;
	int r = connector_read(c->connector, field, &call, item, c->text);

	if (r < 0 || c->text->len - start > max)
		return call_fail(
		    c, HTTP_E_VALIDATION, "A field of an event is too long.");
	if (c->text->len > start)
		*ret = (struct slice){ c->text->data + start,
			c->text->len - start };
	return 0;
}

static int
read_name(struct call *c, uint32_t item, struct slice *ret)
{
	const char *e;
	int r;

	r = read_field(c, CONNECTOR_EVENT, item, LIMIT_TYPE_TEXT, ret);
	if (r < 0)
		return r;
	if (ret->data == NULL) {
		e = http_query(c->request, "e");
		*ret = slice_text(e == NULL ? "" : e);
		if (ret->len > LIMIT_TYPE_TEXT)
			return call_fail(
			    c, HTTP_E_VALIDATION, "e is too long.");
		return 0;
	}
	/* In the scratch, where texts have no NUL behind them. */
	if (buf_add(c->text, "", 1) < 0)
		return call_fail(
		    c, HTTP_E_VALIDATION, "A field of an event is too long.");
	return 0;
}

static int
read_time(struct call *c, uint32_t item, char text[CLOCK_TEXT_SIZE])
{
	struct slice at = { 0 };
	uint64_t value;
	int r = read_field(c, CONNECTOR_OCCURRED_AT, item, 64, &at);

	if (r < 0)
		return r;
	if (at.data != NULL && config_parse_number(at, &value) == 0 &&
	    value < MS_FROM * 1000)
		clock_text(value < MS_FROM ? value * 1000 : value, text);
	else if (at.data != NULL && clock_parse(at, &value) == 0)
		clock_text(value, text);
	else
		memcpy(text, c->timestamp, CLOCK_TEXT_SIZE);
	return 0;
}

static int
read_dedupe(struct call *c, uint32_t item, struct event *e, uint8_t hash[32])
{
	const char *header = http_header(c->request, "Idempotency-Key");
	struct slice key = { 0 };
	int r;

	if (header != NULL && *header != '\0') {
		event_dedupe_key(
		    e->app, c->who.source, slice_text(header), c->count, hash);
		e->dedupe_key = hash;
		return 0;
	}
	r = read_field(c, CONNECTOR_DEDUPE, item, DEDUPE_TEXT_MAX, &key);
	if (r < 0 || key.data == NULL)
		return r;
	event_dedupe_key(
	    e->app, slice_text(connector_id(c->connector)), key, 0, hash);
	e->dedupe_key = hash;
	return 0;
}

static int
add_mapped(struct call *c, uint32_t item, const char *type)
{
	char occurred_at[CLOCK_TEXT_SIZE];
	uint8_t dedupe[CRYPTO_HASH_SIZE];
	size_t start = c->text->len;
	struct event e = {
		.app = c->who.app,
		.number = directory_number(c->directory),
		.request_id = http_request_id(c->request),
		.service_id = slice_text(connector_id(c->connector)),
		.consumer_id = c->who.consumer_id,
		.entity = JSON_NONE,
		.members = JSON_NONE,
	};
	int r;

	if (event_type_normalise(slice_text(type), c->text) < 0)
		return call_fail(
		    c, HTTP_E_VALIDATION, "The event's name is too long.");
	e.type = (struct slice){ c->text->data + start, c->text->len - start };
	e.unified_api = event_type_api(e.type);
	e.entity_type = event_type_entity(e.type);
	r = read_field(
	    c, CONNECTOR_ENTITY_ID, item, LIMIT_ENTITY_TEXT, &e.entity_id);
	if (r == 0 && e.consumer_id.data == NULL)
		r = read_field(c, CONNECTOR_CONSUMER_ID, item,
		    LIMIT_CONSUMER_TEXT, &e.consumer_id);
	if (r == 0)
		r = read_time(c, item, occurred_at);
	if (r == 0)
		r = read_dedupe(c, item, &e, dedupe);
	if (r < 0)
		return r;
	e.occurred_at = slice_text(occurred_at);
	return call_add(c, &e);
}

int
call_connector(struct call *c, uint32_t item)
{
	struct slice name = { 0 };
	const char *type;
	int r;

	buf_clear(c->text);
	r = read_name(c, item, &name);
	if (r < 0)
		return r;
	type = connector_map(c->connector, (const char *)name.data);
	if (type == NULL) {
		/* Senders switch off hooks that fail: it is answered 200. */
		connector_count_unmapped(c->connector, (const char *)name.data);
		return 0;
	}
	return add_mapped(c, item, type);
}
