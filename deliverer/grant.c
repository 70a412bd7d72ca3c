#include "deliverer/grant.h"

#include "common/log.h"

static bool
is_open(const struct source *s)
{
	return s->introduced && !s->fenced;
}

unsigned
grant_sources(const struct source *sources)
{
	unsigned count = 0;

	for (; sources != NULL; sources = sources->next)
		count += is_open(sources);
	return count;
}

static void
set_window(struct source *s, enum msg_lane lane, uint64_t messages,
    uint64_t bytes, uint64_t *granted)
{
	if (messages == *granted)
		return;
	link_set_peer_window(s->peer, lane, messages, messages > 0 ? bytes : 0);
	*granted = messages;
}

void
grant_windows(struct source *sources, uint64_t slots, uint64_t probes)
{
	unsigned count = grant_sources(sources);
	uint64_t share = count == 0 ? 0 : slots / count;

	for (struct source *s = sources; s != NULL; s = s->next) {
		set_window(s, MSG_LANE_WORK, is_open(s) ? share : 0,
		    GRANT_WORK_BYTES, &s->window);
		set_window(s, MSG_LANE_CONTROL, is_open(s) ? probes : 0,
		    LINK_WINDOW_MIN_BYTES, &s->probe_window);
	}
}

unsigned
grant_watch(struct source *sources, uint64_t now_ms)
{
	unsigned closed = 0;

	for (struct source *s = sources; s != NULL; s = s->next) {
		bool was = s->fenced;

		atomic_store(&s->fence->heard_ms, link_peer_heard_ms(s->peer));
		s->fenced = !fence_open(s->fence, now_ms);
		if (!s->fenced || was)
			continue;
		closed++;
		log_warn("peer=%s was not heard for %d ms: nothing is started",
		    link_peer_instance(s->peer), FENCE_MS);
	}
	return closed;
}
