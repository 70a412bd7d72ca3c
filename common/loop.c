#include "common/loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/clock.h"

/* A watched descriptor or socket, or a timer. */
struct watch {
	struct watch *next;
	zmq_pollitem_t item;
	int timer; /* its number; 0 for a watched fd or socket */
	unsigned every_ms;
	uint64_t due_ms; /* clock_mono_ms */
	loop_fn *fn;	 /* NULL: deleted, freed between two turns */
	void *arg;
};

/* The poll set is an image of the list, made anew when the list changed. */
struct loop {
	struct watch *watches;
	bool changed;
	zmq_pollitem_t *items;
	struct watch **watch_of; /* of each item */
	int count;
	int last_timer;
	uint64_t last_ms;   /* when the loop was last seen turning */
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

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->last_ms = clock_mono_ms();
	return l;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	while (l->watches != NULL) {
		struct watch *next = l->watches->next;

		free(l->watches);
		l->watches = next;
	}
	free(l->items);
	free(l->watch_of);
	free(l);
}

static struct watch *
watch_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fn = fn;
	w->arg = arg;
	w->next = l->watches;
	l->watches = w;
	l->changed = true;
	return w;
}

/* Only marked: its handler, or one that walks past it, may be running. */
static void
watch_end(struct loop *l, struct watch *w)
{
	w->fn = NULL;
	l->changed = true;
}

static int
add_item(struct loop *l, void *socket, int fd, loop_fn *fn, void *arg)
{
	struct watch *w = watch_new(l, fn, arg);

	if (w == NULL)
		return -ENOMEM;
	w->item = (zmq_pollitem_t){ socket, fd, ZMQ_POLLIN, 0 };
	return 0;
}

static void
del_item(struct loop *l, const void *socket, int fd)
{
	for (struct watch *w = l->watches; w != NULL; w = w->next)
		if (w->fn != NULL && w->timer == 0 &&
		    w->item.socket == socket && w->item.fd == fd) {
			watch_end(l, w);
			return;
		}
}

int
loop_add_fd(struct loop *l, int fd, loop_fn *fn, void *arg)
{
	return add_item(l, NULL, fd, fn, arg);
}

void
loop_del_fd(struct loop *l, int fd)
{
	del_item(l, NULL, fd);
}

int
loop_add_sock(struct loop *l, zsock_t *sock, loop_fn *fn, void *arg)
{
	return add_item(l, zsock_resolve(sock), -1, fn, arg);
}

void
loop_del_sock(struct loop *l, zsock_t *sock)
{
	del_item(l, zsock_resolve(sock), -1);
}

/* All timers fall on multiples of their period, so that one wake-up serves
 * many of them: an idle process turns four times a second, not forty. */
static uint64_t
round_up(uint64_t ms, unsigned every_ms)
{
	return (ms + every_ms - 1) / every_ms * every_ms;
}

int
loop_add_timer(struct loop *l, unsigned every_ms, loop_fn *fn, void *arg)
{
	struct watch *w = watch_new(l, fn, arg);

	if (w == NULL)
		return -ENOMEM;
	w->timer = ++l->last_timer;
	w->every_ms = every_ms > 0 ? every_ms : 1;
	w->due_ms = round_up(clock_mono_ms() + w->every_ms, w->every_ms);
	return w->timer;
}

void
loop_del_timer(struct loop *l, int timer)
{
	for (struct watch *w = l->watches; timer > 0 && w != NULL; w = w->next)
		if (w->fn != NULL && w->timer == timer) {
			watch_end(l, w);
			return;
		}
}

/* Frees what was deleted and makes the poll set anew. */
static int
rebuild(struct loop *l)
{
	struct watch **at = &l->watches;
	size_t count = 0;
	zmq_pollitem_t *items;
	struct watch **watch_of;

	while (*at != NULL) {
		struct watch *w = *at;

		if (w->fn == NULL) {
			*at = w->next;
			free(w);
			continue;
		}
		count += w->timer == 0;
		at = &w->next;
	}
	items = realloc(l->items, (count + 1) * sizeof(*items));
	if (items == NULL)
		return -ENOMEM;
	l->items = items;
	watch_of = realloc(l->watch_of, (count + 1) * sizeof(struct watch *));
	if (watch_of == NULL)
		return -ENOMEM;
	l->watch_of = watch_of;
	l->count = 0;
	for (struct watch *w = l->watches; w != NULL; w = w->next) {
		if (w->timer != 0)
			continue;
		items[l->count] = w->item;
		watch_of[l->count++] = w;
	}
	l->changed = false;
	return 0;
}

static long
until_next_timer(const struct loop *l)
{
	uint64_t now = clock_mono_ms(), next = now + LOOP_TICK_MS;

	for (const struct watch *w = l->watches; w != NULL; w = w->next)
		if (w->timer != 0 && w->due_ms < next)
			next = w->due_ms;
	return next > now ? (long)(next - now) : 0;
}

static void
run_watch(struct loop *l, struct watch *w)
{
	if (w->fn == NULL || l->stopping)
		return;
	w->fn(w->arg);
	(void)loop_now_ms(l);
}

/* What came in is heard before timers judge anybody's silence. A timer that
 * is late runs once, however many times it missed. */
static void
turn(struct loop *l)
{
	uint64_t now;

	for (int i = 0; i < l->count; i++)
		if (l->items[i].revents != 0)
			run_watch(l, l->watch_of[i]);
	now = clock_mono_ms();
	for (struct watch *w = l->watches; w != NULL; w = w->next) {
		if (w->timer == 0 || w->due_ms > now)
			continue;
		w->due_ms = round_up(now + 1, w->every_ms);
		run_watch(l, w);
	}
}

int
loop_run(struct loop *l)
{
	l->last_ms = clock_mono_ms();
	while (!l->stopping) {
		int ready;

		if (l->changed && rebuild(l) < 0)
			return -ENOMEM;
		ready = zmq_poll(l->items, l->count, until_next_timer(l));
		(void)loop_now_ms(l);
		if (ready < 0 && errno != EINTR)
			return -EIO;
		/* After a signal the items' revents are of the turn before. */
		for (int i = 0; ready < 0 && i < l->count; i++)
			l->items[i].revents = 0;
		turn(l);
	}
	l->stopping = 0;
	return 0;
}

void
loop_stop(struct loop *l)
{
	l->stopping = 1;
}
