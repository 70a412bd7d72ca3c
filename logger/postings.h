/*
 * Postings: key -> the ordinals filed under it, packed into blocks in the order
 * of the keys. A key stands in one block; a block is full at POSTINGS_BLOCK
 * bytes, and longer only for a single long entry.
 */
#ifndef SLUICE_LOGGER_POSTINGS_H
#define SLUICE_LOGGER_POSTINGS_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "logger/log_key.h"
#include "logger/ordinals.h"

#define POSTINGS_BLOCK 3900
#define POSTINGS_BLOCK_MAX (2 * sizeof(struct ordinals))

struct postings_entry {
	uint64_t key;
	const struct log_check *check; /* NULL: none */
	const uint16_t *ordinals;      /* ascending */
	uint32_t count;
};

/* Appends the entry, whose key is larger than those before. */
int postings_add(
    struct buf *block, const struct postings_entry *e) SL_MUST_CHECK;
/*
 * Adds what is filed under the key to the set. With a check, only an entry with
 * that very check counts. -EBADMSG: the block is broken.
 */
int postings_find(struct slice block, uint64_t key,
    const struct log_check *check, struct ordinals *set) SL_MUST_CHECK;

#endif
