/* Two or more links in one loop, over ipc in a folder of their own. */
#include "common/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

#define DEADLINE_MS 20000
#define STEP_MS 2
#define SEQS_MAX 4096

/* One end: what happened to it. */
struct end {
	struct link *link;
	struct link_peer *peer;
	const char *instance;
	unsigned ups, downs, messages, batches, rooms;
	unsigned completed, refused, returned;
	uint64_t seqs[SEQS_MAX]; /* received, by order */
	uint64_t cookies;	 /* sum of completed ones */
	size_t largest;
	char reason[300], why[300];
	bool complete_at_once;
	bool was_dead;
};

struct world {
	struct loop *loop;
	char folder[64], address[128];
	struct end a, b; /* a binds, b connects */
	bool (*const *steps)(struct world *w);
	uint64_t deadline_ms;
	bool failed;
	unsigned at;
};

static void
on_up(void *arg, struct link_peer *peer)
{
	struct end *e = arg;

	e->peer = peer;
	e->ups++;
	e->was_dead = link_peer_was_dead(peer);
}

static void
on_down(void *arg, struct link_peer *peer, const char *why)
{
	struct end *e = arg;

	if (e->peer == peer)
		e->peer = NULL;
	e->downs++;
	(void)snprintf(e->why, sizeof(e->why), "%s", why);
}

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct end *e = arg;

	(void)type;
	if (e->messages < SEQS_MAX)
		e->seqs[e->messages] = seq;
	e->messages++;
	if (message.len > e->largest)
		e->largest = message.len;
	if (e->complete_at_once)
		link_complete(peer, seq);
}

static void
on_batch(void *arg)
{
	((struct end *)arg)->batches++;
}

static void
on_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	(void)peer;
	(void)lane;
	((struct end *)arg)->rooms++;
}

static void
on_completed(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct end *e = arg;

	(void)peer;
	e->completed++;
	e->cookies += cookie;
}

static void
on_refused(
    void *arg, struct link_peer *peer, uint64_t cookie, struct slice reason)
{
	struct end *e = arg;

	(void)peer;
	(void)cookie;
	e->refused++;
	assert_int_equal(slice_copy(reason, e->reason, sizeof(e->reason)), 0);
}

static void
on_returned(void *arg, struct link_peer *peer, uint64_t cookie)
{
	(void)peer;
	(void)cookie;
	((struct end *)arg)->returned++;
}

static const struct link_ops ops = { on_up, on_down, on_message, on_batch,
	on_room, on_completed, on_refused, on_returned };

static void
end_open(struct world *w, struct end *e, enum stage stage, const char *instance)
{
	struct link_config config = {
		.stage = stage, .instance = instance, .plain_tcp = true
	};

	e->instance = instance;
	assert_int_equal(link_new(w->loop, &config, &ops, e, &e->link), 0);
	for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
		link_set_window(
		    e->link, (enum msg_lane)lane, 1000, LINK_WINDOW_MIN_BYTES);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	*state = w;
	log_init("test", LOG_AT_ERROR);
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/link-test-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	(void)snprintf(
	    w->address, sizeof(w->address), "ipc://%s/a.sock", w->folder);
	w->loop = loop_new();
	assert_non_null(w->loop);
	end_open(w, &w->a, STAGE_LOGGER, "logger-1");
	end_open(w, &w->b, STAGE_ROUTER, "router-1");
	assert_int_equal(link_bind(w->a.link, w->address), 0);
	assert_int_equal(link_connect(w->b.link, STAGE_LOGGER, w->address), 0);
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	link_free(w->b.link);
	link_free(w->a.link);
	loop_free(w->loop);
	(void)unlink(w->address + strlen("ipc://"));
	(void)rmdir(w->folder);
	free(w);
	return 0;
}

/* Runs steps one after the other, each until it says true. */
static void
on_step(void *arg)
{
	struct world *w = arg;

	while (w->steps[w->at] != NULL && w->steps[w->at](w))
		w->at++;
	if (w->steps[w->at] == NULL)
		loop_stop(w->loop);
	if (clock_mono_ms() > w->deadline_ms) {
		w->failed = true;
		loop_stop(w->loop);
	}
}

static void
run(struct world *w, bool (*const *steps)(struct world *w))
{
	int timer = loop_add_timer(w->loop, STEP_MS, on_step, w);

	assert_true(timer > 0);
	w->steps = steps;
	w->deadline_ms = clock_mono_ms() + DEADLINE_MS;
	assert_int_equal(loop_run(w->loop), 0);
	if (w->failed)
		fail_msg("step %u was never done", w->at);
}

static int
send_plan(struct end *e, size_t body, uint64_t cookie)
{
	uint8_t *bytes = calloc(1, body + 1);
	struct msg m = { .type = MSG_PLAN,
		.custody = { (const uint8_t *)"0123456789abcdef", 16 },
		.app = 1,
		.number = 1,
		.parts = 1,
		.body = { bytes, body } };
	struct buf out;
	int r;

	buf_init(&out, LIMIT_MESSAGE_BYTES);
	assert_int_equal(msg_pack(&m, &out), 0);
	r = link_send(e->peer, MSG_PLAN, buf_slice(&out), cookie);
	buf_done(&out);
	free(bytes);
	return r;
}

/* ---- tests ------------------------------------------------------------- */

static bool
both_up(struct world *w)
{
	return w->a.peer != NULL && w->b.peer != NULL &&
	       link_room(w->b.peer, MSG_LANE_WORK) == 1000;
}

static bool
send_ten(struct world *w)
{
	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(send_plan(&w->b, 100, i), 0);
	assert_int_equal(link_unacked(w->b.link), 10);
	assert_int_equal(w->a.messages, 0);
	link_flush(w->b.link);
	return true;
}

static bool
got_ten(struct world *w)
{
	return w->a.messages == 10;
}

static bool
complete_odd(struct world *w)
{
	assert_int_equal(link_open(w->a.link), 10);
	for (int i = 9; i >= 0; i -= 2)
		link_complete(w->a.peer, w->a.seqs[i]);
	link_complete(w->a.peer, w->a.seqs[1]); /* twice: no harm */
	link_complete(w->a.peer, 4711);		/* never sent: none */
	link_flush(w->a.link);
	return true;
}

static bool
half_completed(struct world *w)
{
	return w->b.completed == 5;
}

static bool
refuse_rest(struct world *w)
{
	assert_int_equal(w->b.cookies, 2 + 4 + 6 + 8 + 10);
	for (int i = 0; i < 10; i += 2)
		link_refuse(w->a.peer, w->a.seqs[i], "stale: by 3");
	link_flush(w->a.link);
	return true;
}

static bool
all_refused(struct world *w)
{
	return w->b.refused == 5;
}

static bool
nothing_open(struct world *w)
{
	return link_open(w->a.link) == 0 && link_unacked(w->b.link) == 0 &&
	       link_room(w->b.peer, MSG_LANE_WORK) == 1000;
}

static void
test_any_order(void **state)
{
	static bool (*const steps[])(struct world *) = { both_up, send_ten,
		got_ten, complete_odd, half_completed, refuse_rest, all_refused,
		nothing_open, NULL };
	struct world *w = *state;

	run(w, steps);
	assert_string_equal(w->b.reason, "stale: by 3");
	assert_int_equal(w->b.returned, 0);
	assert_int_equal(link_peer_stage(w->a.peer), STAGE_ROUTER);
	assert_string_equal(link_peer_instance(w->a.peer), "router-1");
	assert_int_equal(link_peer_session(w->a.peer), link_session(w->b.link));
	assert_true(link_peer_heard_ms(w->a.peer) > 0);
}

static bool
forbidden(struct world *w)
{
	struct slice event = { (const uint8_t *)"\x0b", 1 };

	assert_int_equal(link_send(w->b.peer, MSG_EVENT, event, 1), -EPERM);
	assert_int_equal(
	    link_send(w->b.peer, MSG_PLAN, (struct slice){ NULL, 0 }, 1),
	    -EMSGSIZE);
	return true;
}

static void
test_wiring(void **state)
{
	static bool (*const steps[])(
	    struct world *) = { both_up, forbidden, NULL };

	run(*state, steps);
}

static bool
leave(struct world *w)
{
	link_disconnect(w->b.link, w->address);
	return true;
}

static bool
both_down(struct world *w)
{
	return w->a.downs == 1 && w->b.downs == 1;
}

static void
test_disconnect(void **state)
{
	static bool (*const steps[])(struct world *) = { both_up, send_ten,
		got_ten, leave, both_down, NULL };
	struct world *w = *state;

	run(w, steps);
	assert_int_equal(w->b.returned, 10);
	assert_string_equal(w->b.why, "disconnected");
	assert_string_equal(w->a.why, "bye");
}

static bool
restart(struct world *w)
{
	link_free(w->b.link);
	w->b.link = NULL;
	w->b.peer = NULL;
	end_open(w, &w->b, STAGE_ROUTER, "router-1");
	assert_int_equal(link_connect(w->b.link, STAGE_LOGGER, w->address), 0);
	return true;
}

static bool
up_again(struct world *w)
{
	return w->a.ups == 2 && both_up(w);
}

static void
test_restart(void **state)
{
	static bool (*const steps[])(struct world *) = { both_up, restart,
		up_again, send_ten, got_ten, NULL };
	struct world *w = *state;

	run(w, steps);
	assert_int_equal(w->a.downs, 1);
	assert_false(w->a.was_dead);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wiring, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_disconnect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	zsys_shutdown();
	return r;
}
