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

static int
take(struct link_peer *p, uint64_t seq, struct slice message)
{
	enum msg_type type = msg_peek(message);
	struct link_lane_in *lane = &p->in.lanes[msg_lane(type)];
	struct link_item *item = malloc(sizeof(*item));
	const char *why;

	if (item == NULL)
		return -ENOMEM;
	*item = (struct link_item){ .seq = seq,
		.len = (uint32_t)message.len,
		.lane = (uint8_t)msg_lane(type) };
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
	why = objection(p, message);
	if (why != NULL) {
		link_peer_garbage(p, why);
		link_refuse(p, seq, why);
		return 0;
	}
	p->link->batch_due = true;
	if (p->link->ops.on_message != NULL)
		p->link->ops.on_message(p->link->arg, p, seq, type, message);
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

/* ---- completions ------------------------------------------------------- */

/* When there is no memory for a better one. */
static char no_reason[] = "refused";

static void
free_reason(struct link_item *item)
{
	if (item->reason != no_reason)
		free(item->reason);
	item->reason = NULL;
}

void
link_in_done(struct link_in *in)
{
	for (struct link_item *i = in->open.first; i != NULL; i = i->next)
		free_reason(i);
	link_items_done(&in->open);
	free(in->done);
	in->done = NULL;
}

static void
close_item(struct link_peer *p, struct link_item *item)
{
	struct link_lane_in *lane = &p->in.lanes[item->lane];

	lane->open_messages--;
	lane->open_bytes -= item->len;
	link_items_remove(&p->in.open, item);
	free_reason(item);
	free(item);
}

/* Completed numbers mostly come in order: they make one range. Without memory
 * for another one, the next repeat tells all. */
static void
note_done(struct link_peer *p, struct link_range range)
{
	struct link_in *in = &p->in;
	struct link_range *last =
	    in->done_count > 0 ? &in->done[in->done_count - 1] : NULL;

	in->ack_due = true;
	if (range.count == 0)
		return;
	if (last != NULL && range.seq == last->seq + last->count) {
		last->count += range.count;
		return;
	}
	if (in->done == NULL || in->done_count == in->done_cap) {
		size_t cap = in->done_cap ? 2 * in->done_cap : 64;
		struct link_range *done =
		    realloc(in->done, cap * sizeof(*done));

		if (done == NULL) {
			link_peer_resync(p);
			return;
		}
		in->done = done;
		in->done_cap = cap;
	}
	in->done[in->done_count++] = range;
}

void
link_complete(struct link_peer *p, uint64_t seq)
{
	struct link_item *item = link_items_find(&p->in.open, seq);

	if (item == NULL || item->reason != NULL)
		return;
	close_item(p, item);
	note_done(p, (struct link_range){ seq, 1 });
}

/* It stays open, and its credit used, until the sender surely knows: an ACK
 * can be lost with its connection, and the reason must then be told again. */
void
link_refuse(struct link_peer *p, uint64_t seq, const char *reason)
{
	struct link_item *item = link_items_find(&p->in.open, seq);

	if (item == NULL || item->reason != NULL)
		return;
	item->reason =
	    strndup(reason == NULL || *reason == '\0' ? no_reason : reason,
		LINK_REASON_TEXT);
	if (item->reason == NULL)
		item->reason = no_reason;
	p->in.refused_new++;
	p->in.refused_open++;
	p->in.ack_due = true;
}

void
link_in_on_pong(struct link_peer *p, uint64_t stamp)
{
	struct link_item *next;

	if (p->in.refused_open == 0)
		return;
	for (struct link_item *i = p->in.open.first; i != NULL; i = next) {
		next = i->next;
		if (i->confirm == 0 || i->confirm > stamp)
			continue;
		p->in.refused_open--;
		close_item(p, i);
		p->in.ack_due = true;
	}
}

/* ---- ACK --------------------------------------------------------------- */

static uint64_t
cumulative(const struct link_in *in)
{
	return in->open.first != NULL ? in->open.first->seq - 1 : in->received;
}

struct ack {
	struct link_peer *peer;
	uint32_t ranges, refused;
	bool failed;
};

static void
ack_begin(struct ack *a)
{
	a->ranges = a->refused = 0;
	buf_clear(&a->peer->link->list);
	buf_clear(&a->peer->link->list2);
}

static void
ack_send(struct ack *a)
{
	struct link_peer *p = a->peer;
	struct msg m = { .type = MSG_ACK,
		.peer_session = p->session,
		.seq = cumulative(&p->in),
		.ranges = { buf_slice(&p->link->list), a->ranges },
		.refused = { buf_slice(&p->link->list2), a->refused } };

	if (link_frame_to_peer(p, &m) < 0)
		a->failed = true;
	ack_begin(a);
}

static void
ack_range(struct ack *a, struct link_range range)
{
	while (range.count > 0) {
		struct msg r = { .type = MSG_RANGE,
			.seq = range.seq,
			.count = range.count < UINT32_MAX ? range.count
							  : UINT32_MAX };

		if (a->ranges == LINK_RECORDS_MAX)
			ack_send(a);
		if (msg_pack_record(&r, &a->peer->link->list) < 0)
			a->failed = true;
		else
			a->ranges++;
		range.seq += r.count;
		range.count -= r.count;
	}
}

static void
ack_refused(struct ack *a, struct link_item *item)
{
	struct msg r = { .type = MSG_REFUSED,
		.seq = item->seq,
		.reason = slice_text(item->reason) };

	if (a->refused == LINK_RECORDS_MAX)
		ack_send(a);
	if (msg_pack_record(&r, &a->peer->link->list2) < 0)
		a->failed = true;
	else
		a->refused++;
}

static int
by_seq(const void *a, const void *b)
{
	const struct link_range *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* In order, neighbours as one, and only what lies above cumulative. */
static void
tidy_done(struct link_in *in)
{
	uint64_t all = cumulative(in);
	size_t kept = 0;

	if (in->done_count > 1)
		qsort(in->done, in->done_count, sizeof(*in->done), by_seq);
	for (size_t i = 0; i < in->done_count; i++) {
		struct link_range r = in->done[i];
		struct link_range *last = kept > 0 ? &in->done[kept - 1] : NULL;

		if (r.seq <= all)
			continue;
		if (last != NULL && last->seq + last->count == r.seq)
			last->count += r.count;
		else
			in->done[kept++] = r;
	}
	in->done_count = kept;
}

static void
add_refused(struct ack *a, bool all)
{
	struct link_in *in = &a->peer->in;

	for (struct link_item *i = in->open.first; i != NULL; i = i->next)
		if (i->reason != NULL && (all || i->confirm == 0))
			ack_refused(a, i);
}

/* The PING after an ACK with refusals confirms them when it is answered. */
static void
await_confirmation(struct link_peer *p)
{
	link_peer_ping(p);
	for (struct link_item *i = p->in.open.first; i != NULL; i = i->next)
		if (i->reason != NULL && i->confirm == 0)
			i->confirm = p->ping_us;
	p->in.refused_new = 0;
}

static void
tell_done(struct link_peer *p)
{
	struct ack a = { .peer = p };
	struct link_in *in = &p->in;

	tidy_done(in);
	ack_begin(&a);
	for (size_t i = 0; i < in->done_count; i++)
		ack_range(&a, in->done[i]);
	if (in->refused_new > 0)
		add_refused(&a, false);
	ack_send(&a);
	if (a.failed)
		return; /* blocked or not connected: all of it again, later */
	in->done_count = 0;
	in->ack_due = false;
	if (in->refused_new > 0)
		await_confirmation(p);
}

void
link_in_repeat(struct link_peer *p)
{
	struct link_in *in = &p->in;
	uint64_t at = cumulative(in);

	in->done_count = in->refused_new = 0;
	for (struct link_item *i = in->open.first; i != NULL; i = i->next) {
		note_done(p, (struct link_range){ at + 1, i->seq - 1 - at });
		i->confirm = 0;
		in->refused_new += i->reason != NULL;
		at = i->seq;
	}
	note_done(p, (struct link_range){ at + 1, in->received - at });
	in->ack_due = true;
	for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
		in->lanes[lane].changed = true;
}

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
		tell_done(p);
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
