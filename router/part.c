#include "router/part.h"

#include <errno.h>
#include <stdbool.h>

#include "common/id.h"

uint32_t
part_count(size_t targets)
{
	if (targets == 0)
		return 1;
	return (uint32_t)((targets + LIMIT_PLAN_PART - 1) / LIMIT_PLAN_PART);
}

size_t
part_size(size_t targets, uint32_t part)
{
	size_t before = (size_t)part * LIMIT_PLAN_PART;

	if (targets <= before)
		return 0;
	return targets - before < LIMIT_PLAN_PART ? targets - before
						  : LIMIT_PLAN_PART;
}

static bool
is_sound(const struct msg *m)
{
	return m->type == MSG_EVENT && m->custody.len == ID_SIZE &&
	       m->app != 0 && m->event_type.len > 0 && m->hole <= m->body.len;
}

int
part_unpack(struct slice bytes, struct msg *ret_event)
{
	int r = msg_unpack(bytes, ret_event);

	return r == 0 && !is_sound(ret_event) ? -EBADMSG : r;
}

int
part_pack(const struct part *p, struct msg *event, struct buf *records,
    struct buf *out)
{
	size_t from = (size_t)p->part * LIMIT_PLAN_PART;
	size_t count = part_size(p->targets->count, p->part);
	struct msg record = { .type = MSG_PLANNED };

	buf_clear(records);
	for (size_t i = from; i < from + count; i++) {
		int r;

		record.subscription = p->targets->numbers[i];
		r = msg_pack_record(&record, records);
		if (r < 0)
			return r;
	}
	event->type = MSG_PLAN;
	event->number = p->number;
	event->part = p->part;
	event->parts = p->parts;
	event->age_ms += p->held_ms;
	event->deliveries.packed = buf_slice(records);
	event->deliveries.count = (uint32_t)count;
	if (p->part > 0)
		event->body = (struct slice){ NULL, 0 };
	buf_clear(out);
	return msg_pack(event, out);
}
