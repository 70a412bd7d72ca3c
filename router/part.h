/*
 * One part of a plan as bytes: the event's fields unchanged, and at most
 * LIMIT_PLAN_PART of the subscriptions it goes to. The body goes with the
 * first part only. Pure functions.
 */
#ifndef SLUICE_ROUTER_PART_H
#define SLUICE_ROUTER_PART_H

#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/msg.h"
#include "router/match.h"

/* Room for the records of one part. */
#define PART_RECORDS_BYTES (LIMIT_PLAN_PART * 16)

struct part {
	uint64_t number; /* of the directory it was matched with */
	uint32_t part, parts;
	uint64_t held_ms;	       /* how long the event was here */
	const struct targets *targets; /* of all parts */
};

/* How many parts so many targets make; at least one. */
uint32_t part_count(size_t targets);
/* Of these, how many are in that part. */
size_t part_size(size_t targets, uint32_t part);

/* -EBADMSG: no EVENT that a plan can be made of. */
int part_unpack(struct slice bytes, struct msg *ret_event) SL_MUST_CHECK;
/* Makes event the PLAN and packs it; both buffers are cleared first. What
 * msg_pack says. */
int part_pack(const struct part *p, struct msg *event, struct buf *records,
    struct buf *out) SL_MUST_CHECK;

#endif
