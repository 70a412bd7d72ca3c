/*
 * Makes events: from what a caller said to the EVENT message that goes into the
 * accept log, its body template included.
 *
 * A template is {"payload":{...}} in canonical form (canonical.h) without the
 * value of execution_attempt, which each attempt fills in at `hole`.
 *
 * Unified events carry the published fields: consumer_id, entity_id,
 * entity_type, entity_url, event_id, event_type, execution_attempt,
 * occurred_at, service_id, unified_api; what is not known is left out. A
 * published event may have members of its own beside them, which go through.
 * Vault events carry exactly entity, entity_id, entity_type, event_id,
 * event_type, execution_attempt, occurred_at, service_id.
 *
 * A maker is reused for event after event; one owner, one thread.
 */
#ifndef SLUICE_EVENT_H
#define SLUICE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/canonical.h"
#include "common/id.h"
#include "common/json.h"
#include "ingest/accept_log.h"

struct event_maker {
	struct id_maker *ids;
	const char *entity_base_url; /* without a slash at its end */
	struct canonical canonical;
	struct buf body, message;
};

/* Everything about one event. Slices may be absent, but not type. */
struct event {
	uint32_t app;
	uint64_t number; /* directory number */
	struct id request_id;
	struct slice type;
	struct slice unified_api;
	struct slice service_id;
	struct slice consumer_id;
	struct slice entity_id;
	struct slice entity_type;
	struct slice occurred_at; /* RFC 3339 text */
	struct slice event_id;	  /* absent: the custody id */
	/* of a vault event: where its connection is from, when that is not
	 * what the payload says */
	struct slice connection_api, connection_consumer;
	const uint8_t *dedupe_key; /* 32 bytes, or NULL */
	/* the members that were published with it, or NULL */
	const struct json *json;
	uint32_t members; /* object node of json, JSON_NONE: none */
	uint32_t entity;  /* node of json, JSON_NONE: none */
};

void event_maker_init(
    struct event_maker *m, struct id_maker *ids, const char *entity_base_url);
void event_maker_done(struct event_maker *m);

/* A record for the accept log; ret_custody is its custody id. -ENOMEM;
 * -ENOBUFS: larger than an event may be; -EINVAL: a field is over its cap. */
int event_make(struct event_maker *m, const struct event *event,
    struct accept_record **ret_record, struct id *ret_custody) SL_MUST_CHECK;

/* A hash (HMAC-SHA-256) of application, source, key and part: what makes a call
 * the repetition of another. part: which event of the call. */
void event_dedupe_key(uint32_t app, struct slice source, struct slice key,
    uint32_t part, uint8_t hash[32]);

#endif
