/*
 * The event that tells of a connection: an EVENT message whose body carries
 * exactly the published fields of a vault event and of its entity. Pure.
 */
#ifndef SLUICE_API_VAULT_EVENT_H
#define SLUICE_API_VAULT_EVENT_H

#include "api/directory.h"

/* Appends the packed message. app_id: the public one; the connection is as it
 * is after the write. -EINVAL, -ENOMEM. */
int vault_event_pack(const struct directory_news *news, const char *app_id,
    const struct directory_connection *c, struct buf *out) SL_MUST_CHECK;

#endif
