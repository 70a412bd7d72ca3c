/*
 * The answers that libmicrohttpd gives by itself (a request line or a header
 * that is none, headers larger than its pool) in the error shape, too.
 *
 * It has no hook for them. It sends them with its own MHD_queue_response(),
 * which it calls by its public name through the dynamic linker; so this module
 * defines that name, and what comes through it is libmicrohttpd's. We ourselves
 * call what http_refusal_real() says, which is the real one.
 *
 * One case stays without an answer: a first line without a single blank
 * ("NONSENSE"). libmicrohttpd shuts the socket down for writing right where it
 * has failed to read the line, with no answer of its own and no call to us
 * before; RFC 9112 (3) allows it to close.
 *
 * They are written to the socket at once, and the connection is closed:
 * libmicrohttpd 0.9.75 sends the head of some of its own answers twice. Where
 * the library is bound otherwise its own answers stay as they are, and nothing
 * else is different.
 */
#ifndef SLUICE_HTTP_REFUSAL_H
#define SLUICE_HTTP_REFUSAL_H

#include <microhttpd.h>

#include "common/http_error.h"
#include "common/id.h"

typedef enum MHD_Result http_queue_fn(
    struct MHD_Connection *, unsigned int, struct MHD_Response *);

typedef enum MHD_Result http_value_fn(struct MHD_Connection *,
    enum MHD_ValueKind, const char *, size_t, const char *, size_t);

/* NULL when libmicrohttpd is not a shared library. */
http_queue_fn *http_refusal_real(void);
/* The real MHD_set_connection_value_n(), which http.c stands before. */
http_value_fn *http_refusal_real_value(void);

/* A whole answer onto a connection on which no other one is under way. */
void http_refusal_send(
    int fd, enum http_error error, const char *detail, struct id id);

#endif
