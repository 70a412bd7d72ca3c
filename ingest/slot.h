/*
 * The folder of one ingest's accept log: ROOT/slot-N, held by flock(2) on its
 * LOCK for as long as the process lives, so that any number of ingests share
 * one root. Whoever starts takes the lowest free slot. Segments in a slot that
 * nobody holds are orphans; slot_adopt() moves them into the slot that asks,
 * one rename each, so a crash in between leaves every segment in one place.
 *
 * Refused records of all slots lie in ROOT/quarantine.
 */
#ifndef SLUICE_SLOT_H
#define SLUICE_SLOT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "ingest/segment.h"

#define SLOT_COUNT_MAX 256

struct slot {
	int root;	/* ROOT */
	int folder;	/* ROOT/slot-N */
	int quarantine; /* ROOT/quarantine */
	int lock;	/* open and locked */
	unsigned number;
};

/*
 * Makes root when it is absent, looks at its file system, claims a slot and
 * removes what an earlier process left unfinished in it. -EXDEV: the file
 * system is overlay, memory or network, and any_fs is not set; -EBUSY: all
 * SLOT_COUNT_MAX slots are held; else the errno of the call that failed.
 */
int slot_claim(const char *root, bool any_fs, struct slot *ret) SL_MUST_CHECK;
/* Gives the slot back. */
void slot_release(struct slot *s);

/* "ext4", ...; for the log line. NULL: allowed, but unknown to us. */
const char *slot_file_system(const struct slot *s);
/* Bytes free for us on it. */
uint64_t slot_free_bytes(const struct slot *s);

/* The segments in the slot, by base_seq, linked by next. Those whose header is
 * bad are moved to quarantine and counted in ret_bad. */
int slot_segments(const struct slot *s, struct segment **ret_list,
    unsigned *ret_bad) SL_MUST_CHECK;
/* Moves the segments of all free slots here and gives them likewise. After an
 * error the list holds those that were moved until then. */
int slot_adopt(const struct slot *s, struct segment **ret_list,
    unsigned *ret_bad) SL_MUST_CHECK;

#endif
