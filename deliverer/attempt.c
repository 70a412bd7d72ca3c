#include "deliverer/attempt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

#define DEST_SIZE 80 /* of a URL in the log */

/* Of the whole id: its low half is the same for all that one ingest takes for
 * a subscription, and their retries must not come at once. */
static uint64_t
seed_of(struct id id)
{
	uint64_t halves[2];

	memcpy(halves, id.bytes, sizeof(halves));
	return halves[0] * UINT64_C(0x9e3779b97f4a7c15) ^ halves[1];
}

void
attempt_decide(const struct attempt_policy *policy, struct lease *l)
{
	const struct transfer *t = &l->transfer;
	uint64_t now = clock_mono_ms(), delay;
	struct retry_schedule own;
	const struct retry_schedule *schedule = &policy->schedule;
	struct retry_case rc = { .cycle_attempt = l->cycle_attempt,
		.age_ms = l->age_ms + (now - l->received_ms),
		.max_age_ms = policy->max_age_ms,
		.jitter_percent = policy->jitter_percent,
		.retry_after_ms = t->retry_after_ms };

	l->verdict = t->verdict;
	if (t->verdict == MSG_VERDICT_DELIVERED)
		return;
	if (l->flags & MSG_FLAG_ONCE) {
		l->verdict = MSG_VERDICT_GIVE_UP;
		return;
	}
	if (t->verdict != MSG_VERDICT_RETRY)
		return;
	if (l->schedule.len > 0 && retry_parse(l->schedule, &own) == 0)
		schedule = &own;
	rc.seed = seed_of(t->id);
	if (retry_next(schedule, &rc, &delay))
		l->due_ms = now + delay;
	else
		l->verdict = MSG_VERDICT_GIVE_UP;
}

/* Scheme and host only: paths and queries of hooks are often secret. */
static void
destination(const char *url, char text[DEST_SIZE])
{
	const char *host = strstr(url, "://");
	size_t len = host == NULL
			 ? 0
			 : strcspn(host + 3, "/?#") + (size_t)(host + 3 - url);

	(void)snprintf(text, DEST_SIZE, "%.*s",
	    (int)(len < DEST_SIZE ? len : DEST_SIZE - 1), url);
}

void
attempt_log(const struct lease *l)
{
	static const char *const results[MSG_VERDICT_MAX] = {
		[MSG_VERDICT_NONE] = "none",
		[MSG_VERDICT_DELIVERED] = "delivered",
		[MSG_VERDICT_RETRY] = "retry",
		[MSG_VERDICT_GIVE_UP] = "give_up",
		[MSG_VERDICT_DISABLE] = "disable",
	};
	const struct transfer *t = &l->transfer;
	bool good = l->verdict == MSG_VERDICT_DELIVERED;
	enum log_level level = good ? LOG_AT_DEBUG : LOG_AT_INFO;
	uint64_t now = clock_mono_ms();
	char id[ID_TEXT_SIZE], dest[DEST_SIZE];

	if (!log_enabled(level))
		return;
	id_text(t->id, id);
	destination(t->url, dest);
	log_write(level,
	    "delivery=%s subscription=%" PRIu32 " dest=%s attempt=%" PRIu32
	    " status=%u ms=%" PRIu64 " result=%s next_ms=%" PRIu64
	    " error=\"%s\"",
	    id, id_subscription(t->id), dest, l->attempt, t->status,
	    t->duration_ms, results[l->verdict],
	    l->due_ms > now ? l->due_ms - now : 0, t->error);
}
