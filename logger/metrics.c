#include "logger/logger.h"

struct metric {
	const char *name;
	const char *kind;
	uint64_t value;
};

static int
add(struct buf *out, const struct metric *metrics, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct metric *m = &metrics[i];
		int r = buf_addf(out,
		    "# TYPE sluice_logger_%s %s\n"
		    "sluice_logger_%s %llu\n",
		    m->name, m->kind, m->name, (unsigned long long)m->value);

		if (r < 0)
			return r;
	}
	return 0;
}

int
logger_metrics(struct proc *p, struct buf *out)
{
	const struct logger *l = p->state;
	const struct logger_counts *c = &l->counts;
	struct writer_stats w;
	struct reader_stats pages;
	struct store_stats s;
	int r;

	writer_stats(l->writer, &w);
	reader_stats(l->reader, &pages);
	store_stats(l->store, &s);
	{
		const struct metric metrics[] = {
			{ "plans_total", "counter", c->plans },
			{ "duplicates_total", "counter", c->duplicates },
			{ "stale_total", "counter", c->stale },
			{ "refused_total", "counter", c->refused },
			{ "delivered_total", "counter", c->delivered },
			{ "failed_attempts_total", "counter",
			    c->failed_attempts },
			{ "garbage_total", "counter", c->garbage },
			{ "leases_total", "counter", c->leases },
			{ "leases_lost_total", "counter", c->leases_lost },
			{ "leases_released_total", "counter",
			    c->leases_released },
			{ "events_deleted_total", "counter", c->deleted },
			{ "over_quota_total", "counter", c->over_quota },
			{ "held_full_total", "counter", c->held_full },
			{ "replayed_total", "counter", c->replayed },
			{ "commits_total", "counter", w.commits },
			{ "operations_total", "counter", w.operations },
			{ "commit_microseconds_total", "counter", w.commit_us },
			{ "commit_microseconds_max", "gauge", w.commit_us_max },
			{ "checkpoints_total", "counter", s.checkpoints },
			{ "wal_bytes", "gauge", s.wal_bytes },
			{ "pages_total", "counter", pages.pages },
			{ "page_microseconds_total", "counter", pages.page_us },
			{ "page_microseconds_max", "gauge", pages.page_us_max },
			{ "log_index_usable", "gauge", s.log_indexed },
			{ "log_index_events_behind", "gauge",
			    s.last_event - s.log_event },
			{ "log_index_changes_behind", "gauge", s.log_changes },
			{ "queued_operations", "gauge", w.queued },
			{ "leases", "gauge", l->fleet.leases.count },
			{ "slots", "gauge", fleet_slots(&l->fleet) },
			{ "endpoints", "gauge", l->endpoints.by_number.count },
			{ "endpoints_ready", "gauge",
			    l->endpoints.ready_count },
			{ "endpoints_waiting", "gauge",
			    l->endpoints.heap_count },
			{ "store_stuck", "gauge", writer_stuck(l->writer) },
		};

		r = add(out, metrics, sizeof(metrics) / sizeof(metrics[0]));
	}
	if (r == 0)
		r = link_metrics(l->port, out);
	return r;
}
