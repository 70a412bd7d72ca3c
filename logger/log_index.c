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
	atomic_store(&x->segments, x->entry_count);
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
	x->seed = m.seed;
	x->last_event = m.event;
	x->last_change = m.change;
	return 0;
}

static int
begin_new(struct log_index *x, const struct log_index_store *store,
    uint64_t *ret_identity)
{
	uint64_t identity = random_number();
	int r;

	log_file_close(x->file);
	x->file = NULL;
	x->entry_count = 0;
	x->reach = 0;
	log_file_remove(x->path);
	x->seed = random_number();
	x->last_event = 0;
	x->last_change = store->last_change;
	r = log_file_open(x->path, true, &x->file);
	if (r == 0)
		r = log_file_set_mark(x->file, LOG_MARK_SEED, x->seed);
	if (r == 0)
		r = log_file_set_mark(x->file, LOG_MARK_CHANGE, x->last_change);
	if (r == 0)
		r = log_file_set_mark(x->file, LOG_MARK_IDENTITY, identity);
	if (r < 0)
		return r;
	log_info("log index=%s state=new events=%llu", x->path,
	    (unsigned long long)store->last_event);
	*ret_identity = identity;
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
	x->store_path = strdup(store->path);
	x->path = malloc(strlen(store->path) + sizeof("-index"));
	if (x->store_path == NULL || x->path == NULL)
		return -ENOMEM;
	memcpy(x->path, store->path, strlen(store->path));
	memcpy(x->path + strlen(store->path), "-index", sizeof("-index"));
	return 0;
}

static int
open_segment(struct log_index *x)
{
	uint64_t id = 1;

	if (x->entry_count > 0)
		id = x->entries[x->entry_count - 1].id + 1;
	x->open = log_segment_new(id);
	return x->open == NULL ? -ENOMEM : 0;
}

int
log_index_open(const struct log_index_store *store, struct log_index **ret,
    uint64_t *ret_identity)
{
	struct log_index *x = calloc(1, sizeof(*x));
	int r;

	if (x == NULL)
		return -ENOMEM;
	*ret_identity = store->identity;
	r = open_memory(x, store);
	if (r == 0)
		r = open_old(x, store);
	if (r == -ENOENT)
		r = begin_new(x, store, ret_identity);
	if (r == 0)
		r = open_segment(x);
	if (r == -ENOMEM) {
		log_index_close(x);
		return r;
	}
	x->usable = r == 0;
	if (r < 0) {
		log_error("log index=%s error=\"%s\" action=\"pages are found "
			  "by reading the store\"",
		    x->path, strerror(-r));
		*ret_identity = 0;
	}
	atomic_store(&x->wanted, x->usable ? x->last_event : 0);
	atomic_store(&x->store_event, store->last_event);
	atomic_store(&x->store_change, store->last_change);
	atomic_store(&x->settled, x->usable ? x->last_change : UINT64_MAX);
	*ret = x;
	return 0;
}

int
log_index_start(struct log_index *x)
{
	int r;

	if (!x->usable)
		return 0;
	r = log_feed_open(x->store_path, &x->feed);
	if (r < 0)
		return r;
	log_feed_set_seed(x->feed, x->seed);
	r = -pthread_create(&x->thread, NULL, log_fill_run, x);
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
log_index_end(struct log_index *x, uint64_t last_event, uint64_t last_change)
{
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

bool
log_index_gone(const struct log_index *x)
{
	return atomic_load(&x->gone);
}

/* ---- the readers' side -------------------------------------------------- */

struct log_view {
	struct log_index *index;
	struct log_file *file;
	struct log_search *search;
	struct log_filter filter;
};

int
log_view_open(struct log_index *x, struct log_view **ret)
{
	struct log_index_stats stats;
	struct log_view *v;
	int r;

	log_index_stats(x, &stats);
	if (!stats.usable)
		return -ENOENT;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	v->index = x;
	v->search = log_search_new();
	r = v->search == NULL ? -ENOMEM
			      : log_file_open(x->path, false, &v->file);
	if (r < 0) {
		log_view_close(v);
		return r;
	}
	*ret = v;
	return 0;
}

void
log_view_close(struct log_view *v)
{
	if (v == NULL)
		return;
	log_file_close(v->file);
	log_search_free(v->search);
	free(v);
}

/* Memory and nothing else went short, or the file is not to be trusted. */
static int
judge(struct log_view *v, int r)
{
	if (r >= 0 || r == -ENOMEM || r == -EBUSY)
		return r;
	log_error("log index error=\"%s\"", strerror(-r));
	atomic_store(&v->index->suspect, true);
	return -ENOENT;
}

int
log_view_begin(struct log_view *v, const struct msg *query,
    const struct log_position *before, uint64_t first_event,
    uint64_t *ret_event, uint64_t *ret_change)
{
	struct log_index *x = v->index;
	int r = -ENOENT;

	log_filter_init(&v->filter, x->seed, query);
	v->filter.before = *before;
	v->filter.first_event = first_event;
	/* The file and what is in memory, of one moment: what is on its way
	 * from here to there is found in either, and given once. */
	pthread_mutex_lock(&x->lock);
	if (x->usable && !atomic_load(&x->suspect)) {
		v->filter.last_event = x->last_event;
		*ret_event = x->last_event;
		*ret_change = x->last_change;
		r = log_file_begin(v->file, false);
		if (r == 0)
			r = log_search_begin(v->search, v->file, &v->filter);
		if (r == 0)
			r = log_search_segment(v->search, x->open);
		if (r == 0 && x->sealing != NULL)
			r = log_search_segment(v->search, x->sealing);
	}
	pthread_mutex_unlock(&x->lock);
	if (r < 0)
		log_view_end(v);
	return r == -ENOENT ? r : judge(v, r);
}

int
log_view_add(struct log_view *v, const struct log_position *at)
{
	return log_search_add(v->search, at);
}

int
log_view_next(struct log_view *v, struct log_position *ret)
{
	return judge(v, log_search_next(v->search, ret));
}

void
log_view_end(struct log_view *v)
{
	log_file_undo(v->file);
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
