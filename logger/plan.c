#include "logger/logger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fail_point.h"
#include "common/log.h"

/* A PLAN on its way through the writer, in one allocation with its bytes. */
struct plan_job {
	struct job job; /* first */
	struct logger *logger;
	struct peer *from;
	uint64_t seq;
	struct msg msg;
	struct id custody;
	struct store_delivery *deliveries;
	struct lease **leases; /* one for each delivery; NULL: not leased */
};

static void
plan_free(struct plan_job *j)
{
	peer_unref(j->from);
	free(j);
}

/* ---- after the commit --------------------------------------------------- */

/* Sends the leases of one deliverer that begin at `first`, a part's worth. */
static void
send_from(struct plan_job *j, size_t first)
{
	struct deliver_item items[LIMIT_DELIVER_PART];
	struct deliverer *to = j->leases[first]->deliverer;
	size_t count = 0;

	for (size_t i = first;
	    i < j->job.op.u.plan.count && count < LIMIT_DELIVER_PART; i++) {
		if (j->leases[i] == NULL || j->leases[i]->deliverer != to)
			continue;
		items[count++] = (struct deliver_item){
			.lease = j->leases[i], .attempt = 1, .cycle_attempt = 1
		};
		j->leases[i] = NULL;
	}
	deliver_send(j->logger, &j->msg, items, count);
}

static void
settle(struct plan_job *j, size_t i)
{
	const struct store_plan *p = &j->job.op.u.plan;
	const struct store_delivery *d = &p->deliveries[i];
	struct logger *l = j->logger;
	struct endpoint *e = endpoints_find(&l->endpoints, d->subscription);

	if (j->leases[i] != NULL &&
	    (!d->inserted || d->became != MSG_STATE_LEASED)) {
		lease_end(l, j->leases[i]); /* was there, or over the quota */
		j->leases[i] = NULL;
	}
	if (j->leases[i] != NULL) {
		j->leases[i]->event = p->event;
		l->counts.leases++;
	}
	if (!d->inserted || e == NULL)
		return;
	if (d->became == MSG_STATE_DUE) {
		endpoint_due(e, p->planned_ms);
		endpoints_touch(&l->endpoints, e, logger_now(l));
	}
	if (d->became == MSG_STATE_HELD) {
		e->held = true;
		dispatch_resume(l, e);
	}
	if (d->became == MSG_STATE_OVER)
		quota_over(l, e);
	l->counts.held_full += d->became == MSG_STATE_FAILED;
}

/* Before the deliveries are settled: they are judged by it. */
static void
count_usage(struct plan_job *j)
{
	struct logger *l = j->logger;
	struct app *a = endpoints_app(&l->endpoints, (uint32_t)j->msg.app);

	if (a == NULL || j->job.op.result < 0)
		return;
	app_used(a, &j->job.op.u.plan.usage);
	notice_app(l, a);
}

static void
on_committed(struct job *job)
{
	struct plan_job *j = (struct plan_job *)job;
	const struct store_plan *p = &job->op.u.plan;
	struct logger *l = j->logger;

	count_usage(j);
	for (size_t i = 0; i < p->count; i++) {
		if (job->op.result < 0)
			p->deliveries[i].inserted = false;
		settle(j, i);
	}
	if (job->op.result == -ECANCELED) {
		plan_free(j);
		return;
	}
	if (job->op.result < 0) {
		l->counts.refused++;
		log_warn("plan error=\"%s\"", job->op.reason);
		peer_refuse(j->from, j->seq, job->op.reason);
	} else {
		l->counts.plans++;
		l->counts.duplicates += p->event == 0;
		if (p->event > l->last_event)
			l->last_event = p->event;
		peer_complete(j->from, j->seq);
	}
	for (size_t i = 0; i < p->count; i++)
		if (j->leases[i] != NULL) {
			fail_point("logger.lease_committed");
			send_from(j, i);
		}
	plan_free(j);
}

/* ---- before it ---------------------------------------------------------- */

static struct plan_job *
plan_new(struct logger *l, struct slice bytes, const struct msg *m)
{
	size_t count = m->deliveries.count;
	struct plan_job *j =
	    calloc(1, sizeof(*j) +
			  count * (sizeof(struct store_delivery) +
				      sizeof(struct lease *)) +
			  bytes.len);
	uint8_t *copy;

	if (j == NULL)
		return NULL;
	j->leases = (struct lease **)(j + 1);
	j->deliveries = (struct store_delivery *)(j->leases + count);
	copy = (uint8_t *)(j->deliveries + count);
	memcpy(copy, bytes.data, bytes.len);
	/* It was unpacked once already. */
	if (msg_unpack((struct slice){ copy, bytes.len }, &j->msg) < 0) {
		free(j);
		return NULL;
	}
	j->logger = l;
	j->job.done = on_committed;
	j->job.op.type = STORE_PLAN;
	j->job.op.u.plan = (struct store_plan){
		.plan = &j->msg,
		.deliveries = j->deliveries,
	};
	return j;
}

/* Who may have it at once; NULL: nobody. A test is not held by the state of
 * its endpoint, and waits for nothing else. */
static struct deliverer *
choose(struct plan_job *j, struct endpoint *e)
{
	struct logger *l = j->logger;
	uint32_t room;

	if (j->msg.flags & MSG_FLAG_ONCE)
		return fleet_choose(&l->fleet, true, false, &room);
	/* The store will hold it, unless it was there before. */
	if ((j->msg.flags & MSG_FLAG_FREE) == 0 &&
	    app_used_up(e->app, quota_month(l)))
		return NULL;
	return endpoint_sends(e) ? dispatch_fresh(l, e) : NULL;
}

/* Not leased. Where there is an order, what is planned next must know. */
static void
will_wait(struct logger *l, struct endpoint *e, enum msg_state state)
{
	if (!e->ordered)
		return;
	endpoint_waits(e, state, logger_now(l));
	endpoints_touch(&l->endpoints, e, logger_now(l));
}

/* What becomes of the planned delivery. False: its subscription is gone. */
static bool
add_delivery(struct plan_job *j, uint32_t subscription)
{
	struct logger *l = j->logger;
	struct endpoint *e = endpoints_find(&l->endpoints, subscription);
	size_t i = j->job.op.u.plan.count;
	struct store_delivery *d = &j->deliveries[i];
	struct id delivery = id_delivery(j->custody, subscription);
	struct deliverer *to;

	if (e == NULL || e->deleted)
		return false;
	*d = (struct store_delivery){ .subscription = subscription,
		.state = MSG_STATE_DUE };
	j->leases[i] = NULL;
	j->job.op.u.plan.count++;
	if (!endpoint_sends(e))
		d->state = MSG_STATE_HELD;
	if (fleet_find(&l->fleet, delivery) != NULL)
		return true; /* planned again: it is out already */
	to = choose(j, e);
	if (to != NULL)
		j->leases[i] = fleet_lease(&l->fleet, to, e, delivery);
	if (j->leases[i] == NULL) {
		will_wait(l, e, d->state);
		return true;
	}
	j->leases[i]->began_ms = loop_now_ms(l->loop);
	j->leases[i]->ends_ms =
	    j->leases[i]->began_ms + l->proc->config.lease_max_ms;
	d->state = MSG_STATE_LEASED;
	d->session = to->session;
	return true;
}

/*
 * A plan is stale when its application changed after the directory it was
 * matched with. A subscription that we do not know in a plan newer than our
 * own directory is one that we are about to learn: the same answer, the router
 * comes again.
 */
static const char *
staleness(const struct logger *l, const struct msg *m)
{
	const struct app *app = endpoints_app(&l->endpoints, (uint32_t)m->app);
	struct msg_list list = m->deliveries;
	struct msg planned;

	if (app != NULL && m->number < app->number)
		return "stale: the application has changed since";
	if (m->number <= l->number)
		return NULL;
	if (app == NULL)
		return "stale: the logger's directory is behind";
	while (msg_next(&list, MSG_PLANNED, &planned))
		if (endpoints_find(
			&l->endpoints, (uint32_t)planned.subscription) == NULL)
			return "stale: the logger's directory is behind";
	return NULL;
}

static const char *
check(const struct msg *m)
{
	if (m->part >= m->parts)
		return "invalid: part and parts";
	if (m->part == 0 &&
	    (m->body.data == NULL || m->event_type.data == NULL))
		return "invalid: no event in the first part";
	if (m->hole > m->body.len)
		return "invalid: hole outside of the body";
	if (m->dedupe_key.data != NULL && m->dedupe_key.len != 32)
		return "invalid: dedupe key";
	return NULL;
}

void
plan_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct plan_job *j;
	struct msg_list list;
	struct msg m, planned;
	struct id custody;
	const char *reason = NULL;

	if (msg_unpack(bytes, &m) < 0 || id_from(m.custody, &custody) < 0)
		reason = "invalid: not a PLAN";
	if (reason == NULL)
		reason = check(&m);
	if (reason != NULL) {
		l->counts.refused++;
		log_warn("plan error=\"%s\"", reason);
		peer_refuse(from, seq, reason);
		return;
	}
	reason = staleness(l, &m);
	if (reason != NULL) {
		l->counts.stale++;
		peer_refuse(from, seq, reason);
		return;
	}
	j = plan_new(l, bytes, &m);
	if (j == NULL) {
		/* The router comes again. */
		peer_refuse(from, seq, "busy: out of memory");
		return;
	}
	j->from = peer_ref(from);
	j->seq = seq;
	j->custody = custody;
	list = j->msg.deliveries;
	while (msg_next(&list, MSG_PLANNED, &planned))
		(void)add_delivery(j, (uint32_t)planned.subscription);
	writer_post(l->writer, &j->job);
}
