#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/link_private.h"
#include "common/log.h"

/* ---- up and down ------------------------------------------------------- */

/* Texts of peers are shown to people: printable ASCII, no quotes. */
static void
copy_text(struct slice from, char *text, size_t size)
{
	size_t len = from.len < size - 1 ? from.len : size - 1;

	for (size_t i = 0; i < len; i++) {
		char c = (char)from.data[i];

		text[i] = c >= ' ' && c < 0x7f && c != '"' ? c : '?';
	}
	text[len] = '\0';
}

static struct link_peer *
peer_new(struct link *l, const struct msg *m, struct link_conn *c)
{
	struct link_peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->link = l;
	p->conn = c;
	p->stage = stage_from(m->role);
	p->session = m->session;
	p->conversation = m->stamp;
	copy_text(m->instance, p->instance, sizeof(p->instance));
	if (link_items_init(&p->out.items) < 0 ||
	    link_items_init(&p->in.open) < 0) {
		link_peer_free(p);
		return NULL;
	}
	link_out_init(&p->out);
	link_in_init(p);
	p->last_ms = loop_now_ms(l->loop);
	return p;
}

void
link_peer_free(struct link_peer *p)
{
	if (p == NULL)
		return;
	link_items_done(&p->out.items);
	link_in_done(&p->in);
	free(p);
}

static void
peer_up(struct link_peer *p)
{
	struct link *l = p->link;

	p->next = l->peers;
	l->peers = p;
	l->peer_count++;
	l->stats.ups++;
	l->batch_due = true;
	link_peer_ping(p);
	log_info("link up peer=%s stage=%s session=%016llx%s", p->instance,
	    stage_name(p->stage), (unsigned long long)p->session,
	    p->was_dead ? " was_dead=1" : "");
	if (l->ops.on_up != NULL)
		l->ops.on_up(l->arg, p);
}

void
link_peer_down(struct link_peer *p, const char *why)
{
	struct link *l = p->link;
	struct link_peer **at = &l->peers;

	p->down = true;
	p->ready = false;
	log_info("link down peer=%s stage=%s session=%016llx why=\"%s\" "
		 "returned=%zu",
	    p->instance, stage_name(p->stage), (unsigned long long)p->session,
	    why, p->out.items.count);
	link_out_return(p);
	l->stats.downs++;
	l->batch_due = true;
	if (l->ops.on_down != NULL)
		l->ops.on_down(l->arg, p, why);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	l->peer_count--;
	if (p->conn != NULL)
		p->conn->peer = NULL;
	link_peer_free(p);
}

/* The other side has received up to seq; it goes on from there. */
static void
resumed(struct link_peer *p, uint64_t seq)
{
	log_info("link resumed peer=%s stage=%s session=%016llx received=%llu "
		 "open=%zu",
	    p->instance, stage_name(p->stage), (unsigned long long)p->session,
	    (unsigned long long)seq, p->out.items.count);
	p->link->stats.resumed++;
	link_out_rewind(p, seq);
}

/* ---- garbage ----------------------------------------------------------- */

void
link_peer_garbage(struct link_peer *p, const char *what)
{
	p->link->stats.frames_garbage++;
	if (p->garbage_logged)
		return;
	p->garbage_logged = true;
	log_warn("link garbage peer=%s stage=%s what=\"%s\"", p->instance,
	    stage_name(p->stage), what);
}

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

/* ---- frames of a conversation ------------------------------------------ */

static void
on_ping(struct link_peer *p, const struct msg *m)
{
	struct msg pong = {
		.type = MSG_PONG, .peer_session = p->session, .stamp = m->stamp
	};

	(void)link_frame_to_peer(p, &pong); /* the next PING asks again */
}

static void
on_pong(struct link_peer *p, const struct msg *m)
{
	if (m->stamp > p->ping_us || m->stamp <= p->heard_us)
		return;
	p->heard_us = m->stamp;
	link_in_on_pong(p, m->stamp);
}

static void
on_bye(struct link_peer *p, const struct msg *m)
{
	struct link_conn *c = p->conn;
	char why[64 + LINK_REASON_TEXT] = "bye";

	if (m->reason.len > 0)
		copy_text(m->reason, why, sizeof(why));
	link_peer_down(p, why);
	if (c != NULL)
		link_conn_alone(c);
}

/* Which session a frame must name: its sender's, or ours. */
enum names { NAMES_SENDER, NAMES_US };

static const struct {
	void (*fn)(struct link_peer *p, const struct msg *m);
	enum names names;
} handlers[MSG_TYPE_MAX] = {
	[MSG_DATA] = { link_in_on_data, NAMES_SENDER },
	[MSG_PING] = { on_ping, NAMES_SENDER },
	[MSG_BYE] = { on_bye, NAMES_SENDER },
	[MSG_ACK] = { link_out_on_ack, NAMES_US },
	[MSG_CREDIT] = { link_out_on_credit, NAMES_US },
	[MSG_PONG] = { on_pong, NAMES_US },
};

static void
on_frame(struct link_peer *p, const struct msg *m)
{
	if (handlers[m->type].fn == NULL) {
		link_peer_garbage(p, "frame: out of place");
		return;
	}
	if (handlers[m->type].names == NAMES_SENDER
		? m->session != p->session
		: m->peer_session != p->link->session)
		return; /* of a session that is over */
	p->last_ms = loop_now_ms(p->link->loop);
	handlers[m->type].fn(p, m);
}

/* ---- HELLO, at the bound socket ---------------------------------------- */

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
		resumed(p, h->m->seq);
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
	p = peer_new(l, h->m, NULL);
	if (p == NULL)
		return; /* it says HELLO again */
	if (send_welcome(h, 0, 0) < 0) {
		link_peer_free(p);
		return;
	}
	p->was_dead = was_dead;
	bind_route(p, h->path);
	link_in_repeat(p);
	peer_up(p);
}

static void
on_hello(struct hello *h)
{
	const struct msg *m = h->m;
	struct link_peer *p;
	bool again = m->peer_session == h->link->session;

	copy_text(m->instance, h->instance, sizeof(h->instance));
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
link_peer_frame_bound(struct link *l, zmq_msg_t *route, zmq_msg_t *frame)
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
		on_frame(p, &m);
	} else if (handlers[m.type].fn == NULL) {
		garbage_of_stranger(l, id, len);
	} else if (m.type != MSG_BYE) {
		struct msg reset = { .type = MSG_RESET, .session = l->session };

		l->stats.resets_out++;
		(void)link_frame_send(
		    l, (struct link_path){ l->router, id, len }, &reset);
	}
}

/* ---- the answers, at a connected socket -------------------------------- */

static uint64_t
conversation(const struct link_conn *c)
{
	return (uint64_t)c->number << 32 | c->count;
}

void
link_conn_hello(struct link_conn *c)
{
	struct link *l = c->link;
	struct link_peer *p = c->peer;
	struct msg m = { .type = MSG_HELLO,
		.proto_min = LINK_PROTO_MIN,
		.proto_max = LINK_PROTO_MAX,
		.role = slice_text(stage_name(l->config.stage)),
		.instance = slice_text(l->config.instance),
		.session = l->session,
		.peer_session = p == NULL ? 0 : p->session,
		.seq = p == NULL ? 0 : p->in.received,
		.stamp = conversation(c) };

	if (link_frame_send(l, (struct link_path){ .sock = c->sock }, &m) == 0)
		c->hello_ms = loop_now_ms(l->loop);
}

static void
say_bye(struct link *l, struct link_path path)
{
	struct msg m = { .type = MSG_BYE, .session = l->session };

	(void)link_frame_send(l, path, &m);
}

static void
conn_refused(struct link_conn *c, const char *why)
{
	c->refused_ms = loop_now_ms(c->link->loop);
	c->hello_ms = 0;
	if (strcmp(c->refused, why) != 0) {
		(void)snprintf(c->refused, sizeof(c->refused), "%s", why);
		if (strncmp(why, "duplicate:", 10) == 0)
			log_info(
			    "link refused by=%s why=\"%s\"", c->address, why);
		else
			log_warn(
			    "link refused by=%s why=\"%s\"", c->address, why);
	}
	if (c->peer != NULL) {
		link_peer_down(c->peer, why);
		link_conn_alone(c);
	}
}

static void
on_refuse(struct link_conn *c, const struct msg *m)
{
	char why[LINK_REASON_TEXT + 1];

	if (m->stamp != conversation(c))
		return;
	copy_text(m->reason, why, sizeof(why));
	conn_refused(c, why);
}

/* Is it who we wanted, and can we talk? */
static bool
judge_welcome(struct link_conn *c, const struct msg *m)
{
	char why[LINK_REASON_TEXT] = "";
	enum stage stage = stage_from(m->role);

	if (m->proto_max < LINK_PROTO_MIN || m->proto_max > LINK_PROTO_MAX)
		(void)snprintf(why, sizeof(why),
		    "version: it speaks %llu, %s speaks %d to %d",
		    (unsigned long long)m->proto_max,
		    stage_name(c->link->config.stage), LINK_PROTO_MIN,
		    LINK_PROTO_MAX);
	else if (stage != c->to)
		(void)snprintf(why, sizeof(why),
		    "role: %s is there, %s was wanted", stage_name(stage),
		    stage_name(c->to));
	if (why[0] == '\0')
		return true;
	say_bye(c->link, (struct link_path){ .sock = c->sock });
	conn_refused(c, why);
	return false;
}

static void
on_welcome(struct link_conn *c, const struct msg *m)
{
	struct link_peer *p = c->peer;

	if (m->stamp != conversation(c) ||
	    m->peer_session != c->link->session || !judge_welcome(c, m))
		return;
	c->refused[0] = '\0';
	c->refused_ms = 0;
	if (m->flags & LINK_FLAG_DEAD) {
		if (p != NULL)
			link_peer_down(p, "declared dead by the other side");
		c->was_dead = true;
		link_conn_alone(c);
		link_conn_hello(c);
		return;
	}
	if (p != NULL && p->session != m->session) {
		link_peer_down(p, "replaced by a new session");
		p = NULL;
	}
	if (p == NULL) {
		p = peer_new(c->link, m, c);
		if (p == NULL)
			return; /* HELLO is said again */
		c->peer = p;
		p->was_dead = c->was_dead;
		c->was_dead = false;
		p->ready = true;
		link_in_repeat(p);
		peer_up(p);
		return;
	}
	p->ready = true;
	p->blocked = false;
	p->last_ms = loop_now_ms(c->link->loop);
	resumed(p, m->seq);
	link_in_repeat(p);
}

static void
on_reset(struct link_conn *c)
{
	c->link->stats.resets_in++;
	if (c->peer == NULL || !c->peer->ready)
		return; /* HELLO is on its way */
	c->peer->ready = false;
	c->since_ms = loop_now_ms(c->link->loop);
	link_conn_hello(c);
	link_hurry(c->link);
}

void
link_peer_frame_conn(struct link_conn *c, zmq_msg_t *frame)
{
	struct msg m;

	c->link->stats.frames_in++;
	if (msg_unpack(
		(struct slice){ zmq_msg_data(frame), zmq_msg_size(frame) },
		&m) < 0) {
		c->link->stats.frames_garbage++;
		if (!c->garbage_logged)
			log_warn("link garbage peer=%s what=\"frame: cannot "
				 "be read\"",
			    c->address);
		c->garbage_logged = true;
		return;
	}
	if (m.type == MSG_WELCOME)
		on_welcome(c, &m);
	else if (m.type == MSG_REFUSE)
		on_refuse(c, &m);
	else if (m.type == MSG_RESET)
		on_reset(c);
	else if (c->peer != NULL && (c->peer->ready || m.type == MSG_BYE))
		on_frame(c->peer, &m);
}

/* ---- life -------------------------------------------------------------- */

void
link_peer_ping(struct link_peer *p)
{
	uint64_t stamp = clock_mono_us();
	struct msg m = { .type = MSG_PING, .session = p->link->session };

	if (stamp <= p->ping_us)
		stamp = p->ping_us + 1;
	m.stamp = stamp;
	p->ping_us = stamp;
	(void)link_frame_to_peer(p, &m); /* the next tick asks again */
}

void
link_peer_resync(struct link_peer *p)
{
	p->resync = true;
}

/* At most once per tick, so that two broken ends do not keep each other
 * busy. */
static void
resync(struct link_peer *p)
{
	struct link *l = p->link;
	struct msg reset = { .type = MSG_RESET, .session = l->session };

	p->resync = false;
	if (p->conn != NULL) {
		p->ready = false;
		p->conn->since_ms = loop_now_ms(l->loop);
		link_conn_hello(p->conn);
		return;
	}
	l->stats.resets_out++;
	(void)link_frame_to_peer(p, &reset);
}

void
link_peer_tick(struct link_peer *p, bool judge)
{
	uint64_t now = loop_now_ms(p->link->loop);
	struct link_conn *c = p->conn;

	p->blocked = false;
	if (judge && now >= p->last_ms + LINK_SILENT_MS) {
		link_peer_down(p, "silent");
		if (c != NULL) {
			link_conn_alone(c);
			link_conn_renew(c);
		}
		return;
	}
	link_in_tick(p);
	if (p->resync)
		resync(p);
	if (p->ready && clock_mono_us() - p->ping_us >= LINK_PING_MS * 1000u)
		link_peer_ping(p);
}
