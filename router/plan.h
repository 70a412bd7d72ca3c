/*
 * Every event between its EVENT and the last committed part of its plan.
 *
 * A plan is the event and the subscriptions it goes to, in parts of at most
 * LIMIT_PLAN_PART, at least one. Events are matched when their turn to be sent
 * comes, never earlier, so nothing but their bytes waits here. The parts of
 * events with several are sent in turn with each other and with new events, so
 * a large plan holds up nobody.
 *
 * The answer to a part decides: completed, all of them: the event is done, and
 * completed at its source. Refused with the word "stale": the match was made
 * with a directory older than the logger's; it is matched again when the
 * directory moved on, and a few oldest ones on every tick all the same ("busy"
 * is treated alike).
 * Refused otherwise: the event is refused at its source with that reason.
 * Returned (the logger's session ended): planned again, from the first part;
 * what the logger already has it ignores. An event answers its source only
 * when none of its parts is on the way any more.
 *
 * A source (an ingest's or an api's session) that ends takes its events along:
 * those that are not on the way are dropped, the others forgotten when their
 * answers are in. It will bring them again, to this router or to another.
 *
 * Memory: bytes of events are bounded by the windows that the sources were
 * granted (PLAN_SOURCE_MAX is the cap for a source that does not keep to
 * it), matches that wait to be sent by PLAN_TARGETS_MAX. One thread; callers of
 * plan_completed and so on may be inside a send.
 */
#ifndef SLUICE_ROUTER_PLAN_H
#define SLUICE_ROUTER_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "router/match.h"

/* Events of one source at once; twice the largest window (credit.h). */
#define PLAN_SOURCE_MAX 8192
/* Subscription numbers kept for parts not sent yet; one event is always
 * allowed. 16 MiB of them. */
#define PLAN_TARGETS_MAX (4u * 1024 * 1024)
/* Stale events that are tried again on a tick without a newer directory. */
#define PLAN_STALE_PROBES 16

struct plan;
struct plan_source;

struct plan_ops {
	/* May a send succeed now? */
	bool (*has_room)(void *arg);
	/* 0; -EAGAIN, -ENOMEM: later; anything else: never. Exactly one of
	 * plan_completed, plan_refused, plan_returned answers a 0. */
	int (*send)(void *arg, struct slice part, uint64_t cookie);
	/* peer: as given to plan_source_new. */
	void (*complete)(void *arg, void *peer, uint64_t seq);
	void (*refuse)(void *arg, void *peer, uint64_t seq, const char *reason);
};

struct plan_counts {
	uint64_t events;    /* taken in */
	uint64_t planned;   /* all parts committed */
	uint64_t parts;	    /* sent */
	uint64_t matches;   /* deliveries sent */
	uint64_t unmatched; /* planned to nobody */
	uint64_t stale;	    /* parts refused as stale */
	uint64_t refused;   /* events refused */
	uint64_t returned;  /* parts that came back unanswered */
	uint64_t dropped;   /* events whose source went away */
	uint64_t waiting;   /* events here now */
	uint64_t waiting_stale;
	uint64_t in_flight; /* parts on the way now */
	uint64_t targets;   /* kept for parts not sent yet */
};

/* match, ops and arg outlive it. NULL when memory is out. */
struct plan *plan_new(
    const struct plan_ops *ops, void *arg, struct match *match);
/* Answers nobody. */
void plan_free(struct plan *p);

struct plan_source *plan_source_new(struct plan *p, void *peer);
void plan_source_free(struct plan *p, struct plan_source *s);

/* An EVENT, still packed; copied. -ENOMEM; -ENOBUFS: the source is over
 * PLAN_SOURCE_MAX. What is wrong with it shows when its turn comes. */
int plan_event(struct plan *p, struct plan_source *s, uint64_t seq,
    struct slice event, uint64_t now_ms) SL_MUST_CHECK;
/* Sends what there is room for. number: of the directory in match; only when
 * that is whole. True when something was sent. */
bool plan_pump(struct plan *p, uint64_t number, uint64_t now_ms);

void plan_completed(struct plan *p, uint64_t cookie);
void plan_refused(struct plan *p, uint64_t cookie, struct slice reason);
void plan_returned(struct plan *p, uint64_t cookie);

/* The directory moved on: all that was stale is planned again. */
void plan_advance(struct plan *p);
/* A tenth of a second went by. */
void plan_tick(struct plan *p);

const struct plan_counts *plan_counts(const struct plan *p);

#endif
