/*
 * The reader: two threads that answer queries from what is committed, so that a
 * long one holds up neither the loop nor the writer; one answers pages of the
 * log, which may take seconds, the other all that is short, which never waits
 * for them.
 *
 * A question belongs to the reader from reader_post() until its done(), which
 * runs in the loop's thread. Their number is bounded by the control window
 * granted to the apis. Each thread answers one question after the other.
 */
#ifndef SLUICE_LOGGER_READER_H
#define SLUICE_LOGGER_READER_H

#include "common/loop.h"
#include "common/mailbox.h"
#include "logger/store.h"

struct reader;

struct question {
	struct mail mail;
	struct msg query; /* slices stay valid until done() */
	struct buf page;  /* the answer, a PAGE; may say what went wrong */
	int result;	  /* -errno when there is no page at all */
	void (*done)(struct question *q);
};

/* after: in the loop's thread, after a run of done()s. */
int reader_new(struct loop *loop, struct store *store, loop_fn *after,
    void *arg, struct reader **ret) SL_MUST_CHECK;
/* Waits for the questions being answered; the rest get -ECANCELED. */
void reader_free(struct reader *r);
void reader_post(struct reader *r, struct question *q);

/* Of pages of the log: how many, and how long making them took. */
struct reader_stats {
	uint64_t pages, page_us, page_us_max;
};

void reader_stats(const struct reader *r, struct reader_stats *ret);

#endif
