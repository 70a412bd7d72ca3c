#include "common/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/crypto.h"

/* Shared with the thread, and freed by whoever leaves last: a look-up may
 * block for long after resolver_free(). */
struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	unsigned users;
	bool stop;
	bool taken; /* the last round */
	struct resolver_name names[RESOLVER_NAMES_MAX];
	unsigned name_count;
	struct mailbox answers;
};

static void
leave(struct resolver *r)
{
	struct mail *mail, *next;
	bool last;

	pthread_mutex_lock(&r->lock);
	last = --r->users == 0;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	for (mail = mailbox_take(&r->answers); mail != NULL; mail = next) {
		next = mail->next;
		free(mail);
	}
	mailbox_done(&r->answers);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

bool
resolver_address(const struct addrinfo *ai, char *text, size_t size)
{
	char host[64], port[8];
	int len;

	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), port,
		sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return false;
	len = snprintf(text, size,
	    ai->ai_family == AF_INET6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host,
	    port);
	return len > 0 && (size_t)len < size;
}

bool
resolver_answer_has(const struct resolver_answer *a, const char *text)
{
	for (unsigned i = 0; i < a->count; i++)
		if (strcmp(a->addresses[i], text) == 0)
			return true;
	return false;
}

/* NULL when the look-up failed: that is no answer. */
static struct resolver_answer *
look_up(const struct resolver_name *name)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV };
	struct addrinfo *all = NULL;
	struct resolver_answer *a;

	if (getaddrinfo(name->host, name->port, &hints, &all) != 0)
		return NULL;
	a = calloc(1, sizeof(*a));
	for (struct addrinfo *ai = all; ai != NULL && a != NULL;
	    ai = ai->ai_next) {
		char text[sizeof(a->addresses[0])];

		if (a->count < RESOLVER_ADDRESSES_MAX &&
		    resolver_address(ai, text, sizeof(text)) &&
		    !resolver_answer_has(a, text))
			memcpy(a->addresses[a->count++], text, sizeof(text));
	}
	freeaddrinfo(all);
	return a;
}

/* Until the next round is due: jittered, so that replicas do not ask as one. */
static struct timespec
next_round(void)
{
	struct timespec ts = { 0 };
	uint16_t random;
	uint64_t ms;

	crypto_random(&random, sizeof(random));
	ms = RESOLVER_EVERY_MS - RESOLVER_EVERY_MS / 8 +
	     random % (RESOLVER_EVERY_MS / 4);
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += (time_t)(ms / 1000);
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

static void
look_up_all(struct resolver *r)
{
	for (unsigned i = 0; i < r->name_count; i++) {
		struct resolver_answer *a = look_up(&r->names[i]);
		bool stop;

		pthread_mutex_lock(&r->lock);
		stop = r->stop;
		if (a != NULL && !stop)
			r->taken = false;
		pthread_mutex_unlock(&r->lock);
		if (stop || a == NULL) {
			free(a);
			continue;
		}
		a->name = i;
		mailbox_post(&r->answers, &a->mail);
	}
}

static void *
run(void *arg)
{
	struct resolver *r = arg;
	bool stop = false;

	while (!stop) {
		struct timespec until;

		look_up_all(r);
		until = next_round();
		pthread_mutex_lock(&r->lock);
		while (!r->stop && pthread_cond_timedwait(
				       &r->wake, &r->lock, &until) != ETIMEDOUT)
			;
		while (!r->stop && !r->taken)
			pthread_cond_wait(&r->wake, &r->lock);
		stop = r->stop;
		pthread_mutex_unlock(&r->lock);
	}
	leave(r);
	return NULL;
}

int
resolver_new(struct resolver **ret)
{
	struct resolver *r = calloc(1, sizeof(*r));
	pthread_condattr_t monotonic;
	int err;

	if (r == NULL)
		return -ENOMEM;
	err = mailbox_init(&r->answers);
	if (err < 0) {
		free(r);
		return err;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	r->users = 1;
	r->taken = true;
	*ret = r;
	return 0;
}

int
resolver_start(struct resolver *r)
{
	pthread_t thread;
	int err;

	r->users++;
	err = pthread_create(&thread, NULL, run, r);
	if (err != 0) {
		r->users--;
		return -err;
	}
	pthread_detach(thread);
	return 0;
}

void
resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	leave(r);
}

int
resolver_add(struct resolver *r, const struct resolver_name *name)
{
	if (r->name_count == RESOLVER_NAMES_MAX)
		return -EINVAL;
	r->names[r->name_count++] = *name;
	return 0;
}

int
resolver_fd(const struct resolver *r)
{
	return mailbox_fd(&r->answers);
}

struct mail *
resolver_take(struct resolver *r)
{
	struct mail *all = mailbox_take(&r->answers);

	pthread_mutex_lock(&r->lock);
	r->taken = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	return all;
}
