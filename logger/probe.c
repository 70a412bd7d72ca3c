#include "logger/logger.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define PROBE_MS 10000 /* it has an answer by then, or none */
#define GRACE_MS 500   /* for a deliverer to say so */
#define PROBE_TRIES 2  /* one that came back undone is sent once more */

/* A PROBE of an api, passed on to a deliverer under a number of our own. */
struct probe {
	struct probe *next;
	struct peer *from;
	uint64_t asked; /* the api's number */
	uint64_t query; /* ours */
	uint64_t ends_ms;
	struct deliverer *deliverer; /* NULL: waits for one */
	unsigned tries;
	size_t len;
	uint8_t bytes[];
};

static void
unlink_probe(struct logger *l, struct probe *probe)
{
	struct probe **at = &l->probes.first;

	while (*at != probe)
		at = &(*at)->next;
	*at = probe->next;
	l->probes.count--;
	peer_unref(probe->from);
	free(probe);
}

static void
answer(struct logger *l, struct probe *probe, struct msg *probed)
{
	int r;

	probed->query = probe->asked;
	buf_clear(&l->packed);
	r = msg_pack(probed, &l->packed);
	if (r == 0 && probe->from->link != NULL)
		r = link_send(
		    probe->from->link, MSG_PROBED, buf_slice(&l->packed), 0);
	if (r < 0)
		log_warn("probed error=%d", r);
	unlink_probe(l, probe);
}

/* No verdict: it says nothing about the URL. */
static void
fail(struct logger *l, struct probe *probe, const char *error)
{
	struct msg m = { .type = MSG_PROBED,
		.verdict = MSG_VERDICT_NONE,
		.error = slice_text(error) };

	answer(l, probe, &m);
}

/* To the deliverer with most room; leaves it waiting when there is none. */
static void
pass_on(struct logger *l, struct probe *probe)
{
	uint64_t now = loop_now_ms(l->loop);
	struct deliverer *d, *best = NULL;
	struct msg m;

	TAILQ_FOREACH(d, &l->fleet.deliverers, entry)
	if (d->peer != NULL && (best == NULL || d->out < best->out))
		best = d;
	if (best == NULL || probe->ends_ms <= now ||
	    msg_unpack((struct slice){ probe->bytes, probe->len }, &m) < 0)
		return;
	m.query = probe->query;
	if (m.timeout_ms == 0 || m.timeout_ms > probe->ends_ms - now)
		m.timeout_ms = probe->ends_ms - now;
	buf_clear(&l->packed);
	if (msg_pack(&m, &l->packed) < 0 ||
	    link_send(best->peer, MSG_PROBE, buf_slice(&l->packed), 0) < 0)
		return;
	probe->deliverer = best;
	probe->tries++;
}

void
probe_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct probe *probe;
	struct msg m;

	if (msg_unpack(bytes, &m) < 0) {
		peer_refuse(from, seq, "invalid: not a PROBE");
		return;
	}
	probe = l->probes.count < LOGGER_PROBES_MAX
		    ? calloc(1, sizeof(*probe) + bytes.len)
		    : NULL;
	if (probe == NULL) {
		peer_refuse(from, seq, "busy: too many probes");
		return;
	}
	memcpy(probe->bytes, bytes.data, bytes.len);
	probe->len = bytes.len;
	probe->from = peer_ref(from);
	probe->asked = m.query;
	probe->query = ++l->probes.next;
	probe->ends_ms = loop_now_ms(l->loop) + PROBE_MS;
	probe->next = l->probes.first;
	l->probes.first = probe;
	l->probes.count++;
	peer_complete(from, seq);
	pass_on(l, probe);
}

void
probed_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct probe *probe = l->probes.first;
	struct msg m;

	if (msg_unpack(bytes, &m) < 0) {
		peer_refuse(from, seq, "invalid: not a PROBED");
		return;
	}
	peer_complete(from, seq);
	while (probe != NULL && probe->query != m.query)
		probe = probe->next;
	if (probe != NULL)
		answer(l, probe, &m);
}

void
probe_deliverer_down(struct logger *l, const struct deliverer *d)
{
	struct probe *next;

	for (struct probe *probe = l->probes.first; probe != NULL;
	    probe = next) {
		next = probe->next;
		if (probe->deliverer != d)
			continue;
		probe->deliverer = NULL;
		if (probe->tries >= PROBE_TRIES)
			fail(l, probe, "the deliverers that had it went away");
		else
			pass_on(l, probe);
	}
}

void
probe_tick(struct logger *l)
{
	uint64_t now = loop_now_ms(l->loop);
	struct probe *next;

	for (struct probe *probe = l->probes.first; probe != NULL;
	    probe = next) {
		next = probe->next;
		if (probe->ends_ms +
			(probe->deliverer != NULL ? GRACE_MS : 0) <=
		    now)
			fail(l, probe,
			    probe->deliverer == NULL
				? "no deliverer is connected"
				: "no answer in time");
		else if (probe->deliverer == NULL)
			pass_on(l, probe);
	}
}

void
probe_done(struct logger *l)
{
	while (l->probes.first != NULL)
		unlink_probe(l, l->probes.first);
}
