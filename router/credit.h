/*
 * How much each source of events (an ingest, an api) may have here
 * uncompleted: nothing, unless the directory is whole and there is an outlet:
 * a logger that has room for plans or is at work on ours. An outlet that is
 * lost is missed for a while before the credit is withdrawn, because a
 * logger's credit may be on the way; no logger at all counts at once.
 *
 * The facts are set by the owner. Pure; embedded by value.
 */
#ifndef SLUICE_ROUTER_CREDIT_H
#define SLUICE_ROUTER_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#define CREDIT_MESSAGES 4096
#define CREDIT_BYTES (8u * 1024 * 1024)
/* Of all sources together, as long as each can have the least that the link
 * allows (LINK_WINDOW_MIN_BYTES). */
#define CREDIT_TOTAL_BYTES (32u * 1024 * 1024)
#define CREDIT_MISSES 2 /* ticks without an outlet */

struct credit {
	unsigned sources; /* that are up */
	unsigned loggers;
	bool whole;  /* the directory */
	bool outlet; /* now */
	bool draining;
	unsigned misses;
	uint64_t granted_bytes; /* what the sources were told */
};

/* What to grant each source now; 0: nothing. */
uint64_t credit_bytes(struct credit *c);
/* Called every so often, with the facts up to date. */
void credit_tick(struct credit *c);

#endif
