#include "logger/turns.h"

/* ---- the heap ----------------------------------------------------------- */

static void
heap_set(struct endpoints *e, size_t at, struct endpoint *p)
{
	e->heap[at] = p;
	p->heap = at;
}

static void
heap_up(struct endpoints *e, size_t at)
{
	struct endpoint *p = e->heap[at];

	while (at > 1 && e->heap[at / 2]->wake_ms > p->wake_ms) {
		heap_set(e, at, e->heap[at / 2]);
		at /= 2;
	}
	heap_set(e, at, p);
}

static void
heap_down(struct endpoints *e, size_t at)
{
	struct endpoint *p = e->heap[at];

	for (;;) {
		size_t child = at * 2;

		if (child < e->heap_count &&
		    e->heap[child + 1]->wake_ms < e->heap[child]->wake_ms)
			child++;
		if (child > e->heap_count ||
		    e->heap[child]->wake_ms >= p->wake_ms)
			break;
		heap_set(e, at, e->heap[child]);
		at = child;
	}
	heap_set(e, at, p);
}

static void
heap_remove(struct endpoints *e, struct endpoint *p)
{
	size_t at = p->heap;
	struct endpoint *last = e->heap[e->heap_count--];

	p->heap = 0;
	if (last == p)
		return;
	heap_set(e, at, last);
	heap_up(e, at);
	heap_down(e, last->heap);
}

static void
heap_put(struct endpoints *e, struct endpoint *p, uint64_t wake_ms)
{
	if (p->heap != 0) {
		if (p->wake_ms == wake_ms)
			return;
		heap_remove(e, p);
	}
	p->wake_ms = wake_ms;
	heap_set(e, ++e->heap_count, p);
	heap_up(e, p->heap);
}

/* ---- where it belongs --------------------------------------------------- */

static void
queue_leave(struct endpoints *e, struct endpoint *p)
{
	if (!p->ready)
		return;
	p->ready = false;
	TAILQ_REMOVE(&p->app->ready, p, entry);
	if (TAILQ_EMPTY(&p->app->ready)) {
		TAILQ_REMOVE(&e->ready, p->app, entry);
		e->ready_apps--;
	}
}

static void
queue_enter(struct endpoints *e, struct endpoint *p)
{
	if (p->ready)
		return;
	p->ready = true;
	if (TAILQ_EMPTY(&p->app->ready)) {
		TAILQ_INSERT_TAIL(&e->ready, p->app, entry);
		e->ready_apps++;
	}
	/* One that is not behind is done with a pick, before those that are; if
	 * it was not, it is behind from then on, and waits for its turn. */
	if (p->backlogged)
		TAILQ_INSERT_TAIL(&p->app->ready, p, entry);
	else
		TAILQ_INSERT_HEAD(&p->app->ready, p, entry);
}

/* When it is to be looked at; STORE_NEVER: when something else happens. */
static uint64_t
wake_time(const struct endpoint *p, uint64_t now_ms)
{
	uint64_t rate_ms;

	if (p->busy || p->next_due_ms == STORE_NEVER)
		return STORE_NEVER;
	if (!endpoint_sends(p))
		return p->next_due_ms; /* to be suspended then */
	if (endpoint_room(p) == 0)
		return STORE_NEVER;
	rate_ms = window_rate_next(&p->window, p->rate, now_ms);
	return rate_ms > p->next_due_ms ? rate_ms : p->next_due_ms;
}

void
endpoints_touch(struct endpoints *e, struct endpoint *p, uint64_t now_ms)
{
	uint64_t wake_ms = wake_time(p, now_ms);

	if (wake_ms <= now_ms) {
		if (p->heap != 0)
			heap_remove(e, p);
		queue_enter(e, p);
		return;
	}
	queue_leave(e, p);
	if (wake_ms != STORE_NEVER)
		heap_put(e, p, wake_ms);
	else if (p->heap != 0)
		heap_remove(e, p);
}

void
endpoints_wake(struct endpoints *e, uint64_t now_ms)
{
	while (e->heap_count > 0 && e->heap[1]->wake_ms <= now_ms) {
		struct endpoint *p = e->heap[1];

		heap_remove(e, p);
		endpoints_touch(e, p, now_ms);
	}
}

void
turns_leave(struct endpoints *e, struct endpoint *p)
{
	queue_leave(e, p);
	if (p->heap != 0)
		heap_remove(e, p);
}
