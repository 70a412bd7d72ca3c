/*
 * What each logger session is granted, and its fence: a session is open when it
 * is introduced (outbox.h) and was heard (transfer.h), and only then gets a
 * share of what is free. Loop thread only.
 */
#ifndef SLUICE_DELIVERER_GRANT_H
#define SLUICE_DELIVERER_GRANT_H

#include <stdint.h>

#include "deliverer/outbox.h"

/* Bytes of DELIVERs on the way; twice the smallest window there is. */
#define GRANT_WORK_BYTES (8u * 1024 * 1024)

/* How many sessions are open. */
unsigned grant_sources(const struct source *sources);
/* Shares out free slots, and slots for probes to each; the caller flushes. */
void grant_windows(struct source *sources, uint64_t slots, uint64_t probes);
/* Opens and closes the fence of each session by what was heard of it; returns
 * how many were closed, after a line in the log for each. */
unsigned grant_watch(struct source *sources, uint64_t now_ms);

#endif
