/*
 * What goes to the loggers: HELD, OUTCOME, RELEASE and PROBED, each to the
 * session it is owed to, and kept until it is acked.
 *
 * A source is one session of a logger. A new one is first told all leases that
 * no living session owns (HELD), which it owns from then on; only when that is
 * acked it is introduced, and may be granted work. OUTCOMEs that were not acked
 * when a session ended go to the session that takes over its leases; RELEASEs
 * do not need to, since HELD does not name what is released.
 *
 * The number of what waits here is bounded by the leases and probes that are
 * granted; outbox_bytes() counts what outcomes keep, so that the owner can stop
 * granting. Loop thread only.
 */
#ifndef SLUICE_DELIVERER_OUTBOX_H
#define SLUICE_DELIVERER_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/link.h"
#include "deliverer/lease.h"
#include "deliverer/probe.h"

#define OUTBOX_HELD_PART 4096	 /* lease ids in one HELD: the list's cap */
#define OUTBOX_RELEASE_PART 1024 /* lease ids in one RELEASE */

struct held_id {
	struct id delivery;
	uint64_t token;
};

struct source {
	struct source *next;
	struct link_peer *peer;
	struct fence *fence;
	bool fenced; /* as last seen */
	bool introduced;
	uint64_t window, probe_window; /* as granted last */
	struct held_id *held;	       /* NULL: HELD is all sent */
	uint32_t held_count, held_part, held_parts, held_open;
	struct lease *leases, **leases_end; /* to be sent, oldest first */
	struct probe *probes, **probes_end;
};

struct outbox {
	struct lease_table *table;
	uint64_t kept_bytes;
	struct buf message, records; /* scratch */
};

void outbox_init(struct outbox *o, struct lease_table *table);
void outbox_done(struct outbox *o);

/* NULL when memory is out. The source owns every lease that has no owner. */
struct source *source_new(struct outbox *o, struct link_peer *peer);
/* Its leases have no owner from now on; what was only to be released is
 * dropped. */
void source_free(struct outbox *o, struct source *s);

/* Takes a lease of the table that is over: its transfer says what to send. */
void outbox_add(struct outbox *o, struct lease *l);
void outbox_add_probe(struct source *s, struct probe *p);
/* Sends what the source has room for. */
void outbox_pump(struct outbox *o, struct source *s);

/* Of the link; the cookie is one of the outbox's. */
void outbox_completed(struct outbox *o, struct source *s, uint64_t cookie);
void outbox_refused(
    struct outbox *o, struct source *s, uint64_t cookie, struct slice reason);
void outbox_returned(struct outbox *o, uint64_t cookie);

uint64_t outbox_bytes(const struct outbox *o);

struct fence *fence_new(void);
struct fence *fence_ref(struct fence *f);
/* Accepts NULL. */
void fence_unref(struct fence *f);

#endif
