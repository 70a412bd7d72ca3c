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

bool
turns_ready(const struct app *a)
{
	for (unsigned i = 0; i < ENDPOINT_LEVELS; i++)
		if (!TAILQ_EMPTY(&a->ready[i]))
			return true;
	return false;
}

bool
turns_others(const struct app *a, const struct endpoint *e)
{
	for (unsigned i = 0; i < ENDPOINT_LEVELS; i++) {
		const struct endpoint *first = TAILQ_FIRST(&a->ready[i]);

		if (first != NULL &&
		    (first != e || TAILQ_NEXT(e, entry) != NULL))
			return true;
	}
	return false;
}

/* Somebody is ready. */
static struct endpoint_queue *
first_from(struct app *a, size_t level)
{
	while (TAILQ_EMPTY(&a->ready[level]))
		level = (level + 1) % ENDPOINT_LEVELS;
	return &a->ready[level];
}

struct endpoint_queue *
turns_next(struct app *a)
{
	if (a->turns % TURNS_OF_EACH != 0)
		return first_from(a, 0);
	return first_from(a, a->turns / TURNS_OF_EACH % ENDPOINT_LEVELS);
}

struct endpoint_queue *
turns_other(struct app *a, const struct endpoint_queue *queue,
    const struct endpoint_queue *begun)
{
	size_t at = (size_t)(queue - a->ready);

	do {
		at = (at + 1) % ENDPOINT_LEVELS;
		if (&a->ready[at] == begun)
			return NULL;
	} while (TAILQ_EMPTY(&a->ready[at]));
	return &a->ready[at];
}

static void
queue_leave(struct endpoints *e, struct endpoint *p)
{
	if (p->queue == NULL)
		return;
	TAILQ_REMOVE(p->queue, p, entry);
	p->queue = NULL;
	e->ready_count--;
	if (!turns_ready(p->app)) {
		TAILQ_REMOVE(&e->ready, p->app, entry);
		e->ready_apps--;
	}
}

static size_t
level_of(const struct endpoint *p, uint64_t now_ms)
{
	uint64_t late_ms =
	    now_ms > p->next_due_ms ? now_ms - p->next_due_ms : 0;
	uint64_t most_ms = TURNS_LATE_MS;
	size_t level = 0;

	if (!p->backlogged)
		return 0;
	for (; level < ENDPOINT_LEVELS - 1 && late_ms >= most_ms; level++)
		most_ms *= TURNS_LATE_TIMES;
	return level;
}

static void
queue_enter(struct endpoints *e, struct endpoint *p, uint64_t now_ms)
{
	if (p->queue != NULL)
		return;
	if (!turns_ready(p->app)) {
		TAILQ_INSERT_TAIL(&e->ready, p->app, entry);
		e->ready_apps++;
	}
	/* One that is not behind is done with a pick, before those that are; if
	 * it was not, it is behind from then on. */
	p->queue = &p->app->ready[level_of(p, now_ms)];
	e->ready_count++;
	if (p->backlogged)
		TAILQ_INSERT_TAIL(p->queue, p, entry);
	else
		TAILQ_INSERT_HEAD(p->queue, p, entry);
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
		queue_enter(e, p, now_ms);
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
