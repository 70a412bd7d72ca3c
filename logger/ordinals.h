/*
 * Sets of ordinals: which of the up to ORDINALS_MAX deliveries of one segment
 * of the log index have something in common.
 *
 * In memory a set is a bit for each; kept, it is whichever is shorter of the
 * same bits and a list of gaps and runs. Not thread-safe.
 */
#ifndef SLUICE_LOGGER_ORDINALS_H
#define SLUICE_LOGGER_ORDINALS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

#define ORDINALS_MAX 65536
#define ORDINALS_WORDS (ORDINALS_MAX / 64)

struct ordinals {
	uint64_t words[ORDINALS_WORDS];
};

void ordinals_clear(struct ordinals *set);
/* Adds [from, to). */
void ordinals_add(struct ordinals *set, uint32_t from, uint32_t to);
/* Takes [from, to) away. */
void ordinals_cut(struct ordinals *set, uint32_t from, uint32_t to);
void ordinals_and(struct ordinals *set, const struct ordinals *other);
void ordinals_and_not(struct ordinals *set, const struct ordinals *other);
bool ordinals_empty(const struct ordinals *set);
/* The first one in [from, to), or `to`. */
uint32_t ordinals_next(const struct ordinals *set, uint32_t from, uint32_t to);

/* Appends what is kept of `count` ordinals, which ascend. */
int ordinals_encode(
    const uint16_t *list, uint32_t count, struct buf *out) SL_MUST_CHECK;
/* Adds what was kept to the set. -EBADMSG: it cannot have been that. */
int ordinals_decode(struct slice kept, struct ordinals *set) SL_MUST_CHECK;

#endif
