#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/link_private.h"

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

void
link_in_tell_done(struct link_peer *p)
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
