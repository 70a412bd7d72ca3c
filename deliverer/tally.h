/*
 * What the deliverer counts: attempts by verdict and status class, their time,
 * and leases given back. Loop thread only.
 */
#ifndef SLUICE_DELIVERER_TALLY_H
#define SLUICE_DELIVERER_TALLY_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/msg.h"
#include "deliverer/transfer.h"

#define TALLY_CLASSES 6	 /* no answer, 1xx (never), 2xx, ... 5xx and above */
#define TALLY_BUCKETS 12 /* of the histogram, the open one included */

struct tally {
	uint64_t attempts[MSG_VERDICT_MAX][TALLY_CLASSES];
	uint64_t buckets[TALLY_BUCKETS];
	uint64_t duration_ms, count;
	uint64_t unsent[UNSENT_MAX];
	uint64_t fences, probes;
};

void tally_attempt(struct tally *t, enum msg_verdict verdict, unsigned status,
    uint64_t duration_ms);
int tally_metrics(const struct tally *t, struct buf *out) SL_MUST_CHECK;

#endif
