/*
 * Delivery URL validation: one POST of {"message":"Validating delivery URL"}
 * to a subscription's URL, signed like its deliveries, made by a deliverer.
 */
#ifndef SLUICE_API_VALIDATE_H
#define SLUICE_API_VALIDATE_H

#include "api/call.h"

/* The logger gives up after 10 s and says so; this is a little later. */
#define VALIDATE_MS 12000

/* why: for people, what came back instead of a 2xx, or why nobody made the
 * call; "" when it is right. */
typedef void validate_fn(struct call *c, bool right, const char *why);

/*
 * Later calls then, which goes on with the call: a URL that nobody could call
 * in time is as wrong as one that did not answer. Nothing is written before.
 */
void validate_url(
    struct call *c, const struct directory_hook *hook, validate_fn *then);

#endif
