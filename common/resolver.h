/*
 * A thread that looks names up, again and again, because a look-up may block.
 *
 * Names are added before the start. Every RESOLVER_EVERY_MS or so all are
 * looked up; each success is an answer in the mailbox, and no new round begins
 * before the last one was taken, so at most one per name waits there. The
 * thread is never joined: it frees what it shares when it comes back from a
 * look-up and finds itself alone. One owner; the owner's thread only.
 */
#ifndef SLUICE_RESOLVER_H
#define SLUICE_RESOLVER_H

#include <netdb.h>
#include <stdbool.h>

#include "common/attributes.h"
#include "common/mailbox.h"

#define RESOLVER_EVERY_MS 3000
#define RESOLVER_NAMES_MAX 32
#define RESOLVER_ADDRESSES_MAX 256
#define RESOLVER_ADDRESS_SIZE 80 /* tcp://[IPv6%zone]:PORT */

struct resolver;

struct resolver_name {
	char host[256];
	char port[8];
};

/* What one look-up of one name came to: tcp://ADDRESS:PORT, each once. Freed
 * with free() by who took it. */
struct resolver_answer {
	struct mail mail; /* the first member */
	unsigned name;	  /* in the order of resolver_add() */
	unsigned count;
	char addresses[RESOLVER_ADDRESSES_MAX][RESOLVER_ADDRESS_SIZE];
};

/* -ENOMEM, -errno. */
int resolver_new(struct resolver **ret) SL_MUST_CHECK;
void resolver_free(struct resolver *r);
/* -EINVAL: there are too many. */
int resolver_add(
    struct resolver *r, const struct resolver_name *name) SL_MUST_CHECK;
int resolver_start(struct resolver *r) SL_MUST_CHECK;
/* Readable when there are answers; resolver_take() has them all. */
int resolver_fd(const struct resolver *r);
struct mail *resolver_take(struct resolver *r);

/* tcp://ADDRESS:PORT; false when it does not fit. */
bool resolver_address(const struct addrinfo *ai, char *text, size_t size);
bool resolver_answer_has(const struct resolver_answer *a, const char *text);

#endif
