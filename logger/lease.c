#include "logger/logger.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"

/* Leases that end together, on their way through the writer. */
struct return_job {
	struct job job; /* first */
	struct logger *logger;
	struct peer *from; /* of a RELEASE to complete, or NULL */
	uint64_t seq;
	struct store_returned leases[];
};

static void
on_returned(struct job *job)
{
	struct return_job *j = (struct return_job *)job;
	const struct store_give_back *g = &job->op.u.give_back;
	struct logger *l = j->logger;

	for (size_t i = 0; i < g->count; i++) {
		struct endpoint *e = endpoints_find(
		    &l->endpoints, g->leases[i].lease.subscription);

		if (e == NULL || job->op.result < 0)
			continue;
		endpoint_due(e, g->leases[i].due_ms);
		endpoints_touch(&l->endpoints, e, logger_now(l));
	}
	if (job->op.result == -EINVAL)
		log_error("leases error=\"%s\"", job->op.reason);
	if (j->from != NULL && job->op.result != -ECANCELED)
		peer_complete(j->from, j->seq);
	peer_unref(j->from);
	free(j);
}

static struct return_job *
return_new(struct logger *l, size_t count)
{
	struct return_job *j =
	    calloc(1, sizeof(*j) + count * sizeof(struct store_returned));

	if (j == NULL)
		return NULL;
	j->logger = l;
	j->job.done = on_returned;
	j->job.op.type = STORE_GIVE_BACK;
	j->job.op.u.give_back.leases = j->leases;
	return j;
}

/* Puts it into the job and ends it. */
static void
return_add(struct return_job *j, struct lease *lease, bool lost)
{
	struct logger *l = j->logger;

	j->leases[j->job.op.u.give_back.count++] = (struct store_returned){
		.lease = { lease->event, lease->endpoint->subscription,
		    lease->token },
		.lost = lost,
		.judge = endpoint_judge(lease->endpoint),
	};
	/* Until the commit says when; nothing newer overtakes it. */
	if (lease->endpoint->ordered)
		endpoint_waits(lease->endpoint, MSG_STATE_DUE, logger_now(l));
	l->counts.leases_lost += lost;
	l->counts.leases_released += !lost;
	lease_end(l, lease);
}

void
lease_end(struct logger *l, struct lease *lease)
{
	struct endpoint *e = lease->endpoint;

	fleet_end(&l->fleet, lease);
	endpoints_touch(&l->endpoints, e, logger_now(l));
}

void
lease_give_back(struct logger *l, struct lease *lease, bool lost)
{
	struct return_job *j = return_new(l, 1);

	if (j == NULL) {
		/* It stays in memory and ends by its time. */
		lease->ends_ms = loop_now_ms(l->loop) + FLEET_RETURN_MS;
		return;
	}
	return_add(j, lease, lost);
	writer_post(l->writer, &j->job);
}

void
lease_deliverer_down(struct logger *l, struct deliverer *d)
{
	struct lease *lease, *next;
	uint32_t count = 0;

	for (lease = TAILQ_FIRST(&d->leases); lease != NULL; lease = next) {
		next = TAILQ_NEXT(lease, entry);
		if (lease->event == 0)
			continue; /* its commit is under way: then it ends */
		lease_give_back(l, lease, true);
		count++;
	}
	if (count > 0)
		log_info("deliverer session=%llu state=down leases_lost=%u",
		    (unsigned long long)d->session, count);
}

/* ---- from deliverers ---------------------------------------------------- */

static struct lease *
find_named(struct logger *l, const struct peer *from, const struct msg *named)
{
	struct lease *lease;
	struct id delivery;

	if (id_from(named->delivery, &delivery) < 0)
		return NULL;
	lease = fleet_find(&l->fleet, delivery);
	if (lease == NULL || lease->token != named->token ||
	    lease->deliverer != from->deliverer || lease->event == 0)
		return NULL;
	return lease;
}

void
lease_release(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct return_job *j;
	struct msg m, named;

	if (msg_unpack(bytes, &m) < 0) {
		peer_refuse(from, seq, "invalid: not a RELEASE");
		return;
	}
	j = return_new(l, m.leases.count);
	if (j == NULL) {
		/* Not released, then: they end by their time. */
		peer_complete(from, seq);
		return;
	}
	while (msg_next(&m.leases, MSG_LEASE_ID, &named)) {
		struct lease *lease = find_named(l, from, &named);

		if (lease != NULL)
			return_add(j, lease, false);
	}
	j->from = peer_ref(from);
	j->seq = seq;
	writer_post(l->writer, &j->job);
}

/* All parts of HELD are there: what it did not name never reached it. */
static void
end_unnamed(struct logger *l, struct deliverer *d)
{
	struct lease *lease, *next;

	for (lease = TAILQ_FIRST(&d->leases); lease != NULL; lease = next) {
		next = TAILQ_NEXT(lease, entry);
		if (lease->restored)
			lease_give_back(l, lease, true);
	}
}

void
lease_held(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct deliverer *d = from->deliverer;
	uint64_t ends_ms = loop_now_ms(l->loop) + l->proc->config.lease_max_ms;
	struct msg m, named;

	if (msg_unpack(bytes, &m) < 0 || d == NULL) {
		peer_refuse(from, seq, "invalid: not a HELD");
		return;
	}
	while (msg_next(&m.leases, MSG_LEASE_ID, &named)) {
		struct lease *lease = find_named(l, from, &named);

		if (lease == NULL || !lease->restored)
			continue;
		lease->restored = false;
		lease->ends_ms = ends_ms;
	}
	log_debug("held part=%llu of=%llu", (unsigned long long)m.part,
	    (unsigned long long)m.parts);
	if (++d->held_parts >= m.parts)
		end_unnamed(l, d);
	peer_complete(from, seq);
}

/* ---- time --------------------------------------------------------------- */

int
lease_restore(struct logger *l, const struct store_loaded_lease *from)
{
	struct endpoint *e =
	    endpoints_find(&l->endpoints, from->lease.subscription);
	struct lease *lease;

	if (e == NULL) {
		log_error("lease subscription=%u error=\"no such endpoint\"",
		    from->lease.subscription);
		return 0;
	}
	lease = fleet_lease(&l->fleet, NULL, e, from->delivery);
	if (lease == NULL)
		return -ENOMEM;
	lease->event = from->lease.event;
	lease->token = from->lease.token;
	lease->session = from->session;
	lease->restored = true;
	lease->began_ms = loop_now_ms(l->loop);
	lease->ends_ms = lease->began_ms + FLEET_RETURN_MS;
	return 0;
}

void
lease_tick(struct logger *l)
{
	uint64_t now = loop_now_ms(l->loop);
	struct table_node *node = table_next(&l->fleet.leases, NULL);

	while (node != NULL) {
		struct lease *lease = (struct lease *)node;

		node = table_next(&l->fleet.leases, node);
		if (lease->event == 0)
			continue;
		if (now >= lease->ends_ms)
			lease_give_back(l, lease, true);
		else
			fleet_mark_slow(&l->fleet, lease, now);
	}
}

uint64_t
lease_floor(const struct logger *l)
{
	uint64_t floor = l->last_event + 1;

	for (struct table_node *node = table_next(&l->fleet.leases, NULL);
	    node != NULL; node = table_next(&l->fleet.leases, node)) {
		const struct lease *lease = (const struct lease *)node;

		if (lease->token == 1 && lease->event != 0 &&
		    lease->event < floor)
			floor = lease->event;
	}
	return floor;
}
