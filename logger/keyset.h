/*
 * A map from 64-bit keys to event sequences, for many small entries: open
 * addressing, 16 bytes a slot, at most half full. Nothing is ever removed but
 * everything at once; an event of 0 is as good as none. One thread.
 */
#ifndef SLUICE_LOGGER_KEYSET_H
#define SLUICE_LOGGER_KEYSET_H

#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"

struct keyset_entry {
	uint64_t key; /* 0: free */
	uint64_t event;
};

struct keyset {
	struct keyset_entry *slots;
	size_t size; /* a power of two, or 0 */
	size_t used;
};

void keyset_done(struct keyset *k);
/* key is not 0. *ret_before: what it had, 0 when nothing. -ENOMEM. */
int keyset_put(struct keyset *k, uint64_t key, uint64_t event,
    uint64_t *ret_before) SL_MUST_CHECK;
uint64_t keyset_get(const struct keyset *k, uint64_t key);
/* Turns it into an array of its entries in the order of their keys, which the
 * caller frees, and leaves it empty. */
struct keyset_entry *keyset_sort(struct keyset *k, size_t *ret_count);

#endif
