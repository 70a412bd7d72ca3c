#include "logger/recent.h"

void
recent_init(struct recent *r, uint32_t max, uint64_t last_event)
{
	*r = (struct recent){
		.max = max, .marks = { { last_event, 0 } }, .count = 1
	};
}

static struct recent_mark *
mark_at(struct recent *r, uint32_t at)
{
	return &r->marks[(r->first + at) % RECENT_MARKS];
}

static void
drop_first(struct recent *r)
{
	r->first = (r->first + 1) % RECENT_MARKS;
	r->count--;
}

void
recent_add(struct recent *r, uint64_t last_event, uint64_t deliveries)
{
	const struct recent_mark *last = mark_at(r, r->count - 1);
	uint64_t step = r->max / RECENT_MARKS;

	r->deliveries += deliveries;
	if (last_event > last->event &&
	    (last_event >= last->event + step ||
		r->deliveries >= last->deliveries + step)) {
		if (r->count == RECENT_MARKS)
			drop_first(r);
		*mark_at(r, r->count++) =
		    (struct recent_mark){ last_event, r->deliveries };
	}
	while (
	    r->count > 1 && mark_at(r, 0)->deliveries + r->max < r->deliveries)
		drop_first(r);
}

uint64_t
recent_after(const struct recent *r)
{
	return r->marks[r->first].event;
}
