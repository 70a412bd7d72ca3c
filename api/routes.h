/*
 * The routes of this process, in one table: method, path, handler.
 */
#ifndef SLUICE_API_ROUTES_H
#define SLUICE_API_ROUTES_H

#include "api/call.h"

/* Answers the request, now or later. */
void routes_handle(struct api *api, struct http_request *request);
/* The client of a request that was not answered yet is gone. */
void routes_gone(struct api *api, struct http_request *request);

#endif
