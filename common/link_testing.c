#include "common/link_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

#define DEADLINE_MS 20000
#define STEP_MS 2

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

void
end_open(struct world *w, struct end *e, enum stage stage, const char *instance,
    const char *keys_folder)
{
	struct link_config config = { .stage = stage,
		.instance = instance,
		.keys_folder = keys_folder,
		.plain_tcp = keys_folder == NULL };

	assert_int_equal(link_new(w->loop, &config, &ops, e, &e->link), 0);
	for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
		link_set_window(
		    e->link, (enum msg_lane)lane, 1000, LINK_WINDOW_MIN_BYTES);
}

/* ---- the world --------------------------------------------------------- */

static struct world *
world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));
	int fd;

	assert_non_null(w);
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/link-test-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	(void)snprintf(
	    w->address, sizeof(w->address), "ipc://%s/a.sock", w->folder);
	(void)snprintf(w->log, sizeof(w->log), "%s/log", w->folder);
	fd = open(w->log, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	w->stderr_was = dup(STDERR_FILENO);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	(void)close(fd);
	log_init("test", LOG_AT_INFO);
	w->loop = loop_new();
	assert_non_null(w->loop);
	return w;
}

int
world_setup_alone(void **state)
{
	*state = world_new();
	return 0;
}

int
world_setup_bound(void **state)
{
	struct world *w = world_new();

	*state = w;
	end_open(w, &w->a, STAGE_LOGGER, "logger-1", NULL);
	assert_int_equal(link_bind(w->a.link, w->address), 0);
	raw_open(&w->raw, ZMQ_DEALER);
	assert_int_equal(zmq_connect(w->raw.socket, w->address), 0);
	return 0;
}

int
world_setup_connected(void **state)
{
	struct world *w = world_new();

	*state = w;
	raw_open(&w->raw, ZMQ_ROUTER);
	assert_int_equal(zmq_bind(w->raw.socket, w->address), 0);
	end_open(w, &w->b, STAGE_ROUTER, "router-1", NULL);
	assert_int_equal(link_connect(w->b.link, STAGE_LOGGER, w->address), 0);
	return 0;
}

int
world_setup(void **state)
{
	struct world *w = world_new();

	*state = w;
	end_open(w, &w->a, STAGE_LOGGER, "logger-1", NULL);
	end_open(w, &w->b, STAGE_ROUTER, "router-1", NULL);
	assert_int_equal(link_bind(w->a.link, w->address), 0);
	assert_int_equal(link_connect(w->b.link, STAGE_LOGGER, w->address), 0);
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;

	link_free(w->b.link);
	link_free(w->a.link);
	raw_close(&w->raw);
	raw_close(&w->raw2);
	loop_free(w->loop);
	(void)dup2(w->stderr_was, STDERR_FILENO);
	(void)close(w->stderr_was);
	(void)unlink(w->address + strlen("ipc://"));
	(void)unlink(w->log);
	(void)rmdir(w->folder);
	free(w);
	return 0;
}

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

void
world_run(struct world *w, world_step *const *steps)
{
	int timer = loop_add_timer(w->loop, STEP_MS, on_step, w);

	assert_true(timer > 0);
	w->steps = steps;
	w->deadline_ms = clock_mono_ms() + DEADLINE_MS;
	assert_int_equal(loop_run(w->loop), 0);
	if (w->failed)
		fail_msg("step %u was never done", w->at);
}

unsigned
world_lines(const struct world *w, const char *text)
{
	FILE *f = fopen(w->log, "r");
	char line[LOG_LINE_MAX + 1];
	unsigned count = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		count += strstr(line, text) != NULL;
	(void)fclose(f);
	return count;
}

/* ---- raw sockets ------------------------------------------------------- */

void
raw_open(struct raw *r, int type)
{
	int zero = 0;

	r->socket = zmq_socket(zsys_init(), type);
	assert_non_null(r->socket);
	assert_int_equal(
	    zmq_setsockopt(r->socket, ZMQ_LINGER, &zero, sizeof(zero)), 0);
	zmq_msg_init(&r->frame);
}

void
raw_close(struct raw *r)
{
	if (r->socket == NULL)
		return;
	zmq_msg_close(&r->frame);
	(void)zmq_close(r->socket);
	r->socket = NULL;
}

void
raw_send_bytes(struct raw *r, const void *bytes, size_t len)
{
	if (r->route_len > 0)
		assert_true(zmq_send(r->socket, r->route, r->route_len,
				ZMQ_SNDMORE) >= 0);
	assert_true(zmq_send(r->socket, bytes, len, ZMQ_DONTWAIT) >= 0);
}

void
raw_send(struct raw *r, const struct msg *m)
{
	struct buf out;

	buf_init(&out, 2 * LIMIT_MESSAGE_BYTES);
	assert_int_equal(msg_pack(m, &out), 0);
	raw_send_bytes(r, out.data, out.len);
	buf_done(&out);
}

bool
raw_receive(struct raw *r)
{
	int len = zmq_msg_recv(&r->frame, r->socket, ZMQ_DONTWAIT);

	if (len < 0)
		return false;
	if (zmq_msg_more(&r->frame)) {
		assert_true((size_t)len <= sizeof(r->route));
		memcpy(r->route, zmq_msg_data(&r->frame), (size_t)len);
		r->route_len = (size_t)len;
		assert_true(
		    zmq_msg_recv(&r->frame, r->socket, ZMQ_DONTWAIT) >= 0);
	}
	assert_int_equal(msg_unpack((struct slice){ zmq_msg_data(&r->frame),
					zmq_msg_size(&r->frame) },
			     &r->msg),
	    0);
	return true;
}

bool
raw_wait(struct raw *r, enum msg_type type)
{
	while (raw_receive(r))
		if (r->msg.type == type)
			return true;
	return false;
}

void
raw_hello(struct raw *r, uint64_t session, uint64_t peer_session, uint64_t seq,
    uint64_t stamp)
{
	struct msg m = { .type = MSG_HELLO,
		.proto_min = LINK_PROTO_MIN,
		.proto_max = LINK_PROTO_MAX,
		.role = slice_text("router"),
		.instance = slice_text("raw"),
		.session = session,
		.peer_session = peer_session,
		.seq = seq,
		.stamp = stamp };

	raw_send(r, &m);
}

void
raw_data(struct raw *r, uint64_t session, uint64_t seq, uint64_t count)
{
	static const uint8_t plan[] = { 0xc4, 2, MSG_PLAN, 0x80 };
	struct msg m = {
		.type = MSG_DATA, .session = session, .seq = seq, .count = count
	};
	struct buf batch;

	buf_init(&batch, LIMIT_MESSAGE_BYTES);
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(buf_add(&batch, plan, sizeof(plan)), 0);
	m.batch = buf_slice(&batch);
	raw_send(r, &m);
	buf_done(&batch);
}

/* ---- sending ----------------------------------------------------------- */

int
end_send_plan(struct end *e, size_t body, uint64_t cookie)
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
