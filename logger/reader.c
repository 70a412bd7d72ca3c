#include "logger/reader.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

struct reader {
	struct loop *loop;
	loop_fn *after;
	void *arg;
	struct store_reader *store;
	pthread_t thread;
	bool started;
	_Atomic bool stopping;
	struct mailbox in, out;
	struct mail stop;
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
answer(struct reader *r, struct question *q)
{
	struct msg page = { .type = MSG_PAGE, .query = q->query.query };
	int result = store_page(r->store, &q->query, &q->page);

	if (result < 0) {
		page.error = slice_text(error_text(result));
		buf_clear(&q->page);
		result = msg_pack(&page, &q->page);
	}
	q->result = result;
}

static void *
reader_run(void *arg)
{
	struct reader *r = arg;
	bool stop = false;

	while (!stop) {
		struct mail *mail = mailbox_wait(&r->in, -1);

		while (mail != NULL) {
			struct mail *next = mail->next;
			struct question *q = (struct question *)mail;

			if (mail == &r->stop) {
				stop = true;
			} else {
				if (atomic_load(&r->stopping))
					q->result = -ECANCELED;
				else
					answer(r, q);
				mailbox_post(&r->out, mail);
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
	r->in.fd = -1;
	r->out.fd = -1;
	result = mailbox_init(&r->in);
	if (result == 0)
		result = mailbox_init(&r->out);
	if (result == 0)
		result = store_reader_open(store, &r->store);
	if (result == 0)
		result = loop_add_fd(loop, mailbox_fd(&r->out), on_done, r);
	if (result == 0) {
		result = -pthread_create(&r->thread, NULL, reader_run, r);
		r->started = result == 0;
	}
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
	if (r->started) {
		atomic_store(&r->stopping, true);
		mailbox_post(&r->in, &r->stop);
		pthread_join(r->thread, NULL);
		r->after = NULL;
		on_done(r);
	}
	if (r->out.fd >= 0)
		loop_del_fd(r->loop, mailbox_fd(&r->out));
	store_reader_close(r->store);
	mailbox_done(&r->in);
	mailbox_done(&r->out);
	free(r);
}

void
reader_post(struct reader *r, struct question *q)
{
	mailbox_post(&r->in, &q->mail);
}
