/*
 * A link peer that outlives its session: operations for it are with the writer
 * while it may go away. Answers to one that is gone go nowhere, which is
 * right: it will send again, in its next session. Loop thread only.
 */
#ifndef SLUICE_LOGGER_PEER_H
#define SLUICE_LOGGER_PEER_H

#include <stdint.h>

#include "common/link.h"

struct deliverer;

struct peer {
	struct link_peer *link; /* NULL: it is gone */
	uint64_t session;
	struct deliverer *deliverer; /* of a deliverer that is up */
	uint32_t refs;
};

/* Becomes the link peer's data, which holds one reference. NULL: no memory. */
struct peer *peer_new(struct link_peer *link);
struct peer *peer_ref(struct peer *p);
/* Accepts NULL. */
void peer_unref(struct peer *p);
/* The session ended: drops the link's reference. */
void peer_down(struct peer *p);
void peer_complete(struct peer *p, uint64_t seq);
void peer_refuse(struct peer *p, uint64_t seq, const char *reason);

#endif
