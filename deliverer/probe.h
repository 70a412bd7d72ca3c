/*
 * A POST that PROBE asked for: once, now, and its outcome is PROBED. Not a
 * lease: nobody tries it again, and its session's end forgets it.
 * Loop thread only, but for the transfer while it is posted.
 */
#ifndef SLUICE_DELIVERER_PROBE_H
#define SLUICE_DELIVERER_PROBE_H

#include <stdint.h>

#include "common/id.h"
#include "common/msg.h"
#include "deliverer/transfer.h"

struct source;

struct probe {
	struct transfer transfer; /* first, so that one is the other */
	struct probe *next;	  /* in one list at a time */
	struct source *source;	  /* NULL: its session is gone */
	uint64_t query;
	uint8_t texts[]; /* url, event type, secret, headers */
};

/* From a PROBE message; id is its webhook-id. NULL when memory is out. */
struct probe *probe_new(const struct msg *m, struct id id);
/* Accepts NULL. */
void probe_free(struct probe *p);

#endif
