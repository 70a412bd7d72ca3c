#include "deliverer/courier.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/log.h"
#include "deliverer/attempt.h"
#include "deliverer/grant.h"
#include "deliverer/lease.h"
#include "deliverer/outbox.h"
#include "deliverer/tally.h"

struct courier {
	struct courier_config config;
	struct link *link;
	struct transfers *transfers;
	struct lease_table leases;
	struct outbox outbox;
	struct source *sources;
	struct mail *posts, **posts_end; /* of this wake-up */
	struct id_maker ids;		 /* of probes */
	struct probe *probes;		 /* posted and not back */
	unsigned probe_count;
	int timer;
	bool draining, cut;
	uint64_t cut_at_ms; /* clock_mono_ms() */
	struct tally tally;
};

/* ---- what is granted -------------------------------------------------- */

static uint64_t
free_slots(const struct courier *c)
{
	uint64_t slots = c->config.transfers.slots;

	if (c->draining || c->leases.out >= slots ||
	    c->leases.body_bytes >= COURIER_BODY_BYTES ||
	    outbox_bytes(&c->outbox) >= COURIER_OUTCOME_BYTES)
		return 0;
	return slots - c->leases.out;
}

static void
grant(struct courier *c)
{
	bool probes = !c->draining && c->probe_count < COURIER_PROBE_SLOTS;

	grant_windows(c->sources, free_slots(c),
	    probes ? COURIER_PROBE_SLOTS - c->probe_count : 0);
}

static void
pump(struct courier *c)
{
	for (struct source *s = c->sources; s != NULL; s = s->next)
		outbox_pump(&c->outbox, s);
	grant(c);
	link_flush(c->link);
}

/* ---- what a lease came to ------------------------------------------- */

static void
lease_back(struct courier *c, struct lease *l)
{
	if (l->transfer.unsent != UNSENT_NOT) {
		c->tally.unsent[l->transfer.unsent]++;
	} else {
		attempt_decide(&c->config.policy, l);
		tally_attempt(&c->tally, l->verdict, l->transfer.status,
		    l->transfer.duration_ms);
		attempt_log(l);
		fail_point("deliverer.answered");
	}
	outbox_add(&c->outbox, l);
}

/* ---- what comes ------------------------------------------------------- */

/* Posted at the end of the wake-up, so that a thread wakes once for all. */
static void
post(struct courier *c, struct transfer *t)
{
	t->mail.next = NULL;
	*c->posts_end = &t->mail;
	c->posts_end = &t->mail.next;
}

static void
flush_posts(struct courier *c)
{
	struct mail *mail = c->posts;

	c->posts = NULL;
	c->posts_end = &c->posts;
	while (mail != NULL) {
		struct mail *next = mail->next;

		transfers_post(c->transfers, (struct transfer *)mail);
		mail = next;
	}
}

/* A body for this record: the one of the record before, if it fits. */
static int
fit_body(const struct msg *m, const struct msg *record, struct body **body)
{
	struct body *fresh;
	int r;

	if (*body != NULL && (*body)->attempt == record->attempt)
		return 0;
	r = body_make(m->body, m->hole, (uint32_t)record->attempt, &fresh);
	if (r < 0)
		return r;
	body_unref(*body);
	*body = fresh;
	return 0;
}

static struct lease *
take_lease(struct courier *c, struct source *s, const struct msg *record,
    struct slice event_type, struct body *body)
{
	struct lease *l = lease_new(record, event_type, body);

	if (l == NULL)
		return NULL; /* out of memory: the lease runs out */
	if (lease_table_add(&c->leases, l) < 0) {
		lease_free(l);
		return NULL;
	}
	l->source = s;
	l->received_ms = clock_mono_ms();
	l->transfer.fence = fence_ref(s->fence);
	return l;
}

static void
give_back(struct courier *c, struct lease *l, enum unsent why)
{
	l->transfer.unsent = why;
	lease_back(c, l);
}

/* An attempt that failed before it began: the schedule ends it in time. */
static void
fail(struct courier *c, struct lease *l, const char *why)
{
	l->transfer.verdict = MSG_VERDICT_RETRY;
	l->transfer.started_ms = clock_mono_ms();
	(void)snprintf(l->transfer.error, sizeof(l->transfer.error), "%s", why);
	lease_back(c, l);
}

static void
on_deliver(struct courier *c, struct source *s, const struct msg *m)
{
	uint64_t most = c->config.transfers.slots + COURIER_EXTRA_LEASES;
	struct msg_list list = m->deliveries;
	struct msg record;
	struct body *body = NULL;

	while (msg_next(&list, MSG_LEASE, &record)) {
		int r = fit_body(m, &record, &body);
		struct lease *l = take_lease(
		    c, s, &record, m->event_type, r == 0 ? body : NULL);

		if (l == NULL)
			continue;
		if (c->draining)
			give_back(c, l, UNSENT_DRAINED);
		else if (r == -EBADMSG)
			fail(c, l, "body: it has no place for the attempt");
		else if (r < 0 || c->leases.out > most)
			give_back(c, l, UNSENT_FULL);
		else
			post(c, &l->transfer);
	}
	body_unref(body);
}

static const char *
on_probe(struct courier *c, struct source *s, const struct msg *m)
{
	struct probe *p;

	if (c->draining)
		return "drain: the deliverer stops";
	if (c->probe_count >= 2 * COURIER_PROBE_SLOTS)
		return "full: too many probes";
	p = probe_new(m, id_make(&c->ids));
	if (p == NULL)
		return "full: out of memory";
	p->source = s;
	p->next = c->probes;
	c->probes = p;
	c->probe_count++;
	c->tally.probes++;
	post(c, &p->transfer);
	return NULL;
}

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct courier *c = arg;
	struct source *s = link_peer_data(peer);
	const char *why = NULL;
	struct msg m;

	if (s == NULL)
		why = "full: out of memory";
	else if (msg_unpack(message, &m) < 0)
		why = "bad: the message cannot be read";
	else if (type == MSG_DELIVER)
		on_deliver(c, s, &m);
	else if (type == MSG_PROBE)
		why = on_probe(c, s, &m);
	else
		why = "bad: no deliverer takes this";
	if (why == NULL) {
		link_complete(peer, seq);
		return;
	}
	log_warn("message=%s from=%s refused: %s", msg_name(type),
	    link_peer_instance(peer), why);
	link_refuse(peer, seq, why);
}

static void
on_batch(void *arg)
{
	struct courier *c = arg;

	flush_posts(c);
	pump(c);
}

/* ---- what is back ----------------------------------------------------- */

static void
probe_back(struct courier *c, struct probe *p)
{
	struct probe **at = &c->probes;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	c->probe_count--;
	if (p->transfer.unsent != UNSENT_NOT)
		(void)snprintf(p->transfer.error, sizeof(p->transfer.error),
		    "aborted: the deliverer was stopped");
	if (p->transfer.verdict == MSG_VERDICT_NONE)
		p->transfer.verdict = MSG_VERDICT_RETRY;
	if (p->source == NULL)
		probe_free(p);
	else
		outbox_add_probe(p->source, p);
}

static void
take_back(struct courier *c)
{
	struct mail *mail = transfers_take(c->transfers);

	while (mail != NULL) {
		struct transfer *t = (struct transfer *)mail;

		mail = mail->next;
		if (t->probe)
			probe_back(c, (struct probe *)t);
		else
			lease_back(c, (struct lease *)t);
	}
}

static void
on_back(void *arg)
{
	struct courier *c = arg;

	take_back(c);
	pump(c);
}

/* ---- sessions --------------------------------------------------------- */

/* The other side gave the session up: it has leased anew what we hold. */
static void
end_orphans(struct courier *c)
{
	struct lease *l = NULL;

	while ((l = lease_next(&c->leases, l)) != NULL)
		if (l->source == NULL && l->state == LEASE_OUT)
			atomic_store(&l->transfer.fence->ended, true);
}

static void
on_up(void *arg, struct link_peer *peer)
{
	struct courier *c = arg;
	struct source *s;

	if (link_peer_was_dead(peer))
		end_orphans(c);
	s = source_new(&c->outbox, peer);
	if (s == NULL) {
		log_error("out of memory for the session of %s",
		    link_peer_instance(peer));
		return;
	}
	s->fenced = true; /* until the first PONG */
	s->next = c->sources;
	c->sources = s;
	link_peer_set_data(peer, s);
}

static void
on_down(void *arg, struct link_peer *peer, const char *why)
{
	struct courier *c = arg;
	struct source *s = link_peer_data(peer), **at = &c->sources;

	(void)why;
	if (s == NULL)
		return;
	for (struct probe *p = c->probes; p != NULL; p = p->next)
		if (p->source == s)
			p->source = NULL;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	source_free(&c->outbox, s);
}

static void
on_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	struct courier *c = arg;
	struct source *s = link_peer_data(peer);

	if (s != NULL && lane == MSG_LANE_RESULT)
		outbox_pump(&c->outbox, s);
}

static void
on_completed(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct courier *c = arg;

	outbox_completed(&c->outbox, link_peer_data(peer), cookie);
}

static void
on_refused(
    void *arg, struct link_peer *peer, uint64_t cookie, struct slice reason)
{
	struct courier *c = arg;

	outbox_refused(&c->outbox, link_peer_data(peer), cookie, reason);
}

static void
on_returned(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct courier *c = arg;

	(void)peer;
	outbox_returned(&c->outbox, cookie);
}

static void
on_tick(void *arg)
{
	struct courier *c = arg;

	c->tally.fences += grant_watch(c->sources, clock_mono_ms());
	if (c->draining && !c->cut && clock_mono_ms() >= c->cut_at_ms) {
		c->cut = true;
		transfers_abort(c->transfers);
	}
	pump(c);
}

/* ---- life ------------------------------------------------------------- */

static const struct link_ops ops = {
	.on_up = on_up,
	.on_down = on_down,
	.on_message = on_message,
	.on_batch = on_batch,
	.on_room = on_room,
	.on_completed = on_completed,
	.on_refused = on_refused,
	.on_returned = on_returned,
};

int
courier_new(const struct courier_config *config, struct courier **ret_courier)
{
	struct courier *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->config = *config;
	c->posts_end = &c->posts;
	id_maker_init(&c->ids);
	outbox_init(&c->outbox, &c->leases);
	r = transfers_new(&config->transfers, &c->transfers);
	if (r == 0)
		r = link_new(config->loop, &config->link, &ops, c, &c->link);
	if (r == 0)
		r = loop_add_fd(
		    config->loop, transfers_fd(c->transfers), on_back, c);
	if (r == 0)
		r = loop_add_timer(config->loop, COURIER_TICK_MS, on_tick, c);
	if (r < 0) {
		courier_free(c);
		return r;
	}
	c->timer = r;
	for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
		link_set_window(c->link, (enum msg_lane)lane, 0, 0);
	*ret_courier = c;
	return 0;
}

static void
free_rest(struct courier *c)
{
	struct lease *l = NULL;

	while (c->sources != NULL) {
		struct source *s = c->sources;

		c->sources = s->next;
		source_free(&c->outbox, s);
	}
	while (c->probes != NULL) {
		struct probe *p = c->probes;

		c->probes = p->next;
		probe_free(p);
	}
	while ((l = lease_next(&c->leases, l)) != NULL)
		fence_unref(l->transfer.fence);
	lease_table_done(&c->leases);
	outbox_done(&c->outbox);
}

void
courier_free(struct courier *c)
{
	if (c == NULL)
		return;
	if (c->timer > 0)
		loop_del_timer(c->config.loop, c->timer);
	link_free(c->link);
	if (c->transfers != NULL) {
		loop_del_fd(c->config.loop, transfers_fd(c->transfers));
		transfers_stop(c->transfers);
		(void)transfers_take(c->transfers);
		transfers_free(c->transfers);
	}
	free_rest(c);
	free(c);
}

struct link *
courier_link(struct courier *c)
{
	return c->link;
}

bool
courier_ready(const struct courier *c)
{
	return grant_sources(c->sources) > 0;
}

void
courier_drain(struct courier *c, uint64_t limit_ms)
{
	c->draining = true;
	c->cut_at_ms = clock_mono_ms() + limit_ms;
	transfers_drain(c->transfers);
	pump(c);
}

bool
courier_drained(struct courier *c)
{
	return c->leases.count == 0 && c->probe_count == 0 &&
	       link_unacked(c->link) == 0;
}

int
courier_metrics(const struct courier *c, struct buf *out)
{
	int r = tally_metrics(&c->tally, out);

	if (r == 0)
		r = buf_addf(out,
		    "# TYPE sluice_deliverer_in_flight gauge\n"
		    "sluice_deliverer_in_flight %" PRIu32 "\n"
		    "# TYPE sluice_deliverer_leases gauge\n"
		    "sluice_deliverer_leases{state=\"out\"} %" PRIu32 "\n"
		    "sluice_deliverer_leases{state=\"unacked\"} %" PRIu32 "\n"
		    "# TYPE sluice_deliverer_unacked_bytes gauge\n"
		    "sluice_deliverer_unacked_bytes %" PRIu64 "\n"
		    "# TYPE sluice_deliverer_slots gauge\n"
		    "sluice_deliverer_slots %u\n",
		    transfers_in_flight(c->transfers), c->leases.out,
		    c->leases.count - c->leases.out, outbox_bytes(&c->outbox),
		    c->config.transfers.slots);
	return r == 0 ? link_metrics(c->link, out) : r;
}
