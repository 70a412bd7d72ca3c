#include "logger/log_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/log.h"
#include "logger/log_index_private.h"

/* ---- open and close ----------------------------------------------------- */

static uint64_t
random_number(void)
{
	uint64_t number;

	crypto_random(&number, sizeof(number));
	return (number >> 1) | 1; /* fits a signed column, is not 0 */
}

int
log_entry_add(struct log_index *x, const struct log_entry *e)
{
	if (x->entry_count == x->entry_cap) {
		size_t cap = x->entry_cap > 0 ? x->entry_cap * 2 : 64;
		struct log_entry *entries =
		    realloc(x->entries, cap * sizeof(*entries));

		if (entries == NULL)
			return -ENOMEM;
		x->entries = entries;
		x->entry_cap = cap;
	}
	x->entries[x->entry_count++] = *e;
	if (e->max_event > x->reach)
		x->reach = e->max_event;
	return 0;
}

static int
compare_entries(const void *a, const void *b)
{
	uint64_t x = ((const struct log_entry *)a)->id;
	uint64_t y = ((const struct log_entry *)b)->id;

	return x < y ? -1 : x > y;
}

static int
load_entries(struct log_index *x)
{
	struct log_sealed *sealed = &x->found.sealed;
	uint64_t below = INT64_MAX;
	int r;

	while ((r = log_sealed_walk(x->file, below, sealed)) > 0) {
		const struct log_entry e = { sealed->id, sealed->head.min_event,
			sealed->head.max_event };

		r = log_entry_add(x, &e);
		if (r < 0)
			return r;
		below = sealed->id;
	}
	atomic_store(&x->segments, x->entry_count);
	if (x->entry_count > 1)
		qsort(x->entries, x->entry_count, sizeof(*x->entries),
		    compare_entries);
	return r;
}

struct marks {
	uint64_t identity, seed, event, change, seen_event, seen_change;
};

static int
read_marks(struct log_file *f, struct marks *m)
{
	int r = log_file_mark(f, LOG_MARK_IDENTITY, &m->identity);

	if (r == 0)
		r = log_file_mark(f, LOG_MARK_SEED, &m->seed);
	if (r == 0)
		r = log_file_mark(f, LOG_MARK_EVENT, &m->event);
	if (r == 0)
		r = log_file_mark(f, LOG_MARK_CHANGE, &m->change);
	if (r == 0)
		r = log_file_mark(f, LOG_MARK_SEEN_EVENT, &m->seen_event);
	if (r == 0)
		r = log_file_mark(f, LOG_MARK_SEEN_CHANGE, &m->seen_change);
	return r;
}

/* A copy of the store that was put back is older than what the index has seen;
 * an index that was put back misses changes whose notes are gone. */
static bool
goes_with(const struct marks *m, const struct log_index_store *store)
{
	return m->identity != 0 && m->identity == store->identity &&
	       m->event <= store->last_event &&
	       m->seen_event <= store->last_event &&
	       m->change <= store->last_change &&
	       m->seen_change <= store->last_change &&
	       m->change >= store->dropped;
}

static uint64_t
next_segment(const struct log_index *x)
{
	if (x->entry_count == 0)
		return 1;
	return x->entries[x->entry_count - 1].id + 1;
}

/* -ENOENT: there is none that goes with the store. */
static int
open_old(struct log_index *x, const struct log_index_store *store)
{
	struct marks m = { 0 };
	int r;

	if (store->identity == 0 || access(x->path, F_OK) < 0)
		return -ENOENT;
	r = log_file_open(x->path, false, &x->file);
	log_file_close(x->file);
	x->file = NULL;
	if (r == 0)
		r = log_file_open(x->path, true, &x->file);
	if (r == 0)
		r = read_marks(x->file, &m);
	if (r == 0 && !goes_with(&m, store))
		r = -ENOENT;
	if (r == 0)
		r = load_entries(x);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOENT;
	x->open = log_segment_new(next_segment(x));
	if (x->open == NULL)
		return -ENOMEM;
	log_feed_set_seed(x->feed, m.seed);
	x->seed = m.seed;
	x->last_event = m.event;
	x->last_change = m.change;
	x->usable = true;
	x->generation = 1;
	atomic_store(&x->identity, m.identity);
	return 0;
}

/* Nothing of another file is kept. */
static int
forget_all(struct log_index *x)
{
	struct log_segment *open;

	log_file_close(x->file);
	x->file = NULL;
	x->file_begun = false;
	x->entry_count = x->entry_looked = 0;
	x->reach = 0;
	x->pending_count = 0;
	memset(x->seen, 0, sizeof(x->seen));
	x->late = false;
	x->editing.loaded = x->editing.changed = false;
	x->found.has_sealed = x->found.has_places = false;
	atomic_store(&x->segments, 0);
	atomic_store(&x->pendings, 0);
	open = log_segment_new(1);
	if (open == NULL)
		return -ENOMEM;
	log_segment_free(x->open);
	x->open = open;
	return 0;
}

int
log_begin_new(struct log_index *x, uint64_t last_event, uint64_t last_change)
{
	uint64_t identity = random_number(), seed = random_number();
	int r = forget_all(x);

	if (r < 0)
		return r;
	log_file_remove(x->path);
	r = log_file_open(x->path, true, &x->file);
	if (r == 0)
		r = log_file_set_mark(x->file, LOG_MARK_SEED, seed);
	if (r == 0)
		r = log_file_set_mark(x->file, LOG_MARK_CHANGE, last_change);
	if (r == 0)
		r = log_file_set_mark(x->file, LOG_MARK_IDENTITY, identity);
	if (r < 0)
		return r;
	log_info("log index=%s state=new events=%llu", x->path,
	    (unsigned long long)last_event);
	log_feed_set_seed(x->feed, seed);
	pthread_mutex_lock(&x->lock);
	x->seed = seed;
	x->last_event = 0;
	x->last_change = last_change;
	x->usable = true;
	x->generation++;
	pthread_mutex_unlock(&x->lock);
	atomic_store(&x->suspect, false);
	atomic_store(&x->identity, identity);
	return 0;
}

static int
open_memory(struct log_index *x, const struct log_index_store *store)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&x->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&x->wake, &attr);
	pthread_condattr_destroy(&attr);
	log_sealed_init(&x->found.sealed);
	atomic_store(&x->segment_max, LOG_SEGMENT_MAX);
	atomic_store(&x->again_ms, LOG_AGAIN_MS);
	x->store_path = strdup(store->path);
	x->path = malloc(strlen(store->path) + sizeof("-index"));
	if (x->store_path == NULL || x->path == NULL)
		return -ENOMEM;
	memcpy(x->path, store->path, strlen(store->path));
	memcpy(x->path + strlen(store->path), "-index", sizeof("-index"));
	return 0;
}

/* What the writer is told from now on. */
static void
tell_writer(struct log_index *x, const struct log_index_store *store)
{
	atomic_store(&x->store_event, store->last_event);
	atomic_store(&x->store_change, store->last_change);
	atomic_store(&x->recent, store->last_event);
	if (x->usable) {
		atomic_store(&x->wanted, x->last_event);
		atomic_store(&x->settled, x->last_change);
	} else {
		atomic_store(&x->identity, 0);
		log_index_forgotten(x);
	}
}

int
log_index_open(const struct log_index_store *store, struct log_index **ret,
    uint64_t *ret_identity)
{
	struct log_index *x = calloc(1, sizeof(*x));
	int r;

	if (x == NULL)
		return -ENOMEM;
	r = open_memory(x, store);
	if (r == 0)
		r = log_feed_open(x->store_path, &x->feed);
	if (r < 0) {
		log_index_close(x);
		return r;
	}
	r = open_old(x, store);
	if (r == -ENOENT)
		r = log_begin_new(x, store->last_event, store->last_change);
	if (r == -ENOMEM) {
		log_index_close(x);
		return r;
	}
	if (r < 0)
		log_error("log index=%s error=\"%s\" action=\"pages are found "
			  "by reading the store until it can be made\"",
		    x->path, strerror(-r));
	tell_writer(x, store);
	*ret_identity = atomic_load(&x->identity);
	*ret = x;
	return 0;
}

int
log_index_start(struct log_index *x)
{
	int r = -pthread_create(&x->thread, NULL, log_fill_run, x);

	x->started = r == 0;
	return r;
}

void
log_index_close(struct log_index *x)
{
	if (x == NULL)
		return;
	if (x->started) {
		pthread_mutex_lock(&x->lock);
		x->stopping = true;
		pthread_cond_signal(&x->wake);
		pthread_mutex_unlock(&x->lock);
		pthread_join(x->thread, NULL);
	}
	log_file_close(x->file);
	log_feed_close(x->feed);
	log_segment_free(x->open);
	log_sealed_done(&x->found.sealed);
	free(x->entries);
	free(x->pending);
	pthread_cond_destroy(&x->wake);
	pthread_mutex_destroy(&x->lock);
	free(x->path);
	free(x->store_path);
	free(x);
}

/* ---- the writer's side -------------------------------------------------- */

uint64_t
log_index_begin(struct log_index *x)
{
	/* In this order, both ways round: either the thread sees that we are
	 * writing, or we see what it wants. */
	atomic_store(&x->writing, true);
	return atomic_load(&x->wanted);
}

void
log_index_end(struct log_index *x, uint64_t last_event, uint64_t last_change,
    uint64_t recent)
{
	atomic_store(&x->recent, recent);
	atomic_store(&x->store_event, last_event);
	atomic_store(&x->store_change, last_change);
	atomic_fetch_add(&x->granted, 1);
	atomic_store(&x->writing, false);
}

uint64_t
log_index_settled(const struct log_index *x)
{
	return atomic_load(&x->settled);
}

uint64_t
log_index_identity(const struct log_index *x)
{
	return atomic_load(&x->identity);
}

void
log_index_forgotten(struct log_index *x)
{
	/* Once it is, the thread may have begun again. */
	if (atomic_load(&x->forgotten))
		return;
	atomic_store(&x->wanted, 0);
	atomic_store(&x->settled, UINT64_MAX);
	atomic_store(&x->forgotten, true);
}

/* ---- anybody ------------------------------------------------------------ */

void
log_index_stats(struct log_index *x, struct log_index_stats *ret)
{
	/* Afterwards the thread may go on, so that it is never ahead. */
	pthread_mutex_lock(&x->lock);
	ret->store_event = atomic_load(&x->store_event);
	ret->store_change = atomic_load(&x->store_change);
	ret->usable = x->usable;
	ret->last_event = x->last_event;
	ret->last_change = x->last_change;
	pthread_mutex_unlock(&x->lock);
	ret->segments = atomic_load(&x->segments);
	ret->pending = atomic_load(&x->pendings);
}

void
log_index_set_segment(struct log_index *x, uint32_t deliveries)
{
	atomic_store(&x->segment_max, deliveries);
}

void
log_index_set_again(struct log_index *x, uint32_t ms)
{
	atomic_store(&x->again_ms, ms);
}
