#include "deliverer/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "deliverer/sign.h"

#define POOL_MAX 256	     /* idle handles kept, 6 kB each */
#define IDLE_WAIT_MS 3600000 /* a post wakes; nothing else is to do */
#define BUSY_WAIT_MS 1000
#define SWEEP_MS 250 /* those that wait are looked at for their fence */

static struct transfer *
from_mail(struct mail *mail)
{
	return (struct transfer *)mail;
}

static void
give_back(struct worker *w, struct transfer *t, enum unsent why)
{
	t->unsent = why;
	mailbox_post(w->back, &t->mail);
}

/* Memory was out before libcurl could try. */
static void
give_back_failed(struct worker *w, struct transfer *t)
{
	t->verdict = MSG_VERDICT_RETRY;
	t->started_ms = clock_mono_ms();
	(void)snprintf(
	    t->error, sizeof(t->error), "memory: it could not be sent");
	give_back(w, t, UNSENT_NOT);
}

/* Probes go before all others; they are few. */
static void
enqueue(struct worker *w, struct mail *mail)
{
	if (from_mail(mail)->probe) {
		if (w->waiting == NULL)
			w->waiting_end = &mail->next;
		mail->next = w->waiting;
		w->waiting = mail;
		return;
	}
	mail->next = NULL;
	*w->waiting_end = mail;
	w->waiting_end = &mail->next;
}

static struct transfer *
dequeue(struct worker *w)
{
	struct mail *mail = w->waiting;

	w->waiting = mail->next;
	if (w->waiting == NULL)
		w->waiting_end = &w->waiting;
	return from_mail(mail);
}

static struct easy *
easy_take(struct worker *w)
{
	struct easy *e = w->pool;

	if (e == NULL)
		return easy_new(&w->config);
	w->pool = e->next;
	w->pooled--;
	return e;
}

static void
easy_give(struct worker *w, struct easy *e)
{
	if (w->pooled == POOL_MAX) {
		easy_free(e);
		return;
	}
	e->next = w->pool;
	w->pool = e;
	w->pooled++;
}

static void
set_count(struct worker *w, unsigned count)
{
	w->count = count;
	atomic_store_explicit(&w->in_flight, count, memory_order_relaxed);
}

static void
flight_add(struct worker *w, struct easy *e)
{
	e->prev = w->last;
	e->next = NULL;
	if (w->last == NULL)
		w->first = e;
	else
		w->last->next = e;
	w->last = e;
	e->young = true;
	if (w->first_young == NULL)
		w->first_young = e;
	w->young++;
	set_count(w, w->count + 1);
}

static void
grow_old(struct worker *w, struct easy *e)
{
	e->young = false;
	w->first_young = e->next;
	w->young--;
}

static void
flight_remove(struct worker *w, struct easy *e)
{
	if (w->first_young == e)
		grow_old(w, e);
	else if (e->young)
		w->young--;
	if (e->prev == NULL)
		w->first = e->next;
	else
		e->prev->next = e->next;
	if (e->next == NULL)
		w->last = e->prev;
	else
		e->next->prev = e->prev;
	set_count(w, w->count - 1);
}

static void
finish(struct worker *w, struct easy *e, CURLcode code)
{
	struct transfer *t = e->transfer;

	easy_end(e, code);
	easy_give(w, e);
	mailbox_post(w->back, &t->mail);
}

static void
start(struct worker *w, struct transfer *t)
{
	struct easy *e = easy_take(w);

	if (e == NULL) {
		give_back_failed(w, t);
		return;
	}
	if (!easy_begin(e, t)) {
		finish(w, e, CURLE_OK);
		return;
	}
	if (curl_multi_add_handle(w->multi, e->handle) != CURLM_OK) {
		e->problem = "memory: it could not be sent";
		finish(w, e, CURLE_OK);
		return;
	}
	flight_add(w, e);
}

static bool
has_room(const struct worker *w)
{
	return w->count < w->max_in_flight && w->young < TRANSFER_YOUNG;
}

static void
start_waiting(struct worker *w)
{
	uint64_t now = clock_mono_ms();

	while (w->first_young != NULL &&
	       w->first_young->started_us / 1000 + TRANSFER_YOUNG_MS <= now)
		grow_old(w, w->first_young);
	/* A probe may go over the young ones, not over the slots. */
	while (w->waiting != NULL &&
	       (has_room(w) || (from_mail(w->waiting)->probe &&
				   w->count < w->max_in_flight))) {
		struct transfer *t = dequeue(w);

		if (t->fence == NULL || fence_open(t->fence, now))
			start(w, t);
		else
			give_back(w, t, UNSENT_FENCED);
	}
}

/* Of those that wait, gives back what may not start any more. */
static void
sweep(struct worker *w)
{
	bool drain = atomic_load(&w->orders->draining);
	uint64_t now = clock_mono_ms();
	struct mail *mail = w->waiting;

	if (mail == NULL || (!drain && now < w->swept_ms + SWEEP_MS))
		return;
	w->swept_ms = now;
	w->waiting = NULL;
	w->waiting_end = &w->waiting;
	while (mail != NULL) {
		struct mail *next = mail->next;
		struct transfer *t = from_mail(mail);

		if (drain)
			give_back(w, t, UNSENT_DRAINED);
		else if (t->fence != NULL && !fence_open(t->fence, now))
			give_back(w, t, UNSENT_FENCED);
		else {
			mail->next = NULL;
			*w->waiting_end = mail;
			w->waiting_end = &mail->next;
		}
		mail = next;
	}
}

static unsigned
reap(struct worker *w)
{
	unsigned reaped = 0;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(w->multi, &left)) != NULL) {
		CURLcode code = message->data.result;
		struct easy *e = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(
		    message->easy_handle, CURLINFO_PRIVATE, (char **)&e);
		(void)curl_multi_remove_handle(w->multi, e->handle);
		flight_remove(w, e);
		finish(w, e, code);
		reaped++;
	}
	return reaped;
}

static void
abort_all(struct worker *w)
{
	while (w->first != NULL) {
		struct easy *e = w->first;

		e->aborted = true;
		(void)curl_multi_remove_handle(w->multi, e->handle);
		flight_remove(w, e);
		finish(w, e, CURLE_ABORTED_BY_CALLBACK);
	}
}

static int
wait_ms(const struct worker *w)
{
	if (w->waiting != NULL)
		return w->count < w->max_in_flight ? TRANSFER_YOUNG_MS / 5
						   : SWEEP_MS;
	return w->count > 0 ? BUSY_WAIT_MS : IDLE_WAIT_MS;
}

static void
take_posts(struct worker *w)
{
	struct mail *mail = mailbox_take(&w->in);

	while (mail != NULL) {
		struct mail *next = mail->next;

		enqueue(w, mail);
		mail = next;
	}
}

static void *
run(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		struct curl_waitfd fd = { .fd = mailbox_fd(&w->in),
			.events = CURL_WAIT_POLLIN };
		int running;

		take_posts(w);
		sweep(w);
		if (atomic_load(&w->orders->aborting))
			abort_all(w);
		if (atomic_load(&w->orders->stopping))
			return NULL;
		start_waiting(w);
		(void)curl_multi_perform(w->multi, &running);
		/* No message may stay unread over the poll, which would sleep
		 * although there is work. */
		if (reap(w) > 0 && w->waiting != NULL)
			continue;
		(void)curl_multi_poll(w->multi, &fd, 1, wait_ms(w), NULL);
	}
}

void
worker_init(
    struct worker *w, struct worker_orders *orders, struct mailbox *back)
{
	*w = (struct worker){ .orders = orders, .back = back };
	w->in.fd = -1;
	w->waiting_end = &w->waiting;
}

int
worker_start(struct worker *w, const char *name, unsigned slots,
    const struct transfers_config *config)
{
	sigset_t all, before;
	int r;

	w->max_in_flight = slots;
	w->config = (struct easy_config){ .ssrf = config->ssrf,
		.seal = *config->seal,
		.timeout_ms = config->timeout_ms,
		.connect_timeout_ms = config->connect_timeout_ms,
		.ca_file = config->ca_file };
	r = mailbox_init(&w->in);
	if (r < 0)
		return r;
	w->config.signer = signer_new(config->seal);
	w->multi = curl_multi_init();
	if (w->config.signer == NULL || w->multi == NULL)
		return -ENOMEM;
	(void)curl_multi_setopt(
	    w->multi, CURLMOPT_MAXCONNECTS, (long)(slots + slots / 4 + 1));
	/* Those that ask for HTTP/2 share a connection; the others never
	 * do. */
	(void)curl_multi_setopt(
	    w->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	/* Signals are for the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->running = r == 0;
	if (w->running)
		(void)pthread_setname_np(w->thread, name);
	return -r;
}

void
worker_post(struct worker *w, struct transfer *t)
{
	mailbox_post(&w->in, &t->mail);
}

void
worker_wake(struct worker *w)
{
	if (w->running)
		(void)curl_multi_wakeup(w->multi);
}

uint32_t
worker_in_flight(const struct worker *w)
{
	return atomic_load_explicit(&w->in_flight, memory_order_relaxed);
}

void
worker_stop(struct worker *w)
{
	if (!w->running)
		return;
	pthread_join(w->thread, NULL);
	w->running = false;
	take_posts(w);
	sweep(w);
}

void
worker_done(struct worker *w)
{
	while (w->pool != NULL) {
		struct easy *e = w->pool;

		w->pool = e->next;
		easy_free(e);
	}
	if (w->multi != NULL)
		(void)curl_multi_cleanup(w->multi);
	signer_free(w->config.signer);
	explicit_bzero(&w->config.seal, sizeof(w->config.seal));
	mailbox_done(&w->in);
}
