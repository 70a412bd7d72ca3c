#include "deliverer/retry.h"

#include <errno.h>
#include <string.h>

#include "common/config.h"

int
retry_parse(struct slice text, struct retry_schedule *ret_schedule)
{
	struct retry_schedule s = { .count = 0 };
	struct slice rest = text;

	for (;;) {
		const uint8_t *comma =
		    rest.len == 0 ? NULL : memchr(rest.data, ',', rest.len);
		struct slice gap = rest;

		if (comma != NULL)
			gap.len = (size_t)(comma - rest.data);
		if (gap.len == 0 || s.count == RETRY_GAPS_MAX ||
		    config_parse_ms(gap, &s.gaps_ms[s.count]) < 0)
			return -EINVAL;
		s.count++;
		if (comma == NULL)
			break;
		rest.data += gap.len + 1;
		rest.len -= gap.len + 1;
	}
	*ret_schedule = s;
	return 0;
}

/* The output function of splitmix64: neighbours give unrelated numbers. */
static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t
vary(uint64_t gap_ms, const struct retry_case *c)
{
	uint64_t span = gap_ms / 100 * c->jitter_percent +
			gap_ms % 100 * c->jitter_percent / 100;

	if (span == 0)
		return gap_ms;
	return gap_ms - span +
	       mix(c->seed ^ mix(c->cycle_attempt)) % (2 * span + 1);
}

bool
retry_next(const struct retry_schedule *schedule, const struct retry_case *c,
    uint64_t *ret_delay_ms)
{
	uint64_t gap, delay, most;

	if (c->cycle_attempt == 0 || c->cycle_attempt > schedule->count)
		return false;
	gap = vary(schedule->gaps_ms[c->cycle_attempt - 1], c);
	if (c->age_ms >= c->max_age_ms || gap > c->max_age_ms - c->age_ms)
		return false;
	delay = gap;
	if (c->retry_after_ms > gap) {
		most =
		    gap > RETRY_AFTER_MAX_MS / 2 ? 2 * gap : RETRY_AFTER_MAX_MS;
		delay = c->retry_after_ms < most ? c->retry_after_ms : most;
		/* Politeness may cost the last attempts, but not all. */
		if (delay > c->max_age_ms - c->age_ms)
			delay = c->max_age_ms - c->age_ms;
	}
	*ret_delay_ms = delay;
	return true;
}
