/*
 * Segments of the log index that are full, as its file keeps them: postings in
 * blocks, places in parts of LOG_PART, states in parts of LOG_STATES_MAX. Of
 * these only the states ever change. What is found broken gives -EBADMSG.
 */
#ifndef SLUICE_LOGGER_LOG_SEALED_H
#define SLUICE_LOGGER_LOG_SEALED_H

#include "logger/log_file.h"

/* A sealed segment, without what is filed in it. */
struct log_sealed {
	uint64_t id;
	/* No segment up to and with this one has a newer event. */
	uint64_t reach;
	struct log_head head;
	struct log_kinds kinds;
	struct buf keys; /* the first of each block of postings */
};

int log_sealed_add(struct log_file *f, const struct log_segment *s,
    uint64_t reach) SL_MUST_CHECK;
int log_sealed_drop(struct log_file *f, uint64_t id) SL_MUST_CHECK;

void log_sealed_init(struct log_sealed *s);
void log_sealed_done(struct log_sealed *s);
/* The segment with the largest id below `below`. 1: there is one; 0: none. */
int log_sealed_walk(
    struct log_file *f, uint64_t below, struct log_sealed *ret) SL_MUST_CHECK;

/* Adds what is filed under the key, with a check as in postings_find(). */
int log_sealed_posting(struct log_file *f, const struct log_sealed *s,
    uint64_t key, const struct log_check *check,
    struct ordinals *set) SL_MUST_CHECK;
/* Adds those whose state matches. */
int log_sealed_match(struct log_file *f, const struct log_sealed *s,
    const struct log_state_filter *filter, struct ordinals *set) SL_MUST_CHECK;
/* Of the deliveries of one part. */
int log_sealed_places(struct log_file *f, const struct log_sealed *s,
    uint32_t part, struct log_place ret[LOG_PART]) SL_MUST_CHECK;
/* States of LOG_STATES_MAX deliveries. */
int log_sealed_states(struct log_file *f, uint64_t id, uint32_t part,
    struct log_states *ret) SL_MUST_CHECK;
int log_sealed_set_states(struct log_file *f, uint64_t id, uint32_t part,
    const struct log_states *states) SL_MUST_CHECK;

#endif
