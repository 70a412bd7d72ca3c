/*
 * The segments of an accept log, oldest first. Those that earlier processes
 * wrote stand before the one that is being written.
 *
 * A segment in the list belongs to it. For the thread of the loop.
 */
#ifndef SLUICE_SEGMENT_LIST_H
#define SLUICE_SEGMENT_LIST_H

#include <stdint.h>

#include "ingest/segment.h"

/* Zero is an empty one. */
struct segment_list {
	struct segment *first, *last;
	uint64_t count;
};

/* Behind all others. */
void segment_list_add(struct segment_list *l, struct segment *s);
/* Some that are linked by next, each sealed: behind the sealed ones that are
 * there, before the one that is being written. */
void segment_list_insert(struct segment_list *l, struct segment *some);
/* s is in it, and the caller's from now on. */
void segment_list_remove(struct segment_list *l, const struct segment *s);
/* The oldest with records that were not read yet; NULL: none. */
struct segment *segment_list_unread(const struct segment_list *l);
/* A sequence number above all that the segments can hold. */
uint64_t segment_list_next_seq(const struct segment_list *l);
/* Frees the segments; the list is empty. */
void segment_list_free(struct segment_list *l);

#endif
