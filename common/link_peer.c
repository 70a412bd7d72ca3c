#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/link_private.h"
#include "common/log.h"

/* ---- up and down ------------------------------------------------------- */

void
link_copy_text(struct slice from, char *text, size_t size)
{
	size_t len = from.len < size - 1 ? from.len : size - 1;

	for (size_t i = 0; i < len; i++) {
		char c = (char)from.data[i];

		text[i] = c >= ' ' && c < 0x7f && c != '"' ? c : '?';
	}
	text[len] = '\0';
}

struct link_peer *
link_peer_new(struct link *l, const struct msg *m, struct link_conn *c)
{
	struct link_peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->link = l;
	p->conn = c;
	p->stage = stage_from(m->role);
	p->session = m->session;
	p->conversation = m->stamp;
	link_copy_text(m->instance, p->instance, sizeof(p->instance));
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

void
link_peer_up(struct link_peer *p)
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

void
link_peer_resumed(struct link_peer *p, uint64_t seq)
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
		link_copy_text(m->reason, why, sizeof(why));
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

bool
link_peer_takes(enum msg_type type)
{
	return handlers[type].fn != NULL;
}

void
link_peer_frame(struct link_peer *p, const struct msg *m)
{
	if (!link_peer_takes(m->type)) {
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
		link_welcome_ask(p->conn);
		return;
	}
	l->stats.resets_out++;
	(void)link_frame_to_peer(p, &reset);
}

void
link_peer_tick(struct link_peer *p, bool judge)
{
	uint64_t now = loop_now_ms(p->link->loop);
	uint64_t limit_ms =
	    judge ? LINK_SILENT_MS : LINK_SILENT_FACTOR * LINK_SILENT_MS;
	struct link_conn *c = p->conn;

	p->blocked = false;
	if (now >= p->last_ms + limit_ms) {
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
