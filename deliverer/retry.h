/*
 * When a failed delivery is tried again: a pure function of the schedule, the
 * attempt and the age, so that any deliverer decides alike and a table can
 * test it.
 *
 * The gap after the n-th attempt of a cycle is the n-th of the schedule; when
 * there is none, or the next attempt would lie beyond the greatest age, the
 * delivery is given up. A gap varies by jitter percent either way, decided by
 * the seed alone.
 */
#ifndef SLUICE_DELIVERER_RETRY_H
#define SLUICE_DELIVERER_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

#define RETRY_GAPS_MAX 64

/* A subscriber that answers 429 or 503 may ask for more time with Retry-After:
 * up to twice the gap, and up to this in any case. */
#define RETRY_AFTER_MAX_MS UINT64_C(3600000)

struct retry_schedule {
	uint64_t gaps_ms[RETRY_GAPS_MAX];
	unsigned count;
};

struct retry_case {
	uint32_t cycle_attempt; /* the one that failed, from 1 */
	uint64_t age_ms;	/* of the cycle, now */
	uint64_t max_age_ms;
	uint64_t seed;		 /* any number that belongs to the delivery */
	unsigned jitter_percent; /* 0 to 100 */
	uint64_t retry_after_ms; /* asked for by the subscriber; 0: not */
};

/* "3m,5m,1h". -EINVAL for anything else, also for no gap or too many. */
int retry_parse(
    struct slice text, struct retry_schedule *ret_schedule) SL_MUST_CHECK;
/* False: give it up; then the delay is left alone. */
bool retry_next(const struct retry_schedule *schedule,
    const struct retry_case *c, uint64_t *ret_delay_ms) SL_MUST_CHECK;

#endif
