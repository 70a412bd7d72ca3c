/*
 * What Apideck's published enums name: the unified APIs and the event types a
 * subscription may list. Constant data, pure functions.
 *
 * A subscription may also use wildcards (`crm.*`, `crm.contact.*`), which are
 * kept as they are and shown as the names they stand for, because some clients
 * know closed enums only.
 */
#ifndef SLUICE_API_CATALOGUE_H
#define SLUICE_API_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/attributes.h"
#include "common/buf.h"

bool catalogue_has_api(struct slice api);
/*
 * The name as it is kept: itself, or, for spellings in use elsewhere
 * (pos.modifier_group.*, crm.notes.*), the enum's. -ENOENT when neither it nor
 * (for a wildcard) any name is in the enum. "*" is.
 */
int catalogue_event(struct slice name, char *text, size_t size) SL_MUST_CHECK;
/* Calls fn for every name of the enum that a kept name stands for. */
void catalogue_expand(
    struct slice kept, void (*fn)(void *arg, const char *name), void *arg);
/* Every name of the enum but "*". */
void catalogue_each(void (*fn)(void *arg, const char *name), void *arg);
/* "HubSpot" for hubspot; made from the id when it is not known. */
void catalogue_service_name(struct slice service_id, char *text, size_t size);

#endif
