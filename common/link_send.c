#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/link_private.h"

#define BIN_HEAD_MAX 5 /* msgpack bin 32 */

void
link_out_init(struct link_out *out)
{
	struct link_items items = out->items;

	*out = (struct link_out){ .next_seq = 1, .items = items };
	for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
		out->lanes[lane].starved = true;
}

/* ---- credit ------------------------------------------------------------ */

static uint64_t
left(uint64_t max, uint64_t used)
{
	return max > used ? max - used : 0;
}

/* Room for one more message of len bytes? */
static bool
has_room(const struct link_lane_out *lane, uint32_t len)
{
	return lane->sent_messages < lane->max_messages &&
	       left(lane->max_bytes, lane->sent_bytes) >= len;
}

uint64_t
link_room(const struct link_peer *p, enum msg_lane lane)
{
	const struct link_lane_out *out = &p->out.lanes[lane];

	if (p->down || left(out->max_bytes, out->sent_bytes) == 0)
		return 0;
	return left(out->max_messages, out->sent_messages);
}

void
link_out_on_credit(struct link_peer *p, const struct msg *m)
{
	struct msg_list list = m->credit;
	struct msg r;

	while (msg_next(&list, MSG_LANE_CREDIT, &r)) {
		if (r.lane >= MSG_LANE_MAX)
			continue;
		p->out.lanes[r.lane].max_messages = r.max_messages;
		p->out.lanes[r.lane].max_bytes = r.max_bytes;
	}
	for (unsigned i = 0; i < MSG_LANE_MAX; i++) {
		struct link_lane_out *lane = &p->out.lanes[i];

		if (!lane->starved ||
		    !has_room(lane, lane->want ? lane->want : 1))
			continue;
		lane->starved = false;
		lane->want = 0;
		p->link->batch_due = true;
		if (p->link->ops.on_room != NULL)
			p->link->ops.on_room(p->link->arg, p, (enum msg_lane)i);
	}
}

/* ---- the outbox -------------------------------------------------------- */

int
link_send(struct link_peer *p, enum msg_type type, struct slice message,
    uint64_t cookie)
{
	struct link_lane_out *lane = &p->out.lanes[msg_lane(type)];
	struct link_item *item;

	if (!wiring_allows(p->link->config.stage, p->stage, type))
		return -EPERM;
	if (message.len == 0 || message.len > LIMIT_MESSAGE_BYTES)
		return -EMSGSIZE;
	if (msg_peek(message) != type)
		return -EINVAL;
	if (p->down)
		return -EAGAIN;
	if (!has_room(lane, (uint32_t)message.len)) {
		lane->starved = true;
		if (lane->want < message.len)
			lane->want = (uint32_t)message.len;
		return -EAGAIN;
	}
	item = malloc(sizeof(*item) + message.len);
	if (item == NULL)
		return -ENOMEM;
	*item = (struct link_item){ .seq = p->out.next_seq,
		.cookie = cookie,
		.len = (uint32_t)message.len,
		.lane = (uint8_t)msg_lane(type) };
	memcpy(item->data, message.data, message.len);
	if (link_items_add(&p->out.items, item) < 0) {
		free(item);
		return -ENOMEM;
	}
	p->out.next_seq++;
	if (p->out.unsent == NULL)
		p->out.unsent = item;
	lane->sent_messages++;
	lane->sent_bytes += message.len;
	if (!has_room(lane, 1))
		lane->starved = true;
	return 0;
}

void
link_out_rewind(struct link_peer *p, uint64_t received)
{
	struct link_item *i = p->out.items.last;

	p->out.unsent = NULL;
	for (; i != NULL && i->seq > received; i = i->prev)
		p->out.unsent = i;
}

static size_t
write_bin_head(uint8_t *at, uint32_t len)
{
	if (len <= UINT8_MAX) {
		at[0] = 0xc4;
		at[1] = (uint8_t)len;
		return 2;
	}
	at[0] = 0xc6;
	at[1] = (uint8_t)(len >> 24);
	at[2] = (uint8_t)(len >> 16);
	at[3] = (uint8_t)(len >> 8);
	at[4] = (uint8_t)len;
	return BIN_HEAD_MAX;
}

/* As many messages as one frame takes, each as msgpack bin. Returns the first
 * that is not in it. */
static struct link_item *
gather(struct link_peer *p, struct buf *batch, uint64_t *ret_count)
{
	struct link_item *i = p->out.unsent;
	uint64_t count = 0;

	buf_clear(batch);
	while (i != NULL && count < LINK_BATCH_MESSAGES) {
		if (count > 0 && batch->len + i->len > LINK_BATCH_BYTES)
			break;
		if (buf_reserve(batch, BIN_HEAD_MAX + i->len) < 0)
			break;
		batch->len += write_bin_head(batch->data + batch->len, i->len);
		memcpy(batch->data + batch->len, i->data, i->len);
		batch->len += i->len;
		count++;
		i = i->next;
	}
	*ret_count = count;
	return i;
}

void
link_out_flush(struct link_peer *p)
{
	while (p->ready && !p->blocked && p->out.unsent != NULL) {
		uint64_t first = p->out.unsent->seq, count;
		struct link_item *rest = gather(p, &p->link->list, &count);
		struct msg m = { .type = MSG_DATA,
			.session = p->link->session,
			.seq = first,
			.count = count,
			.batch = buf_slice(&p->link->list) };

		if (count == 0 || link_frame_to_peer(p, &m) < 0)
			return;
		p->out.unsent = rest;
		p->link->stats.messages_out += count;
		if (first <= p->out.highest_sent)
			p->link->stats.repeated_out +=
			    p->out.highest_sent - first + 1 < count
				? p->out.highest_sent - first + 1
				: count;
		if (first + count - 1 > p->out.highest_sent)
			p->out.highest_sent = first + count - 1;
	}
}

/* ---- what became of them ----------------------------------------------- */

/* Takes it out of the outbox before anybody is told. */
static uint64_t
forget(struct link_peer *p, struct link_item *i)
{
	uint64_t cookie = i->cookie;

	if (p->out.unsent == i)
		p->out.unsent = i->next;
	link_items_remove(&p->out.items, i);
	free(i);
	p->link->batch_due = true;
	return cookie;
}

static void
complete(struct link_peer *p, struct link_item *i)
{
	uint64_t cookie = forget(p, i);

	p->link->stats.completed++;
	if (p->link->ops.on_completed != NULL)
		p->link->ops.on_completed(p->link->arg, p, cookie);
}

/* Was it ever sent? A peer cannot complete what it cannot know. */
static bool
is_sent(const struct link_peer *p, const struct link_item *i)
{
	return i != NULL && i->seq <= p->out.highest_sent;
}

/* A range may hold any number of numbers; the work is bounded by the outbox. */
static void
complete_range(struct link_peer *p, uint64_t seq, uint64_t count)
{
	uint64_t end = count > UINT64_MAX - seq ? UINT64_MAX : seq + count;
	struct link_item *i = link_items_find(&p->out.items, seq);

	if (i == NULL && count <= p->out.items.count) {
		for (; seq < end; seq++) {
			i = link_items_find(&p->out.items, seq);
			if (is_sent(p, i))
				complete(p, i);
		}
		return;
	}
	if (i == NULL)
		for (i = p->out.items.first; i != NULL && i->seq < seq;)
			i = i->next;
	while (is_sent(p, i) && i->seq < end) {
		struct link_item *next = i->next;

		complete(p, i);
		i = next;
	}
}

void
link_out_on_ack(struct link_peer *p, const struct msg *m)
{
	struct msg_list refused = m->refused, ranges = m->ranges;
	struct msg r;

	while (msg_next(&refused, MSG_REFUSED, &r)) {
		struct link_item *i = link_items_find(&p->out.items, r.seq);
		uint64_t cookie;

		if (!is_sent(p, i))
			continue;
		cookie = forget(p, i);
		p->link->stats.refused++;
		if (p->link->ops.on_refused != NULL)
			p->link->ops.on_refused(
			    p->link->arg, p, cookie, r.reason);
	}
	while (msg_next(&ranges, MSG_RANGE, &r))
		complete_range(p, r.seq, r.count);
	while (
	    is_sent(p, p->out.items.first) && p->out.items.first->seq <= m->seq)
		complete(p, p->out.items.first);
}

void
link_out_return(struct link_peer *p)
{
	p->out.unsent = NULL;
	while (p->out.items.first != NULL) {
		uint64_t cookie = forget(p, p->out.items.first);

		p->link->stats.returned++;
		if (p->link->ops.on_returned != NULL)
			p->link->ops.on_returned(p->link->arg, p, cookie);
	}
}
