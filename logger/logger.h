/*
 * The logger's state and its parts. main.c opens and closes it; every other
 * file here that includes this header is one part of what it does, in the
 * loop's thread, and is called with the whole.
 *
 * A turn: messages come in (or commits come back), each is turned into an
 * operation for the writer; at the end logger_turn() leases what is due,
 * hands the operations over and flushes the links.
 *
 * Operations in flight are bounded by the windows granted (LOGGER_PLANS and so
 * on, per peer), by the deliverers' slots, and one of a kind per endpoint, a
 * few of them at once where they change many rows (dispatch.c).
 */
#ifndef SLUICE_LOGGER_LOGGER_H
#define SLUICE_LOGGER_LOGGER_H

#include "common/discovery.h"
#include "common/link.h"
#include "common/proc.h"
#include "common/replica.h"
#include "logger/endpoint.h"
#include "logger/fleet.h"
#include "logger/peer.h"
#include "logger/reader.h"
#include "logger/schedule.h"
#include "logger/timekeeper.h"
#include "logger/turns.h"
#include "logger/writer.h"

/* Granted to each peer, by lane. Bytes are shared among peers of a stage. */
#define LOGGER_PLANS 2048
#define LOGGER_PLAN_BYTES (16u * 1024 * 1024)
#define LOGGER_RESULTS 4096
#define LOGGER_RESULT_BYTES (16u * 1024 * 1024)
#define LOGGER_CONTROLS 256
#define LOGGER_CONTROL_BYTES (8u * 1024 * 1024)

/* An outcome whose times are beyond this makes no sense. */
#define LOGGER_SANE_MS (UINT64_C(366) * 24 * 3600 * 1000)
#define LOGGER_NOTICE_MS 5000 /* a NOTICE is repeated after this */
#define LOGGER_SWEEP_MS 1000
#define LOGGER_PROBES_MAX 64 /* under way at once */

struct logger_counts {
	uint64_t plans, duplicates, stale, refused;
	uint64_t delivered, failed_attempts, garbage;
	uint64_t leases, leases_lost, leases_released;
	uint64_t deleted;
	uint64_t over_quota, held_full; /* deliveries, at their commit */
	uint64_t replayed;
};

struct probes {
	struct probe *first;
	size_t count;
	uint64_t next;
};

struct replay_ask;

struct replays {
	TAILQ_HEAD(, replay_ask) waiting; /* for their job, to be answered */
	bool open;	/* there may be jobs that are not done */
	unsigned rests; /* steps in a row that had nothing to do */
	bool stepping;	/* a step is with the writer */
	uint64_t after; /* the job of the last step */
	uint64_t not_before_ms;
	int timer;
};

struct logger {
	struct proc *proc;
	struct loop *loop;
	struct link *port; /* routers, deliverers, apis come here */
	struct link *apis; /* NOTICE goes, DIRECTORY comes here */
	struct discovery *discovery;
	struct store *store;
	struct timekeeper time;
	struct writer *writer;
	struct reader *reader;
	struct schedules schedules;
	struct endpoints endpoints;
	struct fleet fleet;
	struct replica replica;
	uint64_t number; /* of the directory that is in the store */
	struct directory_job *directory; /* the one being made */
	uint64_t last_event;
	uint64_t notice_ms; /* loop time of the last round */
	uint64_t sweep_ms;
	bool sweeping, granting;
	int alarm_fd; /* timerfd: the next due time */
	uint64_t alarm_ms;
	int timer;
	struct probes probes;
	uint32_t month;		/* see quota_month() */
	uint64_t month_ends_ms; /* it is right until then */
	/* with the writer */
	unsigned suspending, resuming, lifting;
	struct replays replays;
	struct logger_counts counts;
	struct buf packed; /* of the message being sent */
};

/* ---- main.c's view ------------------------------------------------------ */

int logger_open(struct proc *p) SL_MUST_CHECK;
void logger_close(struct proc *p);
bool logger_ready(struct proc *p, struct buf *why);
void logger_drain(struct proc *p);
bool logger_drained(struct proc *p);
int logger_metrics(struct proc *p, struct buf *out) SL_MUST_CHECK;

/* ---- shared by the parts ------------------------------------------------ */

/* The end of every turn. */
void logger_turn(void *arg);
uint64_t logger_now(struct logger *l); /* ms since 1970, see timekeeper.h */
struct peer *logger_peer(struct link_peer *link);

/* A PLAN, OUTCOME, RELEASE, HELD, DIRECTORY, QUERY, PROBE, PROBED, REPLAY
 * message. */
void plan_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes);
void outcome_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes);
void lease_release(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes);
void lease_held(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes);
void directory_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes);
void query_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes);
void probe_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes);
void probed_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes);
void replay_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes);

/* lease.c: a lease that came from the store at the start. */
int lease_restore(
    struct logger *l, const struct store_loaded_lease *from) SL_MUST_CHECK;
/* Its deliverer is gone: all its committed leases are lost. */
void lease_deliverer_down(struct logger *l, struct deliverer *d);
/* Lost (it counts) or given back: ends it and makes its delivery due. */
void lease_give_back(struct logger *l, struct lease *lease, bool lost);
/* Each second: leases whose time is over, and slow ones. */
void lease_tick(struct logger *l);
/* Events before this one have no lease under its first token. */
uint64_t lease_floor(const struct logger *l);
/* Ends it and looks at its endpoint again. */
void lease_end(struct logger *l, struct lease *lease);

/* dispatch.c: a deliverer for one fresh delivery of e, or NULL: it is due. */
struct deliverer *dispatch_fresh(struct logger *l, struct endpoint *e);
/* Leases what is due, as far as there is room. */
void dispatch_run(struct logger *l);
/* Held deliveries of an endpoint that may be sent to become due, when its turn
 * to ask for that has come. */
void dispatch_resume(struct logger *l, struct endpoint *e);

/* quota.c: the month of UTC that it is, 202611; never back. */
uint32_t quota_month(struct logger *l);
/* Something changed about the application's quota or usage. */
void quota_look(struct logger *l, struct app *a);
/* Each second, and at the start: the month may have turned. */
void quota_tick(struct logger *l);
/* The plan's delivery was committed as one over the quota. */
void quota_over(struct logger *l, struct endpoint *e);

/* deliver.c: leases of one body, all at the same deliverer, that are committed.
 * What cannot be sent is given back. */
struct deliver_item {
	struct lease *lease;
	uint32_t attempt, cycle_attempt, lost;
	uint64_t age_ms;
};
void deliver_send(struct logger *l, const struct msg *event,
    const struct deliver_item *items, size_t count);

/* notice.c */
void notice_send(struct logger *l, struct endpoint *e);
/* When its quota is used up and the directory does not say so. */
void notice_app(struct logger *l, struct app *a);
void notice_tick(struct logger *l);

/* probe.c */
void probe_tick(struct logger *l);
void probe_deliverer_down(struct logger *l, const struct deliverer *d);
void probe_done(struct logger *l); /* frees all */

/* replay.c: jobs are in the store; it works them off from the start on. */
void replay_init(struct logger *l);
void replay_start(struct logger *l);
void replay_tick(struct logger *l);
void replay_done(struct logger *l); /* frees all */

/* directory.c */
extern const struct replica_ops directory_ops;

#endif
