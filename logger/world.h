/*
 * For tests: the real logger process, and the routers, deliverers and api
 * around it played by the test itself, over real links in one loop.
 *
 * Everything the logger sends is kept until the test looks at it; nothing is
 * answered by itself but what the fields say. world_until() runs the loop
 * until something holds, and fails the test when it does not in time.
 */
#ifndef SLUICE_LOGGER_WORLD_H
#define SLUICE_LOGGER_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/id.h"
#include "common/link.h"
#include "common/msg.h"

#define WORLD_APP 1
#define WORLD_PATIENCE_MS 25000
#define WORLD_GOT_MAX 4096
#define WORLD_DELIVERERS 2
#define WORLD_SLOTS 64

/* A lease that a deliverer got. */
struct got {
	struct id delivery;
	uint64_t token, attempt, cycle_attempt, flags;
	uint32_t subscription;
	unsigned deliverer;
	uint64_t body_len;
	char secret[32], url[64];
};

struct world;

struct end {
	struct world *world;
	unsigned number; /* of a deliverer */
	unsigned held;	 /* slots in use */
	struct link *link;
	struct link_peer *peer; /* the logger, while it is up */
	unsigned ups, sent, completed, refused, returned;
	char reason[256]; /* of the newest refusal */
};

struct world {
	char folder[64];
	pid_t logger;
	struct loop *loop;
	struct end router, api, feed; /* feed: where the logger connects */
	struct end deliverers[WORLD_DELIVERERS];
	struct id_maker ids;
	uint64_t number; /* of the directory */
	struct got got[WORLD_GOT_MAX];
	size_t got_count;
	bool answer;	  /* deliverers report 200 at once... */
	uint32_t but_not; /* ...but not for this subscription */
	bool ordered;	  /* as all subscriptions want it */
	struct buf page, probe, probed;
	unsigned pages, probes, probeds, notices;
	char notice[64];
	uint64_t notice_subscription, notice_number;
	uint64_t quota;		/* of the application, as its entry says */
	bool limited;		/* its entry says that it is used up */
	const char *fail_point; /* of the next start */
};

int world_setup(void **state);
int world_teardown(void **state);

void world_start(struct world *w); /* the logger; waits for nothing */
void world_kill(struct world *w);
void world_open(struct world *w, struct end *e, enum stage stage);
void world_close(struct end *e); /* with a BYE */
/* Logger, all ends and a directory with the subscriptions 1 to count. */
void world_begin(struct world *w, uint32_t count);

typedef bool world_fn(struct world *w);
void world_until(struct world *w, world_fn *fn);
void world_run(struct world *w, unsigned ms); /* nothing more comes */

void world_send(struct end *e, const struct msg *m);
/* Whole directory, again with each call, as for a new session. */
void world_snapshot(struct world *w, uint32_t count);
/* One subscription changes, its application with it; it is in force then. */
void world_change(struct world *w, uint32_t subscription, bool enabled);
/* The application alone changes: as quota and limited are by now. Waits for
 * nothing. */
void world_change_app(struct world *w);

struct id world_id(struct world *w);
/* A plan for count subscriptions from `first` on. */
void world_plan(struct world *w, struct id custody, uint64_t number,
    uint32_t first, uint32_t count);
/* A deliverer holds so many more or less, and grants what is left. */
void world_use_slots(struct end *e, int change);
void world_outcome(struct world *w, const struct got *got,
    enum msg_verdict verdict, unsigned status, uint64_t delay_ms);
void world_lease_ids(struct world *w, unsigned deliverer, enum msg_type type,
    const struct got *got, size_t count);
/* What the application used this month. */
uint64_t world_used(struct world *w);
/* A REPLAY of one delivery, or when that is all zero of subscription 1. The
 * slices of its answer live until the next question. */
void world_ask_replay(struct world *w, struct id job, struct id delivery);
struct msg world_replay(struct world *w, struct id job, struct id delivery);
/* The row of that delivery; slices live until the next question. */
struct msg world_row(struct world *w, struct id delivery);
/* The newest lease of that delivery. */
struct got *world_find(struct world *w, struct id custody, uint32_t sub);

#endif
