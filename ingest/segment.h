/*
 * One file of the accept log, and the small file beside it that remembers
 * which of its records are complete.
 *
 *   BASE-EPOCH.seg   a page of header, then records from offset SEGMENT_START
 *   BASE-EPOCH.done  a header, then one bit per record, mapped into memory
 *
 * A record is a struct segment_record_head and its payload, padded to 8 bytes;
 * its CRC covers epoch, head and payload, so neither preallocated space nor
 * what a recycled file held before can pass for a record. Numbers in files are
 * in the byte order of the machine; the magic tells.
 *
 * The bits are set in the page cache and never synced: after a power cut some
 * may be missing, which makes duplicates and nothing else. A bits file that
 * does not fit its segment is ignored and made anew.
 *
 * Several records that were accepted in one call form a group; `remaining`
 * counts those that follow. A group at the end of a segment of which a record
 * is missing was never acknowledged and is ignored whole.
 *
 * Functions that touch files are for the thread of the log; segment_mark() is
 * for the loop. Which members belong to whom is said beside them.
 */
#ifndef SLUICE_SEGMENT_H
#define SLUICE_SEGMENT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

#define SEGMENT_START 4096
#define SEGMENT_BITS (256u * 1024) /* records in one segment at most */
#define SEGMENT_NAME_SIZE 48

struct segment_record_head {
	uint32_t tag; /* low half of the epoch: cheap to compare */
	uint32_t len; /* of the payload */
	uint32_t crc;
	uint32_t remaining;
	uint32_t key; /* the writer's own */
	uint32_t zero;
	uint64_t seq;
	uint64_t accepted_ms; /* wall clock */
};

struct segment {
	/* set once */
	uint64_t epoch, base_seq;
	uint8_t *done; /* mapping of the bits file, NULL: none yet */
	/* the log's thread */
	int fd; /* -1: closed */
	uint32_t size;
	uint32_t write_at; /* where the next record goes */
	uint32_t written;  /* numbers used */
	/* the loop */
	struct segment *next;
	uint32_t known;	  /* records known of */
	uint32_t read_at; /* before this all is handed over */
	uint32_t end;	  /* records may be read up to here */
	uint32_t completed;
	bool sealed;	/* nothing will be written any more */
	bool recovered; /* written by an earlier process: may be torn */
	bool damaged;	/* bytes before the last record are bad */
};

/* A new file for records from base_seq on, durable under its name. If spare is
 * not NULL, the file of that name is used instead of allocating one.
 * -ENOSPC, -EDQUOT, -ENOMEM, -EIO ... */
int segment_create(int folder, uint64_t base_seq, uint32_t size,
    const char *spare, struct segment **ret) SL_MUST_CHECK;
/* One that is there: reads its header. -EBADMSG: it is none. */
int segment_open(
    int folder, const char *name, struct segment **ret) SL_MUST_CHECK;
void segment_free(struct segment *s);
void segment_name(
    const struct segment *s, const char *suffix, char name[SEGMENT_NAME_SIZE]);
/* Does the name look like one of a segment's? suffix: ".seg" or ".done". */
bool segment_is_name(const char *name, const char *suffix);
/* Opens and maps the bits file, making it when absent. */
int segment_map_done(int folder, struct segment *s) SL_MUST_CHECK;

/* Fills tag, seq and crc of a head whose payload follows it in memory. */
void segment_seal_record(
    const struct segment *s, uint64_t seq, struct segment_record_head *head);
/* Room that a record of this payload takes. */
uint32_t segment_record_size(uint32_t len);

/* Was all that may be read handed over? */
bool segment_is_read(const struct segment *s);
bool segment_is_done(const struct segment *s, uint64_t seq);
void segment_mark(struct segment *s, uint64_t seq);

/*
 * Walks the records of a mapped segment. segment_next() gives the record at
 * *at and moves *at behind it. false: there is none before end; *at is
 * unchanged. If bad bytes were stepped over, damaged is set.
 */
struct segment_cursor {
	const uint8_t *data;
	uint32_t at, end;
	bool search; /* step over bad bytes */
	bool damaged;
};
bool segment_next(const struct segment *s, struct segment_cursor *c,
    const struct segment_record_head **ret_head);

#endif
