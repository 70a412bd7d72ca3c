/*
 * The deliverers that are up, and the leases each holds.
 *
 * A lease here is the memory of a row that is leased in the store, or about to
 * be (pending): who has it, since when, until when. It is made before the
 * commit that leases it, confirmed by that, and ends with its OUTCOME, its
 * RELEASE, its deliverer, or its time. Leases that the store had at the start
 * belong to a session alone until that session comes back and says HELD.
 *
 * A deliverer's slots are what it holds and what it still grants. Of those,
 * FLEET_PROBE_SLOTS stay free for probes (a quarter when there are few), and
 * at most half may go to troubled endpoints.
 *
 * A struct deliverer lives until it is down and nothing reserved refers to it.
 * Loop thread only.
 */
#ifndef SLUICE_LOGGER_FLEET_H
#define SLUICE_LOGGER_FLEET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/attributes.h"
#include "common/id.h"
#include "common/link.h"
#include "logger/endpoint.h"
#include "logger/table.h"

#define FLEET_PROBE_SLOTS 8
/* After a start: sessions that have not come back by then are dead. */
#define FLEET_RETURN_MS 10000

struct deliverer {
	TAILQ_ENTRY(deliverer) entry;
	struct link_peer *peer; /* NULL: it is down */
	uint64_t session;
	uint32_t held_parts;	/* of HELD, received so far */
	uint32_t out, reserved; /* leases; leases about to be */
	uint32_t troubled;	/* of both */
	TAILQ_HEAD(, lease) leases;
};

struct lease {
	struct table_node node;	  /* first */
	TAILQ_ENTRY(lease) entry; /* of its deliverer */
	struct id delivery;
	uint64_t event; /* 0 until its commit */
	uint64_t token;
	uint64_t session;
	struct endpoint *endpoint;
	struct deliverer *deliverer; /* NULL: the session is not here */
	uint64_t began_ms;	     /* loop time */
	uint64_t sent_ms;	     /* loop time, too; 0: not by us */
	uint64_t ends_ms;
	bool pending;  /* reserved: not sent yet */
	bool troubled; /* counted so */
	bool once;     /* a test: says nothing about its endpoint */
	bool restored; /* from the store; no HELD has named it yet */
};

struct fleet {
	TAILQ_HEAD(, deliverer) deliverers;
	struct table leases; /* by a hash of the delivery id */
	uint32_t out;	     /* all leases and reserved ones */
};

int fleet_init(struct fleet *f) SL_MUST_CHECK;
void fleet_done(struct fleet *f);

/* NULL when memory is out. Restored leases of its session become its own. */
struct deliverer *fleet_up(struct fleet *f, struct link_peer *peer);
/* No lease may be left; freed now or when what it reserved is given back. */
void fleet_down(struct fleet *f, struct deliverer *d);

/* Leases that all deliverers together could hold. */
uint64_t fleet_slots(const struct fleet *f);
/* The deliverer with most room, and how many leases it takes; NULL: none.
 * fresh: for an endpoint that is not behind; for these a quarter of the slots
 * is kept free of the backlog of others. */
struct deliverer *fleet_choose(
    const struct fleet *f, bool fresh, bool troubled, uint32_t *ret_room);

/* Counts count leases-to-be of p at d; taken back one by one. */
void fleet_reserve(struct fleet *f, struct deliverer *d, struct endpoint *p,
    bool troubled, uint32_t count);
void fleet_unreserve(struct fleet *f, struct deliverer *d, struct endpoint *p,
    bool troubled, uint32_t count);

/* Pending at d, or when d is NULL of a session that may come back. NULL: no
 * memory. */
struct lease *fleet_lease(struct fleet *f, struct deliverer *d,
    struct endpoint *p, struct id delivery);
struct lease *fleet_find(const struct fleet *f, struct id delivery);
/* It is on its way to its deliverer. */
void fleet_sent(struct lease *l);
void fleet_end(struct fleet *f, struct lease *l);
/* Those out for long make their endpoint troubled before they fail. */
void fleet_mark_slow(struct fleet *f, struct lease *l, uint64_t now_ms);

#endif
