/*
 * The bytes of one POST: an event's template with the attempt number in its
 * hole. Nothing is parsed; a body is made once per DELIVER and attempt number
 * and shared by all leases of it.
 *
 * A body is made and its references are taken and given back in the loop's
 * thread; other threads only read the bytes of one that is held for them.
 */
#ifndef SLUICE_DELIVERER_BODY_H
#define SLUICE_DELIVERER_BODY_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

struct body {
	uint32_t refs;
	uint32_t attempt;
	size_t len;
	uint8_t bytes[];
};

/* With one reference, the caller's. hole 0: the template as it is. -EBADMSG
 * when the hole lies outside of the template; -ENOMEM. */
int body_make(struct slice template, uint64_t hole, uint32_t attempt,
    struct body **ret_body) SL_MUST_CHECK;
struct body *body_ref(struct body *body);
/* Accepts NULL. */
void body_unref(struct body *body);
struct slice body_slice(const struct body *body);

#endif
