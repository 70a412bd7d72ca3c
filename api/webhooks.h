/*
 * /webhook/webhooks: the subscriptions of an application, in the published
 * shape and nothing more.
 */
#ifndef SLUICE_API_WEBHOOKS_H
#define SLUICE_API_WEBHOOKS_H

#include "api/call.h"

void webhooks_list(struct call *c);
void webhooks_create(struct call *c);
void webhooks_get(struct call *c);
void webhooks_update(struct call *c);
void webhooks_delete(struct call *c);

/* The record of the path. False after the call was answered. */
bool webhooks_find(struct call *c, struct directory_hook *ret);
/* False after the call was answered 402: the quota of this month is used up. */
bool webhooks_has_quota(struct call *c);

/* Of a creation: a client that was told 503 will ask again, so nothing is left
 * behind. c->undo_number is the subscription. */
int webhooks_undo(struct call *c) SL_MUST_CHECK;

#endif
