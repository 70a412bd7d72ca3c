/*
 * Names of event types, as crm.contact.created: an API, what it happened to,
 * what happened. Pure functions.
 */
#ifndef SLUICE_EVENT_TYPE_H
#define SLUICE_EVENT_TYPE_H

#include <stdbool.h>

#include "common/attributes.h"
#include "common/buf.h"

/* At least two parts of a-z 0-9 _ -, dots between, at most LIMIT_TYPE_TEXT. */
bool event_type_is_valid(struct slice type);
/* At least three parts, the first of which is a unified API. */
bool event_type_is_known(struct slice type);
bool event_type_is_vault(struct slice type);
/* crm */
struct slice event_type_api(struct slice type);
/* contact; absent when there are only two parts. */
struct slice event_type_entity(struct slice type);
/* Appends the type in the spelling of the published list, which some clients
 * miss (pos.modifier_group.created, crm.notes.updated). */
int event_type_normalise(struct slice type, struct buf *out) SL_MUST_CHECK;
/* Appends "contacts": an entity as it stands in URLs. */
int event_type_plural(struct slice entity, struct buf *out) SL_MUST_CHECK;

#endif
