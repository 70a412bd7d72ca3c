/*
 * Examples of events: the body of a delivery, made up. Used where somebody
 * wants to see one, and by tests of a webhook.
 */
#ifndef SLUICE_API_EVENT_EXAMPLE_H
#define SLUICE_API_EVENT_EXAMPLE_H

#include <jansson.h>

#include "api/api.h"

struct event_example {
	const char *name; /* crm.contact.created */
	struct id id;
	uint64_t at_ms;
};

/* A short sentence without its stop. NULL: the name is of no event. */
json_t *event_example_describe(const char *name);
/* {"payload": {...}} of the first attempt; NULL likewise. */
json_t *event_example_body(struct api *api, const struct directory_app *app,
    const struct event_example *example);

#endif
