/*
 * One request being answered: who asks, for what, and how it is answered.
 *
 * A call lives from the route's handler to its answer. Every answering
 * function below ends it: the call must not be used after. A handler that
 * answers later keeps the call and sets cancel, which runs instead of the
 * answer when the client goes away. Loop thread only.
 */
#ifndef SLUICE_API_CALL_H
#define SLUICE_API_CALL_H

#include <jansson.h>

#include "api/api.h"

/* An answer of this process: a page of log rows is 1 MiB before it becomes
 * JSON text inside JSON, and 1,000 webhooks may be about 30 MiB. */
#define CALL_ANSWER_MAX (64u * 1024 * 1024)
#define CALL_BODY_MAX (256u * 1024)

struct call;

/* How a family of routes answers. */
struct call_face {
	void (*data)(struct call *c, unsigned status, json_t *data);
	void (*fail)(struct call *c, enum http_error error, const char *message,
	    json_t *detail);
};

struct call {
	struct api *api;
	struct http_request *request;
	const struct call_face *face; /* NULL: /webhook's */
	struct directory_app app;
	char id[LIMIT_ID_TEXT + 1]; /* {id} of the path; "" when none */
	void (*cancel)(struct call *c);
	/* of a write that waits until it is in force */
	struct publish_wait wait;
	unsigned status;
	json_t *data;
	bool waiting;
	int (*undo)(struct call *c);
	uint32_t undo_number;
	/* of a question to the logger */
	struct ask ask;
	bool asking;
	void (*validated)(struct call *c, bool right, const char *why);
	json_t *body; /* of a request that goes on later */
	json_t *raw;  /* what `_raw` of the answer is; NULL: {} */
	void *kept;   /* the handler's own, freed with free() at the end */
};

/* NULL when memory is out; the request is answered then. */
struct call *call_new(struct api *api, struct http_request *request);
/* The client is gone: no answer. */
void call_drop(struct call *c);

/* A whole answer as it is; takes json. NULL: without a body. */
void call_reply(
    struct call *c, unsigned status, const char *content_type, json_t *json);
/* {"status_code", "status", "data"}, or what the face makes of it; takes data.
 */
void call_data(struct call *c, unsigned status, json_t *data);
/* ?raw=true or an x-apideck-raw header: the answer has `_raw`. */
bool call_wants_raw(const struct call *c);
/* A whole envelope; takes it. */
void call_envelope(struct call *c, unsigned status, json_t *envelope);
json_t *call_make_envelope(unsigned status, json_t *data);
void call_fail(
    struct call *c, enum http_error error, const char *message, json_t *detail);
void call_fail_text(struct call *c, enum http_error error, const char *detail);
/* 404: entity is "webhook", ... */
void call_not_found(struct call *c, const char *entity, const char *id);
/* What the directory or memory said; ends the process when it must. */
void call_error(struct call *c, int r);

/* The JSON object of the body, or NULL after the call was answered: 415, 400.
 */
json_t *call_body(struct call *c);

/*
 * Writes. A write may start when call_can_write(); else the call was answered
 * 503 and nothing happened. After it, call_written() sends the change out and
 * answers with data (taken) when it is in force; when no logger confirms it in
 * time, undo (or NULL) takes it back and the answer is 503.
 */
bool call_can_write(struct call *c);
void call_written(struct call *c, uint64_t number, bool ingests,
    unsigned status, json_t *data);

/* Text that may hold anything: bytes that are no UTF-8 become U+FFFD. */
json_t *call_text(struct slice text);
json_t *call_time(uint64_t wall_ms);

#endif
