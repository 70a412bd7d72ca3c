/*
 * Inbound secrets of connections, opened: a call's signature is checked without
 * AES each time. A secret is found by its sealed form, which no two secrets
 * share and which changes when the secret does, so nothing here grows stale.
 * What leaves the cache is wiped. One owner, one thread.
 */
#ifndef SLUICE_SECRET_CACHE_H
#define SLUICE_SECRET_CACHE_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/seal.h"

#define SECRET_CACHE_SLOTS 1024

struct secret_cache;

/* The seal is copied. NULL when memory is out. */
struct secret_cache *secret_cache_new(const struct seal *seal);
void secret_cache_free(struct secret_cache *c);
/* The secret, until the next call here. -EBADMSG: it was not sealed by us for
 * this application; -ENOMEM. */
int secret_cache_open(struct secret_cache *c, uint32_t app, struct slice sealed,
    struct slice *ret) SL_MUST_CHECK;

#endif
