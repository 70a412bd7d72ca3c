/*
 * Who asks: the bearer key names an application, and x-apideck-app-id must be
 * that application's id.
 */
#ifndef SLUICE_API_AUTH_H
#define SLUICE_API_AUTH_H

#include "api/call.h"

/* Fills c->app. False after the call was answered. */
bool auth_check(struct call *c);
/* The token of an Authorization header; absent when there is none. */
struct slice auth_bearer(const char *header);

/* The application's limit of requests a second. False after the call was
 * answered 429. */
bool auth_rate(struct call *c);

#endif
