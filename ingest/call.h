/*
 * One HTTP call on its way to being a group of events: the request, who sent
 * it, its parsed body, and the records made so far. Internal to the routes.
 *
 * call_fail() answers the request and says -ECANCELED, so that a handler can
 * `return call_fail(...)`; whoever gets -ECANCELED has nothing left to do. A
 * call lives during its handler only; once its records are appended, what is
 * left of it is the answer that waits with the request.
 */
#ifndef SLUICE_CALL_H
#define SLUICE_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/clock.h"
#include "common/http.h"
#include "common/json.h"
#include "common/limits.h"
#include "ingest/accept_log.h"
#include "ingest/connector.h"
#include "ingest/event.h"
#include "ingest/secret_cache.h"
#include "ingest/token.h"

#define CALL_ANSWER_MAX (64 * 1024) /* ACCEPT_GROUP_RECORDS event ids */
#define CALL_FORM_MAX (8 * LIMIT_BODY_BYTES) /* quotes and escapes */

struct call {
	struct http_request *request;
	const struct directory *directory;
	struct event_maker *maker;
	struct json *json; /* parsed by call_parse() */
	struct buf *text;  /* scratch for texts of the event being made */
	struct identity who;
	struct connector *connector; /* NULL: published */
	struct secret_cache *secrets;
	const char *public_url; /* before the target of a request */
	uint64_t deadline_ms;	/* of waiting for the directory, 0: not yet */
	char timestamp[CLOCK_TEXT_SIZE];
	/* the group */
	struct accept_record *first, *last;
	uint32_t count;
	struct buf event_ids; /* "id","id" when they are to be answered */
	struct buf form;      /* of a body that is a form: its JSON */
	bool raw;	      /* the answer shows the request */
};

/* Frees what was not appended. */
void call_done(struct call *c);
int call_fail(struct call *c, enum http_error error, const char *detail);
/* The body as JSON, or an empty object when it is empty and may be. A form is
 * the object it means (form_body.h), except in what is published. */
int call_parse(struct call *c, bool may_be_empty) SL_MUST_CHECK;
/* The vendor's signature, when the call's connection has a secret to check it
 * with. The body need be parsed only if signature_is_in_body(). */
int call_check_signature(struct call *c) SL_MUST_CHECK;
/* Makes the event and adds it to the group. */
int call_add(struct call *c, const struct event *event) SL_MUST_CHECK;
/* Runs fn for the node itself if it is an object, else for each element of the
 * array, which must be objects. */
int call_each(struct call *c, uint32_t node,
    int (*fn)(struct call *c, uint32_t item)) SL_MUST_CHECK;
/* A member's text (a string or number), in the scratch. Absent or null: ret is
 * left alone. Another kind, empty, or over max bytes: fails the call. */
int call_text(struct call *c, uint32_t item, const char *name, size_t max,
    struct slice *ret) SL_MUST_CHECK;
/* The answer of execute, into out: what the caller gets once all is on disk.
 * It may be empty (connector.h), unless it shows the request. */
int call_answer(const struct call *c, struct buf *out) SL_MUST_CHECK;

/* The node of what is published: node itself, or the payload it wraps. */
uint32_t call_unwrap(const struct json *j, uint32_t node);
/* An event of POST /webhook/events, and one of a connector's call. */
int call_published(struct call *c, uint32_t item) SL_MUST_CHECK;
int call_connector(struct call *c, uint32_t item) SL_MUST_CHECK;

#endif
