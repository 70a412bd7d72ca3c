#include "logger/logger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* An OUTCOME on its way through the writer, with its bytes. */
struct outcome_job {
	struct job job; /* first */
	struct logger *logger;
	struct peer *from;
	uint64_t seq;
	uint64_t waited_ms;  /* at the deliverer, before it began */
	const char *garbage; /* why it makes no sense, or NULL */
	uint8_t bytes[];
};

static void
on_hold(struct logger *l, struct endpoint *e, const struct store_outcome *o)
{
	char text[ID_TEXT_SIZE];

	id_text(o->delivery, text);
	log_info("subscription=%u hold=%s delivery=%s", e->subscription,
	    o->hold, text);
	endpoint_set_hold(
	    &l->endpoints, e, o->hold, o->delivery, logger_now(l));
	notice_send(l, e);
}

/* What the attempt says about its endpoint. */
static void
judge_endpoint(const struct outcome_job *j, struct endpoint *e)
{
	const struct store_outcome *o = &j->job.op.u.outcome;
	struct logger *l = j->logger;

	if (o->verdict == MSG_VERDICT_DELIVERED) {
		l->counts.delivered++;
		e->success_ms = logger_now(l);
		window_success(&e->window, o->duration_ms, j->waited_ms);
	} else if (o->current && o->verdict != MSG_VERDICT_NONE) {
		l->counts.failed_attempts++;
		window_failure(&e->window);
	}
	if (o->hold != NULL)
		on_hold(l, e, o);
	endpoint_due(e, o->due_ms);
}

static void
settle(struct outcome_job *j)
{
	const struct store_outcome *o = &j->job.op.u.outcome;
	struct logger *l = j->logger;
	struct lease *lease = fleet_find(&l->fleet, o->delivery);
	struct endpoint *e =
	    endpoints_find(&l->endpoints, id_subscription(o->delivery));

	/* Before the window moves: what was out by the old one. */
	if (e != NULL && j->job.op.result == 0)
		judge_endpoint(j, e);
	if (lease != NULL && lease->event != 0 && lease->token == o->token)
		lease_end(l, lease);
	else if (e != NULL)
		endpoints_touch(&l->endpoints, e, logger_now(l));
}

static void
on_committed(struct job *job)
{
	struct outcome_job *j = (struct outcome_job *)job;
	struct logger *l = j->logger;

	if (job->op.result == -ECANCELED) {
		peer_unref(j->from);
		free(j);
		return;
	}
	settle(j);
	if (job->op.result < 0) {
		l->counts.refused++;
		log_warn("outcome error=\"%s\"", job->op.reason);
		peer_refuse(j->from, j->seq, job->op.reason);
	} else if (j->garbage != NULL) {
		peer_refuse(j->from, j->seq, j->garbage);
	} else {
		peer_complete(j->from, j->seq);
	}
	peer_unref(j->from);
	free(j);
}

static const char *
check(const struct msg *m)
{
	if (m->verdict <= MSG_VERDICT_NONE || m->verdict >= MSG_VERDICT_MAX)
		return "invalid: no such verdict";
	if (m->attempt == 0)
		return "invalid: attempt 0";
	if (m->delay_ms > LOGGER_SANE_MS || m->started_ms > LOGGER_SANE_MS ||
	    m->duration_ms > LOGGER_SANE_MS)
		return "invalid: times that cannot be";
	if (m->verdict == MSG_VERDICT_DELIVERED &&
	    (m->status < 200 || m->status > 299))
		return "invalid: delivered without a 2xx";
	return NULL;
}

static void
fill(struct outcome_job *j, const struct msg *m, struct id delivery)
{
	struct store_outcome *o = &j->job.op.u.outcome;
	struct logger *l = j->logger;
	const struct lease *lease = fleet_find(&l->fleet, delivery);
	const struct endpoint *e =
	    endpoints_find(&l->endpoints, id_subscription(delivery));
	uint64_t now = logger_now(l);
	int64_t waited_ms = 0;

	*o = (struct store_outcome){
		.delivery = delivery,
		.event = lease != NULL ? lease->event : 0,
		.token = m->token,
		.attempt = (uint32_t)m->attempt,
		.status = (uint32_t)m->status,
		.verdict = (enum msg_verdict)m->verdict,
		.delay_ms = m->delay_ms,
		.at_ms = now - m->started_ms,
		.duration_ms = m->duration_ms,
		.error = m->error,
		.response = m->response,
	};
	if (e != NULL)
		o->judge = endpoint_judge(e);
	if (lease != NULL && lease->once)
		o->judge.failed_enough = UINT32_MAX;
	if (lease != NULL && lease->sent_ms != 0)
		waited_ms = (int64_t)(loop_now_ms(l->loop) - lease->sent_ms -
				      m->started_ms);
	if (waited_ms > 0) /* measured in two processes */
		j->waited_ms = (uint64_t)waited_ms;
	if (j->garbage == NULL)
		return;
	/* Kept as an attempt all the same, as one that got no answer. */
	l->counts.garbage++;
	log_warn("outcome error=\"%s\"", j->garbage);
	o->verdict = MSG_VERDICT_NONE;
	o->status = 0;
	o->attempt = m->attempt == 0 ? 1 : o->attempt;
	o->at_ms = now;
	o->duration_ms = 0;
	o->error = slice_text(j->garbage);
}

void
outcome_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct outcome_job *j = calloc(1, sizeof(*j) + bytes.len);
	struct id delivery;
	struct msg m;

	if (j == NULL)
		return; /* not completed: it comes again in another session */
	memcpy(j->bytes, bytes.data, bytes.len);
	if (msg_unpack((struct slice){ j->bytes, bytes.len }, &m) < 0 ||
	    id_from(m.delivery, &delivery) < 0) {
		l->counts.garbage++;
		log_warn("outcome error=\"not an OUTCOME\"");
		peer_refuse(from, seq, "invalid: not an OUTCOME");
		free(j);
		return;
	}
	j->logger = l;
	j->from = peer_ref(from);
	j->seq = seq;
	j->garbage = check(&m);
	j->job.done = on_committed;
	j->job.op.type = STORE_OUTCOME;
	fill(j, &m, delivery);
	writer_post(l->writer, &j->job);
}
