#include "logger/logger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

#include "common/fail_point.h"
#include "common/log.h"

#define DISPATCH_CHUNK 64      /* leases of one pick while others wait */
#define DISPATCH_LOOKS 64      /* endpoints looked at for one pick */
#define DISPATCH_AGAIN_MS 1000 /* after an operation that was refused */
/* With the writer at once, of each: a commit stays short. */
#define DISPATCH_SUSPENDS 4
#define DISPATCH_RESUMES 4
#define DISPATCH_LIFTS 4

/* An operation of one endpoint: TAKE, SUSPEND, RESUME or LIFT. */
struct endpoint_job {
	struct job job; /* first */
	struct logger *logger;
	struct endpoint *endpoint;
	struct deliverer *deliverer; /* of a TAKE */
	uint32_t reserved;
	bool troubled;
};

static struct endpoint_job *
endpoint_job_new(struct logger *l, struct endpoint *e, enum store_op_type type,
    void (*done)(struct job *))
{
	struct endpoint_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->logger = l;
	j->endpoint = e;
	j->job.done = done;
	j->job.op.type = type;
	e->busy = true;
	return j;
}

/* The endpoint is free again; due_ms is its next. */
static void
endpoint_job_end(struct endpoint_job *j, uint64_t next_due_ms)
{
	struct logger *l = j->logger;
	struct endpoint *e = j->endpoint;

	e->busy = false;
	endpoint_due(e, next_due_ms);
	endpoints_touch(&l->endpoints, e, logger_now(l));
	free(j);
}

/* ---- suspend, resume ---------------------------------------------------- */

/* How many of these are with the writer. */
static unsigned *
shifting(struct logger *l, enum store_op_type type)
{
	return type == STORE_RESUME ? &l->resuming : &l->suspending;
}

static void
on_shifted(struct job *job)
{
	struct endpoint_job *j = (struct endpoint_job *)job;
	struct endpoint *e = j->endpoint;
	struct logger *l = j->logger;
	bool resume = job->op.type == STORE_RESUME;
	bool more = job->op.u.shift.changed == STORE_SWEEP_ROWS;

	*shifting(l, job->op.type) -= 1;
	if (job->op.result < 0) {
		if (job->op.result != -ECANCELED)
			log_error("subscription=%u error=\"%s\"",
			    e->subscription, job->op.reason);
		more = false;
		job->op.u.shift.next_due_ms = logger_now(l) + DISPATCH_AGAIN_MS;
	}
	e->held = e->held || (resume ? more : job->op.u.shift.changed > 0);
	endpoint_job_end(j, job->op.u.shift.next_due_ms);
	if (resume || more)
		dispatch_resume(l, e);
}

static void
shift(struct logger *l, struct endpoint *e, enum store_op_type type)
{
	struct endpoint_job *j = endpoint_job_new(l, e, type, on_shifted);

	if (j == NULL)
		return;
	j->job.op.u.shift.subscription = e->subscription;
	/* What is added from now on is told by whoever adds it. */
	e->next_due_ms = STORE_NEVER;
	e->backlogged = true;
	if (type == STORE_RESUME)
		e->held = false;
	endpoints_touch(&l->endpoints, e, logger_now(l));
	*shifting(l, type) += 1;
	writer_post(l->writer, &j->job);
}

/* If not now, it is asked again when what stands against it ends. */
static bool
may_resume(const struct endpoint *e)
{
	return e->held && !e->busy && !e->deleted && endpoint_sends(e);
}

void
dispatch_resume(struct logger *l, struct endpoint *e)
{
	if (may_resume(e))
		endpoint_set_resumes(&l->endpoints, e, true);
}

/* One after the other, however many were switched on: at a start, that may be
 * all there are. */
static void
resume_run(struct logger *l)
{
	struct endpoints *all = &l->endpoints;
	struct endpoint *e;

	while (l->resuming < DISPATCH_RESUMES &&
	       (e = TAILQ_FIRST(&all->resumes)) != NULL) {
		endpoint_set_resumes(all, e, false);
		if (may_resume(e))
			shift(l, e, STORE_RESUME);
	}
}

/* ---- lift --------------------------------------------------------------- */

static void
on_lifted(struct job *job)
{
	struct endpoint_job *j = (struct endpoint_job *)job;
	struct store_shift *shift = &job->op.u.shift;
	struct endpoint *e = j->endpoint;
	struct logger *l = j->logger;
	bool more = shift->changed == STORE_SWEEP_ROWS;

	l->lifting--;
	if (job->op.result < 0) {
		if (job->op.result != -ECANCELED)
			log_error("subscription=%u error=\"%s\"",
			    e->subscription, job->op.reason);
		shift->next_due_ms = logger_now(l) + DISPATCH_AGAIN_MS;
		endpoint_set_over(&l->endpoints, e, true); /* quota_tick() */
		endpoint_job_end(j, shift->next_due_ms);
		return;
	}
	app_used(e->app, &shift->usage);
	if (shift->over || more)
		endpoint_set_over(&l->endpoints, e, true);
	if (more)
		endpoints_lift(&l->endpoints, e->app, quota_month(l));
	if (shift->hold && shift->changed > 0)
		e->held = true;
	endpoint_job_end(j, shift->next_due_ms);
	dispatch_resume(l, e);
}

static void
lift(struct logger *l, struct endpoint *e)
{
	struct endpoint_job *j = endpoint_job_new(l, e, STORE_LIFT, on_lifted);

	if (j == NULL)
		return;
	j->job.op.u.shift.subscription = e->subscription;
	j->job.op.u.shift.app = e->app->app;
	j->job.op.u.shift.hold = !endpoint_sends(e);
	e->next_due_ms = STORE_NEVER;
	e->backlogged = true;
	endpoint_set_over(&l->endpoints, e, false);
	endpoints_touch(&l->endpoints, e, logger_now(l));
	l->lifting++;
	writer_post(l->writer, &j->job);
}

/* The application's next endpoint that nothing is going on for, or NULL. */
static struct endpoint *
next_over(struct app *a)
{
	for (unsigned looks = 0; looks < DISPATCH_LOOKS; looks++) {
		struct endpoint *e = TAILQ_FIRST(&a->over);

		if (!e->busy)
			return e;
		TAILQ_REMOVE(&a->over, e, over_entry);
		TAILQ_INSERT_TAIL(&a->over, e, over_entry);
	}
	return NULL;
}

/* What was over a quota, in turns over the applications. */
static void
lift_run(struct logger *l)
{
	struct endpoints *all = &l->endpoints;
	struct app *last = TAILQ_LAST(&all->lifts, app_queue);
	struct app *a = NULL;

	while (a != last && l->lifting < DISPATCH_LIFTS) {
		struct endpoint *e;

		a = TAILQ_FIRST(&all->lifts);
		TAILQ_REMOVE(&all->lifts, a, lift_entry);
		TAILQ_INSERT_TAIL(&all->lifts, a, lift_entry);
		e = next_over(a);
		if (e != NULL)
			lift(l, e);
	}
}

/* ---- take --------------------------------------------------------------- */

static void
send_taken(struct endpoint_job *j, const struct store_taken *t)
{
	struct logger *l = j->logger;
	struct msg event = { .event_type = t->event_type,
		.body = t->body,
		.hole = t->hole,
		.flags = t->flags };
	struct deliver_item item = { .attempt = t->attempt,
		.cycle_attempt = t->cycle_attempt,
		.age_ms = endpoint_age(j->endpoint, t, logger_now(l)),
		.lost = t->lost };
	struct lease *lease = fleet_find(&l->fleet, t->delivery);

	/* An older token delivered it, and it was replayed meanwhile. */
	if (lease != NULL && lease->event != 0)
		lease_end(l, lease);
	lease = fleet_lease(&l->fleet, j->deliverer, j->endpoint, t->delivery);
	if (lease == NULL) {
		log_error("lease error=\"out of memory\"");
		return; /* leased in the store until the next start */
	}
	lease->event = t->event;
	lease->token = t->token;
	lease->began_ms = loop_now_ms(l->loop);
	lease->ends_ms = lease->began_ms + l->proc->config.lease_max_ms;
	item.lease = lease;
	l->counts.leases++;
	fail_point("logger.lease_committed");
	deliver_send(l, &event, &item, 1);
}

static void
on_taken(struct job *job)
{
	struct endpoint_job *j = (struct endpoint_job *)job;
	struct store_take *take = &job->op.u.take;
	struct endpoint *e = j->endpoint;
	struct logger *l = j->logger;

	if (job->op.result < 0) {
		if (job->op.result != -ECANCELED)
			log_error("take error=\"%s\"", job->op.reason);
		take->next_due_ms = logger_now(l) + DISPATCH_AGAIN_MS;
	}
	e->backlogged = take->next_due_ms <= logger_now(l);
	window_rate_spend(&j->endpoint->window, j->endpoint->rate,
	    logger_now(l), take->count);
	while (take->taken != NULL) {
		struct store_taken *t = take->taken;

		take->taken = t->next;
		if (job->op.result == 0)
			send_taken(j, t);
		free(t);
	}
	fleet_unreserve(
	    &l->fleet, j->deliverer, j->endpoint, j->troubled, j->reserved);
	endpoint_job_end(j, take->next_due_ms);
	dispatch_resume(l, e); /* it was switched on meanwhile */
}

static void
take(struct logger *l, struct endpoint *e, struct deliverer *d, uint32_t count)
{
	struct endpoint_job *j = endpoint_job_new(l, e, STORE_TAKE, on_taken);

	if (j == NULL)
		return;
	j->deliverer = d;
	j->reserved = count;
	j->troubled = e->window.troubled;
	fleet_reserve(&l->fleet, d, e, j->troubled, count);
	j->job.op.u.take = (struct store_take){ .subscription = e->subscription,
		.ordered = e->ordered,
		.session = d->session,
		.limit = count };
	e->next_due_ms = STORE_NEVER;
	endpoints_touch(&l->endpoints, e, logger_now(l));
	writer_post(l->writer, &j->job);
}

/* ---- who is next -------------------------------------------------------- */

/* Leases that the application may have more: a quarter of all slots while
 * others wait. */
static uint32_t
app_room(const struct logger *l, const struct app *a, bool others)
{
	uint64_t share = fleet_slots(&l->fleet) / 4;

	if (!others)
		return UINT32_MAX;
	if (share == 0)
		share = 1;
	return a->out < share ? (uint32_t)(share - a->out) : 0;
}

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

struct deliverer *
dispatch_fresh(struct logger *l, struct endpoint *e)
{
	uint64_t now = logger_now(l);
	bool others = l->endpoints.ready_apps > (turns_ready(e->app) ? 1 : 0);
	struct deliverer *d;
	uint32_t room;

	/* Older work is due: after that. What is being taken right now does not
	 * count, unless there was more than its window took: else a steady
	 * stream would never get back to being leased at once. */
	if (e->busy ? e->backlogged : e->next_due_ms <= now)
		return NULL;
	if (!endpoint_order_free(e) || endpoint_room(e) == 0 ||
	    window_rate_room(&e->window, e->rate, now) == 0)
		return NULL;
	d = fleet_choose(&l->fleet, true, e->window.troubled, &room);
	if (d == NULL || app_room(l, e->app, others) == 0)
		return NULL;
	window_rate_spend(&e->window, e->rate, now, 1);
	return d;
}

/* How many leases of e may go to *ret_to now. */
static uint32_t
room_for(struct logger *l, struct endpoint *e, bool others, bool siblings,
    struct deliverer **ret_to)
{
	uint32_t room;

	*ret_to =
	    fleet_choose(&l->fleet, !e->backlogged, e->window.troubled, &room);
	if (*ret_to == NULL)
		return 0;
	room = least(room, app_room(l, e->app, others));
	room = least(room, endpoint_room(e));
	room =
	    least(room, window_rate_room(&e->window, e->rate, logger_now(l)));
	return least(
	    room, others || siblings ? DISPATCH_CHUNK : STORE_TAKE_MAX);
}

/* One pick from one queue of an application, with so many looks left. */
static bool
pick_from(struct logger *l, struct app *a, struct endpoint_queue *queue,
    unsigned *looks)
{
	bool others = l->endpoints.ready_apps > 1;
	struct endpoint *first = TAILQ_FIRST(queue);

	while ((*looks)-- > 0) {
		struct endpoint *e = TAILQ_FIRST(queue);
		struct deliverer *to;
		bool sends = endpoint_sends(e);
		uint32_t room;

		if (!sends && l->suspending < DISPATCH_SUSPENDS) {
			shift(l, e, STORE_SUSPEND);
			return true;
		}
		room =
		    sends ? room_for(l, e, others, turns_others(a, e), &to) : 0;
		if (room > 0) {
			take(l, e, to, room);
			return true;
		}
		TAILQ_REMOVE(queue, e, entry);
		TAILQ_INSERT_TAIL(queue, e, entry);
		if (TAILQ_FIRST(queue) == first)
			return false;
	}
	*looks = 0;
	return false;
}

/* One pick for one application. False: it can have nothing now. */
static bool
pick(struct logger *l, struct app *a)
{
	struct endpoint_queue *begun = turns_next(a), *queue = begun;
	unsigned looks = DISPATCH_LOOKS;

	while (queue != NULL && looks > 0) {
		if (pick_from(l, a, queue, &looks)) {
			a->turns++;
			return true;
		}
		queue = turns_other(a, queue, begun);
	}
	return false;
}

/* The loop sleeps until the first of the heap. */
static void
set_alarm(struct logger *l)
{
	const struct endpoints *e = &l->endpoints;
	uint64_t wake_ms =
	    e->heap_count > 0 ? e->heap[1]->wake_ms : STORE_NEVER;
	uint64_t now = logger_now(l);
	struct itimerspec spec = { 0 };

	if (wake_ms == l->alarm_ms)
		return;
	l->alarm_ms = wake_ms;
	if (wake_ms != STORE_NEVER) {
		uint64_t wait_ms = wake_ms > now ? wake_ms - now : 0;

		spec.it_value.tv_sec = (time_t)(wait_ms / 1000);
		spec.it_value.tv_nsec = (long)(wait_ms % 1000) * 1000000 + 1;
	}
	if (timerfd_settime(l->alarm_fd, 0, &spec, NULL) < 0)
		log_error("timerfd error=\"%s\"", strerror(errno));
}

void
dispatch_run(struct logger *l)
{
	struct endpoints *e = &l->endpoints;
	size_t idle = 0; /* applications in a row that got nothing */

	lift_run(l);
	resume_run(l);
	endpoints_wake(e, logger_now(l));
	set_alarm(l);
	while (idle < e->ready_apps) {
		struct app *a = TAILQ_FIRST(&e->ready);

		TAILQ_REMOVE(&e->ready, a, entry);
		TAILQ_INSERT_TAIL(&e->ready, a, entry);
		idle = pick(l, a) ? 0 : idle + 1;
	}
}
