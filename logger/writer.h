/*
 * The writer: the one thread that changes the store.
 *
 * The loop posts jobs; each carries one operation of store.h. The thread
 * applies everything that arrived while the last commit ran in one
 * transaction, and hands the jobs back; job->done runs in the loop's thread,
 * in the order of posting. Under load it waits up to WRITER_DELAY_US for more,
 * so that commits stay large; with little to do it waits for nothing.
 *
 * Out of space (or memory, or locked by somebody): the batch is tried again
 * each second and writer_stuck() is true meanwhile; jobs wait. A store that
 * cannot be trusted ends the process at once.
 *
 * A job belongs to the writer from writer_post() to its done(). What bounds
 * their number is the link's windows and the slots of the deliverers; the
 * logger's own jobs are one of a kind at a time (logger.h).
 */
#ifndef SLUICE_LOGGER_WRITER_H
#define SLUICE_LOGGER_WRITER_H

#include "common/loop.h"
#include "common/mailbox.h"
#include "logger/store.h"
#include "logger/timekeeper.h"

#define WRITER_DELAY_US 1000
#define WRITER_BUSY_JOBS 16  /* a batch this large: more is on its way */
#define WRITER_FULL_JOBS 256 /* large enough; no waiting */
#define WRITER_RETRY_MS 1000

struct writer;

struct job {
	struct mail mail;
	struct store_op op;
	/* In the loop's thread, once it is committed or refused. Frees it. */
	void (*done)(struct job *job);
	void *owner;
};

struct writer_stats {
	uint64_t commits, operations;
	uint64_t commit_us; /* sum */
	uint64_t commit_us_max;
	uint64_t queued; /* posted and not handed back */
};

struct writer_config {
	struct loop *loop;
	struct store *store;
	struct timekeeper *time;
	loop_fn *after; /* in the loop's thread, after a run of done()s */
	void *arg;
};

/* The thread runs from now on. */
int writer_new(
    const struct writer_config *config, struct writer **ret) SL_MUST_CHECK;
/* Commits what was posted, runs its done()s, ends the thread. While the store
 * is stuck, what is queued is given up: its senders have no answer yet. */
void writer_free(struct writer *w);

/* Gathers; the thread sees it at writer_flush(). */
void writer_post(struct writer *w, struct job *job);
void writer_flush(struct writer *w);
bool writer_stuck(const struct writer *w);
void writer_stats(const struct writer *w, struct writer_stats *ret);

#endif
