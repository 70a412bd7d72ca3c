/*
 * The leases this deliverer holds, from DELIVER to the ack of their OUTCOME or
 * to their RELEASE; the table is what HELD tells a new logger session.
 *
 * A lease is its transfer (transfer.h) and what the OUTCOME needs. It belongs
 * to the table; while it is posted the transfer's threads may touch the
 * transfer, and nothing else. Loop thread only.
 */
#ifndef SLUICE_DELIVERER_LEASE_H
#define SLUICE_DELIVERER_LEASE_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/id.h"
#include "common/msg.h"
#include "deliverer/transfer.h"

#define LEASE_BUCKETS 4096 /* a power of two */

struct source;

enum lease_state {
	LEASE_OUT,	/* queued or in flight */
	LEASE_FINISHED, /* its OUTCOME or RELEASE is to be sent */
	LEASE_SENT,	/* its OUTCOME is sent and not acked */
	LEASE_STATE_MAX
};

struct lease {
	struct transfer transfer; /* first, so that one is the other */
	enum lease_state state;
	struct lease *chain;   /* of its bucket */
	struct lease *next;    /* in a list of what is to be sent */
	struct source *source; /* session it is held from; NULL: it is gone */
	uint64_t token;
	uint32_t attempt, cycle_attempt;
	uint64_t age_ms;      /* of the cycle, when received */
	uint64_t received_ms; /* clock_mono_ms() */
	uint64_t flags;
	struct slice schedule;	  /* absent: the default */
	enum msg_verdict verdict; /* with the retry decision */
	uint64_t due_ms;	  /* of the next attempt, clock_mono_ms() */
	size_t kept_bytes;	  /* counted by the outbox */
	uint8_t texts[];	  /* url, event type, secret, headers ... */
};

struct lease_table {
	struct lease *buckets[LEASE_BUCKETS];
	uint32_t count, out; /* all; those in LEASE_OUT */
	uint64_t body_bytes; /* of the bodies they hold, shared ones counted
			      * by each */
};

/* From a LEASE record and its DELIVER; takes a reference of body, which
 * may be NULL for a lease that is not posted. NULL when memory is out or the
 * delivery id is none. */
struct lease *lease_new(
    const struct msg *record, struct slice event_type, struct body *body);
/* Accepts NULL; not in a table any more. */
void lease_free(struct lease *l);

/* -EEXIST: the same delivery and token is there. */
int lease_table_add(struct lease_table *t, struct lease *l) SL_MUST_CHECK;
/* Leaves LEASE_OUT and lets go of the body. */
void lease_finish(struct lease_table *t, struct lease *l);
/* Removes and frees. */
void lease_drop(struct lease_table *t, struct lease *l);
/* First lease, then the one after, in no order. The lease just returned may
 * not be dropped before the next call. */
struct lease *lease_next(const struct lease_table *t, const struct lease *l);
void lease_table_done(struct lease_table *t);

#endif
