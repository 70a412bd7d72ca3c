/*
 * Sends the directory to every session of a router, ingest or logger, and
 * knows how far each has applied it.
 *
 * A new session gets a snapshot in parts, then COMPLETE, and from part 0 on
 * every change as it happens, in order and once. A session that refuses a
 * message gets a new snapshot. At most PUBLISH_FLIGHT_MAX messages of a session
 * are uncompleted; what is not sent yet stays in the directory and is read from
 * there, so a slow session costs no memory.
 *
 * A wait is over when every logger session (at least one) has completed the
 * change, and also every ingest session if asked for, which is waited for at
 * most PUBLISH_INGEST_MS. The wait is the caller's; it is given back by done().
 *
 * Calls never fail: an error of the directory is kept for publish_error(),
 * after which nothing is sent any more. Loop thread only.
 */
#ifndef SLUICE_API_PUBLISH_H
#define SLUICE_API_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "api/directory.h"
#include "common/link.h"

#define PUBLISH_FLIGHT_MAX 16
#define PUBLISH_LOGGER_MS 5000
#define PUBLISH_INGEST_MS 1000
/* A session that refused gets its new snapshot after this. */
#define PUBLISH_AGAIN_MS 1000

struct publish;

struct publish_wait {
	struct publish_wait *next;
	uint64_t number;
	bool ingests;
	uint64_t ingests_until_ms;
	uint64_t until_ms;
	/* confirmed: the loggers have it. May start another wait. */
	void (*done)(struct publish_wait *wait, bool confirmed);
};

/* -ENOMEM. All are kept by pointer. */
int publish_new(struct loop *loop, struct directory *directory,
    struct publish **ret) SL_MUST_CHECK;
void publish_free(struct publish *p);

/* From the operations of the link; sessions of other stages are let pass. */
void publish_up(struct publish *p, struct link_peer *peer);
void publish_down(struct publish *p, struct link_peer *peer);
void publish_room(struct publish *p, struct link_peer *peer);
void publish_completed(
    struct publish *p, struct link_peer *peer, uint64_t cookie);
void publish_refused(struct publish *p, struct link_peer *peer, uint64_t cookie,
    struct slice reason);
/* The directory has changed: sends what is new. */
void publish_changed(struct publish *p);
/* Every PROC_TICK_MS or so: deadlines. */
void publish_tick(struct publish *p);

/* At least one logger is there, so that a write can be confirmed. */
bool publish_has_logger(const struct publish *p);
/* number and done are set; ingests says whether they count. */
void publish_wait(struct publish *p, struct publish_wait *wait);
/* Forgets it, if it is waiting; done is not called. */
void publish_cancel(struct publish *p, struct publish_wait *wait);
/* What the directory answered last when it failed; else 0. */
int publish_error(const struct publish *p);
int publish_metrics(const struct publish *p, struct buf *out) SL_MUST_CHECK;

#endif
