#include "common/link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/link_private.h"
#include "common/log.h"

/* ---- logging once ------------------------------------------------------ */

/* FNV-1a, 64 bits. */
static uint64_t
hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return h;
}

bool
link_note(struct link *l, const char *text)
{
	uint64_t h = hash(text);

	for (size_t i = 0; i < LINK_NOTED_MAX; i++)
		if (l->noted[i] == h)
			return false;
	l->noted[l->noted_next++ % LINK_NOTED_MAX] = h;
	return true;
}

/* ---- the sockets ------------------------------------------------------- */

struct link_peer *
link_find_route(struct link *l, const uint8_t *route, size_t len)
{
	for (struct link_peer *p = l->peers; p != NULL; p = p->next)
		if (p->conn == NULL && p->route_len == len &&
		    memcmp(p->route, route, len) == 0)
			return p;
	return NULL;
}

/* True when it stopped before all was read. */
static bool
read_bound(struct link *l)
{
	size_t bytes = 0;

	for (unsigned n = 0; n < LINK_DRAIN_FRAMES; n++) {
		zmq_msg_t route, frame;
		int r;

		if (bytes > LINK_DRAIN_BYTES)
			return true;
		zmq_msg_init(&route);
		zmq_msg_init(&frame);
		r = link_frame_receive(l->router, &route, &frame);
		if (r == 0) {
			bytes += zmq_msg_size(&frame);
			link_hello_frame(l, &route, &frame);
		}
		zmq_msg_close(&frame);
		zmq_msg_close(&route);
		if (r == -EAGAIN)
			return false;
		if (r < 0)
			l->stats.frames_garbage++;
	}
	return true;
}

void
link_end_batch(struct link *l)
{
	if (l->batch_due) {
		l->batch_due = false;
		if (l->ops.on_batch != NULL)
			l->ops.on_batch(l->arg);
	}
	link_flush(l);
}

static void
on_bound_readable(void *arg)
{
	struct link *l = arg;

	(void)read_bound(l);
	link_end_batch(l);
}

/* ---- the timers -------------------------------------------------------- */

static void
say_bye(struct link_peer *p)
{
	struct msg m = { .type = MSG_BYE, .session = p->link->session };

	if (p->ready)
		(void)link_frame_to_peer(p, &m);
}

static void
unlink_conn(struct link *l, const struct link_conn *c)
{
	struct link_conn **at = &l->conns;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
}

/* The application may connect, even to the same address again, while it is
 * told that a peer is down: look at the list afresh after that. */
static void
drop_leaving(struct link *l)
{
	struct link_conn *c = l->conns, *next;

	for (; c != NULL; c = next) {
		next = c->next;
		if (!c->leaving)
			continue;
		if (c->peer != NULL) {
			say_bye(c->peer);
			link_peer_down(c->peer, "disconnected");
		}
		if (!c->leaving)
			continue;
		unlink_conn(l, c);
		if (c->sock != NULL)
			zsock_set_linger(c->sock, LINK_BYE_LINGER_MS);
		link_conn_free(c);
	}
}

static bool
is_waiting(const struct link_conn *c, uint64_t now)
{
	return (c->peer == NULL || !c->peer->ready) && c->refused_ms == 0 &&
	       now < c->since_ms + LINK_HURRY_FOR_MS;
}

/* Fast retries end when nobody is waiting for them. */
static void
on_hurry(void *arg)
{
	struct link *l = arg;
	uint64_t now = loop_now_ms(l->loop);
	bool waiting = false;

	drop_leaving(l);
	for (struct link_conn *c = l->conns; c != NULL; c = c->next) {
		link_conn_tick(c);
		waiting = waiting || is_waiting(c, now);
	}
	if (!waiting) {
		loop_del_timer(l->loop, l->hurry);
		l->hurry = 0;
	}
	link_end_batch(l);
}

void
link_hurry(struct link *l)
{
	int timer;

	if (l->hurry != 0)
		return;
	timer = loop_add_timer(l->loop, LINK_HURRY_MS, on_hurry, l);
	if (timer > 0)
		l->hurry = timer; /* else the tick alone does it */
}

/* Sockets are read before anybody is judged: what a peer said while we were
 * stopped is there, unread. */
static void
on_tick(void *arg)
{
	struct link *l = arg;
	struct link_peer *next;
	bool more = l->router != NULL && read_bound(l);

	for (struct link_conn *c = l->conns; c != NULL; c = c->next)
		if (link_conn_read(c))
			more = true;
	drop_leaving(l);
	for (struct link_peer *p = l->peers; p != NULL; p = next) {
		next = p->next;
		link_peer_tick(p, !more);
	}
	for (struct link_conn *c = l->conns; c != NULL; c = c->next)
		link_conn_tick(c);
	link_end_batch(l);
}

/* ---- making and freeing ------------------------------------------------ */

int
link_new(struct loop *loop, const struct link_config *config,
    const struct link_ops *ops, void *arg, struct link **ret_link)
{
	struct link *l = calloc(1, sizeof(*l));
	int r = 0;

	if (l == NULL)
		return -ENOMEM;
	zsys_handler_set(NULL);
	l->loop = loop;
	l->lock_fd = -1;
	l->config = *config;
	l->ops = *ops;
	l->arg = arg;
	while (l->session == 0)
		crypto_random(&l->session, sizeof(l->session));
	buf_init(&l->frame, LINK_FRAME_BYTES);
	buf_init(&l->list, LINK_FRAME_BYTES);
	buf_init(&l->list2, LINK_FRAME_BYTES);
	if (config->keys_folder != NULL)
		r = link_auth_new(l, &l->auth);
	if (r == 0) {
		r = loop_add_timer(loop, LINK_TICK_MS, on_tick, l);
		l->tick = r > 0 ? r : 0;
	}
	if (r < 0) {
		link_free(l);
		return r;
	}
	*ret_link = l;
	return 0;
}

void
link_free(struct link *l)
{
	if (l == NULL)
		return;
	link_flush(l);
	while (l->peers != NULL) {
		struct link_peer *p = l->peers;

		p->blocked = false;
		say_bye(p);
		l->peers = p->next;
		link_peer_free(p);
	}
	while (l->conns != NULL) {
		struct link_conn *c = l->conns;

		l->conns = c->next;
		if (c->sock != NULL)
			zsock_set_linger(c->sock, LINK_BYE_LINGER_MS);
		link_conn_free(c);
	}
	if (l->router != NULL) {
		loop_del_sock(l->loop, l->router);
		zsock_set_linger(l->router, LINK_BYE_LINGER_MS);
		zsock_destroy(&l->router);
	}
	if (l->tick != 0)
		loop_del_timer(l->loop, l->tick);
	if (l->hurry != 0)
		loop_del_timer(l->loop, l->hurry);
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	link_auth_free(l->auth);
	buf_done(&l->frame);
	buf_done(&l->list);
	buf_done(&l->list2);
	free(l);
}

static int
check_address(const struct link *l, const char *address)
{
	if (strlen(address) >= LINK_ADDRESS_TEXT)
		return -EINVAL;
	if (strncmp(address, "ipc://", 6) == 0)
		return 0;
	if (strncmp(address, "tcp://", 6) != 0)
		return -EINVAL;
	if (l->auth == NULL && !l->config.plain_tcp)
		return -EACCES;
	return 0;
}

/* libzmq replaces a socket file that somebody else is listening on: a lock
 * beside it, which ends with its holder, says that it is taken. */
static int
claim_path(struct link *l, const char *address)
{
	const char *path = address + strlen("ipc://");
	char lock[PATH_MAX];

	if (strncmp(address, "ipc://", 6) != 0 || path[0] == '@')
		return 0;
	if (snprintf(lock, sizeof(lock), "%s.lock", path) >= (int)sizeof(lock))
		return -ENAMETOOLONG;
	l->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (l->lock_fd < 0)
		return -errno;
	if (flock(l->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	close(l->lock_fd);
	l->lock_fd = -1;
	return -EADDRINUSE;
}

int
link_bind(struct link *l, const char *address)
{
	int r = check_address(l, address);

	if (r == 0 && l->router != NULL)
		r = -EINVAL;
	if (r == 0)
		r = claim_path(l, address);
	if (r < 0)
		return r;
	l->router = zsock_new(ZMQ_ROUTER);
	if (l->router == NULL)
		return -ENOMEM;
	link_sock_options(l->router);
	zsock_set_router_mandatory(l->router, 1);
	if (l->auth != NULL && strncmp(address, "tcp://", 6) == 0)
		r = link_auth_serve(l->auth, l->router);
	l->keyed = l->auth != NULL && strncmp(address, "tcp://", 6) == 0;
	if (r == 0 && zmq_bind(link_sock(l->router), address) < 0)
		r = -errno;
	if (r == 0)
		r = loop_add_sock(l->loop, l->router, on_bound_readable, l);
	if (r < 0)
		zsock_destroy(&l->router);
	return r;
}

static struct link_conn *
find_conn(struct link *l, const char *address)
{
	for (struct link_conn *c = l->conns; c != NULL; c = c->next)
		if (strcmp(c->address, address) == 0)
			return c;
	return NULL;
}

int
link_connect(struct link *l, enum stage to, const char *address)
{
	struct link_conn *c = find_conn(l, address);
	size_t count = 0;
	int r = check_address(l, address);

	if (r < 0)
		return r;
	if (c != NULL) {
		c->leaving = false;
		return 0;
	}
	if (!wiring_connects(l->config.stage, to))
		return -EINVAL;
	for (c = l->conns; c != NULL; c = c->next)
		count++;
	if (count >= LINK_PEERS_MAX)
		return -ENOBUFS;
	r = link_conn_new(l, to, address, &c);
	if (r < 0)
		return r;
	c->next = l->conns;
	l->conns = c;
	link_hurry(l);
	return 0;
}

/* Not at once: it may be called from within one of its callbacks. */
void
link_disconnect(struct link *l, const char *address)
{
	struct link_conn *c = find_conn(l, address);

	if (c == NULL)
		return;
	c->leaving = true;
	link_hurry(l);
}

/* ---- the rest of link.h ------------------------------------------------ */

void
link_set_window(
    struct link *l, enum msg_lane lane, uint64_t messages, uint64_t bytes)
{
	if (lane >= MSG_LANE_MAX)
		return;
	l->windows[lane] = (struct link_window){ messages, bytes };
	for (struct link_peer *p = l->peers; p != NULL; p = p->next)
		if (!p->in.lanes[lane].own)
			link_in_set_window(&p->in, lane, l->windows[lane]);
}

void
link_flush(struct link *l)
{
	for (struct link_peer *p = l->peers; p != NULL; p = p->next) {
		link_in_flush(p);
		link_out_flush(p);
	}
}

uint64_t
link_open(const struct link *l)
{
	uint64_t open = 0;

	for (const struct link_peer *p = l->peers; p != NULL; p = p->next)
		open += p->in.open.count - p->in.refused_open;
	return open;
}

uint64_t
link_unacked(const struct link *l)
{
	uint64_t unacked = 0;

	for (const struct link_peer *p = l->peers; p != NULL; p = p->next)
		unacked += p->out.items.count;
	return unacked;
}

enum stage
link_peer_stage(const struct link_peer *p)
{
	return p->stage;
}

const char *
link_peer_instance(const struct link_peer *p)
{
	return p->instance;
}

uint64_t
link_peer_session(const struct link_peer *p)
{
	return p->session;
}

uint64_t
link_session(const struct link *l)
{
	return l->session;
}

uint64_t
link_peer_heard_ms(const struct link_peer *p)
{
	return p->heard_us / 1000;
}

bool
link_peer_was_dead(const struct link_peer *p)
{
	return p->was_dead;
}

struct link_peer *
link_peer_next(struct link *l, struct link_peer *after)
{
	return after == NULL ? l->peers : after->next;
}

void
link_peer_set_data(struct link_peer *p, void *data)
{
	p->data = data;
}

void *
link_peer_data(const struct link_peer *p)
{
	return p->data;
}
