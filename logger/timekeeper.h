/*
 * The logger's clock, which alone decides due, life and retention: wall time
 * as it was at the start, carried on by the monotonic clock and slewed towards
 * wall time by at most TIMEKEEPER_SLEW_MS each second. A jump of the wall
 * clock therefore makes nothing due early or old at once.
 *
 * timekeeper_now() may be called from any thread, the rest from the loop's.
 */
#ifndef SLUICE_LOGGER_TIMEKEEPER_H
#define SLUICE_LOGGER_TIMEKEEPER_H

#include <stdatomic.h>
#include <stdint.h>

#define TIMEKEEPER_SLEW_MS 5

struct timekeeper {
	_Atomic int64_t offset_ms; /* added to the monotonic clock */
};

void timekeeper_init(struct timekeeper *t, uint64_t wall_ms, uint64_t mono_ms);
/* Once a second. */
void timekeeper_slew(struct timekeeper *t, uint64_t wall_ms, uint64_t mono_ms);
uint64_t timekeeper_at(struct timekeeper *t, uint64_t mono_ms);
/* ms since 1970; may repeat a ms, never jumps. */
uint64_t timekeeper_now(struct timekeeper *t);
/* The month of UTC that it is then: 202611. */
uint32_t timekeeper_month(uint64_t ms);

#endif
