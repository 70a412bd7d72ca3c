#include "ingest/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/limits.h"
#include "ingest/form_body.h"
#include "ingest/raw.h"

#define ANSWER_FIXED 320 /* of an answer without event ids */

void
call_done(struct call *c)
{
	struct accept_record *record = c->first, *next;

	for (; record != NULL; record = next) {
		next = record->next;
		accept_record_free(record);
	}
	c->first = c->last = NULL;
	c->count = 0;
	buf_done(&c->event_ids);
	buf_done(&c->form);
}

int
call_fail(struct call *c, enum http_error error, const char *detail)
{
	http_fail_text(c->request, error, detail);
	return -ECANCELED;
}

/* Some senders say form by default and mean JSON. */
static bool
is_form(const struct call *c, struct slice body)
{
	static const char form[] = "application/x-www-form-urlencoded";
	const char *type = http_header(c->request, "Content-Type");
	enum connector_body declared;

	if (c->connector == NULL || type == NULL)
		return false;
	declared = connector_body(c->connector, type);
	if (declared != CONNECTOR_BODY_UNDECLARED)
		return declared == CONNECTOR_BODY_FORM;
	return strncasecmp(type, form, sizeof(form) - 1) == 0 &&
	       strchr("; \t", type[sizeof(form) - 1]) != NULL &&
	       body.data[0] != '{' && body.data[0] != '[';
}

/* The JSON of a form. */
static int
read_form(struct call *c, struct slice *body)
{
	int r;

	r = form_body(*body, &c->form);
	if (r == -EBADMSG)
		return call_fail(c, HTTP_E_VALIDATION, "The body is no form.");
	if (r < 0)
		return call_fail(c, HTTP_E_UNAVAILABLE, "Out of memory.");
	*body = buf_slice(&c->form);
	return 0;
}

int
call_parse(struct call *c, bool may_be_empty)
{
	struct slice body = http_body(c->request);
	char detail[96];
	int r;

	if (body.len == 0) {
		if (!may_be_empty)
			return call_fail(
			    c, HTTP_E_VALIDATION, "The body is missing.");
		body = slice_text("{}");
	} else if (is_form(c, body)) {
		r = read_form(c, &body);
		if (r < 0)
			return r;
	}
	r = json_parse(c->json, body);
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return call_fail(c, HTTP_E_UNAVAILABLE, "Out of memory.");
	(void)snprintf(detail, sizeof(detail), "The body is %s (byte %u).",
	    r == -E2BIG ? "JSON that is nested too deep" : "not JSON",
	    c->json->error_at);
	return call_fail(c, HTTP_E_VALIDATION, detail);
}

static int
add_event_id(struct call *c, struct id custody)
{
	char text[ID_TEXT_SIZE];

	id_text(custody, text);
	return buf_addf(
	    &c->event_ids, "%s\"%s\"", c->event_ids.len > 0 ? "," : "", text);
}

int
call_add(struct call *c, const struct event *event)
{
	struct accept_record *record;
	struct id custody;
	int r;

	if (c->count == ACCEPT_GROUP_RECORDS)
		return call_fail(
		    c, HTTP_E_TOO_LARGE, "Too many events in one call.");
	r = event_make(c->maker, event, &record, &custody);
	if (r == -ENOMEM)
		return call_fail(c, HTTP_E_UNAVAILABLE, "Out of memory.");
	if (r == -ENOBUFS)
		return call_fail(c, HTTP_E_TOO_LARGE, "An event is too large.");
	if (r < 0)
		return call_fail(
		    c, HTTP_E_VALIDATION, "A field of an event is too long.");
	if (c->last == NULL)
		c->first = record;
	else
		c->last->next = record;
	c->last = record;
	c->count++;
	if (c->connector == NULL && add_event_id(c, custody) < 0)
		return call_fail(c, HTTP_E_UNAVAILABLE, "Out of memory.");
	return 0;
}

int
call_each(
    struct call *c, uint32_t node, int (*fn)(struct call *c, uint32_t item))
{
	const struct json *j = c->json;
	uint32_t at, count;
	int r = 0;

	if (node != JSON_NONE && json_kind(j, node) == JSON_KIND_OBJECT)
		return fn(c, node);
	if (node == JSON_NONE || json_kind(j, node) != JSON_KIND_ARRAY)
		return call_fail(c, HTTP_E_VALIDATION,
		    "Expected an object or an array of objects.");
	at = node + 1;
	for (count = j->nodes[node].count; r == 0 && count > 0; count--) {
		if (json_kind(j, at) != JSON_KIND_OBJECT)
			return call_fail(c, HTTP_E_VALIDATION,
			    "Every element of the array must be an object.");
		r = fn(c, at);
		at = j->nodes[at].next;
	}
	return r;
}

int
call_text(struct call *c, uint32_t item, const char *name, size_t max,
    struct slice *ret)
{
	uint32_t node = json_member(c->json, item, name);
	size_t start = c->text->len;
	char detail[128];
	int r;

	if (node == JSON_NONE || json_kind(c->json, node) == JSON_KIND_NULL)
		return 0;
	r = json_text(c->json, node, c->text);
	if (r == 0 && c->text->len > start && c->text->len - start <= max) {
		*ret = (struct slice){ c->text->data + start,
			c->text->len - start };
		return 0;
	}
	(void)snprintf(detail, sizeof(detail),
	    "%s must be a text of 1 to %zu bytes.", name, max);
	return call_fail(c, HTTP_E_VALIDATION, detail);
}

static int
add(struct buf *out, const char *text, size_t len)
{
	return buf_add(out, text, len);
}

/* By hand: once per call, and formatting costs more than all of it. */
int
call_answer(const struct call *c, struct buf *out)
{
	static const char head[] =
	    "{\"status_code\":200,\"status\":\"OK\",\"data\":{"
	    "\"request_id\":\"";
	static const char at[] = "\",\"timestamp\":\"";
	static const char ids[] = "\",\"event_ids\":[";
	static const char again[] = "},\"request_id\":\"";
	const size_t time_len = CLOCK_TEXT_SIZE - 1;
	char id[ID_TEXT_SIZE];
	int r;

	if (c->connector != NULL && connector_answers_empty(c->connector) &&
	    !c->raw)
		return 0;
	id_text(http_request_id(c->request), id);
	r = buf_reserve(out, ANSWER_FIXED + c->event_ids.len);
	if (r == 0)
		r = add(out, head, sizeof(head) - 1);
	if (r == 0)
		r = add(out, id, ID_TEXT_SIZE - 1);
	if (r == 0)
		r = add(out, at, sizeof(at) - 1);
	if (r == 0)
		r = add(out, c->timestamp, time_len);
	if (r == 0 && c->connector == NULL) {
		r = add(out, ids, sizeof(ids) - 1);
		if (r == 0 && c->event_ids.len > 0)
			r = buf_add(out, c->event_ids.data, c->event_ids.len);
		if (r == 0)
			r = add(out, "]", 1);
	} else if (r == 0) {
		r = add(out, "\"", 1);
	}
	if (r == 0)
		r = add(out, again, sizeof(again) - 1);
	if (r == 0)
		r = add(out, id, ID_TEXT_SIZE - 1);
	if (r == 0)
		r = add(out, at, sizeof(at) - 1);
	if (r == 0)
		r = add(out, c->timestamp, time_len);
	if (r == 0)
		r = add(out, "\"", 1);
	if (r == 0 && c->raw) {
		r = buf_add_text(out, ",\"_raw\":");
		if (r == 0)
			r = raw_request(c->request, out);
	}
	return r < 0 ? r : add(out, "}", 1);
}
