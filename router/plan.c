#include "router/plan.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/fail_point.h"
#include "common/msg.h"
#include "router/part.h"

/* Each has a list of the events in it. */
enum event_state {
	EVENT_WAITING,	 /* for its first turn */
	EVENT_AGAIN,	 /* for another, before the ones that wait */
	EVENT_SPREADING, /* some parts not sent yet */
	EVENT_SENT,	 /* all parts sent, answers missing */
	EVENT_SETTLING,	 /* will not succeed this time, answers missing */
	EVENT_STALE,	 /* for a newer directory */
	EVENT_STATE_MAX
};

/* What is to become of a settling event; the larger one holds. */
enum outcome { OUTCOME_NONE, OUTCOME_RETURNED, OUTCOME_STALE, OUTCOME_REFUSED };

struct event {
	TAILQ_ENTRY(event) in_state;
	TAILQ_ENTRY(event) in_source;
	struct plan_source *source; /* NULL: gone */
	uint64_t seq;
	uint64_t arrived_ms;
	enum event_state state;
	enum outcome outcome;
	char *reason;		/* of a refusal, or NULL */
	uint32_t in_flight;	/* parts on the way */
	uint32_t part, parts;	/* next one to send, of how many */
	uint64_t number;	/* directory of the match */
	uint64_t stale_number;	/* it was refused as stale with this one */
	struct targets targets; /* while spreading */
	size_t len;
	uint8_t bytes[];
};

TAILQ_HEAD(event_list, event);

struct plan_source {
	TAILQ_ENTRY(plan_source) link;
	void *peer;
	struct event_list events;
	unsigned count;
};

struct plan {
	const struct plan_ops *ops;
	void *arg;
	struct match *match;
	struct event_list lists[EVENT_STATE_MAX];
	TAILQ_HEAD(source_list, plan_source) sources;
	struct plan_counts counts;
	uint64_t now_ms;      /* of this pump */
	uint64_t number;      /* likewise */
	bool crowded;	      /* no room for another large match */
	struct targets found; /* newest match; memory is reused */
	struct buf records, part;
};

/* ---- events ----------------------------------------------------------- */

static void
set_state(struct plan *p, struct event *e, enum event_state state)
{
	TAILQ_REMOVE(&p->lists[e->state], e, in_state);
	p->counts.waiting_stale -= e->state == EVENT_STALE;
	p->counts.waiting_stale += state == EVENT_STALE;
	e->state = state;
	TAILQ_INSERT_TAIL(&p->lists[state], e, in_state);
}

static void
drop_targets(struct plan *p, struct event *e)
{
	if (e->targets.cap == 0)
		return;
	p->counts.targets -= e->targets.cap;
	p->crowded = false;
	targets_done(&e->targets);
}

static void
leave_source(struct event *e)
{
	if (e->source == NULL)
		return;
	TAILQ_REMOVE(&e->source->events, e, in_source);
	e->source->count--;
	e->source = NULL;
}

static void
free_event(struct plan *p, struct event *e)
{
	leave_source(e);
	drop_targets(p, e);
	TAILQ_REMOVE(&p->lists[e->state], e, in_state);
	p->counts.waiting_stale -= e->state == EVENT_STALE;
	p->counts.waiting--;
	free(e->reason);
	free(e);
}

static void
refuse(struct plan *p, struct event *e, const char *reason)
{
	p->counts.refused++;
	if (e->source != NULL)
		p->ops->refuse(p->arg, e->source->peer, e->seq, reason);
	free_event(p, e);
}

static void
retry_stale(struct plan *p, unsigned max)
{
	const struct event_list *stale = &p->lists[EVENT_STALE];

	for (; max > 0 && !TAILQ_EMPTY(stale); max--)
		set_state(p, TAILQ_FIRST(stale), EVENT_AGAIN);
}

static void
done(struct plan *p, struct event *e)
{
	p->counts.planned++;
	fail_point("router.ack");
	/* The logger takes what it called stale before: so it was not the
	 * directory that it waited for, and the others may go, too. */
	if (e->stale_number != 0 && e->stale_number == e->number)
		retry_stale(p, UINT_MAX);
	if (e->source != NULL)
		p->ops->complete(p->arg, e->source->peer, e->seq);
	free_event(p, e);
}

/* Called whenever an answer came in or the outcome was decided. */
static void
settle(struct plan *p, struct event *e)
{
	if (e->in_flight > 0)
		return;
	if (e->state == EVENT_SENT) {
		done(p, e);
		return;
	}
	if (e->state != EVENT_SETTLING)
		return; /* spreading */
	if (e->source == NULL) {
		free_event(p, e);
		return;
	}
	switch (e->outcome) {
	case OUTCOME_REFUSED:
		refuse(p, e, e->reason == NULL ? "refused" : e->reason);
		return;
	case OUTCOME_STALE:
		e->stale_number = e->number;
		e->outcome = OUTCOME_NONE;
		set_state(
		    p, e, e->number == p->number ? EVENT_STALE : EVENT_AGAIN);
		return;
	case OUTCOME_NONE:
	case OUTCOME_RETURNED:
		e->outcome = OUTCOME_NONE;
		set_state(p, e, EVENT_AGAIN);
		return;
	}
}

static void
decide(struct plan *p, struct event *e, enum outcome outcome)
{
	if (outcome > e->outcome)
		e->outcome = outcome;
	drop_targets(p, e);
	if (e->state != EVENT_SETTLING)
		set_state(p, e, EVENT_SETTLING);
	settle(p, e);
}

/* ---- sending ---------------------------------------------------------- */

static int
unpack(const struct event *e, struct msg *ret_msg)
{
	return part_unpack((struct slice){ e->bytes, e->len }, ret_msg);
}

/* Sends the next part; m is the event, and is used up. */
static int
send_part(struct plan *p, struct event *e, struct msg *m,
    const struct targets *targets)
{
	struct part part = { .number = e->number,
		.part = e->part,
		.parts = e->parts,
		.held_ms = p->now_ms - e->arrived_ms,
		.targets = targets };
	int r = part_pack(&part, m, &p->records, &p->part);

	if (r == 0)
		r = p->ops->send(
		    p->arg, buf_slice(&p->part), (uint64_t)(uintptr_t)e);
	if (r < 0)
		return r;
	fail_point("router.plan");
	p->counts.in_flight++;
	p->counts.parts++;
	p->counts.matches += part_size(targets->count, e->part);
	p->counts.unmatched += targets->count == 0;
	e->in_flight++;
	e->part++;
	if (e->part == e->parts) {
		drop_targets(p, e);
		set_state(p, e, EVENT_SENT);
	}
	return 0;
}

/* 0: go on; -EAGAIN: no more now. */
static int
judge(struct plan *p, struct event *e, int r)
{
	if (r == 0 || r == -EAGAIN)
		return r;
	if (r == -ENOMEM)
		return -EAGAIN;
	if (e->reason == NULL)
		e->reason = strdup("malformed: no plan can be made of it");
	decide(p, e, OUTCOME_REFUSED);
	return 0;
}

/* Takes the newest match along, for the parts to come. -EBUSY: too many such
 * events already. */
static int
keep_targets(struct plan *p, struct event *e)
{
	if (p->counts.targets > 0 &&
	    p->counts.targets + p->found.cap > PLAN_TARGETS_MAX)
		return -EBUSY;
	e->targets = p->found;
	memset(&p->found, 0, sizeof(p->found));
	p->counts.targets += e->targets.cap;
	set_state(p, e, EVENT_SPREADING);
	return 0;
}

/* Matches an event and sends its first part. */
static int
start(struct plan *p, struct event *e)
{
	struct msg m;
	int r = unpack(e, &m);

	if (r == 0)
		r = m.subscription != 0 ? match_one(p->match, &m, &p->found)
					: match_event(p->match, &m, &p->found);
	if (r < 0)
		return judge(p, e, r);
	e->number = p->number;
	e->part = 0;
	e->parts = part_count(p->found.count);
	if (e->parts > 1) {
		if (keep_targets(p, e) == 0)
			return judge(p, e, send_part(p, e, &m, &e->targets));
		p->crowded = true;
		return 0;
	}
	return judge(p, e, send_part(p, e, &m, &p->found));
}

/* Sends the next part of an event that has several. */
static int
spread(struct plan *p, struct event *e)
{
	struct msg m;
	int r = unpack(e, &m);

	if (r == 0)
		r = send_part(p, e, &m, &e->targets);
	if (r == 0 && e->state == EVENT_SPREADING)
		set_state(p, e, EVENT_SPREADING); /* to the end of the list */
	return judge(p, e, r);
}

static struct event *
next_to_start(struct plan *p)
{
	struct event *e = TAILQ_FIRST(&p->lists[EVENT_AGAIN]);

	if (p->crowded)
		return NULL;
	return e != NULL ? e : TAILQ_FIRST(&p->lists[EVENT_WAITING]);
}

bool
plan_pump(struct plan *p, uint64_t number, uint64_t now_ms)
{
	uint64_t sent = p->counts.parts;
	bool may_start = true; /* else an odd turn: parts of the large ones */
	int r = 0;

	p->number = number;
	p->now_ms = now_ms;
	while (r == 0 && p->ops->has_room(p->arg)) {
		struct event *fresh = next_to_start(p);
		struct event *large = TAILQ_FIRST(&p->lists[EVENT_SPREADING]);

		if (fresh != NULL && (may_start || large == NULL))
			r = start(p, fresh);
		else if (large != NULL)
			r = spread(p, large);
		else
			break;
		may_start = !may_start;
	}
	return p->counts.parts > sent;
}

/* ---- answers ---------------------------------------------------------- */

static struct event *
take_answer(struct plan *p, uint64_t cookie)
{
	struct event *e = (struct event *)(uintptr_t)cookie;

	e->in_flight--;
	p->counts.in_flight--;
	return e;
}

void
plan_completed(struct plan *p, uint64_t cookie)
{
	settle(p, take_answer(p, cookie));
}

/* The logger has nothing against the event: it is to come again. */
static bool
means_again(struct slice reason)
{
	static const char *const words[] = { "stale", "busy" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i]);

		if (reason.len >= len &&
		    memcmp(reason.data, words[i], len) == 0)
			return true;
	}
	return false;
}

void
plan_refused(struct plan *p, uint64_t cookie, struct slice reason)
{
	struct event *e = take_answer(p, cookie);

	if (means_again(reason)) {
		p->counts.stale++;
		decide(p, e, OUTCOME_STALE);
		return;
	}
	if (e->reason == NULL && reason.len > 0)
		e->reason = slice_dup(reason);
	decide(p, e, OUTCOME_REFUSED);
}

void
plan_returned(struct plan *p, uint64_t cookie)
{
	p->counts.returned++;
	decide(p, take_answer(p, cookie), OUTCOME_RETURNED);
}

void
plan_advance(struct plan *p)
{
	retry_stale(p, UINT_MAX);
}

void
plan_tick(struct plan *p)
{
	retry_stale(p, PLAN_STALE_PROBES);
}

/* ---- sources ---------------------------------------------------------- */

struct plan_source *
plan_source_new(struct plan *p, void *peer)
{
	struct plan_source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->peer = peer;
	TAILQ_INIT(&s->events);
	TAILQ_INSERT_TAIL(&p->sources, s, link);
	return s;
}

void
plan_source_free(struct plan *p, struct plan_source *s)
{
	struct event *e;

	if (s == NULL)
		return;
	while ((e = TAILQ_FIRST(&s->events)) != NULL) {
		p->counts.dropped++;
		/* It takes e out of the list.
		 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		leave_source(e);
		decide(p, e, OUTCOME_NONE);
	}
	TAILQ_REMOVE(&p->sources, s, link);
	free(s);
}

int
plan_event(struct plan *p, struct plan_source *s, uint64_t seq,
    struct slice event, uint64_t now_ms)
{
	struct event *e;

	if (s->count >= PLAN_SOURCE_MAX)
		return -ENOBUFS;
	e = malloc(sizeof(*e) + event.len);
	if (e == NULL)
		return -ENOMEM;
	memset(e, 0, sizeof(*e));
	e->source = s;
	e->seq = seq;
	e->arrived_ms = now_ms;
	e->len = event.len;
	memcpy(e->bytes, event.data, event.len);
	e->state = EVENT_WAITING;
	TAILQ_INSERT_TAIL(&p->lists[EVENT_WAITING], e, in_state);
	TAILQ_INSERT_TAIL(&s->events, e, in_source);
	s->count++;
	p->counts.events++;
	p->counts.waiting++;
	return 0;
}

/* ---- the module ------------------------------------------------------- */

struct plan *
plan_new(const struct plan_ops *ops, void *arg, struct match *match)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->ops = ops;
	p->arg = arg;
	p->match = match;
	for (int i = 0; i < EVENT_STATE_MAX; i++)
		TAILQ_INIT(&p->lists[i]);
	TAILQ_INIT(&p->sources);
	buf_init(&p->records, PART_RECORDS_BYTES);
	buf_init(&p->part, LIMIT_MESSAGE_BYTES);
	return p;
}

void
plan_free(struct plan *p)
{
	struct plan_source *s;
	struct event *e;

	if (p == NULL)
		return;
	for (int i = 0; i < EVENT_STATE_MAX; i++)
		while ((e = TAILQ_FIRST(&p->lists[i])) != NULL)
			/* It takes e out of the list.
			 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
			free_event(p, e);
	while ((s = TAILQ_FIRST(&p->sources)) != NULL)
		plan_source_free(p, s);
	targets_done(&p->found);
	buf_done(&p->records);
	buf_done(&p->part);
	free(p);
}

const struct plan_counts *
plan_counts(const struct plan *p)
{
	return &p->counts;
}
