/*
 * What the application used of its quota this month: GET /webhook/usage. The
 * logger counts, so it is asked.
 */
#ifndef SLUICE_API_USAGE_H
#define SLUICE_API_USAGE_H

#include "api/call.h"

void usage_get(struct call *c);

#endif
