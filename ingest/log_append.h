/*
 * The writing half of the accept log's thread: batches into the active
 * segment, and the spare segment that follows it.
 *
 * The spare is zeroed a chunk at a time between batches, so that no batch
 * waits for all of it; a complete segment becomes the spare at once. Either
 * way making it is what meets a full disk, and not the write of a batch.
 *
 * Called by the thread only, but for disk_spare_cancel() after its end.
 */
#ifndef SLUICE_LOG_APPEND_H
#define SLUICE_LOG_APPEND_H

#include "ingest/log_disk.h"

#define DISK_SPARE "spare.tmp"

/* Writes and syncs the job's records; those that are on disk have a segment.
 * result: 0, or -ENOSPC or -EDQUOT when not all of them are. */
void disk_append(struct disk *d, struct disk_job *job);

void disk_spare_begin(struct disk *d);
/* One chunk; at its end the spare is ready, or gone. */
void disk_spare_continue(struct disk *d);
void disk_spare_cancel(struct disk *d);

/* What the disk holds is unknown now: logs and ends the process. */
void disk_die(const char *what, int error);

#endif
