#include "api/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/log.h"

struct call *
call_new(struct api *api, struct http_request *request)
{
	struct call *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		http_fail(request, HTTP_E_INTERNAL, NULL, NULL);
		return NULL;
	}
	c->api = api;
	c->request = request;
	http_set_data(request, c);
	return c;
}

static void
call_free(struct call *c)
{
	if (c->waiting)
		publish_cancel(c->api->publish, &c->wait);
	if (c->asking) {
		asks_cancel(c->api->asks, &c->ask);
		ask_done(&c->ask);
	}
	json_decref(c->data);
	json_decref(c->body);
	json_decref(c->raw);
	free(c->kept);
	free(c);
}

void
call_drop(struct call *c)
{
	if (c->cancel != NULL)
		c->cancel(c);
	call_free(c);
}

/* ---- answers ---------------------------------------------------------- */

static const char *
status_text(unsigned status)
{
	return status == 201 ? "Created" : "OK";
}

json_t *
call_make_envelope(unsigned status, json_t *data)
{
	return json_pack("{s:i,s:s,s:o}", "status_code", (int)status, "status",
	    status_text(status), "data", data);
}

static int
add_json(const char *text, size_t len, void *out)
{
	return buf_add(out, text, len) < 0 ? -1 : 0;
}

void
call_reply(
    struct call *c, unsigned status, const char *content_type, json_t *json)
{
	struct buf text;

	buf_init(&text, CALL_ANSWER_MAX);
	if (json != NULL &&
	    json_dump_callback(json, add_json, &text, JSON_COMPACT) < 0) {
		buf_done(&text);
		json_decref(json);
		c->face = NULL; /* it would come here again */
		call_fail(c, HTTP_E_INTERNAL, NULL, NULL);
		return;
	}
	json_decref(json);
	c->api->calls++;
	c->api->calls_failed += status >= 500;
	http_reply_take(c->request, status, content_type, &text);
	buf_done(&text);
	call_free(c);
}

bool
call_wants_raw(const struct call *c)
{
	const char *query = http_query(c->request, "raw");
	const char *header = http_header(c->request, "x-apideck-raw");

	if (query != NULL)
		return strcmp(query, "true") == 0;
	return header != NULL && header[0] != '\0' &&
	       strcasecmp(header, "false") != 0;
}

void
call_envelope(struct call *c, unsigned status, json_t *envelope)
{
	if (envelope != NULL && c->face == NULL && call_wants_raw(c))
		(void)json_object_set_new(envelope, "_raw",
		    c->raw != NULL ? json_incref(c->raw) : json_object());
	if (envelope == NULL)
		call_fail(c, HTTP_E_INTERNAL, NULL, NULL);
	else
		call_reply(c, status, "application/json", envelope);
}

void
call_data(struct call *c, unsigned status, json_t *data)
{
	if (c->face != NULL)
		c->face->data(c, status, data);
	else
		call_envelope(c, status, call_make_envelope(status, data));
}

void
call_fail(
    struct call *c, enum http_error error, const char *message, json_t *detail)
{
	if (c->face != NULL) {
		c->face->fail(c, error, message, detail);
		return;
	}
	c->api->calls++;
	c->api->calls_failed += http_error_status(error) >= 500;
	http_fail(c->request, error, message, detail);
	call_free(c);
}

void
call_fail_text(struct call *c, enum http_error error, const char *detail)
{
	call_fail(c, error, NULL, json_string(detail));
}

void
call_not_found(struct call *c, const char *entity, const char *id)
{
	char message[64];

	(void)snprintf(message, sizeof(message), "Unknown %s", entity);
	message[8] = (char)(message[8] - 'a' + 'A');
	call_fail(c, HTTP_E_NOT_FOUND, message,
	    json_pack(
		"{s:{s:s,s:s}}", "not_found", "entity", entity, "id", id));
}

void
call_error(struct call *c, int r)
{
	switch (-r) {
	case EBUSY:
	case ENOSPC:
	case EAGAIN:
		call_fail_text(c, HTTP_E_UNAVAILABLE,
		    r == -ENOSPC ? "There is no space left."
				 : "The service is busy.");
		return;
	case EIO:
	case EBADMSG:
		log_error("directory failed: %s; ending", strerror(-r));
		proc_fail(c->api->proc);
		break;
	default:
		log_error("request failed: %s", strerror(-r));
		break;
	}
	call_fail(c, HTTP_E_INTERNAL, NULL, NULL);
}

/* ---- the body --------------------------------------------------------- */

json_t *
call_body(struct call *c)
{
	struct slice body = http_body(c->request);
	json_error_t error;
	json_t *json;

	if (!http_sends_json(c->request)) {
		call_fail_text(c, HTTP_E_MEDIA_TYPE,
		    "The content type must be application/json.");
		return NULL;
	}
	if (body.len == 0) {
		call_fail_text(c, HTTP_E_VALIDATION, "The body is missing.");
		return NULL;
	}
	json = json_loadb((const char *)body.data, body.len,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (json == NULL) {
		call_fail(c, HTTP_E_VALIDATION, NULL,
		    json_sprintf("The body is not JSON: %s (line %d, "
				 "column %d)",
			error.text, error.line, error.column));
		return NULL;
	}
	if (!json_is_object(json)) {
		json_decref(json);
		call_fail_text(
		    c, HTTP_E_VALIDATION, "The body must be a JSON object.");
		return NULL;
	}
	return json;
}

/* ---- writes ----------------------------------------------------------- */

bool
call_can_write(struct call *c)
{
	if (publish_has_logger(c->api->publish))
		return true;
	call_fail_text(c, HTTP_E_UNAVAILABLE,
	    "No event store is connected, so nothing was changed.");
	return false;
}

static void
take_back(struct call *c)
{
	int r = c->undo(c);

	if (r < 0)
		log_warn("an unconfirmed write stays: %s", strerror(-r));
	else
		publish_changed(c->api->publish);
}

static void
on_waited(struct publish_wait *wait, bool confirmed)
{
	struct call *c =
	    (struct call *)((char *)wait - offsetof(struct call, wait));
	json_t *data = c->data;

	c->waiting = false;
	c->data = NULL;
	if (confirmed) {
		call_data(c, c->status, data);
		return;
	}
	json_decref(data);
	if (c->undo != NULL)
		take_back(c);
	call_fail_text(c, HTTP_E_UNAVAILABLE,
	    c->undo != NULL ? "The event store did not confirm the change, so "
			      "it was taken back."
			    : "The event store has not confirmed the change "
			      "yet. It will be in force when it does; the same "
			      "request may be made again.");
}

void
call_written(struct call *c, uint64_t number, bool ingests, unsigned status,
    json_t *data)
{
	c->status = status;
	c->data = data;
	c->waiting = true;
	c->wait.number = number;
	c->wait.ingests = ingests;
	c->wait.done = on_waited;
	fail_point("api.committed");
	outbox_pump(c->api->outbox);
	publish_wait(c->api->publish, &c->wait);
	publish_changed(c->api->publish); /* may answer at once */
}

/* ---- values ----------------------------------------------------------- */

/* Well-formed UTF-8 by its first byte: length, and the bounds of the second
 * byte (RFC 3629 section 4). */
static const struct utf8_head {
	uint8_t first, last, len, low, high;
} utf8_heads[] = {
	{ 0x00, 0x7f, 1, 0, 0 },
	{ 0xc2, 0xdf, 2, 0x80, 0xbf },
	{ 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf },
	{ 0xed, 0xed, 3, 0x80, 0x9f },
	{ 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf },
	{ 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static bool
is_tail(const struct utf8_head *head, const uint8_t *s)
{
	if (head->len > 1 && (s[1] < head->low || s[1] > head->high))
		return false;
	for (size_t i = 2; i < head->len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return false;
	return true;
}

/* Length of the character at s, or 0. */
static size_t
utf8_length(const uint8_t *s, size_t len)
{
	for (size_t i = 0; i < sizeof(utf8_heads) / sizeof(*utf8_heads); i++) {
		const struct utf8_head *head = &utf8_heads[i];

		if (s[0] >= head->first && s[0] <= head->last)
			return head->len <= len && is_tail(head, s) ? head->len
								    : 0;
	}
	return 0;
}

json_t *
call_text(struct slice text)
{
	json_t *json;
	struct buf clean;
	int r = 0;

	if (text.len == 0)
		return json_string("");
	json = json_stringn((const char *)text.data, text.len);
	if (json != NULL)
		return json;
	buf_init(&clean, 3 * text.len);
	for (size_t i = 0; r == 0 && i < text.len;) {
		size_t n = utf8_length(text.data + i, text.len - i);

		if (n > 0)
			r = buf_add(&clean, text.data + i, n);
		else
			r = buf_add(&clean, "\xef\xbf\xbd", 3);
		i += n > 0 ? n : 1;
	}
	if (r == 0)
		json = json_stringn((const char *)clean.data, clean.len);
	buf_done(&clean);
	return json;
}

json_t *
call_time(uint64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	clock_text(wall_ms, text);
	return json_string(text);
}
