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
/* Published object; NULL when memory is out. */
json_t *hook_form_show(struct api *api, const struct directory_hook *hook);

#endif
