/*
 * What narrows a subscription to some events: a JSON object from attribute
 * (consumer_id, service_id, entity_type, entity_id, unified_api) to the values
 * it may have, as {"consumer_id": ["a", "b"]}; one value may stand without its
 * list. Every attribute named must hold, each by any of its values.
 *
 * Parsed once, when the directory brings it; matching allocates nothing.
 */
#ifndef SLUICE_ROUTER_SCOPES_H
#define SLUICE_ROUTER_SCOPES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/msg.h"

struct scopes;

/* Those that tell more events apart come first. */
enum attribute {
	ATTRIBUTE_ENTITY_ID,
	ATTRIBUTE_CONSUMER_ID,
	ATTRIBUTE_SERVICE_ID,
	ATTRIBUTE_ENTITY_TYPE,
	ATTRIBUTE_UNIFIED_API,
	ATTRIBUTE_MAX
};

/* NULL through ret_scopes when nothing is narrowed (no text, null, {}).
 * -EINVAL: not such an object, or an attribute that is not known here, so that
 * nobody can say what it lets through. -ENOMEM. */
int scopes_parse(struct slice json, struct scopes **ret_scopes) SL_MUST_CHECK;
void scopes_free(struct scopes *s);

/* api: what the event's unified_api is taken to be. NULL lets all through. */
bool scopes_allow(
    const struct scopes *s, const struct msg *event, struct slice api);

/* What the event has there. */
struct slice scopes_value(
    enum attribute attribute, const struct msg *event, struct slice api);
/* The first attribute that s names, with its values; ATTRIBUTE_MAX when s is
 * NULL. They live as long as s. */
enum attribute scopes_first(
    const struct scopes *s, const struct slice **ret_values, size_t *ret_count);

#endif
