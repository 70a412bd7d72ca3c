/*
 * Scopes as JSON: an object from attribute (consumer_id, service_id,
 * entity_type, entity_id, unified_api) to the value, or the list of values, of
 * which an event must have one. The router enforces them.
 */
#ifndef SLUICE_API_SCOPES_FORM_H
#define SLUICE_API_SCOPES_FORM_H

#include <jansson.h>

#include "common/limits.h"

/* Puts them into text; "" for null and {}. NULL, or what is wrong, with the
 * attribute where it is wrong ("" when it is none) in ret_where. */
const char *scopes_form_read(const json_t *value,
    char text[LIMIT_SCOPES_TEXT + 1], const char **ret_where);
/* Always an object. */
json_t *scopes_form_show(const char *text);

#endif
