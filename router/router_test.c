/*
 * The router process between an ingest, an api and a logger that are played
 * here, over real links. Their ends live in a thread with its own loop; the
 * test acts inside it (act) and waits for what comes of it (until).
 */
#include "router/router.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/id.h"
#include "common/link.h"

#define PATIENCE_S 20
#define GOT_MAX 64
#define WINDOW_BYTES (8u * 1024 * 1024)

struct world;

/* A PLAN as the logger got it. */
struct got {
	struct link_peer *peer;
	uint64_t seq;
	uint8_t event; /* first byte of the custody id */
	uint64_t number, part, parts;
	uint32_t count;
	bool has_body;
};

/* One stage played by the test, bound at its usual address. */
struct end {
	struct world *world;
	enum stage stage;
	struct link *link;
	struct link_peer *peer; /* the router, while it is up */
	uint64_t room; /* what may be sent to it, when last looked at */
	unsigned ups, completed, refused, returned;
	char reason[256]; /* of the newest refusal */
};

typedef void action_fn(struct world *w);

struct world {
	char folder[64];
	pid_t router;
	struct loop *loop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int event_fd;
	action_fn *action;
	uint64_t argument; /* of the action */
	struct end ends[STAGE_MAX];
	struct got got[GOT_MAX];
	size_t got_count;
	uint64_t stale_below; /* the logger refuses what is older */
	bool answers;	      /* the logger completes at once */
};

/* ---- the thread ------------------------------------------------------- */

static void
changed(struct world *w)
{
	pthread_cond_broadcast(&w->changed);
}

static void
on_action(void *arg)
{
	struct world *w = arg;
	uint64_t count;

	if (read(w->event_fd, &count, sizeof(count)) != sizeof(count))
		return;
	pthread_mutex_lock(&w->lock);
	if (w->action != NULL)
		w->action(w);
	w->action = NULL;
	changed(w);
	pthread_mutex_unlock(&w->lock);
}

static void
on_up(void *arg, struct link_peer *peer)
{
	struct end *e = arg;

	pthread_mutex_lock(&e->world->lock);
	e->peer = peer;
	e->ups++;
	changed(e->world);
	pthread_mutex_unlock(&e->world->lock);
}

static void
on_down(void *arg, struct link_peer *peer, const char *why)
{
	struct end *e = arg;

	(void)why;
	pthread_mutex_lock(&e->world->lock);
	if (e->peer == peer)
		e->peer = NULL;
	changed(e->world);
	pthread_mutex_unlock(&e->world->lock);
}

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct end *e = arg;
	struct world *w = e->world;
	struct got *g = &w->got[w->got_count];
	struct msg m;

	pthread_mutex_lock(&w->lock);
	if (type == MSG_PLAN && w->got_count < GOT_MAX &&
	    msg_unpack(message, &m) == 0 && m.custody.len == ID_SIZE) {
		*g = (struct got){ peer, seq, m.custody.data[0], m.number,
			m.part, m.parts, m.deliveries.count,
			m.body.data != NULL };
		w->got_count++;
		if (m.number < w->stale_below)
			link_refuse(peer, seq, "stale: too old");
		else if (w->answers)
			link_complete(peer, seq);
	}
	changed(w);
	pthread_mutex_unlock(&w->lock);
}

static void
on_completed(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct end *e = arg;

	(void)peer;
	(void)cookie;
	pthread_mutex_lock(&e->world->lock);
	e->completed++;
	changed(e->world);
	pthread_mutex_unlock(&e->world->lock);
}

static void
on_refused(
    void *arg, struct link_peer *peer, uint64_t cookie, struct slice reason)
{
	struct end *e = arg;

	(void)peer;
	(void)cookie;
	pthread_mutex_lock(&e->world->lock);
	e->refused++;
	(void)snprintf(e->reason, sizeof(e->reason), "%.*s", (int)reason.len,
	    (const char *)reason.data);
	changed(e->world);
	pthread_mutex_unlock(&e->world->lock);
}

static void
on_returned(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct end *e = arg;

	(void)peer;
	(void)cookie;
	pthread_mutex_lock(&e->world->lock);
	e->returned++;
	changed(e->world);
	pthread_mutex_unlock(&e->world->lock);
}

static const struct link_ops link_ops = { .on_up = on_up,
	.on_down = on_down,
	.on_message = on_message,
	.on_completed = on_completed,
	.on_refused = on_refused,
	.on_returned = on_returned };

/* What ingest and api may send now. */
static void
on_tick(void *arg)
{
	static const enum msg_lane lanes[STAGE_MAX] = {
		[STAGE_INGEST] = MSG_LANE_WORK,
		[STAGE_API] = MSG_LANE_CONTROL,
	};
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	for (int stage = 0; stage < STAGE_MAX; stage++) {
		struct end *e = &w->ends[stage];

		e->room =
		    e->peer == NULL ? 0 : link_room(e->peer, lanes[stage]);
	}
	changed(w);
	pthread_mutex_unlock(&w->lock);
}

static void *
run(void *arg)
{
	struct world *w = arg;

	(void)!loop_run(w->loop);
	return NULL;
}

/* ---- acting and waiting ----------------------------------------------- */

static void
wait_changed(struct world *w, const struct timespec *until, const char *what)
{
	if (pthread_cond_timedwait(&w->changed, &w->lock, until) != 0) {
		pthread_mutex_unlock(&w->lock);
		fail_msg("never came: %s", what);
	}
}

static struct timespec
deadline(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += PATIENCE_S;
	return t;
}

#define UNTIL(w, condition)                                   \
	do {                                                  \
		struct timespec end_ = deadline();            \
                                                              \
		pthread_mutex_lock(&(w)->lock);               \
		while (!(condition))                          \
			wait_changed((w), &end_, #condition); \
		pthread_mutex_unlock(&(w)->lock);             \
	} while (0)

static void
act(struct world *w, action_fn *action, uint64_t argument)
{
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	w->action = action;
	w->argument = argument;
	pthread_mutex_unlock(&w->lock);
	assert_int_equal(write(w->event_fd, &one, sizeof(one)), sizeof(one));
	UNTIL(w, w->action == NULL);
}

/* ---- actions ---------------------------------------------------------- */

static void
bind_end(struct world *w, enum stage stage)
{
	struct end *e = &w->ends[stage];
	struct link_config config = { .stage = stage,
		.instance = stage_name(stage) };
	char address[128];

	(void)snprintf(address, sizeof(address), "ipc://%s/run/%s.sock",
	    w->folder, stage_name(stage));
	e->world = w;
	e->stage = stage;
	e->peer = NULL;
	e->room = 0;
	if (link_new(w->loop, &config, &link_ops, e, &e->link) < 0 ||
	    link_bind(e->link, address) < 0)
		abort();
	if (stage == STAGE_LOGGER)
		link_set_window(e->link, MSG_LANE_WORK, 1000, WINDOW_BYTES);
}

/* A new session of the stage: the process died and is back. */
static void
restart_end(struct world *w)
{
	struct end *e = &w->ends[w->argument];

	if (e->link != NULL)
		link_free(e->link);
	bind_end(w, (enum stage)w->argument);
}

static void
stop_end(struct world *w)
{
	struct end *e = &w->ends[w->argument];

	link_free(e->link);
	e->link = NULL;
	e->peer = NULL;
	e->room = 0;
}

static void
send_message(struct end *e, const struct msg *m)
{
	struct buf b;

	buf_init(&b, LIMIT_MESSAGE_BYTES);
	if (msg_pack(m, &b) < 0 ||
	    link_send(e->peer, m->type, buf_slice(&b), 1) < 0)
		abort();
	link_flush(e->link);
	buf_done(&b);
}

static void
send_event(struct world *w)
{
	uint8_t custody[ID_SIZE] = { (uint8_t)w->argument };
	struct msg m = { .type = MSG_EVENT,
		.custody = { custody, sizeof(custody) },
		.app = 1,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm"),
		.body = slice_text("{\"payload\":{}}") };

	send_message(&w->ends[STAGE_INGEST], &m);
}

/* Subscriptions from, from + 1, ... as a part of a snapshot or a change. */
static void
send_directory(struct world *w, enum msg_phase phase, uint64_t number,
    uint32_t from, uint32_t count)
{
	struct msg m = {
		.type = MSG_DIRECTORY, .phase = phase, .number = number
	};
	struct buf entries;

	buf_init(&entries, LIMIT_MESSAGE_BYTES);
	for (uint32_t i = from; i < from + count; i++) {
		struct msg entry = { .type = MSG_ENTRY,
			.kind = MSG_ENTRY_SUBSCRIPTION,
			.number = number,
			.app = 1,
			.subscription = i,
			.id = slice_text("id"),
			.unified_api = slice_text("crm"),
			.events = slice_text("crm.contact.created") };

		if (msg_pack_record(&entry, &entries) < 0)
			abort();
	}
	m.entries.packed = buf_slice(&entries);
	m.entries.count = count;
	send_message(&w->ends[STAGE_API], &m);
	buf_done(&entries);
}

static void
begin_snapshot(struct world *w)
{
	send_directory(w, MSG_PHASE_SNAPSHOT, 100, 1, (uint32_t)w->argument);
}

static void
end_snapshot(struct world *w)
{
	send_directory(w, MSG_PHASE_COMPLETE, w->argument, 0, 0);
}

/* Subscription 5000 comes to be with that number. */
static void
send_change(struct world *w)
{
	send_directory(w, MSG_PHASE_CHANGE, w->argument, 5000, 1);
}

static void
complete_plan(struct world *w)
{
	const struct got *g = &w->got[w->argument];

	link_complete(g->peer, g->seq);
	link_flush(w->ends[STAGE_LOGGER].link);
}

static void
refuse_plan(struct world *w)
{
	const struct got *g = &w->got[w->argument];

	link_refuse(g->peer, g->seq, "malformed: says the logger");
	link_flush(w->ends[STAGE_LOGGER].link);
}

static void
set_logger_window(struct world *w)
{
	link_set_window(w->ends[STAGE_LOGGER].link, MSG_LANE_WORK, w->argument,
	    w->argument == 0 ? 0 : WINDOW_BYTES);
	link_flush(w->ends[STAGE_LOGGER].link);
}

static void
stop_loop(struct world *w)
{
	loop_stop(w->loop);
}

/* ---- one world per test ----------------------------------------------- */

static void
start_router(struct world *w)
{
	w->router = fork();
	assert_true(w->router >= 0);
	if (w->router > 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setenv("SLUICE_DATA", w->folder, 1);
	(void)setenv("SLUICE_LOG_LEVEL", "warn", 1);
	(void)execl(ROUTER_PROGRAM, ROUTER_PROGRAM, (char *)NULL);
	_exit(127);
}

/* Actions may make the link call back at once. */
static void
init_lock(struct world *w)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&w->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char run_folder[80];

	assert_non_null(w);
	*state = w;
	(void)snprintf(
	    w->folder, sizeof(w->folder), "/tmp/sluice-router-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	(void)snprintf(run_folder, sizeof(run_folder), "%s/run", w->folder);
	assert_int_equal(mkdir(run_folder, 0700), 0);
	start_router(w); /* first: nothing of ours is shared with it */
	w->loop = loop_new();
	assert_non_null(w->loop);
	init_lock(w);
	pthread_cond_init(&w->changed, NULL);
	w->event_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(w->event_fd >= 0);
	assert_int_equal(loop_add_fd(w->loop, w->event_fd, on_action, w), 0);
	assert_true(loop_add_timer(w->loop, 10, on_tick, w) > 0);
	bind_end(w, STAGE_INGEST);
	bind_end(w, STAGE_API);
	bind_end(w, STAGE_LOGGER);
	assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
	UNTIL(w, w->ends[STAGE_INGEST].peer && w->ends[STAGE_LOGGER].peer &&
		     w->ends[STAGE_API].room > 0);
	return 0;
}

/* Its exit status, once it has gone. */
static int
await_router(struct world *w)
{
	int status = -1;

	if (w->router <= 0)
		return -1;
	(void)waitpid(w->router, &status, 0);
	w->router = 0;
	return status;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	char command[128];

	if (w->router > 0) {
		(void)kill(w->router, SIGTERM);
		assert_int_equal(await_router(w), 0);
	}
	act(w, stop_loop, 0);
	pthread_join(w->thread, NULL);
	for (int stage = 0; stage < STAGE_MAX; stage++)
		if (w->ends[stage].link != NULL)
			link_free(w->ends[stage].link);
	loop_free(w->loop);
	close(w->event_fd);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", w->folder);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

/* A whole directory of so many subscriptions, as of number 100. */
static void
give_directory(struct world *w, uint64_t subscriptions)
{
	act(w, begin_snapshot, subscriptions);
	act(w, end_snapshot, 100);
	UNTIL(w, w->ends[STAGE_INGEST].room > 0);
}

/* ---- the tests -------------------------------------------------------- */

static void
test_nothing_is_granted_without_a_whole_directory(void **state)
{
	struct world *w = *state;

	act(w, begin_snapshot, 1);
	UNTIL(w, w->ends[STAGE_API].completed == 1);
	assert_int_equal(w->ends[STAGE_INGEST].room, 0);
	act(w, end_snapshot, 100);
	UNTIL(w, w->ends[STAGE_INGEST].room > 0);
}

static void
test_an_event_is_planned(void **state)
{
	struct world *w = *state;

	give_directory(w, 2);
	act(w, send_event, 7);
	UNTIL(w, w->got_count == 1);
	assert_int_equal(w->got[0].event, 7);
	assert_int_equal(w->got[0].count, 2);
	assert_int_equal(w->got[0].number, 100);
	assert_int_equal(w->got[0].parts, 1);
	assert_true(w->got[0].has_body);
	assert_int_equal(w->ends[STAGE_INGEST].completed, 0);
	act(w, complete_plan, 0);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 1);
}

static void
test_a_change_that_the_logger_saw_first(void **state)
{
	struct world *w = *state;

	give_directory(w, 0);
	w->answers = true;
	w->stale_below = 101;
	act(w, send_event, 7);
	UNTIL(w, w->got_count >= 2); /* refused, and tried again in vain */
	assert_int_equal(w->got[0].count, 0);
	assert_int_equal(w->ends[STAGE_INGEST].completed, 0);
	act(w, send_change, 101);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 1);
	assert_int_equal(w->got[w->got_count - 1].number, 101);
	assert_int_equal(w->got[w->got_count - 1].count, 1);
	assert_int_equal(w->ends[STAGE_INGEST].refused, 0);
}

static void
test_the_logger_dies(void **state)
{
	struct world *w = *state;

	give_directory(w, 1);
	act(w, send_event, 1);
	act(w, send_event, 2);
	UNTIL(w, w->got_count == 2);
	act(w, restart_end, STAGE_LOGGER);
	UNTIL(w, w->got_count == 4);
	assert_int_equal(w->got[2].event, 1);
	assert_int_equal(w->got[3].event, 2);
	act(w, complete_plan, 3);
	act(w, complete_plan, 2);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 2);
	assert_int_equal(w->ends[STAGE_INGEST].returned, 0);
}

static void
test_without_a_logger_nothing_is_granted(void **state)
{
	struct world *w = *state;

	give_directory(w, 1);
	act(w, stop_end, STAGE_LOGGER);
	UNTIL(w, w->ends[STAGE_INGEST].room == 0);
	act(w, restart_end, STAGE_LOGGER);
	UNTIL(w, w->ends[STAGE_INGEST].room > 0);
}

static void
test_a_logger_that_grants_nothing(void **state)
{
	struct world *w = *state;

	give_directory(w, 1);
	act(w, set_logger_window, 0);
	UNTIL(w, w->ends[STAGE_INGEST].room == 0);
	act(w, set_logger_window, 100);
	UNTIL(w, w->ends[STAGE_INGEST].room > 0);
	w->answers = true;
	act(w, send_event, 1);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 1);
}

static void
test_a_plan_in_parts(void **state)
{
	struct world *w = *state;

	give_directory(w, 1200);
	act(w, send_event, 7);
	UNTIL(w, w->got_count == 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(w->got[i].part, i);
		assert_int_equal(w->got[i].parts, 3);
		assert_int_equal(w->got[i].count, i < 2 ? 500 : 200);
		assert_int_equal(w->got[i].has_body, i == 0);
	}
	act(w, complete_plan, 2);
	act(w, complete_plan, 0);
	assert_int_equal(w->ends[STAGE_INGEST].completed, 0);
	act(w, complete_plan, 1);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 1);
}

static void
test_a_refused_plan(void **state)
{
	struct world *w = *state;

	give_directory(w, 1);
	act(w, send_event, 7);
	UNTIL(w, w->got_count == 1);
	act(w, refuse_plan, 0);
	UNTIL(w, w->ends[STAGE_INGEST].refused == 1);
	assert_string_equal(
	    w->ends[STAGE_INGEST].reason, "malformed: says the logger");
}

static void
test_the_ingest_dies(void **state)
{
	struct world *w = *state;

	give_directory(w, 1);
	act(w, send_event, 1);
	UNTIL(w, w->got_count == 1);
	act(w, restart_end, STAGE_INGEST);
	UNTIL(w, w->ends[STAGE_INGEST].room > 0);
	act(w, complete_plan, 0);
	act(w, send_event, 1);
	UNTIL(w, w->got_count == 2);
	assert_int_equal(w->ends[STAGE_INGEST].completed, 0);
	act(w, complete_plan, 1);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 1);
}

/* It goes on with what it knows; the next snapshot replaces all of it. */
static void
test_the_api_dies(void **state)
{
	struct world *w = *state;

	give_directory(w, 3);
	w->answers = true;
	act(w, stop_end, STAGE_API);
	act(w, send_event, 1);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 1);
	assert_int_equal(w->got[0].count, 3);
	act(w, restart_end, STAGE_API);
	UNTIL(w, w->ends[STAGE_API].room > 0);
	w->ends[STAGE_API].completed = 0;
	act(w, begin_snapshot, 1);
	UNTIL(w, w->ends[STAGE_API].completed == 1);
	act(w, send_event, 2);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 2);
	assert_int_equal(w->got[1].count, 3);
	assert_int_equal(w->got[1].number, 100);
	act(w, end_snapshot, 120);
	UNTIL(w, w->ends[STAGE_API].completed == 2);
	act(w, send_event, 3);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 3);
	assert_int_equal(w->got[2].count, 1);
	assert_int_equal(w->got[2].number, 120);
}

static void
test_a_change_before_the_snapshot(void **state)
{
	struct world *w = *state;

	act(w, send_change, 100);
	UNTIL(w, w->ends[STAGE_API].refused == 1);
	assert_memory_equal(w->ends[STAGE_API].reason, "resync", 6);
	give_directory(w, 1);
}

static void
test_it_drains(void **state)
{
	struct world *w = *state;

	give_directory(w, 1);
	act(w, send_event, 1);
	UNTIL(w, w->got_count == 1);
	(void)kill(w->router, SIGTERM);
	UNTIL(w, w->ends[STAGE_INGEST].room == 0);
	act(w, complete_plan, 0);
	UNTIL(w, w->ends[STAGE_INGEST].completed == 1);
	assert_int_equal(await_router(w), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_granted_without_a_whole_directory),
		TEST(test_an_event_is_planned),
		TEST(test_a_change_that_the_logger_saw_first),
		TEST(test_the_logger_dies),
		TEST(test_without_a_logger_nothing_is_granted),
		TEST(test_a_logger_that_grants_nothing),
		TEST(test_a_plan_in_parts),
		TEST(test_a_refused_plan),
		TEST(test_the_ingest_dies),
		TEST(test_the_api_dies),
		TEST(test_a_change_before_the_snapshot),
		TEST(test_it_drains),
	};

	return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
