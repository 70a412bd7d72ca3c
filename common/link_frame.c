#include <errno.h>
#include <string.h>

#include "common/link_private.h"

void *
link_sock(zsock_t *sock)
{
	return zsock_resolve(sock);
}

/* Fails only for a socket that is none. */
static void
set(zsock_t *sock, int option, int value)
{
	(void)zmq_setsockopt(link_sock(sock), option, &value, sizeof(value));
}

void
link_sock_options(zsock_t *sock)
{
	int64_t max_bytes = LINK_FRAME_BYTES;

	set(sock, ZMQ_LINGER, 0);
	set(sock, ZMQ_SNDHWM, LINK_SEND_HWM);
	set(sock, ZMQ_RCVHWM, LINK_RECEIVE_HWM);
	set(sock, ZMQ_IPV6, 1);
	set(sock, ZMQ_BACKLOG, 1024);
	set(sock, ZMQ_HANDSHAKE_IVL, 5000);
	set(sock, ZMQ_HEARTBEAT_IVL, LINK_HEARTBEAT_MS);
	set(sock, ZMQ_HEARTBEAT_TIMEOUT, LINK_HEARTBEAT_TIMEOUT_MS);
	set(sock, ZMQ_TCP_KEEPALIVE, 1);
	set(sock, ZMQ_TCP_KEEPALIVE_IDLE, 30);
	set(sock, ZMQ_TCP_KEEPALIVE_INTVL, 10);
	set(sock, ZMQ_TCP_KEEPALIVE_CNT, 3);
	set(sock, ZMQ_TCP_MAXRT, 10000);
	(void)zmq_setsockopt(
	    link_sock(sock), ZMQ_MAXMSGSIZE, &max_bytes, sizeof(max_bytes));
}

int
link_frame_send_bytes(struct link *l, struct link_path path, struct slice frame)
{
	void *sock = link_sock(path.sock);

	if (path.route_len > 0 && zmq_send(sock, path.route, path.route_len,
				      ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
		return -errno;
	if (zmq_send(sock, frame.data, frame.len, ZMQ_DONTWAIT) < 0)
		return -errno;
	l->stats.frames_out++;
	return 0;
}

int
link_frame_send(struct link *l, struct link_path path, const struct msg *m)
{
	int r;

	buf_clear(&l->frame);
	r = msg_pack(m, &l->frame);
	if (r < 0)
		return r;
	return link_frame_send_bytes(l, path, buf_slice(&l->frame));
}

struct link_path
link_peer_path(const struct link_peer *p)
{
	if (p->conn != NULL)
		return (struct link_path){ .sock = p->conn->sock };
	return (struct link_path){ p->link->router, p->route, p->route_len };
}

int
link_frame_to_peer(struct link_peer *p, const struct msg *m)
{
	int r;

	if (p->blocked)
		return -EAGAIN;
	r = link_frame_send(p->link, link_peer_path(p), m);
	if (r == -EHOSTUNREACH)
		p->ready = false; /* that connection is gone for good */
	else if (r < 0)
		p->blocked = true;
	return r;
}

/* Whatever else belongs to the message that was begun. */
static void
drop_rest(void *sock, zmq_msg_t *part)
{
	while (zmq_msg_more(part))
		if (zmq_msg_recv(part, sock, ZMQ_DONTWAIT) < 0)
			return;
}

int
link_frame_receive(zsock_t *zsock, zmq_msg_t *route, zmq_msg_t *frame)
{
	void *sock = link_sock(zsock);

	if (route != NULL) {
		if (zmq_msg_recv(route, sock, ZMQ_DONTWAIT) < 0)
			return -EAGAIN;
		if (!zmq_msg_more(route))
			return -EBADMSG;
	}
	if (zmq_msg_recv(frame, sock, ZMQ_DONTWAIT) < 0)
		return -EAGAIN;
	if (zmq_msg_more(frame)) {
		drop_rest(sock, frame);
		return -EBADMSG;
	}
	return 0;
}
