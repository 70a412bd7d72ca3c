/*
 * What follows from an attempt: the retry decision, and its line in the log.
 * Loop thread only.
 */
#ifndef SLUICE_DELIVERER_ATTEMPT_H
#define SLUICE_DELIVERER_ATTEMPT_H

#include <stdint.h>

#include "deliverer/lease.h"
#include "deliverer/retry.h"

struct attempt_policy {
	struct retry_schedule schedule; /* of leases that carry none */
	unsigned jitter_percent;
	uint64_t max_age_ms;
};

/* Sets the lease's verdict, and due_ms when it is to be tried again, from what
 * its transfer came to. A schedule of its own that cannot be read counts as
 * none. */
void attempt_decide(const struct attempt_policy *policy, struct lease *l);
/* The one line of each attempt: debug when it was delivered, else info. */
void attempt_log(const struct lease *l);

#endif
