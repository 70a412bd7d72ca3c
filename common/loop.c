#include "common/loop.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"

/* What is watched, so that zloop's callbacks find the handler again. */
struct watch {
	struct watch *next;
	zmq_pollitem_t item;
	int timer; /* 0 for a watched fd or socket */
	loop_fn *fn;
	void *arg;
};

struct loop {
	zloop_t *zloop;
	struct watch *watches;
	struct watch
	    *dead;	  /* freed at the next tick, never inside its handler */
	uint64_t last_ms; /* when the loop was last seen turning */
	uint64_t paused_ms; /* sum of the gaps */
	volatile sig_atomic_t stopping;
};

uint64_t
loop_now_ms(struct loop *l)
{
	uint64_t now = clock_mono_ms();

	if (now > l->last_ms + LOOP_GAP_MS)
		l->paused_ms += now - l->last_ms;
	l->last_ms = now;
	return now - l->paused_ms;
}

static int
run_watch(struct loop *l, struct watch *w)
{
	(void)loop_now_ms(l);
	if (w->fn != NULL)
		w->fn(w->arg);
	(void)loop_now_ms(l);
	return l->stopping ? -1 : 0;
}

/* zloop hands over the handler's argument only: keep both in the watch. */
struct call {
	struct loop *loop;
	struct watch watch;
};

static int
on_item(zloop_t *zloop, zmq_pollitem_t *item, void *arg)
{
	struct call *call = arg;

	(void)zloop;
	(void)item;
	return run_watch(call->loop, &call->watch);
}

static int
on_timer(zloop_t *zloop, int timer, void *arg)
{
	struct call *call = arg;

	(void)zloop;
	(void)timer;
	return run_watch(call->loop, &call->watch);
}

static void
bury(struct loop *l)
{
	while (l->dead != NULL) {
		struct watch *next = l->dead->next;

		free((char *)l->dead - offsetof(struct call, watch));
		l->dead = next;
	}
}

static int
on_tick(zloop_t *zloop, int timer, void *arg)
{
	struct loop *l = arg;

	(void)zloop;
	(void)timer;
	(void)loop_now_ms(l);
	bury(l);
	return l->stopping ? -1 : 0;
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->last_ms = clock_mono_ms();
	l->zloop = zloop_new();
	if (l->zloop != NULL)
		zloop_set_nonstop(l->zloop, true);
	if (l->zloop == NULL ||
	    zloop_timer(l->zloop, LOOP_TICK_MS, 0, on_tick, l) < 0) {
		loop_free(l);
		return NULL;
	}
	return l;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	zloop_destroy(&l->zloop);
	bury(l);
	l->dead = l->watches;
	bury(l);
	free(l);
}

static struct call *
watch_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->loop = l;
	call->watch.fn = fn;
	call->watch.arg = arg;
	call->watch.next = l->watches;
	l->watches = &call->watch;
	return call;
}

/* Out of the list; memory stays until the next tick, it may be running. */
static void
watch_end(struct loop *l, struct watch *w)
{
	struct watch **at = &l->watches;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->fn = NULL;
	w->next = l->dead;
	l->dead = w;
}

static int
add_item(struct loop *l, zmq_pollitem_t item, loop_fn *fn, void *arg)
{
	struct call *call = watch_new(l, fn, arg);

	if (call == NULL)
		return -ENOMEM;
	call->watch.item = item;
	if (zloop_poller(l->zloop, &item, on_item, call) < 0) {
		watch_end(l, &call->watch);
		return -ENOMEM;
	}
	zloop_poller_set_tolerant(l->zloop, &item);
	return 0;
}

static void
del_item(struct loop *l, zmq_pollitem_t item)
{
	for (struct watch *w = l->watches; w != NULL; w = w->next)
		if (w->timer == 0 && w->item.socket == item.socket &&
		    w->item.fd == item.fd) {
			zloop_poller_end(l->zloop, &item);
			watch_end(l, w);
			return;
		}
}

int
loop_add_fd(struct loop *l, int fd, loop_fn *fn, void *arg)
{
	return add_item(
	    l, (zmq_pollitem_t){ NULL, fd, ZMQ_POLLIN, 0 }, fn, arg);
}

void
loop_del_fd(struct loop *l, int fd)
{
	del_item(l, (zmq_pollitem_t){ NULL, fd, ZMQ_POLLIN, 0 });
}

int
loop_add_sock(struct loop *l, zsock_t *sock, loop_fn *fn, void *arg)
{
	return add_item(l,
	    (zmq_pollitem_t){ zsock_resolve(sock), 0, ZMQ_POLLIN, 0 }, fn, arg);
}

void
loop_del_sock(struct loop *l, zsock_t *sock)
{
	del_item(l, (zmq_pollitem_t){ zsock_resolve(sock), 0, ZMQ_POLLIN, 0 });
}

int
loop_add_timer(struct loop *l, unsigned every_ms, loop_fn *fn, void *arg)
{
	struct call *call = watch_new(l, fn, arg);

	if (call == NULL)
		return -ENOMEM;
	call->watch.timer = zloop_timer(l->zloop, every_ms, 0, on_timer, call);
	if (call->watch.timer < 0) {
		call->watch.timer = 0;
		watch_end(l, &call->watch);
		return -ENOMEM;
	}
	return call->watch.timer;
}

void
loop_del_timer(struct loop *l, int timer)
{
	for (struct watch *w = l->watches; w != NULL; w = w->next)
		if (w->timer == timer) {
			zloop_timer_end(l->zloop, timer);
			watch_end(l, w);
			return;
		}
}

int
loop_run(struct loop *l)
{
	l->last_ms = clock_mono_ms();
	if (l->stopping)
		return 0;
	zloop_start(l->zloop);
	return l->stopping ? 0 : -EIO;
}

void
loop_stop(struct loop *l)
{
	l->stopping = 1;
}
