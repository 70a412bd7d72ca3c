/*
 * Hands things from any thread to one: a queue and an eventfd.
 *
 * The things embed a struct mail; the mailbox owns them only while they are in
 * it. It has no cap of its own: each of its users names in its header what
 * bounds the number of things on the way. post() wakes the taker once for a
 * run of posts. The taker either watches mailbox_fd() in its loop or waits.
 */
#ifndef SLUICE_MAILBOX_H
#define SLUICE_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>

#include "common/attributes.h"

struct mail {
	struct mail *next;
};

struct mailbox {
	pthread_mutex_t lock;
	struct mail *first;
	struct mail **end;
	int fd;
};

/* -errno of eventfd(2). */
int mailbox_init(struct mailbox *m) SL_MUST_CHECK;
/* What is still inside is left alone: take it first. */
void mailbox_done(struct mailbox *m);
void mailbox_post(struct mailbox *m, struct mail *mail);
/* A run linked by next, in order, with at most one wake-up. */
void mailbox_post_all(struct mailbox *m, struct mail *first);
/* Everything there is, oldest first, linked by next; NULL when empty. */
struct mail *mailbox_take(struct mailbox *m);
/* The same, after waiting for something at most timeout_ms (-1: for ever).
 * NULL may come early, after a signal or a wake-up that was overtaken: call it
 * again. */
struct mail *mailbox_wait(struct mailbox *m, int timeout_ms);
/* Readable while something may be inside; mailbox_take() quiets it. */
int mailbox_fd(const struct mailbox *m);

#endif
