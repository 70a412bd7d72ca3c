#include "common/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int
mailbox_init(struct mailbox *m)
{
	m->first = NULL;
	m->end = &m->first;
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd < 0)
		return -errno;
	pthread_mutex_init(&m->lock, NULL);
	return 0;
}

void
mailbox_done(struct mailbox *m)
{
	if (m->fd < 0)
		return;
	close(m->fd);
	m->fd = -1;
	pthread_mutex_destroy(&m->lock);
}

void
mailbox_post(struct mailbox *m, struct mail *mail)
{
	mail->next = NULL;
	mailbox_post_all(m, mail);
}

void
mailbox_post_all(struct mailbox *m, struct mail *first)
{
	uint64_t one = 1;
	struct mail *last = first;
	bool was_empty;

	while (last->next != NULL)
		last = last->next;
	pthread_mutex_lock(&m->lock);
	was_empty = m->first == NULL;
	*m->end = first;
	m->end = &last->next;
	pthread_mutex_unlock(&m->lock);
	/* The counter is far from its end; EAGAIN would mean "awake". */
	if (was_empty && write(m->fd, &one, sizeof(one)) < 0)
		return;
}

struct mail *
mailbox_take(struct mailbox *m)
{
	struct mail *all;
	uint64_t ignored;

	/* Quiet first: a post after this wakes again. EAGAIN: quiet already. */
	if (read(m->fd, &ignored, sizeof(ignored)) < 0)
		ignored = 0;
	pthread_mutex_lock(&m->lock);
	all = m->first;
	m->first = NULL;
	m->end = &m->first;
	pthread_mutex_unlock(&m->lock);
	return all;
}

struct mail *
mailbox_wait(struct mailbox *m, int timeout_ms)
{
	struct pollfd pfd = { .fd = m->fd, .events = POLLIN };

	(void)poll(&pfd, 1, timeout_ms);
	return mailbox_take(m);
}

int
mailbox_fd(const struct mailbox *m)
{
	return m->fd;
}
