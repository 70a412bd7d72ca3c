#include <stdio.h>
#include <string.h>

#include "common/link_private.h"
#include "common/log.h"

static uint64_t
conversation(const struct link_conn *c)
{
	return (uint64_t)c->number << 32 | c->count;
}

void
link_welcome_ask(struct link_conn *c)
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
	link_copy_text(m->reason, why, sizeof(why));
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
		link_welcome_ask(c);
		return;
	}
	if (p != NULL && p->session != m->session) {
		link_peer_down(p, "replaced by a new session");
		p = NULL;
	}
	if (p == NULL) {
		p = link_peer_new(c->link, m, c);
		if (p == NULL)
			return; /* HELLO is said again */
		c->peer = p;
		p->was_dead = c->was_dead;
		c->was_dead = false;
		p->ready = true;
		link_in_repeat(p);
		link_peer_up(p);
		return;
	}
	p->ready = true;
	p->blocked = false;
	p->last_ms = loop_now_ms(c->link->loop);
	link_peer_resumed(p, m->seq);
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
	link_welcome_ask(c);
	link_hurry(c->link);
}

void
link_welcome_frame(struct link_conn *c, zmq_msg_t *frame)
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
		link_peer_frame(c->peer, &m);
}
