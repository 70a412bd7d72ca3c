/*
 * Who asks at the second face: an API key, or the token that
 * POST /api/v3/iam/auth/api/login gives for one. A token names its key, so it
 * ends with it.
 */
#ifndef SLUICE_API_JSONAPI_LOGIN_H
#define SLUICE_API_JSONAPI_LOGIN_H

#include "api/call.h"

#define JSONAPI_LOGIN_S 3600

void jsonapi_login(struct call *c);
/* Fills c->app. False after the call was answered 401. */
bool jsonapi_login_check(struct call *c);

#endif
