/* Two links in one loop. */
#include "common/link.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/link_testing.h"

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
		assert_int_equal(end_send_plan(&w->b, 100, i), 0);
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
	static world_step *const steps[] = { both_up, send_ten, got_ten,
		complete_odd, half_completed, refuse_rest, all_refused,
		nothing_open, NULL };
	struct world *w = *state;

	world_run(w, steps);
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

	world_run(*state, steps);
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
	static world_step *const steps[] = { both_up, send_ten, got_ten, leave,
		both_down, NULL };
	struct world *w = *state;

	world_run(w, steps);
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
	end_open(w, &w->b, STAGE_ROUTER, "router-1", NULL);
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
	static world_step *const steps[] = { both_up, restart, up_again,
		send_ten, got_ten, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->a.downs, 1);
	assert_false(w->a.was_dead);
}

/* libzmq alone would let the second one take the path over in silence. */
static void
a_path_has_one_owner(void **state)
{
	struct world *w = *state;
	struct link_config config = { .stage = STAGE_LOGGER,
		.instance = "second" };
	struct link *second = NULL;

	assert_int_equal(
	    link_new(w->loop, &config, &(struct link_ops){ 0 }, NULL, &second),
	    0);
	assert_int_equal(link_bind(second, w->address), -EADDRINUSE);
	link_free(w->a.link);
	w->a.link = NULL;
	assert_int_equal(link_bind(second, w->address), 0);
	link_free(second);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_path_has_one_owner, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(
		    test_any_order, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(
		    test_wiring, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(
		    test_disconnect, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(
		    test_restart, world_setup, world_teardown),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	zsys_shutdown();
	return r;
}
