#include "logger/world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

#define WINDOW_BYTES (8u * 1024 * 1024)
#define STEP_MS 2

/* ---- running ------------------------------------------------------------ */

struct waiting {
	struct world *world;
	world_fn *fn;
	uint64_t until_ms;
	bool held;
};

static void
look(void *arg)
{
	struct waiting *x = arg;

	x->held = x->fn != NULL && x->fn(x->world);
	if (x->held || clock_mono_ms() >= x->until_ms)
		loop_stop(x->world->loop);
}

static bool
run(struct world *w, world_fn *fn, unsigned ms)
{
	struct waiting x = { w, fn, clock_mono_ms() + ms, false };
	int timer = loop_add_timer(w->loop, STEP_MS, look, &x);

	assert_true(timer >= 0);
	assert_int_equal(loop_run(w->loop), 0);
	loop_del_timer(w->loop, timer);
	return x.held;
}

void
world_until(struct world *w, world_fn *fn)
{
	assert_true(run(w, fn, WORLD_PATIENCE_MS));
}

void
world_run(struct world *w, unsigned ms)
{
	(void)run(w, NULL, ms);
}

/* ---- what comes in ------------------------------------------------------ */

static void
keep(struct buf *b, struct slice bytes)
{
	buf_clear(b);
	assert_int_equal(buf_add(b, bytes.data, bytes.len), 0);
}

static void
keep_text(char *text, size_t size, struct slice s)
{
	(void)snprintf(text, size, "%.*s", (int)s.len, (const char *)s.data);
}

/* As a deliverer does: it grants its free slots. */
void
world_use_slots(struct end *e, int change)
{
	e->held = (unsigned)((int)e->held + change);
	if (e->peer != NULL)
		link_set_peer_window(e->peer, MSG_LANE_WORK,
		    e->held < WORLD_SLOTS ? WORLD_SLOTS - e->held : 0,
		    WINDOW_BYTES);
}

static void
on_lease(struct end *e, const struct msg *deliver, const struct msg *lease)
{
	struct world *w = e->world;
	struct got *g = &w->got[w->got_count++];

	assert_true(w->got_count < WORLD_GOT_MAX);
	*g = (struct got){ .token = lease->token,
		.attempt = lease->attempt,
		.cycle_attempt = lease->cycle_attempt,
		.flags = lease->flags,
		.subscription = (uint32_t)lease->subscription,
		.deliverer = e->number,
		.body_len = deliver->body.len };
	assert_int_equal(id_from(lease->delivery, &g->delivery), 0);
	keep_text(g->secret, sizeof(g->secret), lease->secret);
	keep_text(g->url, sizeof(g->url), lease->url);
	world_use_slots(e, 1);
	if (w->answer && g->subscription != w->but_not)
		world_outcome(w, g, MSG_VERDICT_DELIVERED, 200, 0);
}

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice bytes)
{
	struct end *e = arg;
	struct world *w = e->world;
	struct msg m, lease;

	assert_int_equal(msg_unpack(bytes, &m), 0);
	link_complete(peer, seq);
	switch (type) {
	case MSG_DELIVER:
		while (msg_next(&m.deliveries, MSG_LEASE, &lease))
			on_lease(e, &m, &lease);
		break;
	case MSG_PAGE:
		keep(&w->page, bytes);
		w->pages++;
		break;
	case MSG_PROBE:
		keep(&w->probe, bytes);
		w->probes++;
		break;
	case MSG_PROBED:
		keep(&w->probed, bytes);
		w->probeds++;
		break;
	case MSG_NOTICE:
		keep_text(w->notice, sizeof(w->notice), m.reason);
		w->notice_subscription = m.subscription;
		w->notice_number = m.number;
		w->notices++;
		break;
	default:
		fail();
	}
}

static void
on_up(void *arg, struct link_peer *peer)
{
	struct end *e = arg;

	e->peer = peer;
	e->ups++;
}

static void
on_down(void *arg, struct link_peer *peer, const char *why)
{
	struct end *e = arg;

	(void)why;
	if (e->peer == peer)
		e->peer = NULL;
}

static void
on_completed(void *arg, struct link_peer *peer, uint64_t cookie)
{
	(void)peer;
	(void)cookie;
	((struct end *)arg)->completed++;
}

static void
on_refused(
    void *arg, struct link_peer *peer, uint64_t cookie, struct slice reason)
{
	struct end *e = arg;

	(void)peer;
	(void)cookie;
	e->refused++;
	keep_text(e->reason, sizeof(e->reason), reason);
}

static void
on_returned(void *arg, struct link_peer *peer, uint64_t cookie)
{
	(void)peer;
	(void)cookie;
	((struct end *)arg)->returned++;
}

static const struct link_ops ops = { .on_up = on_up,
	.on_down = on_down,
	.on_message = on_message,
	.on_completed = on_completed,
	.on_refused = on_refused,
	.on_returned = on_returned };

/* ---- processes ---------------------------------------------------------- */

void
world_start(struct world *w)
{
	w->logger = fork();
	assert_true(w->logger >= 0);
	if (w->logger == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)setenv("SLUICE_DATA", w->folder, 1);
		(void)setenv("SLUICE_LOG_LEVEL", "warn", 0);
		if (w->fail_point != NULL)
			(void)setenv("SLUICE_FAIL_POINT", w->fail_point, 1);
		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(126);
		(void)execl(SLUICE_LOGGER, "sluice-logger", (char *)NULL);
		_exit(127);
	}
	w->fail_point = NULL;
}

void
world_kill(struct world *w)
{
	if (w->logger <= 0)
		return;
	(void)kill(w->logger, SIGKILL);
	(void)waitpid(w->logger, NULL, 0);
	w->logger = 0;
}

void
world_open(struct world *w, struct end *e, enum stage stage)
{
	struct link_config config = { .stage = stage,
		.instance = e == &w->deliverers[1] ? "test-2" : "test-1" };
	char address[128];

	e->world = w;
	assert_int_equal(link_new(w->loop, &config, &ops, e, &e->link), 0);
	link_set_window(e->link, MSG_LANE_WORK, WORLD_SLOTS, WINDOW_BYTES);
	link_set_window(e->link, MSG_LANE_CONTROL, 64, WINDOW_BYTES);
	link_set_window(e->link, MSG_LANE_RESULT, 64, WINDOW_BYTES);
	(void)snprintf(address, sizeof(address), "ipc://%s/run/%s.sock",
	    w->folder, e == &w->feed ? "api" : "logger");
	if (e == &w->feed)
		assert_int_equal(link_bind(e->link, address), 0);
	else
		assert_int_equal(
		    link_connect(e->link, STAGE_LOGGER, address), 0);
}

void
world_close(struct end *e)
{
	link_free(e->link);
	e->link = NULL;
	e->peer = NULL;
}

int
world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char run_folder[96];

	assert_non_null(w);
	log_init("test", LOG_AT_ERROR);
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/sluice-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	(void)snprintf(run_folder, sizeof(run_folder), "%s/run", w->folder);
	assert_int_equal(mkdir(run_folder, 0700), 0);
	w->loop = loop_new();
	assert_non_null(w->loop);
	id_maker_init(&w->ids);
	buf_init(&w->page, LIMIT_MESSAGE_BYTES);
	buf_init(&w->probe, LIMIT_MESSAGE_BYTES);
	buf_init(&w->probed, LIMIT_MESSAGE_BYTES);
	w->deliverers[1].number = 1;
	*state = w;
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;
	char command[128];

	world_kill(w);
	world_close(&w->router);
	world_close(&w->api);
	world_close(&w->feed);
	for (unsigned i = 0; i < WORLD_DELIVERERS; i++)
		world_close(&w->deliverers[i]);
	loop_free(w->loop);
	buf_done(&w->page);
	buf_done(&w->probe);
	buf_done(&w->probed);
	(void)snprintf(command, sizeof(command), "rm -rf %s", w->folder);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static bool
all_up(struct world *w)
{
	return w->router.peer != NULL && w->api.peer != NULL &&
	       w->feed.peer != NULL && w->deliverers[0].peer != NULL &&
	       link_room(w->feed.peer, MSG_LANE_CONTROL) > 0;
}

static bool
has_directory(struct world *w)
{
	return w->feed.completed >= 2 &&
	       link_room(w->router.peer, MSG_LANE_WORK) > 0;
}

void
world_begin(struct world *w, uint32_t count)
{
	world_start(w);
	world_open(w, &w->router, STAGE_ROUTER);
	world_open(w, &w->api, STAGE_API);
	world_open(w, &w->feed, STAGE_API);
	world_open(w, &w->deliverers[0], STAGE_DELIVERER);
	world_until(w, all_up);
	world_snapshot(w, count);
	world_until(w, has_directory);
}

/* ---- what goes out ------------------------------------------------------ */

/* Inside a handler there is room, or the test is wrong. */
static void
until_room(struct end *e, enum msg_lane lane)
{
	uint64_t until_ms = clock_mono_ms() + WORLD_PATIENCE_MS;

	while (link_room(e->peer, lane) == 0) {
		assert_true(clock_mono_ms() < until_ms);
		world_run(e->world, STEP_MS);
		assert_non_null(e->peer);
	}
}

void
world_send(struct end *e, const struct msg *m)
{
	struct buf packed;

	buf_init(&packed, LIMIT_MESSAGE_BYTES);
	assert_int_equal(msg_pack(m, &packed), 0);
	assert_non_null(e->peer);
	until_room(e, msg_lane(m->type));
	assert_int_equal(link_send(e->peer, m->type, buf_slice(&packed), 1), 0);
	e->sent++;
	link_flush(e->link);
	buf_done(&packed);
}
