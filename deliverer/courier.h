/*
 * The deliverer's part in the conversation with the loggers: takes DELIVER and
 * PROBE, has them POSTed (transfer.h), decides on retries (retry.h) and reports
 * (outbox.h); grants as much work as it has free slots, and nothing while it
 * drains, is not introduced, or keeps too much that is not acked.
 *
 * Loop thread only.
 */
#ifndef SLUICE_DELIVERER_COURIER_H
#define SLUICE_DELIVERER_COURIER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/link.h"
#include "common/loop.h"
#include "deliverer/attempt.h"
#include "deliverer/transfer.h"

#define COURIER_PROBE_SLOTS 8
#define COURIER_TICK_MS 250
/* Bodies of leases in hand, and outcomes that are not acked: over either no
 * work is granted. What was granted may come on top, one window of the link. */
#define COURIER_BODY_BYTES (16u * 1024 * 1024)
#define COURIER_OUTCOME_BYTES (16u * 1024 * 1024)
/* Leases beyond the slots that wait here (a DELIVER may hold several); more
 * are given back at once. */
#define COURIER_EXTRA_LEASES 1024

struct courier_config {
	struct loop *loop;
	struct link_config link;
	struct transfers_config transfers;
	struct attempt_policy policy;
};

struct courier;

/* -errno of the link or the transfers. */
int courier_new(const struct courier_config *config,
    struct courier **ret_courier) SL_MUST_CHECK;
void courier_free(struct courier *c);
struct link *courier_link(struct courier *c);

/* Some logger may grant and is granted work. */
bool courier_ready(const struct courier *c);
/* Take nothing new, give back what is not started; what is in flight after
 * limit_ms is cut and reported as failed. */
void courier_drain(struct courier *c, uint64_t limit_ms);
bool courier_drained(struct courier *c);
/* sluice_deliverer_* and sluice_link_* lines. */
int courier_metrics(const struct courier *c, struct buf *out) SL_MUST_CHECK;

#endif
