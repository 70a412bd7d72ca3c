/*
 * Where an event is safe: the append-only log that ingest writes before it
 * answers 200, and reads until every record is complete.
 *
 * The loop appends records in groups (one group per HTTP call, accepted whole
 * or not at all) and flushes at the end of its turn; a thread of the log's own
 * writes what has gathered, syncs once, and reports back. While one batch is
 * being written the next one gathers, so a slow disk makes larger batches.
 *
 * on_durable says, once per group, whether it is on disk. on_record hands over
 * each durable record, in the order of acceptance, and the receiver owns it
 * until accept_log_complete() or accept_log_quarantine(). At most
 * ACCEPT_AHEAD_RECORDS and about ACCEPT_AHEAD_BYTES are out at once; what is
 * accepted beyond that stays on disk and is read back later, so a backlog of
 * any size costs no memory. At a start, records that an earlier process left
 * incomplete come first, then those of slots that nobody holds (looked for
 * again every ACCEPT_ADOPT_MS).
 *
 * A segment is removed, or used again, when all its records are complete.
 * Full (the cap, ENOSPC): appends are refused at once, and room is looked for
 * once a second. A failed write or sync of any other kind ends the process
 * here and now: what the disk holds is unknown, and the sync must not be tried
 * again; the next start reads what is there.
 *
 * All calls and callbacks are the loop's. Callbacks must not append, flush or
 * free; they may complete and quarantine.
 */
#ifndef SLUICE_ACCEPT_LOG_H
#define SLUICE_ACCEPT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/loop.h"
#include "common/mailbox.h"
#include "ingest/accept_record.h"

#define ACCEPT_GROUP_RECORDS 1000	       /* events in one HTTP call */
#define ACCEPT_GATHER_BYTES (8u * 1024 * 1024) /* waiting for the disk */
#define ACCEPT_AHEAD_RECORDS 4096
#define ACCEPT_AHEAD_BYTES (16u * 1024 * 1024)
#define ACCEPT_SEGMENT_BYTES (16u * 1024 * 1024)
#define ACCEPT_SEGMENT_LEAST (8u * 1024 * 1024)
#define ACCEPT_MAX_BYTES (UINT64_C(64) * 1024 * 1024 * 1024)
#define ACCEPT_ADOPT_MS 30000
#define ACCEPT_RETRY_MS 1000
#define ACCEPT_QUARANTINE_MAX                          \
	100000 /* files kept; beyond, they stay in the \
		* log and come again at a start */

struct accept_log;

struct accept_log_ops {
	void (*on_durable)(void *arg, void *waiter, bool durable);
	void (*on_record)(void *arg, struct accept_record *record);
	/* After the last callback of one wake-up. NULL: nothing. */
	void (*on_turn)(void *arg);
};

struct accept_log_config {
	const char *root;
	uint64_t max_bytes;	/* 0: half of what is free, ACCEPT_MAX_BYTES at
				 * most */
	uint32_t segment_bytes; /* 0: ACCEPT_SEGMENT_BYTES, or less for a
				 * small cap */
	bool any_fs;
};

/* Recovers and starts the thread. Logs what it found, and why it fails. */
int accept_log_new(struct loop *loop, const struct accept_log_config *config,
    const struct accept_log_ops *ops, void *arg,
    struct accept_log **ret) SL_MUST_CHECK;
/* Finishes what the thread has in hand; waiters are not called any more. The
 * records that are out must have been freed or completed. */
void accept_log_free(struct accept_log *log);

/*
 * Takes count records linked by next, as one group; on_durable(waiter) follows.
 * -ENOSPC: full; -ENOBUFS: too much waits for the disk; -EMSGSIZE: no segment
 * can hold the group. On an error the records stay the caller's.
 */
int accept_log_append(struct accept_log *log, struct accept_record *first,
    uint32_t count, void *waiter) SL_MUST_CHECK;
void accept_log_flush(struct accept_log *log);
/* The waiter of a group is gone; its group goes on. */
void accept_log_forget(struct accept_log *log, const void *waiter);

/* Frees the record. */
void accept_log_complete(struct accept_log *log, struct accept_record *record);
/* The same, after its payload and the reason were kept in ROOT/quarantine. */
void accept_log_quarantine(
    struct accept_log *log, struct accept_record *record, struct slice reason);

bool accept_log_is_full(const struct accept_log *log);
/* Records that are appended and not yet durable. */
uint64_t accept_log_waiting(const struct accept_log *log);
/* sluice_accept_log_* lines for /metrics. */
int accept_log_metrics(
    const struct accept_log *log, struct buf *out) SL_MUST_CHECK;

#endif
