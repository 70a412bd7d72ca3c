/*
 * The thread of the log index: reads what is new in the store into the open
 * segment, seals it when it is full, puts changes where they belong, and drops
 * segments of which retention has left nothing.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/log.h"
#include "logger/log_index_private.h"

#define FENCE_WAIT_US 200
#define RETRY_MS 1000 /* no room, no memory */
#define LOOK_MS 1000  /* between two looks at one old segment */
/* Further behind than this, the thread rests as long as it works. */
#define FAR_BEHIND LOG_SEGMENT_MAX

/* ---- waiting ------------------------------------------------------------ */

/* False: it is time to end. */
static bool
wait_ms(struct log_index *x, uint64_t ms)
{
	struct timespec until;
	bool go_on;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&x->lock);
	if (!x->stopping)
		(void)pthread_cond_timedwait(&x->wake, &x->lock, &until);
	go_on = !x->stopping;
	pthread_mutex_unlock(&x->lock);
	return go_on;
}

static bool
ending(struct log_index *x)
{
	bool stopping;

	pthread_mutex_lock(&x->lock);
	stopping = x->stopping;
	pthread_mutex_unlock(&x->lock);
	return stopping;
}

/* From now on changes of events up to this one are noted, by all transactions
 * but those that have ended. */
static void
raise_fence(struct log_index *x, uint64_t event)
{
	const struct timespec pause = { 0, FENCE_WAIT_US * 1000L };
	uint64_t ended;

	if (atomic_load(&x->wanted) >= event)
		return;
	atomic_store(&x->wanted, event);
	ended = atomic_load(&x->granted);
	while (atomic_load(&x->writing) && atomic_load(&x->granted) == ended)
		(void)nanosleep(&pause, NULL);
}

/* ---- the file ----------------------------------------------------------- */

int
log_begin_file(struct log_index *x)
{
	int r;

	if (x->file_begun)
		return 0;
	r = log_file_begin(x->file, true);
	x->file_begun = r == 0;
	return r;
}

void
log_undo_file(struct log_index *x)
{
	if (x->file_begun)
		log_file_undo(x->file);
	x->file_begun = false;
	x->editing.loaded = x->editing.changed = false;
}

/* All that a commit of the file says about itself. Notes that are needed
 * again after a restart are those since the first late delivery. */
int
log_set_marks(struct log_index *x, uint64_t event, uint64_t change)
{
	uint64_t seen_event = 0, seen_change = 0;
	int r = log_feed_newest(x->feed, &seen_event, &seen_change);

	if (seen_event < event)
		seen_event = event;
	if (seen_change < change)
		seen_change = change;
	if (r == 0)
		r = log_file_set_mark(x->file, LOG_MARK_EVENT, event);
	if (r == 0)
		r = log_file_set_mark(x->file, LOG_MARK_CHANGE, change);
	if (r == 0)
		r = log_file_set_mark(x->file, LOG_MARK_SEEN_EVENT, seen_event);
	if (r == 0)
		r = log_file_set_mark(
		    x->file, LOG_MARK_SEEN_CHANGE, seen_change);
	return r;
}

/* ---- sealing ------------------------------------------------------------ */

bool
log_is_full(struct log_index *x)
{
	return log_segment_full(x->open) ||
	       x->open->head.count >= atomic_load(&x->segment_max);
}

static void
put_in_place(
    struct log_index *x, struct log_segment *open, struct log_segment *sealing)
{
	pthread_mutex_lock(&x->lock);
	x->open = open;
	x->sealing = sealing;
	pthread_mutex_unlock(&x->lock);
}

/* Puts the open segment into the file and begins the next. Every event up to
 * `event` is in this segment or those before. */
int
log_seal(struct log_index *x, uint64_t event)
{
	struct log_segment *sealed = x->open;
	struct log_segment *next = log_segment_new(sealed->id + 1);
	const struct log_entry entry = { sealed->id, sealed->head.min_event,
		sealed->head.max_event };
	uint64_t reach = x->reach;
	int r = next == NULL ? -ENOMEM : log_begin_file(x);

	if (entry.max_event > reach)
		reach = entry.max_event;
	if (r == 0)
		r = log_end_editing(x);
	if (r == 0)
		r = log_sealed_add(x->file, sealed, reach);
	if (r == 0)
		r = log_set_marks(x, event, x->last_change);
	if (r == 0)
		r = log_entry_add(x, &entry);
	if (r < 0) {
		log_undo_file(x);
		log_segment_free(next);
		return r;
	}
	fail_point("logger.index.seal");
	put_in_place(x, next, sealed);
	r = log_file_end(x->file); /* may wait for the disk */
	fail_point("logger.index.sealed");
	put_in_place(x, r < 0 ? sealed : next, NULL);
	if (r < 0) {
		x->entry_count--;
		log_undo_file(x);
		log_segment_free(next);
		return r;
	}
	x->file_begun = false;
	x->late = false;
	x->found.has_sealed = x->found.has_places = false;
	atomic_store(&x->segments, x->entry_count);
	atomic_store(&x->settled, x->last_change);
	log_segment_free(sealed);
	return 0;
}

/* Into the open segment, which is not full. */
int
log_add_new(struct log_index *x, const struct log_new *n)
{
	const struct log_event *e = &x->events[n->event];
	const struct log_position at = { e->seq, n->subscription };
	uint32_t ordinal = x->open->head.count;
	int r = log_segment_add(x->open, e, n->key, n->subscription, n->state);

	if (r == 0 && n->state == LOG_STATE_PENDING)
		log_add_pending(x, &at, x->open->id, ordinal);
	return r;
}

/* What was gathered goes into the open segment; more than fits, into the next
 * ones. In the order of the log, so that what is before the first one left is
 * all in. */
static int
flush(struct log_index *x)
{
	size_t at = 0, end;
	int r = 0;

	while (r == 0 && at < x->new_count) {
		if (log_is_full(x))
			r = log_seal(x, x->events[x->news[at].event].seq - 1);
		if (r < 0)
			break;
		end = at + LOG_ADD_MAX;
		if (end > x->new_count)
			end = x->new_count;
		pthread_mutex_lock(&x->lock);
		for (; r == 0 && at < end && !log_is_full(x); at++)
			r = log_add_new(x, &x->news[at]);
		pthread_mutex_unlock(&x->lock);
	}
	x->new_count = 0;
	return r;
}

static int
gather(struct log_index *x, const struct log_delivery *d, uint32_t event)
{
	const struct log_event *e = &x->events[event];

	x->read++;
	x->untold += log_state_untold(d->state);
	x->news[x->new_count++] =
	    (struct log_new){ event, d->at.subscription, d->state,
		    log_key_subscription(x->seed, e->app, d->at.subscription) };
	return x->new_count == LOG_BATCH_DELIVERIES ? flush(x) : 0;
}

/* ---- what is new -------------------------------------------------------- */

static int
read_new(struct log_index *x, uint64_t from, uint64_t to)
{
	struct log_delivery d;
	uint32_t at = 0;
	int r = log_feed_begin(x->feed, atomic_load(&x->recent));

	x->new_count = 0;
	if (r == 0)
		r = log_feed_events(
		    x->feed, from, to, x->events, &x->event_count);
	if (r == 0) {
		log_feed_walk(x->feed, from, to);
		while ((r = log_feed_next(x->feed, &d)) > 0) {
			while (at < x->event_count &&
			       x->events[at].seq < d.at.event)
				at++;
			if (at == x->event_count)
				break;
			if (x->events[at].seq != d.at.event)
				continue;
			r = gather(x, &d, at);
			if (r < 0)
				break;
		}
	}
	if (r >= 0)
		r = flush(x);
	log_feed_end(x->feed);
	return r;
}

/*
 * What is read before its first attempt has ended costs most: the writer notes
 * how that ends, or we look again. So when much of what was read last was like
 * that, some of the newest are left for the next time, unless they were there
 * some looks ago.
 */
static uint64_t
upto(struct log_index *x)
{
	uint64_t newest = atomic_load(&x->store_event), event = 0;

	if (x->untold * 8 > x->read)
		x->leave = x->leave > 0 ? 2 * x->leave : LOG_LEAVE_MIN;
	else if (x->read > 0)
		x->leave = x->leave > LOG_LEAVE_MIN ? x->leave / 2 : 0;
	if (x->leave > LOG_LEAVE_MAX)
		x->leave = LOG_LEAVE_MAX;
	x->read = x->untold = 0;
	if (newest > x->leave)
		event = newest - x->leave;
	x->look = (x->look + 1) % LOG_LOOKS;
	if (event < x->seen[x->look])
		event = x->seen[x->look];
	x->seen[x->look] = newest;
	return event;
}

/* One batch, up to that event; *ret_more: there is more to read at once. */
static int
fill(struct log_index *x, uint64_t newest, bool *ret_more)
{
	uint64_t from = 0, to;
	int r;

	*ret_more = false;
	if (newest <= x->last_event)
		return 0;
	r = log_feed_first(x->feed, x->last_event + 1, newest, &from);
	if (r < 0)
		return r;
	to = newest;
	if (from > 0 && to - from >= LOG_BATCH_EVENTS)
		to = from + LOG_BATCH_EVENTS - 1;
	raise_fence(x, to);
	if (from > 0)
		r = read_new(x, from, to);
	if (r < 0)
		return r;
	pthread_mutex_lock(&x->lock);
	x->last_event = to;
	pthread_mutex_unlock(&x->lock);
	*ret_more = newest > to;
	return 0;
}

/* ---- retention ---------------------------------------------------------- */

/* One segment at a time: is anything of it left? */
static int
look_at_old(struct log_index *x)
{
	uint64_t now = clock_mono_ms(), first;
	struct log_entry *e;
	int r;

	if (now < x->look_ms + LOOK_MS || x->entry_count == 0)
		return 0;
	x->look_ms = now;
	x->entry_looked = (x->entry_looked + 1) % x->entry_count;
	e = &x->entries[x->entry_looked];
	r = log_feed_first(x->feed, e->min_event, e->max_event, &first);
	if (r < 0 || first > 0)
		return r;
	r = log_begin_file(x);
	if (r == 0)
		r = log_sealed_drop(x->file, e->id);
	if (r == 0)
		r = log_file_end(x->file);
	if (r < 0) {
		log_undo_file(x);
		return r;
	}
	x->file_begun = false;
	x->found.has_sealed = false;
	x->entry_count--;
	memmove(
	    e, e + 1, (x->entry_count - x->entry_looked) * sizeof(*x->entries));
	x->look_ms = 0; /* the next may be empty, too */
	atomic_store(&x->segments, x->entry_count);
	return 0;
}

/* ---- the thread --------------------------------------------------------- */

static int
turn(struct log_index *x)
{
	uint64_t newest = upto(x);
	bool more = true;
	int r = 0;

	while (r == 0 && more && !ending(x)) {
		uint64_t began = clock_mono_us(), took;

		r = fill(x, newest, &more);
		if (r == 0)
			r = log_settle(x);
		if (r == 0)
			r = look_at_old(x);
		took = clock_mono_us() - began;
		if (r == 0 && more && newest - x->last_event > FAR_BEHIND)
			(void)wait_ms(x, took / 1000 + 1);
	}
	return r;
}

/* Pages are found by reading the store. */
static void
give_up(struct log_index *x, int reason)
{
	log_error("log index=%s error=\"%s\" action=\"pages are found by "
		  "reading the store until it is made anew\"",
	    x->path, strerror(-reason));
	pthread_mutex_lock(&x->lock);
	x->usable = false;
	pthread_mutex_unlock(&x->lock);
	log_undo_file(x);
	log_file_close(x->file);
	x->file = NULL;
	log_file_remove(x->path);
	atomic_store(&x->forgotten, false);
	atomic_store(&x->identity, 0);
}

/* The store names none, and notes nothing, since log_index_forgotten(). */
static int
begin_again(struct log_index *x)
{
	uint64_t change = atomic_load(&x->store_change);
	int r;

	atomic_store(&x->settled, change);
	r = log_begin_new(x, atomic_load(&x->store_event), change);
	if (r < 0)
		atomic_store(&x->settled, UINT64_MAX);
	return r;
}

/* The store stands as it stood, and nothing is to be looked at again. */
static bool
is_quiet(const struct log_index *x)
{
	return atomic_load(&x->store_event) <= x->last_event &&
	       atomic_load(&x->store_change) <= x->last_change &&
	       x->pending_count == 0;
}

static bool
passes(int r)
{
	return r == -ENOSPC || r == -ENOMEM || r == -EBUSY;
}

/* 0: it is time to end; else why the index is to be given up. */
static int
work(struct log_index *x)
{
	bool stuck = false, go_on = true;
	uint64_t pause = LOG_INDEX_MS;
	int r = log_load_pending(x);

	while (go_on && (r == 0 || passes(r))) {
		pause = is_quiet(x) ? 2 * pause : LOG_INDEX_MS;
		if (pause > LOG_INDEX_QUIET_MS)
			pause = LOG_INDEX_QUIET_MS;
		r = turn(x);
		if (r == 0 && atomic_load(&x->suspect))
			r = -EBADMSG;
		if (passes(r) && !stuck)
			log_warn("log index error=\"%s\" action=\"try again "
				 "each second\"",
			    strerror(-r));
		stuck = passes(r);
		go_on = wait_ms(x, stuck ? RETRY_MS : pause);
	}
	return go_on ? r : 0;
}

/* It never takes a processor from a thread that is at work when it wakes. */
static void
stand_back(void)
{
	const struct sched_param none = { 0 };

	(void)sched_setscheduler(0, SCHED_BATCH, &none);
}

void *
log_fill_run(void *arg)
{
	struct log_index *x = arg;
	uint64_t times = 1;

	(void)pthread_setname_np(pthread_self(), "log-index");
	stand_back();
	for (;;) {
		uint64_t began = clock_mono_ms(), pause;

		if (x->usable) {
			int r = work(x);

			if (r == 0)
				break;
			give_up(x, r);
		}
		if (clock_mono_ms() > began + LOG_AGAIN_MAX_MS)
			times = 1;
		pause = times * atomic_load(&x->again_ms);
		if (pause < LOG_AGAIN_MAX_MS)
			times *= 2;
		else
			pause = LOG_AGAIN_MAX_MS;
		if (!wait_ms(x, pause))
			break;
		if (atomic_load(&x->forgotten))
			(void)begin_again(x);
	}
	return NULL;
}
