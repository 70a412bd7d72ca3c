#include "logger/reader.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

enum lane_name { LANE_PAGES, LANE_SHORT, LANE_MAX };

/* A thread with what it reads through. */
struct lane {
	struct reader *reader;
	struct store_reader *store;
	pthread_t thread;
	bool started;
	struct mailbox in;
	struct mail stop;
};

struct reader {
	struct loop *loop;
	loop_fn *after;
	void *arg;
	struct lane lanes[LANE_MAX];
	_Atomic bool stopping;
	_Atomic uint64_t pages, page_us, page_us_max;
	struct mailbox out;
};

static const char *
error_text(int r)
{
	switch (r) {
	case -EINVAL:
		return "invalid: cursor or question";
	case -ETIMEDOUT:
		return "timeout: the query took too long";
	default:
		return "failed: the store could not be read";
	}
}

static void
answer(struct lane *l, struct question *q)
{
	struct msg page = { .type = MSG_PAGE, .query = q->query.query };
	int result = store_page(l->store, &q->query, &q->page);

	if (result < 0) {
		page.error = slice_text(error_text(result));
		buf_clear(&q->page);
		result = msg_pack(&page, &q->page);
	}
	q->result = result;
}

static void
answer_timed(struct lane *l, struct question *q, bool page)
{
	struct reader *r = l->reader;
	uint64_t took = clock_mono_us();

	answer(l, q);
	if (!page)
		return;
	took = clock_mono_us() - took;
	atomic_fetch_add(&r->pages, 1);
	atomic_fetch_add(&r->page_us, took);
	if (took > atomic_load(&r->page_us_max))
		atomic_store(&r->page_us_max, took);
}

static void *
lane_run(void *arg)
{
	struct lane *l = arg;
	bool pages = l == &l->reader->lanes[LANE_PAGES];
	bool stop = false;

	(void)pthread_setname_np(pthread_self(), pages ? "pages" : "short");
	while (!stop) {
		struct mail *mail = mailbox_wait(&l->in, -1);

		while (mail != NULL) {
			struct mail *next = mail->next;
			struct question *q = (struct question *)mail;

			if (mail == &l->stop) {
				stop = true;
			} else {
				if (atomic_load(&l->reader->stopping))
					q->result = -ECANCELED;
				else
					answer_timed(l, q, pages);
				mailbox_post(&l->reader->out, mail);
			}
			mail = next;
		}
	}
	return NULL;
}

static void
on_done(void *arg)
{
	struct reader *r = arg;
	struct mail *mail = mailbox_take(&r->out);

	while (mail != NULL) {
		struct mail *next = mail->next;
		struct question *q = (struct question *)mail;

		q->done(q);
		mail = next;
	}
	if (r->after != NULL)
		r->after(r->arg);
}

static int
lane_open(struct lane *l, struct store *store)
{
	int r = mailbox_init(&l->in);

	if (r == 0)
		r = store_reader_open(store, &l->store);
	if (r == 0) {
		r = -pthread_create(&l->thread, NULL, lane_run, l);
		l->started = r == 0;
	}
	return r;
}

static void
lane_close(struct lane *l)
{
	if (l->started) {
		mailbox_post(&l->in, &l->stop);
		pthread_join(l->thread, NULL);
	}
	store_reader_close(l->store);
	mailbox_done(&l->in);
}

int
reader_new(struct loop *loop, struct store *store, loop_fn *after, void *arg,
    struct reader **ret)
{
	struct reader *r = calloc(1, sizeof(*r));
	int result;

	if (r == NULL)
		return -ENOMEM;
	r->loop = loop;
	r->after = after;
	r->arg = arg;
	r->out.fd = -1;
	for (unsigned i = 0; i < LANE_MAX; i++) {
		r->lanes[i].reader = r;
		r->lanes[i].in.fd = -1;
	}
	result = mailbox_init(&r->out);
	if (result == 0)
		result = loop_add_fd(loop, mailbox_fd(&r->out), on_done, r);
	for (unsigned i = 0; result == 0 && i < LANE_MAX; i++)
		result = lane_open(&r->lanes[i], store);
	if (result < 0) {
		reader_free(r);
		return result;
	}
	*ret = r;
	return 0;
}

void
reader_free(struct reader *r)
{
	if (r == NULL)
		return;
	atomic_store(&r->stopping, true);
	for (unsigned i = 0; i < LANE_MAX; i++)
		lane_close(&r->lanes[i]);
	if (r->out.fd >= 0) {
		r->after = NULL;
		on_done(r);
		loop_del_fd(r->loop, mailbox_fd(&r->out));
	}
	mailbox_done(&r->out);
	free(r);
}

void
reader_post(struct reader *r, struct question *q)
{
	bool page = q->query.what == MSG_QUERY_LOGS;

	mailbox_post(&r->lanes[page ? LANE_PAGES : LANE_SHORT].in, &q->mail);
}

void
reader_stats(const struct reader *r, struct reader_stats *ret)
{
	ret->pages = atomic_load(&r->pages);
	ret->page_us = atomic_load(&r->page_us);
	ret->page_us_max = atomic_load(&r->page_us_max);
}
