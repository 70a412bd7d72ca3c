/*
 * GET /api/v3/notification/webhooks/events: what a webhook may subscribe to,
 * each with a description and the body that a delivery of it has.
 */
#ifndef SLUICE_API_JSONAPI_EVENTS_H
#define SLUICE_API_JSONAPI_EVENTS_H

#include "api/call.h"

void jsonapi_events_list(struct call *c);

#endif
