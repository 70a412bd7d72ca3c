/*
 * The routes of the second face, in one table.
 */
#ifndef SLUICE_API_JSONAPI_ROUTES_H
#define SLUICE_API_JSONAPI_ROUTES_H

#include "api/call.h"

/* Whether a path is of this face. */
bool jsonapi_routes_own(const char *path);
/* Answers the call, now or later. */
void jsonapi_routes_handle(struct call *c);

#endif
