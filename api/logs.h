/*
 * /webhook/logs: the deliveries of an application, newest first, as the event
 * store has them.
 */
#ifndef SLUICE_API_LOGS_H
#define SLUICE_API_LOGS_H

#include "api/call.h"

void logs_list(struct call *c);

#endif
