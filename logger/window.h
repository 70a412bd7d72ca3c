/*
 * How much may be out at one endpoint: a window of leases that grows by one
 * with each success and is halved by a failure, a breaker that leaves one
 * attempt at a time while nothing succeeds, and the subscription's rate. A
 * window that only makes leases wait at the deliverer gets smaller: they would
 * stand in the way of every other endpoint's. Pure; embedded by value.
 */
#ifndef SLUICE_LOGGER_WINDOW_H
#define SLUICE_LOGGER_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_FIRST 16
#define WINDOW_MIN 4
#define WINDOW_MAX 1024
#define WINDOW_BREAKER_FAILURES 8 /* in a row open the breaker */
#define WINDOW_SLOW_MS 5000	  /* an attempt longer than this is trouble */
#define WINDOW_WAITED_MS 50	  /* at the deliverer: that is enough */
#define WINDOW_BUSY 512		  /* what keeps a deliverer's thread busy */

struct window {
	uint32_t size;
	uint32_t failures;	 /* in a row */
	bool troubled;		 /* the last attempt failed or was slow */
	uint64_t spent_until_ms; /* rate: attempts are paid up to here */
};

void window_init(struct window *w);
/* waited_ms: from being sent to the deliverer to the attempt's start. */
void window_success(struct window *w, uint64_t took_ms, uint64_t waited_ms);
void window_failure(struct window *w);
bool window_open(const struct window *w); /* the breaker is open */
/* More leases that may go out now. */
uint32_t window_room(const struct window *w, uint32_t out);
/* The same by rate (a second; 0: no limit): how many now, or, when none,
 * when the next. */
uint32_t window_rate_room(
    const struct window *w, uint32_t rate, uint64_t now_ms);
uint64_t window_rate_next(
    const struct window *w, uint32_t rate, uint64_t now_ms);
void window_rate_spend(
    struct window *w, uint32_t rate, uint64_t now_ms, uint32_t count);

#endif
