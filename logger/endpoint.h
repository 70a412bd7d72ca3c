/*
 * Applications and endpoints (subscriptions) in memory: what the directory
 * says of them, what is out at each, and when its next delivery is due.
 *
 * Where they wait for their turns is turns.h. Loop thread only.
 */
#ifndef SLUICE_LOGGER_ENDPOINT_H
#define SLUICE_LOGGER_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/attributes.h"
#include "common/id.h"
#include "common/msg.h"
#include "logger/schedule.h"
#include "logger/store.h"
#include "logger/table.h"
#include "logger/window.h"

/* The reason in the entry of an application whose quota is used up. */
#define APP_LIMITED "usage_limit"

/* Bytes of their own, as many as they are. */
struct text {
	size_t len;
	uint8_t bytes[];
};

#define ENDPOINT_LEVELS 4 /* of lateness */

struct endpoint;

TAILQ_HEAD(endpoint_queue, endpoint);

struct app {
	struct table_node node; /* first */
	TAILQ_ENTRY(app) entry; /* in ready, while one of its is not empty */
	struct endpoint_queue ready[ENDPOINT_LEVELS]; /* see turns.h */
	unsigned turns;				      /* that were taken */
	uint32_t app;
	uint64_t number;
	uint64_t generation;
	bool deleted;
	uint32_t out;	     /* leases, reserved ones too */
	struct text *secret; /* NULL: none */

	uint64_t quota;		    /* events a month; 0: no limit */
	bool limited;		    /* the directory says that it is used up */
	struct store_usage usage;   /* as far as commits have said */
	struct endpoint_queue over; /* with deliveries over the quota */
	bool lifting;		    /* in lifts */
	uint64_t notice_ms, notice_number; /* its last NOTICE; 0: none */
	TAILQ_ENTRY(app) lift_entry;
};

TAILQ_HEAD(app_queue, app);

struct endpoint {
	struct table_node node; /* first */
	TAILQ_ENTRY(endpoint) entry;
	TAILQ_ENTRY(endpoint) hold_entry; /* in holds or gone */
	TAILQ_ENTRY(endpoint) over_entry; /* in its application's over */
	TAILQ_ENTRY(endpoint) resume_entry;
	struct app *app;
	uint32_t subscription;
	uint64_t number;
	uint64_t generation;
	bool enabled, deleted, http2;
	bool ordered; /* oldest first, one at a time, retries before the next */
	uint64_t turn_event, turn_ms; /* whose turn it is, since when */
	uint32_t timeout_ms, rate;
	struct text *url, *secret, *headers; /* NULL: none */
	const struct schedule *schedule;     /* its own, or the default */

	const char *hold; /* why the logger put it on hold; NULL: not */
	char hold_word[32];
	struct id hold_delivery;
	uint64_t hold_ms, hold_number;

	struct window window;
	uint64_t success_ms;
	uint64_t next_due_ms; /* no delivery is due earlier; STORE_NEVER */
	bool held;	      /* it may have HELD deliveries */
	bool over;	      /* it may have OVER ones */
	bool resumes;	      /* in resumes */
	bool busy;	      /* an operation for it is with the writer */
	bool backlogged;      /* more was due than could be taken */
	struct endpoint_queue *queue; /* of its application, while ready */
	uint32_t out;		      /* leases, reserved ones too */
	size_t heap;		      /* place in the heap, from 1; 0: none */
	uint64_t wake_ms;	      /* its key there */
};

struct endpoints {
	struct schedules *schedules;
	struct table apps, by_number;
	struct app_queue ready;
	size_t ready_apps, ready_count; /* of the endpoints in their queues */
	struct app_queue lifts;		/* may send what was over their quota */
	struct endpoint_queue holds;	/* put on hold by us */
	struct endpoint_queue gone;	/* deleted, with something left */
	struct endpoint_queue resumes;	/* what they held is to be sent */
	struct endpoint **heap;		/* from 1 */
	size_t heap_count, heap_size;
};

int endpoints_init(
    struct endpoints *e, struct schedules *schedules) SL_MUST_CHECK;
void endpoints_done(struct endpoints *e);

struct app *endpoints_app(const struct endpoints *e, uint32_t app);
struct endpoint *endpoints_find(
    const struct endpoints *e, uint32_t subscription);
/* From an ENTRY; an older one than known changes nothing, and *ret is NULL.
 * -ENOMEM, -EINVAL. */
int endpoints_put_app(struct endpoints *e, const struct msg *entry,
    uint64_t generation) SL_MUST_CHECK;
int endpoints_put(struct endpoints *e, const struct msg *entry,
    uint64_t generation, struct endpoint **ret) SL_MUST_CHECK;
int endpoints_load_app(
    struct endpoints *e, const struct store_app *from) SL_MUST_CHECK;
int endpoints_load(
    struct endpoints *e, const struct store_endpoint *from) SL_MUST_CHECK;

/* The directory has it no more. */
void endpoint_delete(struct endpoints *e, struct endpoint *p);
/* May it be sent to? A deleted one finishes what it has. */
bool endpoint_sends(const struct endpoint *p);
/* How many more may be out at it. */
uint32_t endpoint_room(const struct endpoint *p);
/* Its order allows a fresh delivery now: nothing of it is out or waits, what is
 * on its way to the store included (endpoint_waits()). */
bool endpoint_order_free(const struct endpoint *p);
/* The store is about to be told of a delivery in this state. */
void endpoint_waits(struct endpoint *p, enum msg_state state, uint64_t now_ms);
/* How old a delivery taken from the store is to its deliverer: of an ordered
 * one what counts is its turn, not how long it waited for that. */
uint64_t endpoint_age(
    struct endpoint *p, const struct store_taken *t, uint64_t now_ms);
void endpoint_set_hold(struct endpoints *e, struct endpoint *p,
    const char *reason, struct id delivery, uint64_t at_ms);
/* Of this month: all of its quota is used; more than that. */
bool app_used_up(const struct app *a, uint32_t month);
bool app_is_over(const struct app *a, uint32_t month);
/* What a commit said; the store's word is the last. */
void app_used(struct app *a, const struct store_usage *usage);
/* It has, or may have no more, deliveries over the quota. */
void endpoint_set_over(struct endpoints *e, struct endpoint *p, bool over);
/* It waits, or does no more, for what it holds to become due. */
void endpoint_set_resumes(
    struct endpoints *e, struct endpoint *p, bool resumes);
/* Looks whether what is over the quota of the application may be sent now. */
void endpoints_lift(struct endpoints *e, struct app *a, uint32_t month);
/* A delivery of it is due at due_ms; STORE_NEVER is none. */
void endpoint_due(struct endpoint *p, uint64_t due_ms);
struct store_judge endpoint_judge(const struct endpoint *p);
/* The sealed secret that signs for it: its own, else the application's. */
struct slice endpoint_secret(const struct endpoint *p);
struct slice endpoint_url(const struct endpoint *p);
/* Sealed; absent: none. */
struct slice endpoint_headers(const struct endpoint *p);
/* Absent: the default. */
struct slice endpoint_schedule(
    const struct endpoints *e, const struct endpoint *p);

/* Forgets the deleted ones that have nothing due and nothing out. */
void endpoints_forget(struct endpoints *e);

#endif
