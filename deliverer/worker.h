/*
 * One thread that drives one libcurl multi; transfer.h says what its users
 * see of it.
 *
 * Belongs to transfer.c, which embeds it zeroed. worker_start() and what
 * comes after worker_stop() run in the loop's thread, as do worker_post() and
 * worker_wake() at any time; all else is the thread's own.
 */
#ifndef SLUICE_DELIVERER_WORKER_H
#define SLUICE_DELIVERER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "common/attributes.h"
#include "common/mailbox.h"
#include "deliverer/easy.h"
#include "deliverer/transfer.h"

/* What all workers are told; wake them after a change. */
struct worker_orders {
	atomic_bool draining, aborting, stopping;
};

struct worker {
	struct worker_orders *orders;
	struct mailbox *back; /* where transfers go when they are over */
	pthread_t thread;
	bool running;
	struct mailbox in;
	unsigned max_in_flight;
	struct easy_config config;
	CURLM *multi;
	struct mail *waiting, **waiting_end; /* transfers */
	struct easy *first, *last;	     /* in flight, oldest first */
	struct easy *first_young;	     /* those after it are young too */
	struct easy *pool;
	unsigned pooled, count, young;
	uint64_t swept_ms;
	_Atomic uint32_t in_flight; /* count, for others to read */
};

/* Before anything that may fail. */
void worker_init(
    struct worker *w, struct worker_orders *orders, struct mailbox *back);
int worker_start(struct worker *w, const char *name, unsigned slots,
    const struct transfers_config *config) SL_MUST_CHECK;
void worker_post(struct worker *w, struct transfer *t);
void worker_wake(struct worker *w);
uint32_t worker_in_flight(const struct worker *w);
/* After the order to stop: joins, and gives back what was posted too late. */
void worker_stop(struct worker *w);
void worker_done(struct worker *w);

#endif
