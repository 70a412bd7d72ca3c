#include "logger/writer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

struct writer {
	struct writer_config config;
	pthread_t thread;
	bool started;
	struct mailbox in, out;
	struct mail *gathered; /* posted, not flushed yet */
	struct mail **gathered_end;
	struct mail stop; /* ends the thread when it comes */
	uint64_t queued;  /* loop's thread only */
	_Atomic bool stuck, stopping;
	_Atomic uint64_t commits, operations, commit_us, commit_us_max;
};

static struct job *
job_of(struct mail *mail)
{
	return (struct job *)mail;
}

/* ---- the thread --------------------------------------------------------- */

/* What has arrived and is not committed, in order. */
struct backlog {
	struct mail *first;
	struct mail **end;
	size_t count;
	bool stop;
};

static void
backlog_add(struct writer *w, struct backlog *b, struct mail *mail)
{
	while (mail != NULL) {
		struct mail *next = mail->next;

		if (mail == &w->stop) {
			b->stop = true;
		} else {
			mail->next = NULL;
			*b->end = mail;
			b->end = &mail->next;
			b->count++;
		}
		mail = next;
	}
}

static void
count_commit(struct writer *w, size_t operations, uint64_t took_us)
{
	atomic_fetch_add(&w->commits, 1);
	atomic_fetch_add(&w->operations, operations);
	atomic_fetch_add(&w->commit_us, took_us);
	if (took_us > atomic_load(&w->commit_us_max))
		atomic_store(&w->commit_us_max, took_us);
}

/* Waits out an obstacle; nothing was applied. False: give up, we are ending. */
static bool
wait_stuck(struct writer *w, struct backlog *b, int reason)
{
	if (!atomic_exchange(&w->stuck, true))
		log_error("store error=\"%s\" action=\"try again each second\"",
		    strerror(-reason));
	if (b->stop || atomic_load(&w->stopping))
		return false;
	backlog_add(w, b, mailbox_wait(&w->in, WRITER_RETRY_MS));
	return !b->stop;
}

static bool
commit(struct writer *w, struct backlog *b)
{
	struct store_op *ops[STORE_BATCH_MAX];
	struct mail *mail = b->first;
	size_t count = 0;
	int r;

	for (; mail != NULL && count < STORE_BATCH_MAX; mail = mail->next)
		ops[count++] = &job_of(mail)->op;
	for (;;) {
		uint64_t began = clock_mono_us();

		r = store_apply(w->config.store, ops, count,
		    timekeeper_now(w->config.time));
		if (r == 0) {
			count_commit(w, count, clock_mono_us() - began);
			break;
		}
		if (r != -ENOSPC && r != -ENOMEM && r != -EBUSY) {
			log_error(
			    "store error=\"%s\" action=exit", strerror(-r));
			_exit(1);
		}
		if (!wait_stuck(w, b, r))
			return false;
	}
	if (atomic_exchange(&w->stuck, false))
		log_info("store state=working");
	/* Those of this commit: more may have come while it was stuck. */
	for (size_t i = 0; i < count; i++) {
		struct mail *done = b->first;

		b->first = done->next;
		b->count--;
		mailbox_post(&w->out, done);
	}
	if (b->first == NULL)
		b->end = &b->first;
	return true;
}

static void
gather_more(struct writer *w, struct backlog *b, size_t last)
{
	const struct timespec delay = { 0, WRITER_DELAY_US * 1000L };

	if (last < WRITER_BUSY_JOBS || b->count >= WRITER_FULL_JOBS || b->stop)
		return;
	(void)nanosleep(&delay, NULL);
	backlog_add(w, b, mailbox_take(&w->in));
}

static void *
writer_run(void *arg)
{
	struct writer *w = arg;
	struct backlog b = { .first = NULL, .end = &b.first };
	size_t last = 0;

	(void)pthread_setname_np(pthread_self(), "writer");
	for (;;) {
		backlog_add(w, &b,
		    b.first != NULL || b.stop ? mailbox_take(&w->in)
					      : mailbox_wait(&w->in, -1));
		gather_more(w, &b, last);
		last = b.count;
		if (b.first != NULL && !commit(w, &b))
			break;
		if (b.first == NULL && b.stop)
			break;
	}
	while (b.first != NULL) { /* given up: never answered */
		struct mail *next = b.first->next;

		job_of(b.first)->op.result = -ECANCELED;
		mailbox_post(&w->out, b.first);
		b.first = next;
	}
	return NULL;
}

/* ---- the loop's side ---------------------------------------------------- */

static void
on_done(void *arg)
{
	struct writer *w = arg;
	struct mail *mail = mailbox_take(&w->out);

	while (mail != NULL) {
		struct mail *next = mail->next;

		w->queued--;
		job_of(mail)->done(job_of(mail));
		mail = next;
	}
	if (w->config.after != NULL)
		w->config.after(w->config.arg);
}

int
writer_new(const struct writer_config *config, struct writer **ret)
{
	struct writer *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return -ENOMEM;
	w->config = *config;
	w->in.fd = -1;
	w->out.fd = -1;
	w->gathered_end = &w->gathered;
	r = mailbox_init(&w->in);
	if (r == 0)
		r = mailbox_init(&w->out);
	if (r == 0)
		r = loop_add_fd(config->loop, mailbox_fd(&w->out), on_done, w);
	if (r == 0) {
		r = -pthread_create(&w->thread, NULL, writer_run, w);
		w->started = r == 0;
	}
	if (r < 0) {
		writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

/* What the last done()s posted goes nowhere any more. */
static void
give_up(struct writer *w)
{
	while (w->gathered != NULL) {
		struct mail *mail = w->gathered;

		w->gathered = mail->next;
		job_of(mail)->op.result = -ECANCELED;
		job_of(mail)->done(job_of(mail));
	}
}

void
writer_free(struct writer *w)
{
	if (w == NULL)
		return;
	if (w->started) {
		writer_flush(w);
		atomic_store(&w->stopping, true);
		mailbox_post(&w->in, &w->stop);
		pthread_join(w->thread, NULL);
		w->config.after = NULL;
		on_done(w);
		give_up(w);
	}
	if (w->out.fd >= 0)
		loop_del_fd(w->config.loop, mailbox_fd(&w->out));
	mailbox_done(&w->in);
	mailbox_done(&w->out);
	free(w);
}

void
writer_post(struct writer *w, struct job *job)
{
	w->queued++;
	job->mail.next = NULL;
	*w->gathered_end = &job->mail;
	w->gathered_end = &job->mail.next;
}

void
writer_flush(struct writer *w)
{
	struct mail *first = w->gathered;

	if (first == NULL)
		return;
	w->gathered = NULL;
	w->gathered_end = &w->gathered;
	mailbox_post_all(&w->in, first);
}

bool
writer_stuck(const struct writer *w)
{
	return atomic_load(&w->stuck);
}

void
writer_stats(const struct writer *w, struct writer_stats *ret)
{
	ret->commits = atomic_load(&w->commits);
	ret->operations = atomic_load(&w->operations);
	ret->commit_us = atomic_load(&w->commit_us);
	ret->commit_us_max = atomic_load(&w->commit_us_max);
	ret->queued = w->queued;
}
