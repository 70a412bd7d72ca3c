/*
 * Which events are recent: the newest ones, as many as have about so many
 * deliveries, and no more events than that either. The answer only grows: what
 * was not recent once is not so again. One thread at a time.
 */
#ifndef SLUICE_LOGGER_RECENT_H
#define SLUICE_LOGGER_RECENT_H

#include <stdint.h>

#define RECENT_MARKS 64

struct recent_mark {
	uint64_t event, deliveries; /* that there were up to it */
};

struct recent {
	uint32_t max; /* deliveries */
	uint64_t deliveries;
	struct recent_mark marks[RECENT_MARKS];
	uint32_t first, count;
};

/* None up to last_event is recent. */
void recent_init(struct recent *r, uint32_t max, uint64_t last_event);
/* Up to last_event there are so many deliveries more now. */
void recent_add(struct recent *r, uint64_t last_event, uint64_t deliveries);
/* Events behind this one are recent. */
uint64_t recent_after(const struct recent *r);

#endif
