/*
 * /api/v3/notification/webhooks: the subscriptions of an application.
 */
#ifndef SLUICE_API_JSONAPI_WEBHOOKS_H
#define SLUICE_API_JSONAPI_WEBHOOKS_H

#include "api/call.h"

void jsonapi_webhooks_list(struct call *c);
void jsonapi_webhooks_create(struct call *c);
void jsonapi_webhooks_get(struct call *c);
void jsonapi_webhooks_update(struct call *c);
void jsonapi_webhooks_delete(struct call *c);
void jsonapi_webhooks_test(struct call *c);

/* The record of the path. False after the call was answered: 422 when that is
 * no integer, 404. */
bool jsonapi_webhooks_find(struct call *c, struct directory_hook *ret);

#endif
