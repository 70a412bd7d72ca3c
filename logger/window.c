#include "logger/window.h"

/* A second's worth may go out at once, no more. */
#define BURST_MS 1000

void
window_init(struct window *w)
{
	*w = (struct window){ .size = WINDOW_FIRST };
}

void
window_success(struct window *w, uint64_t took_ms, uint64_t waited_ms)
{
	w->failures = 0;
	w->troubled = took_ms > WINDOW_SLOW_MS;
	if (waited_ms > WINDOW_WAITED_MS && w->size > WINDOW_BUSY)
		w->size--;
	else if (waited_ms <= WINDOW_WAITED_MS ? w->size < WINDOW_MAX
					       : w->size < WINDOW_BUSY)
		w->size++;
}

void
window_failure(struct window *w)
{
	w->failures++;
	w->troubled = true;
	w->size = w->size / 2 > WINDOW_MIN ? w->size / 2 : WINDOW_MIN;
}

bool
window_open(const struct window *w)
{
	return w->failures >= WINDOW_BREAKER_FAILURES;
}

uint32_t
window_room(const struct window *w, uint32_t out)
{
	uint32_t size = window_open(w) ? 1 : w->size;

	return out < size ? size - out : 0;
}

/* Time paid for already counts from here at the earliest. */
static uint64_t
paid_until(const struct window *w, uint64_t now_ms)
{
	uint64_t oldest = now_ms > BURST_MS ? now_ms - BURST_MS : 0;

	return w->spent_until_ms > oldest ? w->spent_until_ms : oldest;
}

uint32_t
window_rate_room(const struct window *w, uint32_t rate, uint64_t now_ms)
{
	uint64_t paid = paid_until(w, now_ms);

	if (rate == 0)
		return UINT32_MAX;
	if (paid >= now_ms)
		return 0;
	return (uint32_t)((now_ms - paid) * rate / 1000);
}

uint64_t
window_rate_next(const struct window *w, uint32_t rate, uint64_t now_ms)
{
	if (window_rate_room(w, rate, now_ms) > 0)
		return now_ms;
	return paid_until(w, now_ms) + (1000 + rate - 1) / rate;
}

void
window_rate_spend(
    struct window *w, uint32_t rate, uint64_t now_ms, uint32_t count)
{
	if (rate != 0)
		w->spent_until_ms = paid_until(w, now_ms) +
				    ((uint64_t)count * 1000 + rate - 1) / rate;
}
