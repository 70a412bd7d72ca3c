/*
 * The thread of the accept log: all that touches its files after the start.
 *
 * The loop posts jobs; the thread does them in order and posts each back into
 * the mailbox that the loop watches. A job belongs to whoever has it. Jobs on
 * the way are few: one each of append, read, adopt and probe, one drop per
 * segment, one quarantine per record that is out.
 */
#ifndef SLUICE_LOG_DISK_H
#define SLUICE_LOG_DISK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/mailbox.h"
#include "ingest/accept_log.h"
#include "ingest/segment.h"
#include "ingest/slot.h"

#define DISK_REASON_SIZE 257

enum disk_job_kind {
	DISK_APPEND,	 /* records -> disk; those that are get a segment */
	DISK_READ,	 /* segment from at on -> records */
	DISK_DROP,	 /* segment is complete; freed */
	DISK_ADOPT,	 /* -> segment: list of orphans, now ours */
	DISK_PROBE,	 /* is there room again? */
	DISK_QUARANTINE, /* records: one, to a file of its own */
	DISK_STOP,
};

struct disk_job {
	struct mail mail;
	enum disk_job_kind kind;
	int result; /* 0 or -errno */
	struct accept_record *records;
	uint32_t count; /* of records */
	uint64_t bytes; /* of records */
	struct segment *segment;
	/* read */
	uint32_t at, end; /* at moves */
	uint32_t max_records, max_bytes;
	uint32_t skipped; /* complete already */
	bool ended;	  /* nothing more before end */
	bool damaged;
	unsigned bad;	  /* adopt: files that were no segments */
	uint64_t sync_us; /* append: what syncing took */
	char reason[DISK_REASON_SIZE];
};

struct disk {
	struct slot slot;
	struct mailbox jobs;
	struct mailbox *done; /* the loop's */
	pthread_t thread;
	bool started;
	uint32_t segment_bytes;
	uint64_t max_files;
	/* the thread's */
	uint64_t files; /* segments and the spare */
	uint64_t next_seq;
	struct segment *active;
	int spare_fd;	   /* being zeroed, -1: not */
	uint32_t spare_at; /* zeroed up to here */
	bool spare;	   /* ready */
	uint32_t quarantined;
};

/* d is zero but for slot, which is taken over and released by disk_stop(),
 * done, segment_bytes, max_files, files and next_seq (above every one in the
 * slot). -errno. */
int disk_start(struct disk *d) SL_MUST_CHECK;
void disk_post(struct disk *d, struct disk_job *job);
/* Does what was posted, ends the thread, closes everything. */
void disk_stop(struct disk *d);

#endif
