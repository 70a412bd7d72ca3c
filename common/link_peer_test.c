/* The conversation, against a peer whose frames are made by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/link_private.h"
#include "common/link_testing.h"

#define SESSION 77u
#define STAMP ((UINT64_C(1) << 32) | 1)

/* ---- at the bound socket ----------------------------------------------- */

static bool
hello(struct world *w)
{
	raw_hello(&w->raw, SESSION, 0, 0, STAMP);
	return true;
}

static bool
welcomed(struct world *w)
{
	if (!raw_wait(&w->raw, MSG_WELCOME))
		return false;
	assert_int_equal(w->raw.msg.proto_max, LINK_PROTO_MAX);
	assert_int_equal(w->raw.msg.session, link_session(w->a.link));
	assert_int_equal(w->raw.msg.peer_session, SESSION);
	assert_int_equal(w->raw.msg.stamp, STAMP);
	assert_int_equal(w->raw.msg.flags, 0);
	return true;
}

static bool
refused(struct world *w)
{
	return raw_wait(&w->raw, MSG_REFUSE);
}

static bool
hello_of_the_future(struct world *w)
{
	struct msg m = { .type = MSG_HELLO,
		.proto_min = LINK_PROTO_MAX + 1,
		.proto_max = LINK_PROTO_MAX + 2,
		.role = slice_text("router"),
		.instance = slice_text("raw"),
		.session = SESSION };

	raw_send(&w->raw, &m);
	return true;
}

static bool
hello_of_a_wide_range(struct world *w)
{
	struct msg m = { .type = MSG_HELLO,
		.proto_min = 0,
		.proto_max = 255,
		.role = slice_text("router"),
		.instance = slice_text("raw"),
		.session = SESSION,
		.stamp = STAMP };

	raw_send(&w->raw, &m);
	return true;
}

static void
test_versions(void **state)
{
	static world_step *const steps[] = { hello_of_the_future, refused,
		hello_of_the_future, refused, hello_of_a_wide_range, welcomed,
		NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(world_lines(w, "refused peer=raw why=\"version:"), 1);
	assert_int_equal(w->a.ups, 1);
}

static bool
hello_of_ingest(struct world *w)
{
	struct msg m = { .type = MSG_HELLO,
		.proto_min = LINK_PROTO_MIN,
		.proto_max = LINK_PROTO_MAX,
		.role = slice_text("ingest"),
		.instance = slice_text("raw\ning\"est"),
		.session = SESSION };

	raw_send(&w->raw, &m);
	return true;
}

static void
test_role(void **state)
{
	static world_step *const steps[] = { hello_of_ingest, refused,
		hello_of_ingest, refused, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(world_lines(w, "why=\"role:"), 1);
	assert_int_equal(world_lines(w, "peer=raw?ing?est"), 1);
	assert_int_equal(w->a.ups, 0);
}

static bool
garbage(struct world *w)
{
	struct msg out_of_place = { .type = MSG_WELCOME,
		.proto_max = 1,
		.role = slice_text("router"),
		.instance = slice_text("raw"),
		.session = SESSION };

	raw_send_bytes(&w->raw, "", 0);
	raw_send_bytes(&w->raw, "\xff\xfe\xfd", 3);
	raw_send_bytes(&w->raw, "\x01\xc1", 2);
	raw_send_bytes(&w->raw, "\x06\x84\x05\x01", 4);
	raw_send(&w->raw, &out_of_place);
	return true;
}

static bool
one_message(struct world *w)
{
	raw_data(&w->raw, SESSION, 1, 1);
	return true;
}

static bool
got_it(struct world *w)
{
	return w->a.messages == 1;
}

static void
test_garbage(void **state)
{
	static world_step *const steps[] = { garbage, hello, welcomed, garbage,
		garbage, one_message, got_it, NULL };
	struct world *w = *state;
	struct buf out;

	world_run(w, steps);
	assert_int_equal(world_lines(w, "garbage peer=unknown"), 1);
	assert_int_equal(world_lines(w, "garbage peer=raw"), 1);
	assert_int_equal(w->a.downs, 0);
	buf_init(&out, 65536);
	assert_int_equal(link_metrics(w->a.link, &out), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_non_null(
	    strstr((char *)out.data, "sluice_link_garbage_total 15\n"));
	buf_done(&out);
}

static bool
ping(struct world *w)
{
	struct msg m = { .type = MSG_PING, .session = SESSION, .stamp = 1 };

	raw_send(&w->raw, &m);
	return true;
}

static bool
reset(struct world *w)
{
	if (!raw_wait(&w->raw, MSG_RESET))
		return false;
	assert_int_equal(w->raw.msg.session, link_session(w->a.link));
	return true;
}

static bool
three_messages(struct world *w)
{
	raw_data(&w->raw, SESSION, 1, 3);
	return true;
}

static bool
got_three(struct world *w)
{
	return w->a.messages == 3;
}

/* As libzmq does by itself: another connection, another routing id. */
static bool
reconnect(struct world *w)
{
	raw_close(&w->raw);
	raw_open(&w->raw, ZMQ_DEALER);
	assert_int_equal(zmq_connect(w->raw.socket, w->address), 0);
	return true;
}

static bool
hello_again(struct world *w)
{
	raw_hello(&w->raw, SESSION, link_session(w->a.link), 0, STAMP);
	return true;
}

static bool
welcomed_after_three(struct world *w)
{
	if (!raw_wait(&w->raw, MSG_WELCOME))
		return false;
	assert_int_equal(w->raw.msg.seq, 3);
	assert_int_equal(w->raw.msg.flags, 0);
	return true;
}

static bool
complete_two_of_them(struct world *w)
{
	link_complete(w->a.peer, w->a.seqs[1]);
	link_refuse(w->a.peer, w->a.seqs[2], "full: of it");
	link_flush(w->a.link);
	return true;
}

/* ACK with 2 completed and 3 refused, wherever it was said before. */
static bool
acked(struct world *w)
{
	struct msg_list list;
	struct msg r;

	while (raw_wait(&w->raw, MSG_ACK)) {
		assert_int_equal(w->raw.msg.seq, 0);
		list = w->raw.msg.ranges;
		if (!msg_next(&list, MSG_RANGE, &r))
			continue; /* the one after HELLO: nothing yet */
		assert_int_equal(r.seq, 2);
		assert_int_equal(r.count, 1);
		list = w->raw.msg.refused;
		assert_true(msg_next(&list, MSG_REFUSED, &r));
		assert_int_equal(r.seq, 3);
		assert_true(slice_is(r.reason, "full: of it"));
		return true;
	}
	return false;
}

static bool
send_on_from_two(struct world *w)
{
	raw_data(&w->raw, SESSION, 2, 3); /* 2 and 3 once more, and 4 */
	return true;
}

static bool
got_four(struct world *w)
{
	return w->a.messages == 4;
}

static void
test_reconnect(void **state)
{
	static world_step *const steps[] = { ping, reset, hello, welcomed,
		three_messages, got_three, reconnect, ping, reset, hello_again,
		welcomed_after_three, complete_two_of_them, acked, reconnect,
		hello_again, welcomed_after_three, acked, send_on_from_two,
		got_four, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->a.ups, 1);
	assert_int_equal(w->a.downs, 0);
	assert_int_equal(w->a.seqs[3], 4);
	assert_int_equal(world_lines(w, "link resumed peer=raw"), 2);
}

static bool
leave_a_gap(struct world *w)
{
	raw_data(&w->raw, SESSION, 3, 1);
	return true;
}

static void
test_gap(void **state)
{
	static world_step *const steps[] = { hello, welcomed, one_message,
		got_it, leave_a_gap, reset, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->a.messages, 1);
}

static bool
answer_ping(struct world *w)
{
	struct msg m = { .type = MSG_PONG,
		.peer_session = link_session(w->a.link) };

	if (!raw_wait(&w->raw, MSG_PING))
		return false;
	m.stamp = w->raw.msg.stamp;
	raw_send(&w->raw, &m);
	return true;
}

static bool
is_confirmed(struct world *w)
{
	return raw_wait(&w->raw, MSG_ACK) && w->raw.msg.seq == 1;
}

static bool
refuse_it(struct world *w)
{
	link_refuse(w->a.peer, 1, "no: not this");
	link_flush(w->a.link);
	return true;
}

/* A refusal is remembered until a PING after it was answered. */
static void
test_refusal_is_confirmed(void **state)
{
	static world_step *const steps[] = { hello, welcomed, answer_ping,
		one_message, got_it, refuse_it, answer_ping, is_confirmed,
		NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(link_open(w->a.link), 0);
	assert_true(link_peer_heard_ms(w->a.peer) > 0);
}

static bool
grant_two(struct world *w)
{
	link_set_window(w->a.link, MSG_LANE_WORK, 2, LINK_WINDOW_MIN_BYTES);
	return true;
}

static bool
five_messages(struct world *w)
{
	raw_data(&w->raw, SESSION, 1, 5);
	return true;
}

static bool
three_are_refused(struct world *w)
{
	struct msg_list list;
	struct msg r;

	if (!raw_wait(&w->raw, MSG_ACK) || w->raw.msg.refused.count == 0)
		return false;
	list = w->raw.msg.refused;
	for (uint64_t seq = 3; seq <= 5; seq++) {
		assert_true(msg_next(&list, MSG_REFUSED, &r));
		assert_int_equal(r.seq, seq);
		assert_memory_equal(r.reason.data, "credit:", 7);
	}
	return true;
}

static void
test_more_than_granted(void **state)
{
	static world_step *const steps[] = { grant_two, hello, welcomed,
		five_messages, three_are_refused, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->a.messages, 2);
	assert_int_equal(world_lines(w, "garbage peer=raw"), 1);
}

static bool
flood(struct world *w)
{
	for (uint64_t i = 0; i < 2 * LINK_REFUSED_MAX / 1000; i++)
		raw_data(&w->raw, SESSION, 1 + i * 1000, 1000);
	return true;
}

/* It never answers a PING, so no refusal is ever forgotten. */
static void
test_refusals_are_bounded(void **state)
{
	static world_step *const steps[] = { grant_two, hello, welcomed, flood,
		reset, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->a.messages, 2);
	assert_int_equal(w->a.peer->in.open.count, LINK_REFUSED_MAX + 2);
}

static bool
unexpected(struct world *w)
{
	static const uint8_t batch[] = { 0xc4, 2, MSG_EVENT, 0x80 };
	struct msg m = { .type = MSG_DATA,
		.session = SESSION,
		.seq = 1,
		.count = 1,
		.batch = { batch, sizeof(batch) } };

	raw_send(&w->raw, &m);
	return true;
}

static bool
one_is_refused(struct world *w)
{
	return raw_wait(&w->raw, MSG_ACK) && w->raw.msg.refused.count == 1;
}

static void
test_unexpected_message(void **state)
{
	static world_step *const steps[] = { hello, welcomed, unexpected,
		one_is_refused, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->a.messages, 0);
}

static bool
told_dead(struct world *w)
{
	if (!raw_wait(&w->raw, MSG_WELCOME))
		return false;
	assert_int_equal(w->raw.msg.flags, 1);
	return true;
}

static void
test_resuming_what_is_forgotten(void **state)
{
	static world_step *const steps[] = { hello_again, told_dead, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->a.ups, 0);
}

static bool
begin_anew(struct world *w)
{
	raw_hello(&w->raw, SESSION, 0, 0, STAMP + 1);
	return true;
}

static bool
up_twice(struct world *w)
{
	return w->a.ups == 2;
}

static void
test_declared_dead_there(void **state)
{
	static world_step *const steps[] = { hello, welcomed, begin_anew,
		up_twice, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->a.downs, 1);
	assert_true(w->a.was_dead);
}

static bool
hello_by_another_address(struct world *w)
{
	raw_open(&w->raw2, ZMQ_DEALER);
	assert_int_equal(zmq_connect(w->raw2.socket, w->address), 0);
	raw_hello(&w->raw2, SESSION, 0, 0, (UINT64_C(2) << 32) | 1);
	return true;
}

static bool
is_a_duplicate(struct world *w)
{
	if (!raw_wait(&w->raw2, MSG_REFUSE))
		return false;
	assert_memory_equal(w->raw2.msg.reason.data, "duplicate:", 10);
	return true;
}

static bool
hello_of_the_next_start(struct world *w)
{
	raw_hello(&w->raw2, SESSION + 1, 0, 0, STAMP);
	return true;
}

static void
test_one_session_one_peer(void **state)
{
	static world_step *const steps[] = { hello, welcomed,
		hello_by_another_address, is_a_duplicate,
		hello_of_the_next_start, up_twice, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->a.downs, 1);
	assert_string_equal(w->a.why, "replaced by a new session");
}

static struct raw many[LINK_PEERS_MAX + 1];

static bool
many_hellos(struct world *w)
{
	for (unsigned i = 0; i <= LINK_PEERS_MAX; i++) {
		char name[32];
		struct msg m = { .type = MSG_HELLO,
			.proto_min = LINK_PROTO_MIN,
			.proto_max = LINK_PROTO_MAX,
			.role = slice_text("router"),
			.session = SESSION + i };

		(void)snprintf(name, sizeof(name), "raw-%u", i);
		m.instance = slice_text(name);
		raw_open(&many[i], ZMQ_DEALER);
		assert_int_equal(zmq_connect(many[i].socket, w->address), 0);
		raw_send(&many[i], &m);
	}
	return true;
}

static bool
full(struct world *w)
{
	return world_lines(w, "why=\"full:") == 1;
}

static void
test_too_many(void **state)
{
	static world_step *const steps[] = { many_hellos, full, NULL };
	struct world *w = *state;
	unsigned peers = 0;

	world_run(w, steps);
	for (struct link_peer *p = NULL;
	    (p = link_peer_next(w->a.link, p)) != NULL;)
		peers++;
	assert_int_equal(peers, LINK_PEERS_MAX);
	for (unsigned i = 0; i <= LINK_PEERS_MAX; i++)
		raw_close(&many[i]);
}

/* ---- at a connected socket --------------------------------------------- */

static bool
greeted(struct world *w)
{
	if (!raw_wait(&w->raw, MSG_HELLO))
		return false;
	w->stamp = w->raw.msg.stamp;
	return true;
}

static void
send_welcome(
    struct world *w, const char *role, uint64_t version, uint64_t flags)
{
	struct msg m = { .type = MSG_WELCOME,
		.proto_max = version,
		.role = slice_text(role),
		.instance = slice_text("raw"),
		.session = SESSION,
		.peer_session = link_session(w->b.link),
		.stamp = w->stamp,
		.flags = flags };

	raw_send(&w->raw, &m);
}

static bool
welcome(struct world *w)
{
	send_welcome(w, "logger", 1, 0);
	return true;
}

static bool
welcome_as_another(struct world *w)
{
	send_welcome(w, "api", 1, 0);
	return true;
}

static bool
welcome_in_another_version(struct world *w)
{
	send_welcome(w, "logger", 2, 0);
	return true;
}

static bool
b_refused(struct world *w)
{
	return world_lines(w, "link refused by=") == 1;
}

static void
test_wrong_role_there(void **state)
{
	static world_step *const steps[] = { greeted, welcome_as_another,
		b_refused, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(world_lines(w, "role: api is there, logger was"), 1);
	assert_int_equal(w->b.ups, 0);
}

static void
test_wrong_version_there(void **state)
{
	static world_step *const steps[] = { greeted,
		welcome_in_another_version, b_refused, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->b.ups, 0);
}

static bool
b_up(struct world *w)
{
	return w->b.ups == 1;
}

static bool
grant(struct world *w)
{
	struct msg r = { .type = MSG_LANE_CREDIT,
		.lane = MSG_LANE_WORK,
		.max_messages = 3,
		.max_bytes = 5000 };
	struct msg m = { .type = MSG_CREDIT,
		.peer_session = link_session(w->b.link) };
	struct buf records;

	buf_init(&records, 4096);
	assert_int_equal(msg_pack_record(&r, &records), 0);
	m.credit = (struct msg_list){ buf_slice(&records), 1 };
	raw_send(&w->raw, &m);
	buf_done(&records);
	return true;
}

static bool
has_room(struct world *w)
{
	return w->b.rooms == 1 && link_room(w->b.peer, MSG_LANE_WORK) == 3;
}

static bool
use_credit(struct world *w)
{
	assert_int_equal(end_send_plan(&w->b, 100, 1), 0);
	assert_int_equal(end_send_plan(&w->b, 5000, 2), -EAGAIN); /* bytes */
	assert_int_equal(end_send_plan(&w->b, 100, 2), 0);
	assert_int_equal(end_send_plan(&w->b, 100, 3), 0);
	assert_int_equal(link_room(w->b.peer, MSG_LANE_WORK), 0);
	assert_int_equal(end_send_plan(&w->b, 100, 4), -EAGAIN);
	link_flush(w->b.link);
	return true;
}

static bool
got_data(struct world *w)
{
	if (!raw_wait(&w->raw, MSG_DATA))
		return false;
	assert_int_equal(w->raw.msg.seq, 1);
	assert_int_equal(w->raw.msg.count, 3);
	return true;
}

static bool
say_reset(struct world *w)
{
	struct msg m = { .type = MSG_RESET, .session = SESSION };

	raw_send(&w->raw, &m);
	return true;
}

/* The same conversation; and we have had the first one. */
static bool
greeted_again(struct world *w)
{
	struct msg m = { .type = MSG_WELCOME,
		.proto_max = 1,
		.role = slice_text("logger"),
		.instance = slice_text("raw"),
		.session = SESSION,
		.peer_session = link_session(w->b.link),
		.stamp = w->stamp,
		.seq = 1 };

	if (!raw_wait(&w->raw, MSG_HELLO))
		return false;
	assert_int_equal(w->raw.msg.stamp, w->stamp);
	assert_int_equal(w->raw.msg.peer_session, SESSION);
	raw_send(&w->raw, &m);
	return true;
}

static bool
got_the_rest(struct world *w)
{
	if (!raw_wait(&w->raw, MSG_DATA))
		return false;
	assert_int_equal(w->raw.msg.seq, 2);
	assert_int_equal(w->raw.msg.count, 2);
	return true;
}

/* Ranges and numbers that were never sent do no harm. */
static bool
ack_wildly(struct world *w)
{
	struct msg r = { .type = MSG_RANGE, .seq = 2, .count = UINT32_MAX };
	struct msg m = { .type = MSG_ACK,
		.peer_session = link_session(w->b.link) };
	struct buf records;

	buf_init(&records, 4096);
	assert_int_equal(msg_pack_record(&r, &records), 0);
	m.ranges = (struct msg_list){ buf_slice(&records), 1 };
	raw_send(&w->raw, &m);
	buf_done(&records);
	return true;
}

static bool
two_completed(struct world *w)
{
	return w->b.completed == 2;
}

static bool
declare_dead(struct world *w)
{
	if (!raw_wait(&w->raw, MSG_HELLO))
		return false;
	send_welcome(w, "logger", 1, 1);
	return true;
}

static bool
greeted_anew(struct world *w)
{
	if (!raw_wait(&w->raw, MSG_HELLO))
		return false;
	assert_true(w->raw.msg.stamp != w->stamp);
	assert_int_equal(w->raw.msg.peer_session, 0);
	w->stamp = w->raw.msg.stamp;
	return welcome(w);
}

static bool
b_up_again(struct world *w)
{
	return w->b.ups == 2;
}

static void
test_resets_at_the_connecting_side(void **state)
{
	static world_step *const steps[] = { greeted, welcome, b_up, grant,
		has_room, use_credit, got_data, say_reset, greeted_again,
		got_the_rest, ack_wildly, two_completed, say_reset,
		declare_dead, greeted_anew, b_up_again, NULL };
	struct world *w = *state;

	world_run(w, steps);
	assert_int_equal(w->b.returned, 1);
	assert_int_equal(w->b.downs, 1);
	assert_true(w->b.was_dead);
}

int
main(void)
{
#define BOUND(t) \
	cmocka_unit_test_setup_teardown(t, world_setup_bound, world_teardown)
#define CONNECTED(t)                     \
	cmocka_unit_test_setup_teardown( \
	    t, world_setup_connected, world_teardown)
	const struct CMUnitTest tests[] = {
		BOUND(test_versions),
		BOUND(test_role),
		BOUND(test_garbage),
		BOUND(test_reconnect),
		BOUND(test_gap),
		BOUND(test_refusal_is_confirmed),
		BOUND(test_more_than_granted),
		BOUND(test_refusals_are_bounded),
		BOUND(test_unexpected_message),
		BOUND(test_resuming_what_is_forgotten),
		BOUND(test_declared_dead_there),
		BOUND(test_one_session_one_peer),
		BOUND(test_too_many),
		CONNECTED(test_wrong_role_there),
		CONNECTED(test_wrong_version_there),
		CONNECTED(test_resets_at_the_connecting_side),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	zsys_shutdown();
	return r;
}
