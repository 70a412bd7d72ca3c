#include "common/http_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ERROR_MAX (64 * 1024) /* an error's body */

void
http_request_free(struct http_request *r)
{
	while (r->headers != NULL) {
		struct header *next = r->headers->next;

		free(r->headers->name);
		free(r->headers->value);
		free(r->headers);
		r->headers = next;
	}
	if (r->response != NULL)
		MHD_destroy_response(r->response);
	http_query_done(&r->query);
	buf_done(&r->body);
	free(r);
}

/* ---- replies ---------------------------------------------------------- */

static void
answer(struct http_request *r, unsigned status, const char *content_type,
    struct MHD_Response *response)
{
	char id[ID_TEXT_SIZE];

	r->answered = true;
	r->http->open--;
	r->http->dirty = true;
	if (r->conn != NULL) {
		r->conn->waiting = false;
		r->conn->answered = true;
		r->conn->since_ms = loop_now_ms(r->http->loop);
	}
	if (response == NULL) { /* out of memory: an empty answer needs none */
		status = 500;
		response = MHD_create_response_from_buffer(
		    0, NULL, MHD_RESPMEM_PERSISTENT);
	}
	if (response == NULL)
		return; /* the client sees its connection time out */
	id_text(r->id, id);
	(void)MHD_add_response_header(response, "Content-Type", content_type);
	(void)MHD_add_response_header(response, "Request-Id", id);
	for (struct header *e = r->headers; e != NULL; e = e->next)
		(void)MHD_add_response_header(response, e->name, e->value);
	r->status = status;
	r->response = response;
}

void
http_reply(struct http_request *r, unsigned status, const char *content_type,
    struct slice body)
{
	/* The copying mode only reads what it is given. */
	union {
		const uint8_t *in;
		void *out;
	} cast = { .in = body.data };

	answer(r, status, content_type,
	    MHD_create_response_from_buffer(
		body.len, cast.out, MHD_RESPMEM_MUST_COPY));
}

void
http_reply_take(struct http_request *r, unsigned status,
    const char *content_type, struct buf *body)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    body->len, body->data, MHD_RESPMEM_MUST_FREE);

	if (response == NULL)
		buf_done(body);
	else
		buf_init(body, body->max_bytes);
	answer(r, status, content_type, response);
}

void
http_add_header(struct http_request *r, const char *name, const char *value)
{
	struct header *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return;
	e->name = strdup(name);
	e->value = strdup(value);
	if (e->name == NULL || e->value == NULL) {
		free(e->name);
		free(e->value);
		free(e);
		return;
	}
	e->next = r->headers;
	r->headers = e;
}

void
http_fail(struct http_request *r, enum http_error error, const char *message,
    json_t *detail)
{
	struct buf body;

	/* Rates are per second, too. */
	if (error == HTTP_E_UNAVAILABLE || error == HTTP_E_RATE)
		http_add_header(r, "Retry-After", "1");
	buf_init(&body, ERROR_MAX);
	if (http_error_body(error, message, detail, &body) < 0)
		buf_clear(&body);
	http_reply_take(r, http_error_status(error), "application/json", &body);
	buf_done(&body);
}

void
http_fail_text(
    struct http_request *r, enum http_error error, const char *detail)
{
	http_fail(r, error, NULL, json_string(detail));
}

/* ---- reading a request ------------------------------------------------ */

const char *
http_method(const struct http_request *r)
{
	return r->method;
}

const char *
http_path(const struct http_request *r)
{
	return r->path;
}

const char *
http_target(const struct http_request *r)
{
	return r->target;
}

struct slice
http_body(const struct http_request *r)
{
	return buf_slice(&r->body);
}

const char *
http_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

struct each {
	bool (*fn)(void *arg, const char *name, const char *value);
	void *arg;
};

static enum MHD_Result
on_header(
    void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct each *each = cls;

	(void)kind;
	return each->fn(each->arg, name, value == NULL ? "" : value) ? MHD_YES
								     : MHD_NO;
}

void
http_each_query(const struct http_request *r,
    bool (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	http_query_each(&r->query, fn, arg);
}

void
http_each_header(const struct http_request *r,
    bool (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	struct each each = { fn, arg };

	(void)MHD_get_connection_values(
	    r->mhd, MHD_HEADER_KIND, on_header, &each);
}

struct find {
	const char *name;
	const char *value;
};

static bool
find_exact(void *arg, const char *name, const char *value)
{
	struct find *find = arg;

	if (strcmp(name, find->name) != 0)
		return true;
	find->value = value;
	return false;
}

const char *
http_query(const struct http_request *r, const char *name)
{
	struct find find = { name, NULL };

	http_each_query(r, find_exact, &find);
	return find.value;
}

bool
http_sends_json(const struct http_request *r)
{
	static const char json[] = "application/json", made_of_it[] = "+json";
	const size_t suffix = sizeof(made_of_it) - 1;
	const char *type = http_header(r, "Content-Type");
	size_t len = type == NULL ? 0 : strcspn(type, "; \t");

	return len == 0 ||
	       (len == sizeof(json) - 1 && strncasecmp(type, json, len) == 0) ||
	       (len > suffix &&
		   strncasecmp(type + len - suffix, made_of_it, suffix) == 0);
}

struct id
http_request_id(const struct http_request *r)
{
	return r->id;
}

void
http_set_data(struct http_request *r, void *data)
{
	r->data = data;
}

void *
http_data(const struct http_request *r)
{
	return r->data;
}
