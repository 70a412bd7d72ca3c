#include "common/link_private.h"

int
link_metrics(const struct link *l, struct buf *out)
{
	const struct link_stats *s = &l->stats;
	const struct {
		const char *name, *type;
		uint64_t value;
	} rows[] = {
		{ "peers", "gauge", l->peer_count },
		{ "open", "gauge", link_open(l) },
		{ "unacked", "gauge", link_unacked(l) },
		{ "frames_in_total", "counter", s->frames_in },
		{ "frames_out_total", "counter", s->frames_out },
		{ "garbage_total", "counter", s->frames_garbage },
		{ "messages_in_total", "counter", s->messages_in },
		{ "messages_out_total", "counter", s->messages_out },
		{ "repeated_in_total", "counter", s->repeated_in },
		{ "repeated_out_total", "counter", s->repeated_out },
		{ "completed_total", "counter", s->completed },
		{ "refused_total", "counter", s->refused },
		{ "returned_total", "counter", s->returned },
		{ "resets_in_total", "counter", s->resets_in },
		{ "resets_out_total", "counter", s->resets_out },
		{ "resumed_total", "counter", s->resumed },
		{ "refusals_total", "counter", s->refusals },
		{ "ups_total", "counter", s->ups },
		{ "downs_total", "counter", s->downs },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && r == 0; i++)
		r = buf_addf(out,
		    "# TYPE sluice_link_%s %s\nsluice_link_%s %llu\n",
		    rows[i].name, rows[i].type, rows[i].name,
		    (unsigned long long)rows[i].value);
	return r;
}
