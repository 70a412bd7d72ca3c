#include "router/router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/link.h"
#include "common/log.h"
#include "router/credit.h"
#include "router/directory.h"
#include "router/match.h"
#include "router/plan.h"
#include "router/port.h"

#define GOVERN_MS 250
#define STALE_MS 100

struct router {
	struct proc *proc;
	struct port ports[STAGE_MAX]; /* ingest, api and logger are used */
	struct match *match;
	struct directory directory;
	struct plan *plan;
	struct credit credit;
	bool full;	 /* no logger took the newest part */
	int stale_timer; /* 0: none; runs while something is stale */
};

/* ---- what the sources may send ---------------------------------------- */

static bool
has_room(const struct router *r)
{
	const struct port *loggers = &r->ports[STAGE_LOGGER];
	struct link_peer *p = link_peer_next(loggers->link, NULL);

	for (; p != NULL; p = link_peer_next(loggers->link, p))
		if (link_room(p, MSG_LANE_WORK) > 0)
			return true;
	return false;
}

/* A logger takes plans, or is at work on ours. */
static bool
has_outlet(const struct router *r)
{
	return r->credit.loggers > 0 &&
	       (has_room(r) || plan_counts(r->plan)->in_flight > 0);
}

static void
grant(struct router *r, uint64_t bytes)
{
	uint64_t messages = bytes == 0 ? 0 : CREDIT_MESSAGES;

	if (bytes == r->credit.granted_bytes)
		return;
	if ((bytes == 0) != (r->credit.granted_bytes == 0))
		log_info("credit=%s directory=%llu loggers=%u",
		    bytes == 0 ? "withdrawn" : "granted",
		    (unsigned long long)directory_number(&r->directory),
		    r->credit.loggers);
	r->credit.granted_bytes = bytes;
	link_set_window(
	    r->ports[STAGE_INGEST].link, MSG_LANE_WORK, messages, bytes);
	link_set_window(
	    r->ports[STAGE_API].link, MSG_LANE_WORK, messages, bytes);
}

static void
govern(struct router *r)
{
	r->credit.whole = directory_whole(&r->directory);
	r->credit.outlet = has_outlet(r);
	grant(r, credit_bytes(&r->credit));
}

/* ---- the work --------------------------------------------------------- */

static void
flush(struct router *r)
{
	link_flush(r->ports[STAGE_LOGGER].link);
	link_flush(r->ports[STAGE_INGEST].link);
	link_flush(r->ports[STAGE_API].link);
}

static void on_stale_tick(void *arg);

static void
set_stale_timer(struct router *r)
{
	bool wanted = plan_counts(r->plan)->waiting_stale > 0;

	if (wanted && r->stale_timer <= 0) {
		r->stale_timer =
		    loop_add_timer(r->proc->loop, STALE_MS, on_stale_tick, r);
		if (r->stale_timer < 0)
			log_warn("no memory for a timer");
	} else if (!wanted && r->stale_timer > 0) {
		loop_del_timer(r->proc->loop, r->stale_timer);
		r->stale_timer = 0;
	}
}

/* After whatever happened: sends, grants and flushes what is due. */
static void
work(struct router *r)
{
	if (r->directory.advanced) {
		r->directory.advanced = false;
		plan_advance(r->plan);
	}
	if (directory_whole(&r->directory))
		(void)plan_pump(
		    r->plan, directory_number(&r->directory), clock_mono_ms());
	set_stale_timer(r);
	govern(r);
	flush(r);
}

static void
on_stale_tick(void *arg)
{
	struct router *r = arg;

	plan_tick(r->plan);
	work(r);
}

static void
on_govern_tick(void *arg)
{
	struct router *r = arg;

	if (!has_outlet(r))
		r->full = false; /* try again what failed for memory */
	work(r);
	credit_tick(&r->credit);
}

/* ---- the plan's side of it -------------------------------------------- */

static bool
on_plan_has_room(void *arg)
{
	const struct router *r = arg;

	return r->credit.loggers > 0 && !r->full;
}

/* Tried even when a logger has no room: only then on_room is due. */
static int
on_plan_send(void *arg, struct slice part, uint64_t cookie)
{
	struct router *r = arg;
	struct port *loggers = &r->ports[STAGE_LOGGER];
	struct link_peer *p = link_peer_next(loggers->link, NULL);
	int result = -EAGAIN;

	for (; p != NULL; p = link_peer_next(loggers->link, p)) {
		result = link_send(p, MSG_PLAN, part, cookie);
		if (result != -EAGAIN)
			return result;
	}
	r->full = true;
	return result;
}

static void
on_plan_complete(void *arg, void *peer, uint64_t seq)
{
	(void)arg;
	link_complete(peer, seq);
}

static void
on_plan_refuse(void *arg, void *peer, uint64_t seq, const char *reason)
{
	(void)arg;
	log_warn("event refused source=%s reason=\"%s\"",
	    link_peer_instance(peer), reason);
	link_refuse(peer, seq, reason);
}

static const struct plan_ops plan_ops = {
	.has_room = on_plan_has_room,
	.send = on_plan_send,
	.complete = on_plan_complete,
	.refuse = on_plan_refuse,
};

/* ---- the links' side -------------------------------------------------- */

static void
take_event(struct router *r, struct link_peer *peer, uint64_t seq,
    struct slice message)
{
	struct plan_source *source = link_peer_data(peer);
	int result = -ENOMEM;

	if (source != NULL)
		result =
		    plan_event(r->plan, source, seq, message, clock_mono_ms());

	if (result == -ENOBUFS) {
		link_refuse(peer, seq, "full: more events than were granted");
	} else if (result < 0) {
		log_error("no memory for an event");
		proc_fail(r->proc);
	}
}

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct port *port = arg;
	struct router *r = port->owner;

	if (type == MSG_EVENT) {
		take_event(r, peer, seq, message);
	} else if (type != MSG_DIRECTORY) {
		link_refuse(peer, seq, "unknown: not for a router");
	} else if (directory_take(&r->directory, peer, seq, message) < 0) {
		log_error("no memory for the directory");
		proc_fail(r->proc);
	}
}

static void
on_batch(void *arg)
{
	struct port *port = arg;

	work(port->owner);
}

static void
on_source_up(void *arg, struct link_peer *peer)
{
	struct port *port = arg;
	struct router *r = port->owner;
	struct plan_source *source = plan_source_new(r->plan, peer);

	if (source == NULL) {
		log_error("no memory for a peer");
		proc_fail(r->proc);
	}
	link_peer_set_data(peer, source);
	r->credit.sources++;
	work(r);
}

static void
on_source_down(void *arg, struct link_peer *peer, const char *why)
{
	struct port *port = arg;
	struct router *r = port->owner;

	(void)why;
	plan_source_free(r->plan, link_peer_data(peer));
	r->credit.sources--;
	if (port->stage == STAGE_API)
		directory_down(&r->directory, peer);
	work(r);
}

static const struct link_ops source_ops = {
	.on_up = on_source_up,
	.on_down = on_source_down,
	.on_message = on_message,
	.on_batch = on_batch,
};

static void
on_logger_up(void *arg, struct link_peer *peer)
{
	struct port *port = arg;
	struct router *r = port->owner;

	(void)peer;
	r->credit.loggers++;
	r->full = false;
	work(r);
}

static void
on_logger_down(void *arg, struct link_peer *peer, const char *why)
{
	struct port *port = arg;
	struct router *r = port->owner;

	(void)peer;
	(void)why;
	r->credit.loggers--;
	r->full = false;
	work(r);
}

static void
on_logger_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	struct port *port = arg;
	struct router *r = port->owner;

	(void)peer;
	if (lane != MSG_LANE_WORK)
		return;
	r->full = false;
}

static void
on_completed(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct port *port = arg;
	struct router *r = port->owner;

	(void)peer;
	plan_completed(r->plan, cookie);
}

static void
on_refused(
    void *arg, struct link_peer *peer, uint64_t cookie, struct slice reason)
{
	struct port *port = arg;
	struct router *r = port->owner;

	(void)peer;
	plan_refused(r->plan, cookie, reason);
}

static void
on_returned(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct port *port = arg;
	struct router *r = port->owner;

	(void)peer;
	plan_returned(r->plan, cookie);
}

static const struct link_ops logger_ops = {
	.on_up = on_logger_up,
	.on_down = on_logger_down,
	.on_batch = on_batch,
	.on_room = on_logger_room,
	.on_completed = on_completed,
	.on_refused = on_refused,
	.on_returned = on_returned,
};

/* ---- opening ---------------------------------------------------------- */

static int
open_all(struct router *r)
{
	static const enum stage stages[] = { STAGE_LOGGER, STAGE_API,
		STAGE_INGEST };
	int result = 0;

	r->match = match_new();
	if (r->match != NULL)
		r->plan = plan_new(&plan_ops, r, r->match);
	if (r->plan == NULL)
		return -ENOMEM;
	directory_init(&r->directory, r->match);
	for (size_t i = 0; i < 3 && result == 0; i++)
		result = port_open(&r->ports[stages[i]], r->proc, stages[i],
		    stages[i] == STAGE_LOGGER ? &logger_ops : &source_ops, r);
	if (result == 0) {
		link_set_window(r->ports[STAGE_API].link, MSG_LANE_CONTROL,
		    ROUTER_DIRECTORY_MESSAGES, ROUTER_DIRECTORY_BYTES);
		result =
		    loop_add_timer(r->proc->loop, GOVERN_MS, on_govern_tick, r);
	}
	for (size_t i = 0; i < 3 && result >= 0; i++)
		result = port_find(&r->ports[stages[i]], r->proc);
	return result < 0 ? result : 0;
}

int
router_new(struct proc *proc, struct router **ret_router)
{
	struct router *r = calloc(1, sizeof(*r));
	int result;

	if (r == NULL)
		return -ENOMEM;
	r->proc = proc;
	result = open_all(r);
	if (result < 0) {
		router_free(r);
		return result;
	}
	*ret_router = r;
	return 0;
}

void
router_free(struct router *r)
{
	if (r == NULL)
		return;
	for (int stage = 0; stage < STAGE_MAX; stage++)
		port_close(&r->ports[stage]);
	plan_free(r->plan);
	match_free(r->match);
	free(r);
}

bool
router_ready(const struct router *r, struct buf *why)
{
	const char *reason = NULL;

	if (!directory_whole(&r->directory))
		reason = "no complete directory from an api yet";
	else if (r->credit.loggers == 0)
		reason = "no logger is up";
	if (reason != NULL)
		(void)!buf_add_text(why, reason);
	return reason == NULL;
}

void
router_drain(struct router *r)
{
	r->credit.draining = true;
	work(r);
}

bool
router_drained(const struct router *r)
{
	return plan_counts(r->plan)->waiting == 0 || r->credit.loggers == 0;
}

int
router_metrics(const struct router *r, struct buf *out)
{
	const struct plan_counts *c = plan_counts(r->plan);
	const struct {
		const char *name, *kind;
		uint64_t value;
	} rows[] = {
		{ "events_total", "counter", c->events },
		{ "plans_total", "counter", c->planned },
		{ "parts_total", "counter", c->parts },
		{ "matches_total", "counter", c->matches },
		{ "unmatched_total", "counter", c->unmatched },
		{ "stale_total", "counter", c->stale },
		{ "refused_total", "counter", c->refused },
		{ "returned_total", "counter", c->returned },
		{ "dropped_total", "counter", c->dropped },
		{ "directory_refused_total", "counter", r->directory.refused },
		{ "senseless_scopes_total", "counter", r->directory.senseless },
		{ "waiting_events", "gauge", c->waiting },
		{ "stale_events", "gauge", c->waiting_stale },
		{ "parts_in_flight", "gauge", c->in_flight },
		{ "kept_targets", "gauge", c->targets },
		{ "subscriptions", "gauge", match_count(r->match) },
		{ "directory_number", "gauge",
		    directory_number(&r->directory) },
		{ "loggers", "gauge", r->credit.loggers },
		{ "sources", "gauge", r->credit.sources },
		{ "granting", "gauge", r->credit.granted_bytes > 0 },
	};
	int result = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (result == 0)
			result = buf_addf(out,
			    "# TYPE sluice_router_%s %s\nsluice_router_%s "
			    "%llu\n",
			    rows[i].name, rows[i].kind, rows[i].name,
			    (unsigned long long)rows[i].value);
	if (result == 0)
		result = link_metrics(r->ports[STAGE_LOGGER].link, out);
	return result;
}
