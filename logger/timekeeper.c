#include "logger/timekeeper.h"

#include <time.h>

#include "common/clock.h"

void
timekeeper_init(struct timekeeper *t, uint64_t wall_ms, uint64_t mono_ms)
{
	atomic_init(&t->offset_ms, (int64_t)(wall_ms - mono_ms));
}

void
timekeeper_slew(struct timekeeper *t, uint64_t wall_ms, uint64_t mono_ms)
{
	int64_t offset = atomic_load(&t->offset_ms);
	int64_t step = (int64_t)(wall_ms - mono_ms) - offset;

	if (step > TIMEKEEPER_SLEW_MS)
		step = TIMEKEEPER_SLEW_MS;
	if (step < -TIMEKEEPER_SLEW_MS)
		step = -TIMEKEEPER_SLEW_MS;
	atomic_store(&t->offset_ms, offset + step);
}

uint64_t
timekeeper_at(struct timekeeper *t, uint64_t mono_ms)
{
	return mono_ms + (uint64_t)atomic_load(&t->offset_ms);
}

uint64_t
timekeeper_now(struct timekeeper *t)
{
	return timekeeper_at(t, clock_mono_ms());
}

uint32_t
timekeeper_month(uint64_t ms)
{
	time_t at = (time_t)(ms / 1000);
	struct tm tm = { 0 };

	(void)gmtime_r(&at, &tm);
	return (uint32_t)(tm.tm_year + 1900) * 100 + (uint32_t)(tm.tm_mon + 1);
}
