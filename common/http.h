/*
 * HTTP in: libmicrohttpd inside our own loop, one request at a time.
 *
 * The handler runs once per request, when its body has arrived whole. It
 * answers with one of the reply calls, at once or later: until then the
 * request waits and costs nothing. Replies leave at http_flush(); whoever
 * replies outside a handler calls it once at the end of its turn.
 *
 * What the layer answers itself, in the error shape of http_error.h: what is
 * no HTTP, or has a NUL in its path or query 400, headers over the pool 431, a
 * body over max_body 413, a request that has not arrived whole after timeout_ms
 * (from its first line's end, or some seconds after its first byte) 408, more
 * connections than the limit, or an answer not taken within four times
 * timeout_ms: closed. Every answer carries a Request-Id header and a content
 * type.
 *
 * A request is valid from the handler's call to its reply, and after that no
 * more; if the client goes away before, on_gone is called instead and the
 * request must not be answered. Loop thread only.
 */
#ifndef SLUICE_HTTP_H
#define SLUICE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/http_error.h"
#include "common/id.h"
#include "common/loop.h"

struct http;
struct http_request;

struct http_config {
	const char *address; /* host:port; port 0 takes a free one */
	uint64_t connections;
	uint64_t timeout_ms;
	size_t max_body;
	size_t pool_bytes; /* libmicrohttpd's memory per connection; limits the
			    * headers too; 0: 8 KiB */
	void (*handler)(void *arg, struct http_request *request);
	void (*on_gone)(void *arg, struct http_request *request);
	/* After the handlers of one wake-up: the place to flush what they
	 * gathered. NULL: nothing. */
	void (*on_turn)(void *arg);
	void *arg;
};

/* -EINVAL: address; -EADDRINUSE; -EACCES; -EIO. */
int http_new(struct loop *loop, const struct http_config *config,
    struct http **ret_http) SL_MUST_CHECK;
/* No new connections from now on: they are refused. Those that are there go on,
 * and open requests may still be answered. */
void http_quiesce(struct http *h);
/* Requests not yet answered. */
uint64_t http_open(const struct http *h);
void http_free(struct http *h);
/* "127.0.0.1:8080", as really bound. */
const char *http_address(const struct http *h);

const char *http_method(const struct http_request *r);
/* Percent-decoded, without the query. */
const char *http_path(const struct http_request *r);
/* Of the request line, as it came, query included. */
const char *http_target(const struct http_request *r);
struct slice http_body(const struct http_request *r);
/* NULL when absent. Names are matched without case for headers, exactly for
 * the query; values are percent-decoded. */
const char *http_header(const struct http_request *r, const char *name);
const char *http_query(const struct http_request *r, const char *name);
/* Every name=value of the query in order, repeats included; fn returns false
 * to stop. value is "" when there is none. */
void http_each_query(const struct http_request *r,
    bool (*fn)(void *arg, const char *name, const char *value), void *arg);
/* Every header in order, likewise. */
void http_each_header(const struct http_request *r,
    bool (*fn)(void *arg, const char *name, const char *value), void *arg);
/* The body is sent as application/json, or as a type made of it (RFC 6839), or
 * nothing is said of it. */
bool http_sends_json(const struct http_request *r);
struct id http_request_id(const struct http_request *r);
/* The caller's own pointer, NULL at first. */
void http_set_data(struct http_request *r, void *data);
void *http_data(const struct http_request *r);

/* An extra header of the coming reply; copied; ignored when out of memory. */
void http_add_header(
    struct http_request *r, const char *name, const char *value);
/* Copies the body. */
void http_reply(struct http_request *r, unsigned status,
    const char *content_type, struct slice body);
/* The same with body's bytes taken over (body is left empty). */
void http_reply_take(struct http_request *r, unsigned status,
    const char *content_type, struct buf *body);
/* An error of the table, with an optional detail. Takes detail (a JSON string
 * or object, or NULL). message NULL: the table's. */
void http_fail(struct http_request *r, enum http_error error,
    const char *message, json_t *detail);
/* The same with a plain text detail. */
void http_fail_text(
    struct http_request *r, enum http_error error, const char *detail);
void http_flush(struct http *h);

#endif
