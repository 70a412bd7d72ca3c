/*
 * Connectors: how the calls of one service are read. Each is a JSON file of
 * SLUICE_CONNECTORS, NAME.json, read once at the start:
 *
 *   {
 *     "id": "hubspot",              the service id, and the file's name
 *     "name": "HubSpot",            for people
 *     "unified_apis": ["crm"],      the APIs it may be called under; absent:
 *                                   any
 *     "items": "/events",           pointer to the object or array of events in
 *                                   the body; absent: the body itself
 *     "event": [SOURCE, ...],       where the event's name is
 *     "events": {"NAME": "TYPE"},   its unified event type
 *     "ignore_case": true,          names in events are in lower case, and are
 *                                   found whatever the case of the call's
 *     "unified": true,              names that are event types pass as they are
 *     "entity_id": [SOURCE, ...],
 *     "occurred_at": [SOURCE, ...], RFC 3339, or seconds or ms since 1970
 *     "consumer_id": [SOURCE, ...],
 *     "dedupe": [SOURCE, ...],      what makes the event one of its kind
 *     "content_types": {"text/plain": "json" or "form"},
 *                                   how a body of this type is read; of another
 *                                   type: a form as a form (or as JSON, when it
 *                                   begins so), everything else as JSON
 *     "answer": "empty",            a call that is taken gets 200 without a
 *                                   body, for vendors that want none
 *     "signature": {"scheme": ...}  signature.h
 *   }
 *
 * A SOURCE is {"header": NAME}, {"query": NAME}, {"item": POINTER} or
 * {"body": POINTER} (RFC 6901, below the event or below the whole body). It may
 * have a list of them, or be {"join": [SOURCE, ...]}: the texts are joined by
 * ".", and all must be there. Of several sources the first that gives a text
 * counts. Unknown members are refused, so a slip in a file is seen at the start
 * and not in production.
 */
#ifndef SLUICE_CONNECTOR_H
#define SLUICE_CONNECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/http.h"
#include "common/json.h"
#include "ingest/signature.h"

#define CONNECTORS_MAX 1024
#define CONNECTOR_SOURCES_MAX 8 /* per matter */
#define CONNECTOR_PARTS_MAX 4	/* joined in one source */
#define CONNECTOR_MEDIA_TYPES_MAX 16
#define CONNECTOR_FILE_MAX (1024 * 1024)

enum connector_field {
	CONNECTOR_EVENT,
	CONNECTOR_ENTITY_ID,
	CONNECTOR_OCCURRED_AT,
	CONNECTOR_CONSUMER_ID,
	CONNECTOR_DEDUPE,
	CONNECTOR_FIELD_MAX
};

/* How a body is to be read. */
enum connector_body {
	CONNECTOR_BODY_UNDECLARED,
	CONNECTOR_BODY_JSON,
	CONNECTOR_BODY_FORM,
};

struct connector;
struct connectors;

/* Reads every *.json of the folder; logs what is wrong. -EINVAL, -errno. */
int connectors_load(const char *folder, struct connectors **ret) SL_MUST_CHECK;
void connectors_free(struct connectors *c);
/* NULL: there is none of that id. */
struct connector *connectors_find(struct connectors *c, const char *id);
/* sluice_ingest_events_total, _unmapped_total and _signature_refused_total by
 * connector. */
int connectors_metrics(
    const struct connectors *c, struct buf *out) SL_MUST_CHECK;

const char *connector_id(const struct connector *c);
/* May it be called under this API? Absent: not said, which may. */
bool connector_serves(const struct connector *c, struct slice unified_api);

/* By a Content-Type header, or NULL. */
enum connector_body connector_body(
    const struct connector *c, const char *content_type);
bool connector_answers_empty(const struct connector *c);
/* NULL: none. */
const struct signature *connector_signature(const struct connector *c);

/* One call: its request and its parsed body. */
struct connector_call {
	const struct http_request *request;
	const struct json *json;
};
/* The node that holds the events, an object or an array; JSON_NONE. */
uint32_t connector_items(const struct connector *c, const struct json *json);
/* Appends the text of a field of the event at node item; leaves out alone when
 * there is none. What buf says. */
int connector_read(const struct connector *c, enum connector_field field,
    const struct connector_call *call, uint32_t item,
    struct buf *out) SL_MUST_CHECK;
/* The unified event type of a name; NULL when it is not mapped. */
const char *connector_map(const struct connector *c, const char *name);

/* Counts; an unmapped name, and a refused signature, are logged, not more often
 * than once a minute. */
void connector_count(struct connector *c, uint64_t events);
void connector_count_unmapped(struct connector *c, const char *name);
void connector_count_refused(
    struct connector *c, enum signature_result why, struct slice connection);

#endif
