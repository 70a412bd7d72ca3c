/*
 * The OpenAPI document of both HTTP processes: common/openapi.json, which the
 * build makes a part of the program.
 */
#ifndef SLUICE_OPENAPI_H
#define SLUICE_OPENAPI_H

#include <stdbool.h>

#include "common/http.h"

/* The text, valid for ever. */
struct slice openapi_text(void);
/* Answers a request for /openapi.json, whatever its method; false when it is
 * for something else. */
bool openapi_handle(struct http_request *request);

#endif
