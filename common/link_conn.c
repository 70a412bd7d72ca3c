#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/link_private.h"
#include "common/log.h"

static void
set(zsock_t *sock, int option, int value)
{
	(void)zmq_setsockopt(link_sock(sock), option, &value, sizeof(value));
}

static void
on_readable(void *arg)
{
	struct link_conn *c = arg;
	struct link *l = c->link;

	(void)link_conn_read(c);
	link_end_batch(l);
}

static void
close_sock(struct link_conn *c)
{
	if (c->sock == NULL)
		return;
	loop_del_sock(c->link->loop, c->sock);
	zsock_destroy(&c->sock);
}

static int
open_sock(struct link_conn *c)
{
	struct link *l = c->link;
	int r = 0;

	c->since_ms = loop_now_ms(l->loop);
	c->hello_ms = 0;
	c->sock = zsock_new(ZMQ_DEALER);
	if (c->sock == NULL)
		return -ENOMEM;
	link_sock_options(c->sock);
	set(c->sock, ZMQ_IMMEDIATE, 1);
	set(c->sock, ZMQ_RECONNECT_IVL, 100);
	set(c->sock, ZMQ_RECONNECT_IVL_MAX, 2000);
	set(c->sock, ZMQ_CONNECT_TIMEOUT, 2000);
	if (l->auth != NULL && strncmp(c->address, "tcp://", 6) == 0)
		r = link_auth_connect(l->auth, c->sock, c->to, c->key);
	if (r == 0 && zmq_connect(link_sock(c->sock), c->address) < 0)
		r = -errno;
	if (r == 0)
		r = loop_add_sock(l->loop, c->sock, on_readable, c);
	if (r < 0)
		zsock_destroy(&c->sock);
	return r;
}

int
link_conn_new(
    struct link *l, enum stage to, const char *address, struct link_conn **ret)
{
	struct link_conn *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->link = l;
	c->to = to;
	c->number = ++l->conn_number;
	c->alone_ms = loop_now_ms(l->loop);
	(void)snprintf(c->address, sizeof(c->address), "%s", address);
	r = open_sock(c);
	if (r == -EINVAL) {
		link_conn_free(c);
		return r;
	}
	/* What else it may be (no key yet, no descriptor free) passes: it is
	 * tried again at each tick. */
	if (r < 0)
		log_warn("link to=%s waits: %s", address, strerror(-r));
	*ret = c;
	return 0;
}

void
link_conn_free(struct link_conn *c)
{
	if (c == NULL)
		return;
	close_sock(c);
	free(c);
}

void
link_conn_renew(struct link_conn *c)
{
	int r;

	close_sock(c);
	c->key ^= 1;
	r = open_sock(c);
	if (r == -ENOENT) { /* no next key */
		c->key = 0;
		r = open_sock(c);
	}
	if (r < 0)
		log_debug("link socket to=%s failed: %s", c->address,
		    strerror(-r)); /* again at the next tick */
	link_hurry(c->link);
}

bool
link_conn_read(struct link_conn *c)
{
	size_t bytes = 0;

	for (unsigned n = 0; n < LINK_DRAIN_FRAMES; n++) {
		zmq_msg_t frame;
		int r;

		if (c->sock == NULL || bytes > LINK_DRAIN_BYTES)
			return c->sock != NULL;
		zmq_msg_init(&frame);
		r = link_frame_receive(c->sock, NULL, &frame);
		if (r == 0) {
			bytes += zmq_msg_size(&frame);
			link_welcome_frame(c, &frame);
		}
		zmq_msg_close(&frame);
		if (r == -EAGAIN)
			return false;
		if (r < 0)
			c->link->stats.frames_garbage++;
	}
	return true;
}

/* Nobody answers: what was queued for them only grows old, or the key is not
 * theirs. */
static bool
is_stuck(const struct link_conn *c, uint64_t now)
{
	uint64_t limit_ms = c->hello_ms != 0 ? LINK_SILENT_MS : LINK_KEY_MS;

	if (c->sock == NULL)
		return true;
	if (c->hello_ms == 0 && c->link->auth == NULL)
		return false; /* not connected: libzmq tries on */
	return c->refused_ms == 0 && now >= c->since_ms + limit_ms;
}

static void
log_alone(struct link_conn *c, uint64_t now)
{
	if (c->alone_logged || c->refused_ms != 0 ||
	    now < c->alone_ms + LINK_SILENT_MS)
		return;
	c->alone_logged = true;
	log_warn(
	    "link no answer from=%s stage=%s", c->address, stage_name(c->to));
}

void
link_conn_tick(struct link_conn *c)
{
	uint64_t now = loop_now_ms(c->link->loop);

	if (c->peer != NULL && c->peer->ready)
		return;
	if (c->peer == NULL) {
		log_alone(c, now);
		if (is_stuck(c, now)) {
			link_conn_renew(c);
			return;
		}
	}
	if (c->refused_ms != 0 && now < c->refused_ms + LINK_REFUSED_MS)
		return;
	if (c->hello_ms == 0 || now >= c->hello_ms + LINK_PING_MS)
		link_welcome_ask(c);
}

void
link_conn_alone(struct link_conn *c)
{
	c->count++;
	c->since_ms = loop_now_ms(c->link->loop);
	c->alone_ms = c->since_ms;
	c->alone_logged = false;
	link_hurry(c->link);
}
