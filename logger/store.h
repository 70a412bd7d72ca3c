/*
 * The event store: the one interface between the logger and what keeps its
 * events, deliveries, attempts, leases and its copy of the directory.
 *
 * Writing. store_apply() carries out a batch of operations in one transaction;
 * when it returns 0 the batch is committed, on disk. Operations are applied
 * in order; one that cannot be applied gets a negative `result` and a
 * `reason`, and harms no other. Every operation may be given again after a
 * failure or a lost answer and then changes nothing that is there. An engine
 * may send a whole batch before it reads the first answer.
 *   -ENOSPC, -ENOMEM, -EBUSY: nothing of the batch was applied, try again.
 *   anything else (-EIO): the store cannot be trusted, end the process.
 *
 * Reading. store_load() gives what the logger keeps in memory, once, before
 * the first batch. Pages are read through a struct store_reader, which sees
 * committed batches only.
 *
 * Threads: store_load() and store_apply() from one thread at a time, each
 * reader from one thread, store_stats() from any.
 */
#ifndef SLUICE_LOGGER_STORE_H
#define SLUICE_LOGGER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/id.h"
#include "common/msg.h"

#define STORE_BATCH_MAX 1024 /* operations of one transaction */
#define STORE_TAKE_MAX 1024  /* deliveries of one STORE_TAKE */
/* Bodies that one STORE_TAKE may bring into memory; one always may. */
#define STORE_TAKE_BYTES (4u * 1024 * 1024)
#define STORE_REASON_SIZE 128
#define STORE_NEVER UINT64_MAX /* as a due time: there is none */

/* Rows that one bounded sweep touches, so that no commit gets long. */
#define STORE_SWEEP_ROWS 500
#define STORE_DEDUPE_MS (UINT64_C(24) * 3600 * 1000)

/* Replays. One step looks at so many events and changes so many deliveries, so
 * that what else is committed with it hardly waits. */
#define STORE_REPLAY_LOOKS 1000
#define STORE_REPLAY_ROWS 100
/* A job rests while so many deliveries of its subscription are due: it does not
 * stand in the way of what is new for long. */
#define STORE_REPLAY_AHEAD 2000
#define STORE_REPLAYS_MAX 1024	/* jobs not done yet */
#define STORE_REPLAYS_APP_MAX 8 /* of one application */
/* A job that is done is remembered so long: asked for again, it changes
 * nothing. */
#define STORE_REPLAY_KEPT_MS (UINT64_C(15) * 60 * 1000)
/* The clock does not step back further than this: times of planning follow
 * the commit sequence that closely. */
#define STORE_CLOCK_SLACK_MS (UINT64_C(24) * 3600 * 1000)

/* A delivery whose lease was lost: due at once, then after these. */
#define STORE_LOST_MAX 10 /* this one counts as a failed attempt */

/* A plan adds no more to a subscription that has so many HELD and OVER: what
 * comes then is FAILED at its commit, with the reason as its attempt, and can
 * be replayed. What was due already and is suspended counts, but never fails
 * for it. */
#define STORE_HELD_MAX 100000

struct store;
struct store_reader;

enum store_op_type {
	STORE_PLAN,	 /* an event and its deliveries */
	STORE_OUTCOME,	 /* what one attempt came to */
	STORE_TAKE,	 /* lease due deliveries of one endpoint */
	STORE_GIVE_BACK, /* leases that ended without an outcome */
	STORE_DIRECTORY, /* entries of the directory */
	STORE_SUSPEND,	 /* due deliveries of an endpoint become held */
	STORE_RESUME,	 /* its held ones become due, in a new cycle */
	STORE_LIFT,	 /* its ones over the quota become due or held */
	STORE_SWEEP,	 /* retention, dedupe keys, marks */
	STORE_REPLAY,	 /* a finished delivery due again, or a job for many */
	STORE_REPLAY_STEP, /* goes on with a job */
	STORE_OP_MAX
};

/* A lease as the store knows it. */
struct store_lease {
	uint64_t event; /* commit sequence of the event */
	uint32_t subscription;
	uint64_t token;
};

/* What an application used in one month. */
struct store_usage {
	uint32_t month;	 /* UTC: 202611 */
	uint64_t events; /* committed, but for those outside the quota */
};

struct store_delivery {
	uint32_t subscription;
	enum msg_state state; /* DUE, LEASED (token 1) or HELD */
	uint64_t session;     /* of the deliverer, when LEASED */
	bool inserted;	      /* out: it was not there yet */
	/* out, when inserted: state; or OVER, or FAILED (STORE_HELD_MAX) */
	enum msg_state became;
};

struct store_plan {
	const struct msg *plan; /* a PLAN as unpacked */
	struct store_delivery *deliveries;
	size_t count;
	/* out: 0 when the event's dedupe key had been seen with another event,
	 * and nothing was stored. */
	uint64_t event;
	uint64_t planned_ms;	  /* out */
	struct store_usage usage; /* out: of the application, with this */
};

/* What the endpoint is like, for what an outcome decides about it. */
struct store_judge {
	uint64_t success_ms;	/* its last success; 0: none known */
	uint32_t failed_enough; /* attempts after which giving up disables */
	const uint64_t *gaps;	/* of its retry schedule */
	size_t gap_count;
};

struct store_outcome {
	struct id delivery;
	uint64_t event; /* 0: not known, look it up */
	uint64_t token; /* of a lease before a replay: an attempt, no more */
	uint32_t attempt;
	uint32_t status;
	enum msg_verdict verdict; /* NONE: it could not be understood */
	uint64_t delay_ms;
	uint64_t at_ms; /* when it began */
	uint64_t duration_ms;
	struct slice error;
	struct slice response;
	struct store_judge judge;
	/* out */
	bool current;	      /* it ended the delivery's current lease */
	enum msg_state state; /* of the delivery now */
	uint64_t due_ms;      /* when DUE */
	const char *hold;     /* why the endpoint was put on hold, or NULL */
};

/* A delivery that was leased from the store: all that DELIVER needs. */
struct store_taken {
	struct store_taken *next;
	struct id delivery;
	uint64_t event;
	uint64_t token;
	uint64_t age_ms; /* since its cycle began */
	uint32_t attempt;
	uint32_t cycle_attempt;
	uint32_t lost; /* leases lost in a row */
	uint32_t hole;
	uint32_t flags; /* of the event */
	struct slice event_type;
	struct slice body;
	uint8_t bytes[]; /* behind the two slices */
};

struct store_take {
	uint32_t subscription;
	bool ordered; /* the oldest that waits or none, by its event */
	uint64_t session;
	uint32_t limit;
	struct store_taken *taken; /* out: freed by the caller, one by one */
	uint32_t count;		   /* out */
	/* out: of what is left; ordered: of the oldest; STORE_NEVER: none */
	uint64_t next_due_ms;
};

struct store_returned {
	struct store_lease lease;
	bool lost; /* it counts; else it was given back */
	struct store_judge judge;
	uint64_t due_ms; /* out: STORE_NEVER when it is not due now */
};

struct store_give_back {
	struct store_returned *leases;
	size_t count;
};

struct store_directory {
	struct msg_list entries;
	uint64_t number; /* of the directory, once these are in it; 0: keep */
	const uint32_t *gone; /* subscriptions a whole snapshot did not have */
	size_t gone_count;
};

/* STORE_SUSPEND, STORE_RESUME, STORE_LIFT */
struct store_shift {
	uint32_t subscription;
	uint32_t app;		  /* of a LIFT, which its quota may forbid */
	bool hold;		  /* of a LIFT: they become HELD, not DUE */
	bool over;		  /* out: forbidden, nothing changed */
	struct store_usage usage; /* out, of a LIFT */
	uint32_t changed;	  /* out: at most STORE_SWEEP_ROWS */
	uint64_t next_due_ms;	  /* out */
};

struct store_sweep {
	uint64_t retention_ms;
	/* No delivery of an older event is leased under its first token. */
	uint64_t lease_floor;
	uint32_t deleted; /* out: events */
};

/*
 * Refused with a reason that starts with `unknown` (no such delivery of this
 * application, or past retention), `live` (it is due or leased), with `held`
 * below, or with `many` (jobs under way). A job sees the deliveries of events
 * that are there now, oldest first; each is judged when its turn comes, so what
 * is live then is left alone.
 */
struct store_replay {
	struct id job; /* asked for again: answered again */
	uint32_t app;
	uint32_t subscription;
	struct id custody; /* of the one delivery, else all zero: those... */
	uint64_t from_ms;  /* ...planned from then... */
	uint64_t to_ms;	   /* ...to then, both inclusive... */
	enum msg_state
	    state;	  /* ...in this state; NONE: FAILED, HELD, DELIVERED */
	bool leased;	  /* the one delivery is out: it is live */
	const char *held; /* why its endpoint is not sent to, or NULL */
	uint64_t retention_ms;
	/* out */
	bool done;	/* nothing is left to do for it */
	uint64_t count; /* deliveries that are due again because of it */
};

struct store_replay_step {
	uint64_t after; /* goes round: the job behind this one; out: this one */
	/* out */
	bool idle;  /* there is no job */
	bool rests; /* nothing was done: enough is due */
	struct id job;
	uint32_t subscription;
	uint32_t changed;
	bool done;
	uint64_t count; /* since the job was made */
};

struct store_op {
	enum store_op_type type;
	int result; /* out: 0, or why it alone was not applied */
	char reason[STORE_REASON_SIZE];
	union {
		struct store_plan plan;
		struct store_outcome outcome;
		struct store_take take;
		struct store_give_back give_back;
		struct store_directory directory;
		struct store_shift shift;
		struct store_sweep sweep;
		struct store_replay replay;
		struct store_replay_step step;
	} u;
};

struct store_app {
	uint32_t app;
	uint64_t number;
	struct slice id, secret;
	uint64_t quota;		  /* events a month; 0: no limit */
	struct store_usage usage; /* of the newest month that has any */
};

struct store_endpoint {
	uint32_t subscription, app;
	uint64_t number;
	bool deleted, enabled, http2, ordered;
	struct slice url, secret, schedule, headers;
	uint32_t timeout_ms, rate;
	uint64_t success_ms;
	struct slice hold; /* NULL: none */
	struct id hold_delivery;
	uint64_t hold_ms, hold_number;
	uint64_t next_due_ms; /* STORE_NEVER: nothing is due, ever */
	bool held;	      /* some of its deliveries are HELD */
	bool over;	      /* some are OVER */
};

struct store_loaded_lease {
	struct store_lease lease;
	struct id delivery;
	uint64_t session;
};

/* Apps first, then endpoints, then leases. Slices live during the call. A
 * negative answer ends the loading and is passed on; what has no function is
 * left out. */
struct store_loader {
	int (*on_app)(void *arg, const struct store_app *app);
	int (*on_endpoint)(void *arg, const struct store_endpoint *endpoint);
	int (*on_lease)(void *arg, const struct store_loaded_lease *lease);
	/* Directory number, and the sequence of the last event. */
	int (*on_marks)(void *arg, uint64_t number, uint64_t last_event);
};

struct store_stats {
	uint64_t wal_bytes;
	uint64_t checkpoints;
	/* The index of the log: whether there is one, what is in it of what
	 * there is, and changes of deliveries that are not in it yet. */
	bool log_indexed;
	uint64_t log_event, last_event;
	uint64_t log_changes;
};

/* What each engine is. Only store.c calls through it. */
struct store_engine {
	int (*load)(struct store *s, const struct store_loader *ops, void *arg);
	int (*apply)(struct store *s, struct store_op *const *ops, size_t count,
	    uint64_t now_ms);
	void (*stats)(struct store *s, struct store_stats *ret);
	void (*close)(struct store *s);
	int (*reader_open)(struct store *s, struct store_reader **ret);
	int (*page)(
	    struct store_reader *r, const struct msg *query, struct buf *out);
	void (*reader_close)(struct store_reader *r);
};

struct store {
	const struct store_engine *engine;
};

struct store_reader {
	const struct store_engine *engine;
};

/* Opens or makes the store: a path, or the address of a server
 * (postgresql://...), which this build refuses with -ENOTSUP. -EBUSY: another
 * process has it. Every failure is logged with its reason. */
int store_open(const char *where, struct store **ret) SL_MUST_CHECK;
void store_close(struct store *s);
int store_load(
    struct store *s, const struct store_loader *ops, void *arg) SL_MUST_CHECK;
int store_apply(struct store *s, struct store_op *const *ops, size_t count,
    uint64_t now_ms) SL_MUST_CHECK;
void store_stats(struct store *s, struct store_stats *ret);

int store_reader_open(struct store *s, struct store_reader **ret) SL_MUST_CHECK;
void store_reader_close(struct store_reader *r);
/* Appends the PAGE that answers the QUERY. -EINVAL: the query makes no sense;
 * -ETIMEDOUT: it took too long; -EIO. */
int store_page(struct store_reader *r, const struct msg *query,
    struct buf *out) SL_MUST_CHECK;

/* The engines. */
int store_sqlite_open(const char *path, struct store **ret) SL_MUST_CHECK;

#endif
