#include "common/discovery.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/crypto.h"
#include "common/mailbox.h"

#define NAMES_MAX 32
#define HOST_TEXT 256
#define ADDRESS_TEXT 256 /* ipc paths are the longest */

struct name {
	char host[HOST_TEXT];
	char port[8];
};

/* What one look-up of one name came to. At most one round of them is under
 * way: the thread waits until the loop has taken the last one. */
struct answer {
	struct mail mail;
	unsigned name;
	unsigned count;
	char addresses[DISCOVERY_ADDRESSES_MAX][80];
};

/* Shared with the thread, and freed by whoever leaves last: a look-up may
 * block for long after discovery_free(). */
struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	unsigned users;
	bool stop;
	bool taken; /* the last round */
	struct name names[NAMES_MAX];
	unsigned name_count;
	struct mailbox answers;
};

struct found {
	char address[ADDRESS_TEXT];
	unsigned name;
	unsigned misses;
};

struct discovery {
	struct loop *loop;
	discovery_fn *on_found, *on_lost;
	void *arg;
	struct resolver *resolver; /* NULL: no names to resolve */
	struct found *found;
	unsigned found_count;
};

/* ---- the resolver's thread --------------------------------------------- */

static void
resolver_leave(struct resolver *r)
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

static bool
write_address(const struct addrinfo *ai, char *text, size_t size)
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

static bool
has_address(const struct answer *a, const char *text)
{
	for (unsigned i = 0; i < a->count; i++)
		if (strcmp(a->addresses[i], text) == 0)
			return true;
	return false;
}

/* NULL when the look-up failed: that is no answer. */
static struct answer *
look_up(const struct name *name)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV };
	struct addrinfo *all = NULL;
	struct answer *a;

	if (getaddrinfo(name->host, name->port, &hints, &all) != 0)
		return NULL;
	a = calloc(1, sizeof(*a));
	for (struct addrinfo *ai = all; ai != NULL && a != NULL;
	     ai = ai->ai_next) {
		char text[sizeof(a->addresses[0])];

		if (a->count < DISCOVERY_ADDRESSES_MAX &&
		    write_address(ai, text, sizeof(text)) &&
		    !has_address(a, text))
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
	ms = DISCOVERY_EVERY_MS - DISCOVERY_EVERY_MS / 8 +
	     random % (DISCOVERY_EVERY_MS / 4);
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
		struct answer *a = look_up(&r->names[i]);
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
resolver_main(void *arg)
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
	resolver_leave(r);
	return NULL;
}

static int
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

static int
resolver_start(struct resolver *r)
{
	pthread_t thread;
	int err;

	r->users++;
	err = pthread_create(&thread, NULL, resolver_main, r);
	if (err != 0) {
		r->users--;
		return -err;
	}
	pthread_detach(thread);
	return 0;
}

static void
resolver_stop(struct resolver *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	resolver_leave(r);
}

/* ---- what is known, in the loop ---------------------------------------- */

/* Under whatever name? */
static bool
is_known(const struct discovery *d, const char *address)
{
	for (unsigned i = 0; i < d->found_count; i++)
		if (strcmp(d->found[i].address, address) == 0)
			return true;
	return false;
}

static void
add(struct discovery *d, unsigned name, const char *address)
{
	struct found *f;
	bool is_new = !is_known(d, address);

	for (unsigned i = 0; i < d->found_count; i++) {
		f = &d->found[i];
		if (f->name == name && strcmp(f->address, address) == 0) {
			f->misses = 0;
			return;
		}
	}
	if (d->found_count == DISCOVERY_ADDRESSES_MAX)
		return;
	f = &d->found[d->found_count++];
	f->name = name;
	f->misses = 0;
	(void)snprintf(f->address, sizeof(f->address), "%s", address);
	if (is_new)
		d->on_found(d->arg, f->address);
}

static void
count_misses(struct discovery *d, const struct answer *a)
{
	unsigned i = 0;

	while (i < d->found_count) {
		struct found *f = &d->found[i], lost;

		if (f->name != a->name || has_address(a, f->address) ||
		    ++f->misses < DISCOVERY_MISSES) {
			i++;
			continue;
		}
		lost = *f;
		*f = d->found[--d->found_count];
		if (!is_known(d, lost.address))
			d->on_lost(d->arg, lost.address);
	}
}

static void
on_answers(void *arg)
{
	struct discovery *d = arg;
	struct mail *mail = mailbox_take(&d->resolver->answers), *next;

	for (; mail != NULL; mail = next) {
		struct answer *a = (struct answer *)mail;

		next = mail->next;
		for (unsigned i = 0; i < a->count; i++)
			add(d, a->name, a->addresses[i]);
		count_misses(d, a);
		free(a);
	}
	pthread_mutex_lock(&d->resolver->lock);
	d->resolver->taken = true;
	pthread_cond_signal(&d->resolver->wake);
	pthread_mutex_unlock(&d->resolver->lock);
}

/* ---- the list ---------------------------------------------------------- */

static bool
is_port(const char *text)
{
	unsigned value = 0, digits = 0;

	for (; text[digits] != '\0'; digits++) {
		if (text[digits] < '0' || text[digits] > '9' || digits == 5)
			return false;
		value = value * 10 + (unsigned)(text[digits] - '0');
	}
	return value > 0 && value <= UINT16_MAX;
}

/* "host:port" or "[address]:port". */
static int
split(char *entry, struct name *name)
{
	char *colon = strrchr(entry, ':'), *host = entry;

	if (colon == NULL || !is_port(colon + 1))
		return -EINVAL;
	*colon = '\0';
	if (*host == '[') {
		if (colon[-1] != ']')
			return -EINVAL;
		colon[-1] = '\0';
		host++;
	} else if (strchr(host, ':') != NULL) {
		return -EINVAL;
	}
	if (*host == '\0' || strlen(host) >= sizeof(name->host))
		return -EINVAL;
	(void)snprintf(name->host, sizeof(name->host), "%s", host);
	(void)snprintf(name->port, sizeof(name->port), "%s", colon + 1);
	return 0;
}

static bool
numeric_address(const struct name *name, char *text, size_t size)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *ai = NULL;
	bool ok;

	if (getaddrinfo(name->host, name->port, &hints, &ai) != 0)
		return false;
	ok = write_address(ai, text, size);
	freeaddrinfo(ai);
	return ok;
}

static int
add_entry(struct discovery *d, char *entry)
{
	char text[ADDRESS_TEXT];
	struct name name;
	int r;

	if (strncmp(entry, "ipc://", 6) == 0) {
		if (entry[6] == '\0' || strlen(entry) >= ADDRESS_TEXT)
			return -EINVAL;
		add(d, NAMES_MAX, entry); /* of no name: it never goes */
		return 0;
	}
	if (strncmp(entry, "tcp://", 6) == 0)
		entry += 6;
	r = split(entry, &name);
	if (r < 0)
		return r;
	if (numeric_address(&name, text, sizeof(text))) {
		add(d, NAMES_MAX, text);
		return 0;
	}
	if (d->resolver == NULL) {
		r = resolver_new(&d->resolver);
		if (r < 0)
			return r;
	}
	if (d->resolver->name_count == NAMES_MAX)
		return -EINVAL;
	d->resolver->names[d->resolver->name_count++] = name;
	return 0;
}

static int
add_all(struct discovery *d, char *list)
{
	char *next;

	for (char *entry = list; entry != NULL; entry = next) {
		size_t len;
		int r;

		next = strchr(entry, ',');
		if (next != NULL)
			*next++ = '\0';
		entry += strspn(entry, " \t");
		len = strlen(entry);
		while (len > 0 && strchr(" \t", entry[len - 1]) != NULL)
			entry[--len] = '\0';
		if (len == 0)
			continue;
		r = add_entry(d, entry);
		if (r < 0)
			return r;
	}
	return 0;
}

int
discovery_new(struct loop *loop, const char *peers, discovery_fn *on_found,
    discovery_fn *on_lost, void *arg, struct discovery **ret)
{
	struct discovery *d = calloc(1, sizeof(*d));
	char *list = strdup(peers);
	int r = -ENOMEM;

	if (d == NULL || list == NULL)
		goto out;
	d->loop = loop;
	d->on_found = on_found;
	d->on_lost = on_lost;
	d->arg = arg;
	d->found = calloc(DISCOVERY_ADDRESSES_MAX, sizeof(*d->found));
	if (d->found == NULL)
		goto out;
	r = add_all(d, list);
	if (r == 0 && d->resolver != NULL) {
		r = loop_add_fd(
		    loop, mailbox_fd(&d->resolver->answers), on_answers, d);
		if (r == 0)
			r = resolver_start(d->resolver);
	}
	if (r == 0) {
		*ret = d;
		d = NULL;
	}
out:
	discovery_free(d);
	free(list);
	return r;
}

void
discovery_free(struct discovery *d)
{
	if (d == NULL)
		return;
	if (d->resolver != NULL)
		loop_del_fd(d->loop, mailbox_fd(&d->resolver->answers));
	resolver_stop(d->resolver);
	free(d->found);
	free(d);
}
