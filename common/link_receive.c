#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/link_private.h"

void
link_in_init(struct link_peer *p)
{
	struct link_in *in = &p->in;

	*in = (struct link_in){ .open = in->open };
	for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
		link_in_set_window(
		    in, (enum msg_lane)lane, p->link->windows[lane]);
}

/* ---- windows ----------------------------------------------------------- */

void
link_in_set_window(
    struct link_in *in, enum msg_lane lane, struct link_window window)
{
	struct link_window *old = &in->lanes[lane].window;

	if (window.messages > LINK_WINDOW_MAX_MESSAGES)
		window.messages = LINK_WINDOW_MAX_MESSAGES;
	if (window.bytes > 0 && window.bytes < LINK_WINDOW_MIN_BYTES)
		window.bytes = LINK_WINDOW_MIN_BYTES;
	if (window.messages == 0 || window.bytes == 0)
		window = (struct link_window){ 0, 0 };
	if (old->messages == window.messages && old->bytes == window.bytes)
		return;
	*old = window;
	in->lanes[lane].changed = true;
}

/* What CREDIT says: all that was closed, and the window on top. */
static struct link_window
grant(const struct link_lane_in *lane)
{
	return (struct link_window){
		lane->got_messages - lane->open_messages +
		    lane->window.messages,
		lane->got_bytes - lane->open_bytes + lane->window.bytes,
	};
}

static uint64_t
left(uint64_t max, uint64_t used)
{
	return max > used ? max - used : 0;
}

/* Half of it used up, or changed: time to tell. */
static bool
credit_is_due(const struct link_lane_in *lane)
{
	struct link_window now = grant(lane);

	if (lane->changed)
		return true;
	if (now.messages == lane->told.messages &&
	    now.bytes == lane->told.bytes)
		return false;
	return left(lane->told.messages, lane->got_messages) <=
		   lane->window.messages / 2 ||
	       left(lane->told.bytes, lane->got_bytes) <=
		   lane->window.bytes / 2;
}

static void
tell_credit(struct link_peer *p)
{
	struct buf *records = &p->link->list;
	struct msg m = { .type = MSG_CREDIT, .peer_session = p->session };

	buf_clear(records);
	for (unsigned i = 0; i < MSG_LANE_MAX; i++) {
		struct link_window now = grant(&p->in.lanes[i]);
		struct msg r = { .type = MSG_LANE_CREDIT,
			.lane = i,
			.max_messages = now.messages,
			.max_bytes = now.bytes };

		if (msg_pack_record(&r, records) < 0)
			return;
	}
	m.credit = (struct msg_list){ buf_slice(records), MSG_LANE_MAX };
	if (link_frame_to_peer(p, &m) < 0)
		return;
	for (unsigned i = 0; i < MSG_LANE_MAX; i++) {
		struct link_lane_in *lane = &p->in.lanes[i];

		lane->told = grant(lane);
		lane->changed = false;
		if (lane->peak.messages < lane->told.messages)
			lane->peak.messages = lane->told.messages;
		if (lane->peak.bytes < lane->told.bytes)
			lane->peak.bytes = lane->told.bytes;
	}
}

/* ---- DATA -------------------------------------------------------------- */

/* The next message of a batch; false at its end or when it is garbage. */
static bool
next_message(struct slice *batch, struct slice *ret)
{
	static const uint8_t widths[] = { 1, 2, 4 };
	const uint8_t *at = batch->data;
	uint64_t len = 0;
	size_t head;

	if (batch->len < 2 || at[0] < 0xc4 || at[0] > 0xc6)
		return false;
	head = 1u + widths[at[0] - 0xc4];
	if (batch->len < head)
		return false;
	for (size_t i = 1; i < head; i++)
		len = len << 8 | at[i];
	if (len == 0 || len > batch->len - head)
		return false;
	*ret = (struct slice){ at + head, (size_t)len };
	batch->data += head + len;
	batch->len -= head + len;
	return true;
}

/* NULL when the peer may send this; else why not. */
static const char *
objection(const struct link_peer *p, struct slice message)
{
	enum msg_type type = msg_peek(message);
	const struct link_lane_in *lane = &p->in.lanes[msg_lane(type)];

	if (!wiring_allows(p->stage, p->link->config.stage, type))
		return "unexpected: a message of this type is not taken here";
	if (message.len > LIMIT_MESSAGE_BYTES)
		return "size: larger than a message may be";
	if (lane->got_messages > lane->peak.messages ||
	    lane->got_bytes > lane->peak.bytes)
		return "credit: more than was granted";
	return NULL;
}

/* It is open from now on, and its credit used. */
static int
open_item(struct link_peer *p, uint64_t seq, struct slice message)
{
	enum msg_lane number = msg_lane(msg_peek(message));
	struct link_lane_in *lane = &p->in.lanes[number];
	struct link_item *item = malloc(sizeof(*item));

	if (item == NULL)
		return -ENOMEM;
	*item = (struct link_item){ .seq = seq,
		.len = (uint32_t)message.len,
		.lane = (uint8_t)number };
	if (link_items_add(&p->in.open, item) < 0) {
		free(item);
		return -ENOMEM;
	}
	p->in.received = seq;
	lane->got_messages++;
	lane->got_bytes += message.len;
	lane->open_messages++;
	lane->open_bytes += message.len;
	p->link->stats.messages_in++;
	return 0;
}

static int
take(struct link_peer *p, uint64_t seq, struct slice message)
{
	const char *why;
	int r;

	/* Whoever ignores credit and refusals alike is not listened to. */
	if (p->in.refused_open >= LINK_REFUSED_MAX)
		return -ENOBUFS;
	r = open_item(p, seq, message);
	if (r < 0)
		return r;
	why = objection(p, message);
	if (why != NULL) {
		link_peer_garbage(p, why);
		link_refuse(p, seq, why);
		return 0;
	}
	p->link->batch_due = true;
	if (p->link->ops.on_message != NULL)
		p->link->ops.on_message(
		    p->link->arg, p, seq, msg_peek(message), message);
	return 0;
}

void
link_in_on_data(struct link_peer *p, const struct msg *m)
{
	struct slice batch = m->batch, message;
	uint64_t seq = m->seq;

	for (uint64_t n = 0; n < m->count; n++, seq++) {
		if (!next_message(&batch, &message)) {
			link_peer_garbage(p, "batch: cannot be read");
			return;
		}
		if (seq <= p->in.received) {
			p->link->stats.repeated_in++;
			continue;
		}
		if (seq != p->in.received + 1 || take(p, seq, message) < 0) {
			link_peer_resync(p); /* the rest comes once more */
			return;
		}
	}
	if (batch.len > 0)
		link_peer_garbage(p, "batch: bytes after its end");
}

/* ---- telling ------------------------------------------------------------ */

void
link_in_tick(struct link_peer *p)
{
	for (unsigned i = 0; i < MSG_LANE_MAX; i++) {
		struct link_lane_in *lane = &p->in.lanes[i];
		struct link_window now = grant(lane);

		if (now.messages != lane->told.messages ||
		    now.bytes != lane->told.bytes)
			lane->changed = true;
	}
}

void
link_in_flush(struct link_peer *p)
{
	bool due = false;

	if (!p->ready || p->blocked)
		return;
	if (p->in.ack_due)
		link_in_tell_done(p);
	for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
		due = due || credit_is_due(&p->in.lanes[lane]);
	if (due && !p->blocked)
		tell_credit(p);
}

void
link_set_peer_window(
    struct link_peer *p, enum msg_lane lane, uint64_t messages, uint64_t bytes)
{
	if (lane >= MSG_LANE_MAX)
		return;
	p->in.lanes[lane].own = true;
	link_in_set_window(
	    &p->in, lane, (struct link_window){ messages, bytes });
}
