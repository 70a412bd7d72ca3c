#include "common/http_private.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/tcp_state.h"

#define IDLE_MS 75000 /* a connection without a request is closed */
#define LOOK_TURNS 4  /* of the reaper, until it looks again at one */
/* So many timeouts may taking an answer take. */
#define ANSWER_FACTOR 4

static void
conn_open(struct http *h, struct MHD_Connection *mhd, void **context)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct conn *c = calloc(1, sizeof(*c));

	*context = c;
	if (c == NULL)
		return;
	c->fd = info == NULL ? -1 : info->connect_fd;
	c->since_ms = loop_now_ms(h->loop);
	c->counted = true; /* none */
	c->next = h->conns;
	if (c->next != NULL)
		c->next->prev = c;
	h->conns = c;
}

static void
conn_close(struct http *h, struct conn *c)
{
	if (c == NULL)
		return;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		h->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	/* libmicrohttpd does not tell of its end when it gave up twice. */
	if (c->request != NULL && !c->request->handed_over)
		http_request_free(c->request);
	free(c);
}

void
http_conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
    enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		conn_open(cls, mhd, context);
	else
		conn_close(cls, *context);
}

struct conn *
http_conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

static uint64_t
limit_ms(const struct http *h, const struct conn *c)
{
	if (c->answered)
		return ANSWER_FACTOR * h->config.timeout_ms;
	return c->started || c->partial ? h->config.timeout_ms : IDLE_MS;
}

/*
 * libmicrohttpd tells of a request when its first line is whole. Has a part of
 * one come, its deadline begins; will no more come, it is over. Of a connection
 * that was used before, what came together with the request before counts as
 * part of that.
 */
static bool
look(struct http *h, struct conn *c)
{
	bool half_closed = false;
	uint64_t received = 0;

	if (tcp_state(c->fd, &received, &half_closed) < 0)
		return true;
	if (!c->counted) {
		c->received = received;
		c->counted = true;
	}
	if (!c->partial && received > c->received) {
		c->partial = true;
		c->since_ms = loop_now_ms(h->loop);
	}
	return !half_closed;
}

static bool
is_over(struct http *h, struct conn *c, uint64_t turn)
{
	if (c->waiting || c->reaped)
		return false;
	/* Some at each turn: a look is a call into the kernel. */
	if (!c->started && !c->answered &&
	    (turn + (uint64_t)c->fd) % LOOK_TURNS == 0 && !look(h, c))
		return true;
	return loop_now_ms(h->loop) > c->since_ms + limit_ms(h, c);
}

void
http_conn_reap(void *arg)
{
	struct http *h = arg;

	if (h->conns == NULL)
		return;
	h->turn++;
	for (struct conn *c = h->conns; c != NULL; c = c->next) {
		if (!is_over(h, c, h->turn))
			continue;
		c->reaped = true;
		if ((c->started || c->partial) && !c->answered)
			/* libmicrohttpd cannot answer before a request is
			 * whole. Nothing else was sent yet. */
			http_refusal_send(c->fd, HTTP_E_TIMEOUT,
			    "The request did not arrive in time.",
			    id_make(&h->ids));
		(void)shutdown(c->fd, SHUT_RDWR);
	}
	h->dirty = true;
	http_flush(h);
}
