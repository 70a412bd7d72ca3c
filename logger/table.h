/*
 * A hash table of nodes that are embedded in what they find, by a 64-bit key.
 * Keys may repeat: whoever has longer keys hashes them and looks on with
 * table_again(). Nothing is allocated per node; the buckets grow with the
 * count, and when there is no memory for that, only the chains do. One thread.
 */
#ifndef SLUICE_LOGGER_TABLE_H
#define SLUICE_LOGGER_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"

struct table_node {
	struct table_node *next;
	uint64_t key;
};

struct table {
	struct table_node **buckets;
	size_t size; /* a power of two */
	size_t count;
};

int table_init(struct table *t) SL_MUST_CHECK;
/* The nodes are left alone. */
void table_done(struct table *t);
void table_add(struct table *t, struct table_node *node, uint64_t key);
void table_remove(struct table *t, struct table_node *node);
struct table_node *table_find(const struct table *t, uint64_t key);
/* The next node with the same key. */
struct table_node *table_again(const struct table_node *node);
/* Every node in no order: NULL gives the first. The one just returned may be
 * removed only after the next was asked for. */
struct table_node *table_next(
    const struct table *t, const struct table_node *node);

#endif
