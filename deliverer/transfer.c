#include "deliverer/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "deliverer/worker.h"

/* Behind the carriers. */
enum apart { TROUBLED, ALONE, HTTP2 };
static const char *const apart_names[TRANSFER_APART] = {
	[TROUBLED] = "troubled",
	[ALONE] = "alone",
	[HTTP2] = "http2",
};

struct transfers {
	struct worker workers[TRANSFER_THREADS_MAX + TRANSFER_APART];
	unsigned count, carriers;
	struct mailbox back;
	struct worker_orders orders;
};

bool
fence_open(struct fence *f, uint64_t now_ms)
{
	uint64_t heard =
	    atomic_load_explicit(&f->heard_ms, memory_order_relaxed);

	return !atomic_load_explicit(&f->ended, memory_order_relaxed) &&
	       heard != 0 && now_ms < heard + FENCE_MS;
}

int
transfers_new(
    const struct transfers_config *config, struct transfers **ret_transfers)
{
	struct transfers *ts = calloc(1, sizeof(*ts));
	unsigned threads = config->threads;
	int r;

	if (ts == NULL)
		return -ENOMEM;
	if (threads == 0 || threads > TRANSFER_THREADS_MAX)
		threads = 1;
	ts->carriers = threads;
	ts->count = threads + TRANSFER_APART;
	for (unsigned i = 0; i < ts->count; i++)
		worker_init(&ts->workers[i], &ts->orders, &ts->back);
	r = mailbox_init(&ts->back);
	for (unsigned i = 0; r == 0 && i < ts->count; i++)
		r = worker_start(&ts->workers[i],
		    i < threads ? "carrier" : apart_names[i - threads],
		    i == threads + ALONE ? 1 : config->slots, config);
	if (r < 0) {
		transfers_stop(ts);
		transfers_free(ts);
		return r;
	}
	*ret_transfers = ts;
	return 0;
}

/* Only TLS tells with its handshake who speaks it. */
static bool
suits_http2(const struct transfer *t)
{
	return strncasecmp(t->url, "https:", 6) == 0 &&
	       t->body->len <= TRANSFER_HTTP2_BODY_MAX;
}

void
transfers_post(struct transfers *ts, struct transfer *t)
{
	unsigned at = t->pin % ts->carriers;

	t->http2 = t->http2 && suits_http2(t);
	if (t->alone)
		at = ts->carriers + ALONE;
	else if (t->troubled)
		at = ts->carriers + TROUBLED;
	else if (t->http2)
		at = ts->carriers + HTTP2;
	worker_post(&ts->workers[at], t);
}

int
transfers_fd(const struct transfers *ts)
{
	return mailbox_fd(&ts->back);
}

struct mail *
transfers_take(struct transfers *ts)
{
	return mailbox_take(&ts->back);
}

static void
wake_all(struct transfers *ts)
{
	for (unsigned i = 0; i < ts->count; i++)
		worker_wake(&ts->workers[i]);
}

void
transfers_drain(struct transfers *ts)
{
	atomic_store(&ts->orders.draining, true);
	wake_all(ts);
}

void
transfers_abort(struct transfers *ts)
{
	atomic_store(&ts->orders.draining, true);
	atomic_store(&ts->orders.aborting, true);
	wake_all(ts);
}

uint32_t
transfers_in_flight(const struct transfers *ts)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < ts->count; i++)
		sum += worker_in_flight(&ts->workers[i]);
	return sum;
}

void
transfers_stop(struct transfers *ts)
{
	transfers_abort(ts);
	atomic_store(&ts->orders.stopping, true);
	wake_all(ts);
	for (unsigned i = 0; i < ts->count; i++)
		worker_stop(&ts->workers[i]);
}

void
transfers_free(struct transfers *ts)
{
	if (ts == NULL)
		return;
	for (unsigned i = 0; i < ts->count; i++)
		worker_done(&ts->workers[i]);
	mailbox_done(&ts->back);
	free(ts);
}
