/*
 * What matching and planning cost: prints, asserts nothing about time.
 *
 * One event that one subscription wants, with 10 and with 100,000 others that
 * do not: in other applications, of other event types, with other scopes.
 * Then a fan-out to all of them, and an event's whole way through the plan
 * (copy, unpack, match, pack), each without sockets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "router/match.h"
#include "router/plan.h"

#define MANY 100000u
#define EVENTS 200000u

enum others { OTHER_APPS, OTHER_TYPES, OTHER_SCOPES, OTHERS_MAX };

static void
must(int r)
{
	if (r < 0) {
		fprintf(stderr, "bench: %s\n", strerror(-r));
		exit(1);
	}
}

static void
put(struct match *m, uint64_t app, uint64_t number, const char *events,
    const char *scopes)
{
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.app = app,
		.subscription = number,
		.unified_api = slice_text("crm"),
		.events = slice_text(events),
		.scopes = slice_text(scopes) };

	must(match_entry(m, &e, 1));
}

static void
put_other(struct match *m, enum others others, uint32_t i)
{
	char text[128];

	switch (others) {
	case OTHER_APPS:
		put(m, 2 + i, 2 + i, "crm.contact.created,crm.lead.*", NULL);
		return;
	case OTHER_TYPES:
		(void)snprintf(
		    text, sizeof(text), "crm.contact.type%u,crm.t%u.*", i, i);
		put(m, 1, 2 + i, text, NULL);
		return;
	case OTHER_SCOPES:
		(void)snprintf(
		    text, sizeof(text), "{\"consumer_id\":[\"other-%u\"]}", i);
		put(m, 1, 2 + i, "crm.contact.created,crm.*", text);
		return;
	case OTHERS_MAX:
		return;
	}
}

static struct msg
make_event(void)
{
	static const uint8_t custody[16] = { 1 };
	static uint8_t body[950];

	memset(body, 'x', sizeof(body));
	return (struct msg){ .type = MSG_EVENT,
		.custody = { custody, sizeof(custody) },
		.app = 1,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm"),
		.service_id = slice_text("hubspot"),
		.consumer_id = slice_text("test_user_id"),
		.entity_id = slice_text("123456ASDF"),
		.entity_type = slice_text("contact"),
		.request_id = { custody, sizeof(custody) },
		.body = { body, sizeof(body) },
		.hole = 12,
		.number = 5 };
}

/* Nanoseconds per event; the number of targets through ret_targets. */
static double
time_match(struct match *m, unsigned events, size_t *ret_targets)
{
	struct msg event = make_event();
	struct targets t = { NULL, 0, 0 };
	uint64_t start = clock_mono_us();
	double ns;

	for (unsigned i = 0; i < events; i++)
		must(match_event(m, &event, &t));
	ns = (double)(clock_mono_us() - start) * 1000 / events;
	*ret_targets = t.count;
	targets_done(&t);
	return ns;
}

static void
bench_others(enum others others, const char *name)
{
	double ns[2];

	for (unsigned k = 0; k < 2; k++) {
		struct match *m = match_new();
		size_t targets;

		if (m == NULL)
			exit(1);
		put(m, 1, 1, "crm.contact.created", NULL);
		for (uint32_t i = 0; i < (k == 0 ? 10 : MANY); i++)
			put_other(m, others, i);
		ns[k] = time_match(m, EVENTS, &targets);
		if (targets != 1)
			exit(1);
		match_free(m);
	}
	printf("match one of %-12s 10: %6.0f ns   %u: %6.0f ns   x%.2f\n", name,
	    ns[0], MANY, ns[1], ns[1] / ns[0]);
}

static void
bench_all(void)
{
	struct match *m = match_new();
	uint64_t start = clock_mono_us();
	size_t targets;
	double ns;

	if (m == NULL)
		exit(1);
	for (uint32_t i = 0; i < MANY; i++)
		put(m, 1, i + 1, "crm.contact.created,crm.lead.created", NULL);
	printf("put in %u subscriptions: %.0f ms\n", MANY,
	    (double)(clock_mono_us() - start) / 1000);
	ns = time_match(m, 100, &targets);
	printf("match all of %zu: %.1f ms\n", targets, ns / 1e6);
	match_free(m);
}

/* ---- the plan without sockets ----------------------------------------- */

struct sink {
	uint64_t cookies[64];
	unsigned count;
};

static bool
has_room(void *arg)
{
	const struct sink *s = arg;

	return s->count < 64;
}

static int
take(void *arg, struct slice part, uint64_t cookie)
{
	struct sink *s = arg;

	(void)part;
	s->cookies[s->count++] = cookie;
	return 0;
}

static void
complete(void *arg, void *peer, uint64_t seq)
{
	(void)arg;
	(void)peer;
	(void)seq;
}

static void
refuse(void *arg, void *peer, uint64_t seq, const char *reason)
{
	(void)arg;
	(void)peer;
	(void)seq;
	fprintf(stderr, "bench: refused: %s\n", reason);
	exit(1);
}

static void
bench_plan(void)
{
	static const struct plan_ops ops = { has_room, take, complete, refuse };
	struct sink sink = { .count = 0 };
	struct match *m = match_new();
	struct plan *p = m == NULL ? NULL : plan_new(&ops, &sink, m);
	struct plan_source *s = p == NULL ? NULL : plan_source_new(p, &sink);
	struct msg event = make_event();
	struct buf bytes;
	uint64_t start;

	if (s == NULL)
		exit(1);
	buf_init(&bytes, LIMIT_MESSAGE_BYTES);
	must(msg_pack(&event, &bytes));
	put(m, 1, 1, "*", NULL);
	start = clock_mono_us();
	for (unsigned i = 0; i < EVENTS; i += 64) {
		for (unsigned k = 0; k < 64; k++)
			must(plan_event(p, s, i + k, buf_slice(&bytes), 1));
		(void)plan_pump(p, 1, 1);
		while (sink.count > 0)
			plan_completed(p, sink.cookies[--sink.count]);
	}
	printf("plan of one event of 1 kB for one subscription: %.0f ns\n",
	    (double)(clock_mono_us() - start) * 1000 / EVENTS);
	buf_done(&bytes);
	plan_free(p);
	match_free(m);
}

int
main(void)
{
	bench_others(OTHER_APPS, "applications");
	bench_others(OTHER_TYPES, "types");
	bench_others(OTHER_SCOPES, "scopes");
	bench_all();
	bench_plan();
	return 0;
}
