/*
 * An accepted event in memory, laid out as it is on disk: the head of
 * segment.h, then the payload, padded to 8 bytes with zeros.
 *
 * It belongs to the caller until accept_log_append() takes it, then to the
 * log; while it is out with the receiver (on_record), the members said to be
 * the receiver's are its own.
 */
#ifndef SLUICE_ACCEPT_RECORD_H
#define SLUICE_ACCEPT_RECORD_H

#include <stdint.h>

#include "common/buf.h"
#include "ingest/segment.h"

#define ACCEPT_PAYLOAD_MAX (16u * 1024 * 1024) /* far above any body */

struct accept_record {
	/* the receiver's while it has the record; next is also the caller's
	 * before accept_log_append() */
	struct accept_record *next, *prev;
	void *owner;
	uint64_t order;
	/* the log's */
	struct segment *segment; /* NULL until it is durable */
	void *waiter;		 /* of the group's last record */
	struct segment_record_head head;
	/* the payload follows, padded to 8 bytes */
};

/* A record with a copy of the payload, and a number that is kept with it; NULL
 * when memory is out. */
struct accept_record *accept_record_new(struct slice payload, uint32_t key);
void accept_record_free(struct accept_record *record);
/* It and all that are linked behind it. */
void accept_record_free_all(struct accept_record *record);
struct slice accept_record_payload(const struct accept_record *record);
uint32_t accept_record_key(const struct accept_record *record);
/* Wall time of acceptance. */
uint64_t accept_record_time(const struct accept_record *record);

#endif
