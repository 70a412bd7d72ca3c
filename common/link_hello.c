#include <stdio.h>
#include <string.h>

#include "common/link_private.h"
#include "common/log.h"

static void
garbage_of_stranger(struct link *l, const uint8_t *route, size_t len)
{
	char text[64];

	l->stats.frames_garbage++;
	(void)snprintf(text, sizeof(text), "stranger %02x%02x%02x%02x",
	    len > 1 ? route[1] : 0u, len > 2 ? route[2] : 0u,
	    len > 3 ? route[3] : 0u, len > 4 ? route[4] : 0u);
	if (link_note(l, text))
		log_warn("link garbage peer=unknown what=\"frame: cannot be "
			 "read\"");
}

struct hello {
	struct link *link;
	const struct msg *m;
	struct link_path path;
	enum stage key; /* whose key the sender has */
	char instance[64 + 1];
	char why[LINK_REASON_TEXT]; /* it is refused; empty: it is not */
};

static bool
speaks_ours(const struct msg *m)
{
	return m->proto_min <= LINK_PROTO_MAX && m->proto_max >= LINK_PROTO_MIN;
}

static void
judge_hello(struct hello *h)
{
	const struct msg *m = h->m;
	enum stage from = stage_from(m->role);
	enum stage self = h->link->config.stage;

	if (!speaks_ours(m))
		(void)snprintf(h->why, sizeof(h->why),
		    "version: speaks %llu to %llu, %s speaks %d to %d",
		    (unsigned long long)m->proto_min,
		    (unsigned long long)m->proto_max, stage_name(self),
		    LINK_PROTO_MIN, LINK_PROTO_MAX);
	else if (!wiring_connects(from, self))
		(void)snprintf(h->why, sizeof(h->why),
		    "role: %s does not take %s", stage_name(self),
		    stage_name(from));
	else if (h->link->keyed && h->key != from)
		(void)snprintf(h->why, sizeof(h->why),
		    "key: belongs to %s, not to %s", stage_name(h->key),
		    stage_name(from));
}

static void
refuse_hello(struct hello *h)
{
	struct msg m = { .type = MSG_REFUSE,
		.reason = slice_text(h->why),
		.proto_min = LINK_PROTO_MIN,
		.proto_max = LINK_PROTO_MAX,
		.stamp = h->m->stamp };
	char note[64 + LINK_REASON_TEXT + 2];

	h->link->stats.refusals++;
	(void)link_frame_send(h->link, h->path, &m); /* or it asks again */
	(void)snprintf(note, sizeof(note), "%s %s", h->instance, h->why);
	if (link_note(h->link, note))
		log_warn(
		    "link refused peer=%s why=\"%s\"", h->instance, h->why);
}

static int
send_welcome(struct hello *h, uint64_t seq, uint64_t flags)
{
	struct link *l = h->link;
	struct msg m = { .type = MSG_WELCOME,
		.proto_max = h->m->proto_max < LINK_PROTO_MAX ? h->m->proto_max
							      : LINK_PROTO_MAX,
		.role = slice_text(stage_name(l->config.stage)),
		.instance = slice_text(l->config.instance),
		.session = l->session,
		.peer_session = h->m->session,
		.seq = seq,
		.flags = flags,
		.stamp = h->m->stamp };

	return link_frame_send(l, h->path, &m);
}

static struct link_peer *
find_session(struct link *l, uint64_t session)
{
	for (struct link_peer *p = l->peers; p != NULL; p = p->next)
		if (p->session == session)
			return p;
	return NULL;
}

/* The same instance started again: its old session cannot be alive. */
static void
down_older(struct link *l, enum stage stage, const char *instance)
{
	struct link_peer *next;

	for (struct link_peer *p = l->peers; p != NULL; p = next) {
		next = p->next;
		if (p->stage == stage && strcmp(p->instance, instance) == 0)
			link_peer_down(p, "replaced by a new session");
	}
}

static void
bind_route(struct link_peer *p, struct link_path path)
{
	memcpy(p->route, path.route, path.route_len);
	p->route_len = path.route_len;
	p->ready = true;
	p->blocked = false;
	p->last_ms = loop_now_ms(p->link->loop);
}

/* The same conversation on a new connection, or a HELLO said twice. */
static void
resume(struct hello *h, struct link_peer *p)
{
	bool fresh = h->m->peer_session == 0;

	if (send_welcome(h, p->in.received, 0) < 0)
		return;
	bind_route(p, h->path);
	if (!fresh)
		link_peer_resumed(p, h->m->seq);
	else
		link_out_rewind(p, 0);
	link_in_repeat(p);
}

static void
begin(struct hello *h, bool was_dead)
{
	struct link *l = h->link;
	struct link_peer *p;

	down_older(l, stage_from(h->m->role), h->instance);
	if (l->peer_count >= LINK_PEERS_MAX) {
		(void)snprintf(h->why, sizeof(h->why),
		    "full: %d sessions already", LINK_PEERS_MAX);
		refuse_hello(h);
		return;
	}
	p = link_peer_new(l, h->m, NULL);
	if (p == NULL)
		return; /* it says HELLO again */
	if (send_welcome(h, 0, 0) < 0) {
		link_peer_free(p);
		return;
	}
	p->was_dead = was_dead;
	bind_route(p, h->path);
	link_in_repeat(p);
	link_peer_up(p);
}

static void
on_hello(struct hello *h)
{
	const struct msg *m = h->m;
	struct link_peer *p;
	bool again = m->peer_session == h->link->session;

	link_copy_text(m->instance, h->instance, sizeof(h->instance));
	judge_hello(h);
	if (h->why[0] != '\0') {
		refuse_hello(h);
		return;
	}
	p = find_session(h->link, m->session);
	if (p != NULL && p->conversation == m->stamp) {
		resume(h, p);
	} else if (again) {
		(void)send_welcome(h, 0, LINK_FLAG_DEAD);
	} else if (p != NULL && p->conversation >> 32 != m->stamp >> 32) {
		(void)snprintf(h->why, sizeof(h->why),
		    "duplicate: this session is connected already");
		refuse_hello(h);
	} else {
		if (p != NULL)
			link_peer_down(p, "declared dead by the other side");
		begin(h, p != NULL);
	}
}

void
link_hello_frame(struct link *l, zmq_msg_t *route, zmq_msg_t *frame)
{
	const uint8_t *id = zmq_msg_data(route);
	size_t len = zmq_msg_size(route);
	struct link_peer *p = link_find_route(l, id, len);
	struct msg m;

	l->stats.frames_in++;
	if (len > LINK_ROUTE_SIZE)
		return; /* libzmq makes none such */
	if (msg_unpack(
		(struct slice){ zmq_msg_data(frame), zmq_msg_size(frame) },
		&m) < 0) {
		if (p != NULL)
			link_peer_garbage(p, "frame: cannot be read");
		else
			garbage_of_stranger(l, id, len);
		return;
	}
	if (m.type == MSG_HELLO) {
		struct hello h = { .link = l,
			.m = &m,
			.path = { l->router, id, len },
			.key = link_auth_stage(frame) };

		on_hello(&h);
	} else if (p != NULL) {
		link_peer_frame(p, &m);
	} else if (!link_peer_takes(m.type)) {
		garbage_of_stranger(l, id, len);
	} else if (m.type != MSG_BYE) {
		struct msg reset = { .type = MSG_RESET, .session = l->session };

		l->stats.resets_out++;
		(void)link_frame_send(
		    l, (struct link_path){ l->router, id, len }, &reset);
	}
}
