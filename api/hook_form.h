/*
 * A subscription as JSON: what a body may say of it, and how it is shown.
 */
#ifndef SLUICE_API_HOOK_FORM_H
#define SLUICE_API_HOOK_FORM_H

#include <jansson.h>

#include "api/api.h"

enum hook_change {
	HOOK_DESCRIPTION = 1,
	HOOK_STATUS = 2,
	HOOK_URL = 4, /* and it is another one */
	HOOK_EVENTS = 8,
};

/*
 * Puts what the body says into hook. Returns NULL and what changed (a set of
 * enum hook_change), or the detail of a 400.
 */
json_t *hook_form_read(const json_t *body, bool is_create,
    struct directory_hook *hook, unsigned *ret_changes);
/* Puts the names of a JSON array, comma between, into events. NULL, or what is
 * wrong with them. */
const char *hook_form_events(
    const json_t *value, char events[LIMIT_EVENTS_TEXT + 1]);
/* Such a list as a JSON array, wildcards as what they stand for. */
json_t *hook_form_show_events(const char *events);
/* The API that is shown. */
const char *hook_form_api(const struct directory_hook *hook);
/* Published object; NULL when memory is out. */
json_t *hook_form_show(struct api *api, const struct directory_hook *hook);

#endif
