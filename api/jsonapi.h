/*
 * The second face, /api/v3: JSON:API documents and errors over the same
 * records as /webhook.
 *
 * Every answer is application/vnd.api+json: {"data": ...} or {"errors":
 * [{"status", "title", "detail", "source"}]}. A call of this face has
 * jsonapi_face, so that whatever answers it (a write that waits, an error of
 * the directory) does so in these shapes.
 */
#ifndef SLUICE_API_JSONAPI_H
#define SLUICE_API_JSONAPI_H

#include "api/call.h"

#define JSONAPI_MEDIA "application/vnd.api+json"
#define JSONAPI_WEBHOOKS "notification/webhooks"
#define JSONAPI_EVENTS "notification/events"
#define JSONAPI_ROOT "/api/v3/"
#define JSONAPI_WEBHOOKS_PATH "/api/v3/notification/webhooks"

/* Complaints of one answer at most. */
#define JSONAPI_ERRORS_MAX 64

extern const struct call_face jsonapi_face;

/* Adds to *errors, made when NULL. kind: "pointer" into the body, or
 * "parameter" of the query or path. */
void jsonapi_complain(
    json_t **errors, const char *kind, const char *where, const char *why);
/* 422 with them; taken. */
void jsonapi_refuse(struct call *c, json_t *errors);
/* 422 with a single one. */
void jsonapi_refuse_one(
    struct call *c, const char *kind, const char *where, const char *why);
/* 404. */
void jsonapi_not_found(struct call *c);

#endif
