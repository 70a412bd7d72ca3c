/*
 * Delivery URL validation: one POST of {"message":"Validating delivery URL"}
 * to a subscription's URL, signed like its deliveries, made by a deliverer.
 */
#ifndef SLUICE_API_VALIDATE_H
#define SLUICE_API_VALIDATE_H

#include "api/call.h"

/* The logger gives up after 10 s and says so; this is a little later. */
#define VALIDATE_MS 12000

/* why: for people, what came back instead of a 2xx; "" when it is right. */
typedef void validate_fn(struct call *c, bool right, const char *why);

/*
 * Later calls then, which goes on with the call; or answers it 503, when
 * nobody could make the POST. Nothing is written before, so a client that goes
 * away leaves nothing behind.
 */
void validate_url(
    struct call *c, const struct directory_hook *hook, validate_fn *then);

#endif
