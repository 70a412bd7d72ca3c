/*
 * /webhook/events: one accepted event, or those that one HTTP call brought,
 * with their deliveries and attempts.
 */
#ifndef SLUICE_API_EVENTS_H
#define SLUICE_API_EVENTS_H

#include "api/call.h"

/* GET /webhook/events/{id} */
void events_get(struct call *c);
/* GET /webhook/events?request_id= */
void events_find(struct call *c);

#endif
