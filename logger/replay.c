#include "logger/logger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fail_point.h"
#include "common/log.h"

#define REPLAY_STEP_MS 10     /* between two steps: the pace of all jobs */
#define REPLAY_ANSWER_MS 2000 /* then it is answered without the count */
#define REPLAY_BUSY_JOBS 512  /* so much for the writer: not now */
#define REPLAY_RESTS 16	      /* after so many in a row... */
#define REPLAY_REST_MS 250    /* ...a pause */
#define REPLAY_AGAIN_MS 1000  /* after a step that was refused */

/* A REPLAY: on its way through the writer, then waiting for its job to be
 * done. It is completed with its PAGE, so the control window bounds how many
 * there are. */
struct replay_ask {
	struct job job; /* first */
	TAILQ_ENTRY(replay_ask) entry;
	struct logger *logger;
	struct peer *from;
	uint64_t seq, query;
	uint64_t until_ms;
};

static void
ask_free(struct replay_ask *a)
{
	peer_unref(a->from);
	free(a);
}

/* error NULL: count deliveries are due again, or will be. */
static void
answer(struct replay_ask *a, const char *error, uint64_t count)
{
	struct logger *l = a->logger;
	struct msg page = { .type = MSG_PAGE,
		.query = a->query,
		.count =
		    count < MSG_COUNT_UNKNOWN ? count : MSG_COUNT_UNKNOWN };
	int r;

	if (error != NULL)
		page.error = slice_text(error);
	buf_clear(&l->packed);
	r = msg_pack(&page, &l->packed);
	if (r == 0 && a->from->link != NULL)
		r = link_send(
		    a->from->link, MSG_PAGE, buf_slice(&l->packed), 0);
	if (r < 0) {
		log_warn("replay error=\"%s\"", strerror(-r));
		peer_refuse(a->from, a->seq, "busy: ask again");
	} else {
		peer_complete(a->from, a->seq);
	}
	ask_free(a);
}

/* ---- jobs --------------------------------------------------------------- */

static void
on_stepped(struct job *job)
{
	struct logger *l = job->owner;
	struct replays *all = &l->replays;
	const struct store_replay_step *s = &job->op.u.step;
	struct endpoint *e = endpoints_find(&l->endpoints, s->subscription);
	struct replay_ask *a, *next;

	all->stepping = false;
	if (job->op.result < 0) {
		if (job->op.result != -ECANCELED)
			log_error("replay error=\"%s\"", job->op.reason);
		all->not_before_ms = loop_now_ms(l->loop) + REPLAY_AGAIN_MS;
		free(job);
		return;
	}
	if (s->changed > 0)
		fail_point("logger.replay_step");
	all->after = s->after;
	all->open = !s->idle;
	l->counts.replayed += s->changed;
	all->rests = s->rests ? all->rests + 1 : 0;
	if (all->rests >= REPLAY_RESTS)
		all->not_before_ms = loop_now_ms(l->loop) + REPLAY_REST_MS;
	if (e != NULL && s->changed > 0) {
		endpoint_due(e, logger_now(l));
		endpoints_touch(&l->endpoints, e, logger_now(l));
	}
	for (a = TAILQ_FIRST(&all->waiting); a != NULL && s->done; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (!id_same(a->job.op.u.replay.job, s->job))
			continue;
		TAILQ_REMOVE(&all->waiting, a, entry);
		answer(a, NULL, s->count);
	}
	free(job);
}

/* A step at a time, and none while the writer has its hands full: what comes
 * from routers and deliverers goes first. */
static void
step(struct logger *l)
{
	struct replays *all = &l->replays;
	struct writer_stats stats;
	struct job *job;

	writer_stats(l->writer, &stats);
	if (all->stepping || l->proc->draining ||
	    stats.queued > REPLAY_BUSY_JOBS ||
	    loop_now_ms(l->loop) < all->not_before_ms)
		return;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return; /* the next turn of the timer */
	job->owner = l;
	job->done = on_stepped;
	job->op.type = STORE_REPLAY_STEP;
	job->op.u.step.after = all->after;
	all->stepping = true;
	writer_post(l->writer, job);
	logger_turn(l);
}

static void
on_timer(void *arg)
{
	struct logger *l = arg;

	if (l->replays.open) {
		step(l);
		return;
	}
	loop_del_timer(l->loop, l->replays.timer);
	l->replays.timer = 0;
}

/* There is a job, or may be one. */
static void
open_jobs(struct logger *l)
{
	l->replays.open = true;
	if (l->replays.timer <= 0)
		l->replays.timer =
		    loop_add_timer(l->loop, REPLAY_STEP_MS, on_timer, l);
}

void
replay_init(struct logger *l)
{
	TAILQ_INIT(&l->replays.waiting);
}

void
replay_start(struct logger *l)
{
	open_jobs(l);
}

void
replay_tick(struct logger *l)
{
	struct replays *all = &l->replays;
	uint64_t now = loop_now_ms(l->loop);
	struct replay_ask *a, *next;

	if (all->open)
		open_jobs(l); /* there was no memory for the timer */
	for (a = TAILQ_FIRST(&all->waiting); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (now < a->until_ms)
			break;
		TAILQ_REMOVE(&all->waiting, a, entry);
		answer(a, NULL, MSG_COUNT_UNKNOWN);
	}
}

void
replay_done(struct logger *l)
{
	struct replay_ask *a, *next;

	loop_del_timer(l->loop, l->replays.timer);
	for (a = TAILQ_FIRST(&l->replays.waiting); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		ask_free(a);
	}
}

/* ---- messages ----------------------------------------------------------- */

static void
on_replayed(struct job *job)
{
	struct replay_ask *a = (struct replay_ask *)job;
	const struct store_replay *r = &job->op.u.replay;
	struct logger *l = a->logger;
	struct endpoint *e = endpoints_find(&l->endpoints, r->subscription);

	if (job->op.result == -ECANCELED) {
		ask_free(a);
	} else if (job->op.result < 0) {
		answer(a, job->op.reason, 0);
	} else if (!r->done) {
		a->until_ms = loop_now_ms(l->loop) + REPLAY_ANSWER_MS;
		TAILQ_INSERT_TAIL(&l->replays.waiting, a, entry);
		open_jobs(l);
	} else {
		l->counts.replayed += r->count;
		if (e != NULL) {
			endpoint_due(e, logger_now(l));
			endpoints_touch(&l->endpoints, e, logger_now(l));
		}
		answer(a, NULL, r->count);
	}
}

/* Why nothing is sent to the endpoint, or NULL. */
static const char *
why_held(const struct endpoint *e)
{
	if (e == NULL || e->deleted)
		return "gone: the subscription was deleted";
	if (!endpoint_sends(e))
		return "held: the subscription is not sent to";
	return NULL;
}

/* NULL, or why it makes no sense. */
static const char *
fill(struct logger *l, const struct msg *m, struct store_replay *r)
{
	struct id delivery = { { 0 } };
	const struct endpoint *e;

	*r = (struct store_replay){
		.app = (uint32_t)m->app,
		.subscription = (uint32_t)m->subscription,
		.from_ms = m->from_ms,
		.to_ms = m->to_ms,
		.state = (enum msg_state)m->state,
		.retention_ms = l->proc->config.retention_ms,
	};
	if (id_from(m->job, &r->job) < 0)
		return "invalid: no job";
	if (m->delivery.data != NULL) {
		if (id_from(m->delivery, &delivery) < 0)
			return "invalid: delivery";
		r->custody = id_custody(delivery);
		r->subscription = id_subscription(delivery);
		r->leased = fleet_find(&l->fleet, delivery) != NULL;
	}
	e = endpoints_find(&l->endpoints, r->subscription);
	r->held = why_held(e);
	if (m->delivery.data == NULL && (e == NULL || e->app->app != m->app))
		return "unknown: no such subscription";
	return NULL;
}

void
replay_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct replay_ask *a;
	struct msg m;
	const char *error;

	if (msg_unpack(bytes, &m) < 0) {
		peer_refuse(from, seq, "invalid: not a REPLAY");
		return;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		peer_refuse(from, seq, "busy: out of memory");
		return;
	}
	a->logger = l;
	a->from = peer_ref(from);
	a->seq = seq;
	a->query = m.query;
	a->job.done = on_replayed;
	a->job.op.type = STORE_REPLAY;
	error = fill(l, &m, &a->job.op.u.replay);
	if (error != NULL)
		answer(a, error, 0);
	else
		writer_post(l->writer, &a->job);
}
