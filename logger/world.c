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
static void
use_slots(struct end *e, int change)
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
	use_slots(e, 1);
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

static bool
feed_answered(struct world *w)
{
	const struct end *e = &w->feed;

	return e->completed + e->refused + e->returned == e->sent;
}

static void
add_app(struct world *w, struct buf *entries)
{
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_APP,
		.number = w->number,
		.app = WORLD_APP,
		.id = slice_text("app"),
		.secret = slice_text("sealed by the app"),
		.quota = w->quota };

	if (w->limited)
		e.reason = slice_text("usage_limit");

	assert_int_equal(msg_pack_record(&e, entries), 0);
}

static void
add_subscription(
    struct world *w, struct buf *entries, uint32_t subscription, bool enabled)
{
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.number = w->number,
		.app = WORLD_APP,
		.id = slice_text("sub"),
		.subscription = subscription,
		.url = slice_text("http://127.0.0.1/hook"),
		.events = slice_text("*"),
		.enabled = enabled,
		.ordered = w->ordered };

	assert_int_equal(msg_pack_record(&e, entries), 0);
}

void
world_snapshot(struct world *w, uint32_t count)
{
	struct msg m = { .type = MSG_DIRECTORY, .phase = MSG_PHASE_SNAPSHOT };
	struct buf entries;

	if (w->number == 0)
		w->number = 100;
	m.number = w->number;
	buf_init(&entries, LIMIT_MESSAGE_BYTES);
	add_app(w, &entries);
	for (uint32_t s = 1; s <= count; s++)
		add_subscription(w, &entries, s, true);
	m.entries = (struct msg_list){ buf_slice(&entries), count + 1 };
	world_send(&w->feed, &m);
	m = (struct msg){ .type = MSG_DIRECTORY,
		.phase = MSG_PHASE_COMPLETE,
		.number = w->number,
		.part = 1 };
	world_send(&w->feed, &m);
	buf_done(&entries);
}

/* Subscription 0: the application alone. */
static void
change(struct world *w, uint32_t subscription, bool enabled)
{
	struct msg m = { .type = MSG_DIRECTORY,
		.phase = MSG_PHASE_CHANGE,
		.number = ++w->number };
	struct buf entries;

	buf_init(&entries, LIMIT_MESSAGE_BYTES);
	add_app(w, &entries);
	if (subscription != 0)
		add_subscription(w, &entries, subscription, enabled);
	m.entries =
	    (struct msg_list){ buf_slice(&entries), subscription != 0 ? 2 : 1 };
	world_send(&w->feed, &m);
	buf_done(&entries);
}

void
world_change(struct world *w, uint32_t subscription, bool enabled)
{
	change(w, subscription, enabled);
	/* The other ends have connections of their own. */
	world_until(w, feed_answered);
}

void
world_change_app(struct world *w)
{
	change(w, 0, false);
}

struct id
world_id(struct world *w)
{
	return id_make(&w->ids);
}

void
world_plan(struct world *w, struct id custody, uint64_t number, uint32_t first,
    uint32_t count)
{
	struct buf planned;
	struct msg m = { .type = MSG_PLAN,
		.custody = id_slice(&custody),
		.app = WORLD_APP,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm"),
		.body = slice_text("{\"payload\":{\"execution_attempt\":}}"),
		.hole = 32,
		.number = number,
		.parts = 1 };

	buf_init(&planned, LIMIT_MESSAGE_BYTES);
	for (uint32_t i = 0; i < count; i++) {
		struct msg p = { .type = MSG_PLANNED,
			.subscription = first + i };

		assert_int_equal(msg_pack_record(&p, &planned), 0);
	}
	m.deliveries = (struct msg_list){ buf_slice(&planned), count };
	world_send(&w->router, &m);
	buf_done(&planned);
}

void
world_outcome(struct world *w, const struct got *got, enum msg_verdict verdict,
    unsigned status, uint64_t delay_ms)
{
	struct msg m = { .type = MSG_OUTCOME,
		.delivery = id_slice(&got->delivery),
		.token = got->token,
		.attempt = got->attempt,
		.status = status,
		.verdict = verdict,
		.delay_ms = delay_ms,
		.started_ms = 2,
		.duration_ms = 1,
		.response = slice_text("thanks") };

	world_send(&w->deliverers[got->deliverer], &m);
	use_slots(&w->deliverers[got->deliverer], -1);
}

void
world_lease_ids(struct world *w, unsigned deliverer, enum msg_type type,
    const struct got *got, size_t count)
{
	struct msg m = { .type = type };
	struct buf ids;

	buf_init(&ids, LIMIT_MESSAGE_BYTES);
	for (size_t i = 0; i < count; i++) {
		struct msg id = { .type = MSG_LEASE_ID,
			.delivery = id_slice(&got[i].delivery),
			.token = got[i].token };

		assert_int_equal(msg_pack_record(&id, &ids), 0);
	}
	m.leases = (struct msg_list){ buf_slice(&ids), (uint32_t)count };
	if (type == MSG_HELD)
		m.parts = 1;
	world_send(&w->deliverers[deliverer], &m);
	buf_done(&ids);
}

static bool
has_page(struct world *w)
{
	return w->pages > 0;
}

uint64_t
world_used(struct world *w)
{
	struct msg page, q = { .type = MSG_QUERY,
		.query = 8,
		.what = MSG_QUERY_USAGE,
		.app = WORLD_APP };

	w->pages = 0;
	world_send(&w->api, &q);
	world_until(w, has_page);
	assert_int_equal(msg_unpack(buf_slice(&w->page), &page), 0);
	assert_int_equal(page.query, 8);
	assert_null(page.error.data);
	assert_int_equal(page.rows.count, 0);
	return page.used;
}

void
world_ask_replay(struct world *w, struct id job, struct id delivery)
{
	static const struct id none;
	struct msg m = { .type = MSG_REPLAY,
		.query = 8,
		.app = WORLD_APP,
		.job = id_slice(&job) };

	if (id_same(delivery, none))
		m.subscription = 1;
	else
		m.delivery = id_slice(&delivery);
	w->pages = 0;
	world_send(&w->api, &m);
}

struct msg
world_replay(struct world *w, struct id job, struct id delivery)
{
	struct msg page;

	world_ask_replay(w, job, delivery);
	world_until(w, has_page);
	assert_int_equal(msg_unpack(buf_slice(&w->page), &page), 0);
	assert_int_equal(page.query, 8);
	return page;
}

struct msg
world_row(struct world *w, struct id delivery)
{
	struct msg q = { .type = MSG_QUERY,
		.query = 7,
		.what = MSG_QUERY_LOG,
		.app = WORLD_APP,
		.delivery = id_slice(&delivery) };
	struct msg page, row;

	w->pages = 0;
	world_send(&w->api, &q);
	world_until(w, has_page);
	assert_int_equal(msg_unpack(buf_slice(&w->page), &page), 0);
	assert_int_equal(page.query, 7);
	assert_null(page.error.data);
	assert_int_equal(page.rows.count, 1);
	assert_true(msg_next(&page.rows, MSG_ROW, &row));
	return row;
}

struct got *
world_find(struct world *w, struct id custody, uint32_t subscription)
{
	struct id delivery = id_delivery(custody, subscription);

	for (size_t i = w->got_count; i > 0; i--)
		if (id_same(w->got[i - 1].delivery, delivery))
			return &w->got[i - 1];
	return NULL;
}
