/*
 * The query of a request: the names and values behind the "?" of its target,
 * decoded ("+" is a blank, %XX a byte; what is no escape stays as it is), in
 * order, repeats included; nothing between two "&" is none.
 *
 * libmicrohttpd would parse it as well. But it takes a record of a connection's
 * small pool for each parameter, and when that is used up, 0.9.75 refuses the
 * request and then goes on with it: with its memory gone if the refusal closed
 * the connection. So it gets to see no query, and http.c lets it keep nothing
 * of one that it sees behind a NUL.
 */
#ifndef SLUICE_HTTP_QUERY_H
#define SLUICE_HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/attributes.h"

struct http_query {
	char *text;   /* name, NUL, value, NUL, name, ... */
	size_t count; /* of the pairs */
};

/* Reads the query of target, which may have none, and cuts it off there, behind
 * the "?". The texts are q's until it is done. -ENOMEM. */
int http_query_take(struct http_query *q, char *target) SL_MUST_CHECK;
/* Accepts one that is done already. */
void http_query_done(struct http_query *q);

/* fn returns false to stop; value is "" when there is none. */
void http_query_each(const struct http_query *q,
    bool (*fn)(void *arg, const char *name, const char *value), void *arg);

#endif
