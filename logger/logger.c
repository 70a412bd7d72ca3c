#include "logger/logger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define TICK_MS 250
#define SECOND_MS 1000

uint64_t
logger_now(struct logger *l)
{
	return timekeeper_now(&l->time);
}

struct peer *
logger_peer(struct link_peer *link)
{
	return link_peer_data(link);
}

/* ---- what is granted ---------------------------------------------------- */

static unsigned
count_peers(struct link *link, enum stage stage)
{
	unsigned count = 0;

	for (struct link_peer *p = link_peer_next(link, NULL); p != NULL;
	    p = link_peer_next(link, p))
		count += link_peer_stage(p) == stage;
	return count;
}

static uint64_t
share(uint64_t bytes, unsigned peers)
{
	uint64_t each = bytes / (peers ? peers : 1);

	return each < LINK_WINDOW_MIN_BYTES ? LINK_WINDOW_MIN_BYTES : each;
}

/* Plans only while there is room on disk and a directory to judge them by;
 * results always: they free more than they take. */
static void
grant(struct logger *l)
{
	bool plans =
	    !l->proc->draining && l->number != 0 && !writer_stuck(l->writer);

	if (plans != l->granting)
		log_info("credit=%s", plans ? "granted" : "withdrawn");
	l->granting = plans;
	link_set_window(l->port, MSG_LANE_WORK, plans ? LOGGER_PLANS : 0,
	    plans ? share(LOGGER_PLAN_BYTES, count_peers(l->port, STAGE_ROUTER))
		  : 0);
	link_set_window(l->port, MSG_LANE_RESULT, LOGGER_RESULTS,
	    share(LOGGER_RESULT_BYTES, count_peers(l->port, STAGE_DELIVERER)));
	link_set_window(
	    l->port, MSG_LANE_CONTROL, LOGGER_CONTROLS, LOGGER_CONTROL_BYTES);
	link_set_window(
	    l->apis, MSG_LANE_CONTROL, LOGGER_CONTROLS, LOGGER_CONTROL_BYTES);
}

/* ---- links -------------------------------------------------------------- */

static void
on_up(void *arg, struct link_peer *link)
{
	struct logger *l = arg;
	struct peer *p = peer_new(link);

	if (p == NULL) {
		log_error("peer error=\"out of memory\"");
		return; /* its messages are refused; it has no data */
	}
	if (link_peer_stage(link) == STAGE_DELIVERER) {
		p->deliverer = fleet_up(&l->fleet, link);
		if (p->deliverer == NULL)
			log_error("deliverer error=\"out of memory\"");
	}
	log_info("peer=%s stage=%s state=up", link_peer_instance(link),
	    stage_name(link_peer_stage(link)));
	grant(l);
	logger_turn(l);
}

static void
on_down(void *arg, struct link_peer *link, const char *why)
{
	struct logger *l = arg;
	struct peer *p = logger_peer(link);

	log_info("peer=%s stage=%s state=down why=\"%s\"",
	    link_peer_instance(link), stage_name(link_peer_stage(link)), why);
	if (p == NULL)
		return;
	if (p->deliverer != NULL) {
		struct deliverer *d = p->deliverer;

		p->deliverer = NULL;
		probe_deliverer_down(l, d);
		lease_deliverer_down(l, d);
		fleet_down(&l->fleet, d);
	}
	if (link_peer_stage(link) == STAGE_API)
		replica_down(&l->replica, p->session);
	peer_down(p);
	logger_turn(l);
}

static void
on_message(void *arg, struct link_peer *link, uint64_t seq, enum msg_type type,
    struct slice bytes)
{
	static void (*const handlers[MSG_TYPE_MAX])(
	    struct logger *, struct peer *, uint64_t, struct slice) = {
		[MSG_PLAN] = plan_message,
		[MSG_OUTCOME] = outcome_message,
		[MSG_RELEASE] = lease_release,
		[MSG_HELD] = lease_held,
		[MSG_PROBE] = probe_message,
		[MSG_PROBED] = probed_message,
		[MSG_DIRECTORY] = directory_message,
		[MSG_QUERY] = query_message,
		[MSG_REPLAY] = replay_message,
	};
	struct peer *p = logger_peer(link);

	if (p == NULL)
		link_refuse(link, seq, "busy: out of memory");
	else if (type >= MSG_TYPE_MAX || handlers[type] == NULL)
		link_refuse(link, seq, "unsupported: not by this logger");
	else
		handlers[type](arg, p, seq, bytes);
}

static void
on_room(void *arg, struct link_peer *link, enum msg_lane lane)
{
	(void)link;
	if (lane == MSG_LANE_WORK)
		logger_turn(arg);
}

static void
on_refused(
    void *arg, struct link_peer *link, uint64_t cookie, struct slice reason)
{
	(void)arg;
	(void)cookie;
	log_warn("peer=%s refused=\"%.*s\"", link_peer_instance(link),
	    (int)reason.len, (const char *)reason.data);
}

static const struct link_ops link_ops = {
	.on_up = on_up,
	.on_down = on_down,
	.on_message = on_message,
	.on_batch = logger_turn,
	.on_room = on_room,
	.on_refused = on_refused,
};

static void
on_found(void *arg, const char *address)
{
	struct logger *l = arg;
	int r = link_connect(l->apis, STAGE_API, address);

	if (r < 0)
		log_warn("peer=%s error=\"%s\"", address, strerror(-r));
}

static void
on_lost(void *arg, const char *address)
{
	struct logger *l = arg;

	link_disconnect(l->apis, address);
}

/* ---- time --------------------------------------------------------------- */

void
logger_turn(void *arg)
{
	struct logger *l = arg;

	dispatch_run(l);
	writer_flush(l->writer);
	link_flush(l->port);
	link_flush(l->apis);
}

static void
on_swept(struct job *job)
{
	struct logger *l = job->owner;

	l->sweeping = false;
	if (job->op.result == 0)
		l->counts.deleted += job->op.u.sweep.deleted;
	else if (job->op.result != -ECANCELED)
		log_error("sweep error=\"%s\"", job->op.reason);
	/* A full run: there is more. */
	if (job->op.result == 0 && job->op.u.sweep.deleted == STORE_SWEEP_ROWS)
		l->sweep_ms = 0;
	free(job);
}

static void
sweep(struct logger *l)
{
	struct job *job;

	if (l->sweeping)
		return;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return;
	job->owner = l;
	job->done = on_swept;
	job->op.type = STORE_SWEEP;
	job->op.u.sweep.retention_ms = l->proc->config.retention_ms;
	job->op.u.sweep.lease_floor = lease_floor(l);
	l->sweeping = true;
	writer_post(l->writer, job);
}

static void
on_tick(void *arg)
{
	struct logger *l = arg;
	uint64_t now = loop_now_ms(l->loop);

	if (writer_stuck(l->writer) == l->granting || !l->granting)
		grant(l);
	probe_tick(l);
	replay_tick(l);
	if (now >= l->sweep_ms + LOGGER_SWEEP_MS) {
		l->sweep_ms = now;
		timekeeper_slew(&l->time, clock_wall_ms(), clock_mono_ms());
		lease_tick(l);
		notice_tick(l);
		quota_tick(l);
		endpoints_forget(&l->endpoints);
		sweep(l);
	}
	logger_turn(l);
}

static void
on_alarm(void *arg)
{
	struct logger *l = arg;
	uint64_t times;

	if (read(l->alarm_fd, &times, sizeof(times)) < 0)
		times = 0;
	l->alarm_ms = STORE_NEVER;
	logger_turn(l);
}

/* ---- loading ------------------------------------------------------------ */

static int
load_app(void *arg, const struct store_app *app)
{
	struct logger *l = arg;

	return endpoints_load_app(&l->endpoints, app);
}

static int
load_endpoint(void *arg, const struct store_endpoint *e)
{
	struct logger *l = arg;

	return endpoints_load(&l->endpoints, e);
}

static int
load_lease(void *arg, const struct store_loaded_lease *lease)
{
	return lease_restore(arg, lease);
}

static int
load_marks(void *arg, uint64_t number, uint64_t last_event)
{
	struct logger *l = arg;

	l->number = number;
	l->last_event = last_event;
	return 0;
}

static const struct store_loader loader = {
	.on_app = load_app,
	.on_endpoint = load_endpoint,
	.on_lease = load_lease,
	.on_marks = load_marks,
};

/* Endpoints that were loaded belong somewhere, and may have been held. */
static void
touch_all(struct logger *l)
{
	const struct table *t = &l->endpoints.by_number;

	for (struct table_node *node = table_next(t, NULL); node != NULL;
	    node = table_next(t, node)) {
		endpoints_touch(
		    &l->endpoints, (struct endpoint *)node, logger_now(l));
		dispatch_resume(l, (struct endpoint *)node);
	}
	quota_tick(l);
}

/* ---- open and close ----------------------------------------------------- */

/* Makes the folders above the file. */
static int
make_folders(char *path)
{
	for (char *at = strchr(path + 1, '/'); at != NULL;
	    at = strchr(at + 1, '/')) {
		int r;

		*at = '\0';
		r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
		if (r < 0)
			log_error(
			    "cannot make folder %s: %s", path, strerror(-r));
		*at = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

static int
open_store(struct logger *l)
{
	const struct config *c = &l->proc->config;
	char path[PATH_MAX];
	int r;

	if (strstr(c->store, "://") != NULL)
		return store_open(c->store, &l->store);
	r = config_path(c, c->store, "store/events.db", path);
	if (r == 0)
		r = make_folders(path);
	return r < 0 ? r : store_open(path, &l->store);
}

static int
open_threads(struct logger *l)
{
	const struct writer_config writer = { .loop = l->loop,
		.store = l->store,
		.time = &l->time,
		.after = logger_turn,
		.arg = l };
	int r = writer_new(&writer, &l->writer);

	if (r == 0)
		r = reader_new(l->loop, l->store, logger_turn, l, &l->reader);
	return r;
}

static int
open_memory(struct logger *l)
{
	int r = schedules_init(&l->schedules, l->proc->config.retry_schedule);

	if (r < 0) {
		log_error("SLUICE_RETRY_SCHEDULE error=\"%s\"", strerror(-r));
		return r;
	}
	r = endpoints_init(&l->endpoints, &l->schedules);
	if (r == 0)
		r = fleet_init(&l->fleet);
	if (r == 0)
		r = open_store(l);
	if (r == 0)
		r = store_load(l->store, &loader, l);
	if (r < 0)
		return r;
	log_info("store events=%llu directory=%llu endpoints=%zu leases=%zu",
	    (unsigned long long)l->last_event, (unsigned long long)l->number,
	    l->endpoints.by_number.count, l->fleet.leases.count);
	return 0;
}

static int
open_links(struct logger *l)
{
	const struct config *c = &l->proc->config;
	const struct link_config config = {
		.stage = STAGE_LOGGER,
		.instance = l->proc->instance,
		.keys_folder =
		    c->keys_folder[0] != '\0' ? c->keys_folder : NULL,
		.plain_tcp = c->link_plain,
	};
	char text[PATH_MAX];
	int r = link_new(l->loop, &config, &link_ops, l, &l->port);

	if (r == 0)
		r = link_new(l->loop, &config, &link_ops, l, &l->apis);
	if (r < 0)
		return r;
	grant(l);
	r = config_link(c, STAGE_LOGGER, text);
	if (r == 0)
		r = link_bind(l->port, text);
	if (r < 0) {
		log_error("link=%s error=\"%s\"", text, strerror(-r));
		return r;
	}
	r = config_peers(c, STAGE_API, text);
	if (r == 0)
		r = discovery_new(
		    l->loop, text, on_found, on_lost, l, &l->discovery);
	if (r < 0)
		log_error("peers=%s error=\"%s\"", text, strerror(-r));
	return r;
}

static int
open_clocks(struct logger *l)
{
	int r;

	l->alarm_ms = STORE_NEVER;
	l->alarm_fd =
	    timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->alarm_fd < 0)
		return -errno;
	r = loop_add_fd(l->loop, l->alarm_fd, on_alarm, l);
	if (r == 0)
		l->timer = loop_add_timer(l->loop, TICK_MS, on_tick, l);
	return r < 0 ? r : (l->timer < 0 ? l->timer : 0);
}

int
logger_open(struct proc *p)
{
	struct logger *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return -ENOMEM;
	p->state = l;
	l->proc = p;
	l->loop = p->loop;
	l->alarm_fd = -1;
	buf_init(&l->packed, LIMIT_MESSAGE_BYTES);
	timekeeper_init(&l->time, clock_wall_ms(), clock_mono_ms());
	replica_init(&l->replica, &directory_ops, l);
	replay_init(l);
	r = open_memory(l);
	if (r == 0)
		r = open_threads(l);
	if (r == 0)
		r = open_clocks(l);
	if (r == 0)
		r = open_links(l);
	if (r == 0) {
		touch_all(l);
		replay_start(l);
	}
	return r;
}

/* Frees the link without a word to us: what we hung on its peers is ours. */
static void
close_link(struct link *link)
{
	struct link_peer *p;

	if (link == NULL)
		return;
	for (p = link_peer_next(link, NULL); p != NULL;
	    p = link_peer_next(link, p))
		if (logger_peer(p) != NULL)
			peer_down(logger_peer(p));
	link_free(link);
}

void
logger_close(struct proc *p)
{
	struct logger *l = p->state;

	if (l == NULL)
		return;
	/* What was posted is committed; nobody is told any more. */
	discovery_free(l->discovery);
	reader_free(l->reader);
	writer_free(l->writer);
	probe_done(l);
	replay_done(l);
	close_link(l->port);
	close_link(l->apis);
	if (l->timer > 0)
		loop_del_timer(l->loop, l->timer);
	if (l->alarm_fd >= 0) {
		loop_del_fd(l->loop, l->alarm_fd);
		close(l->alarm_fd);
	}
	store_close(l->store);
	fleet_done(&l->fleet);
	endpoints_done(&l->endpoints);
	schedules_done(&l->schedules);
	buf_done(&l->packed);
	free(l);
	p->state = NULL;
}

bool
logger_ready(struct proc *p, struct buf *why)
{
	const struct logger *l = p->state;

	if (writer_stuck(l->writer)) {
		(void)!buf_add_text(why, "the store takes nothing");
		return false;
	}
	if (l->number == 0) {
		(void)!buf_add_text(
		    why, "no directory yet: waiting for an api");
		return false;
	}
	return true;
}

void
logger_drain(struct proc *p)
{
	struct logger *l = p->state;

	grant(l);
	logger_turn(l);
}

/* All that was taken is committed and answered. Leases stay with their
 * deliverers: they are in the store. */
bool
logger_drained(struct proc *p)
{
	const struct logger *l = p->state;
	struct writer_stats stats;

	writer_stats(l->writer, &stats);
	return stats.queued == 0;
}
