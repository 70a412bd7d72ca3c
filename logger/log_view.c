/*
 * The log index as readers see it: its file, through a connection of their own,
 * and what is in its memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "logger/log_index_private.h"

struct log_view {
	struct log_index *index;
	struct log_file *file; /* NULL: not opened yet */
	uint64_t generation;   /* of the file */
	struct log_search *search;
	struct log_filter filter;
};

int
log_view_open(struct log_index *x, struct log_view **ret)
{
	struct log_view *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	v->index = x;
	v->search = log_search_new();
	if (v->search == NULL) {
		log_view_close(v);
		return -ENOMEM;
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
	struct log_index *x = v->index;

	if (r >= 0 || r == -ENOMEM || r == -EBUSY)
		return r;
	log_error("log index error=\"%s\"", strerror(-r));
	pthread_mutex_lock(&x->lock);
	if (v->generation == x->generation)
		atomic_store(&x->suspect, true);
	pthread_mutex_unlock(&x->lock);
	return -ENOENT;
}

static bool
is_usable(struct log_index *x)
{
	return x->usable && !atomic_load(&x->suspect);
}

/* The file that the index has now. Opened without the lock, since the thread
 * must not wait for that. */
static int
use_file(struct log_view *v)
{
	struct log_index *x = v->index;
	uint64_t generation;
	bool usable;

	pthread_mutex_lock(&x->lock);
	usable = is_usable(x);
	generation = x->generation;
	pthread_mutex_unlock(&x->lock);
	if (usable && v->file != NULL && v->generation == generation)
		return 0;
	log_file_close(v->file);
	v->file = NULL;
	v->generation = generation;
	if (!usable)
		return -ENOENT;
	return judge(v, log_file_open(x->path, false, &v->file));
}

int
log_view_begin(struct log_view *v, const struct msg *query,
    const struct log_position *before, uint64_t first_event,
    uint64_t *ret_event, uint64_t *ret_change)
{
	struct log_index *x = v->index;
	int r = use_file(v);

	if (r < 0)
		return r;
	/* The file and what is in memory, of one moment: what is on its way
	 * from here to there is found in either, and given once. */
	pthread_mutex_lock(&x->lock);
	if (is_usable(x) && v->generation == x->generation) {
		log_filter_init(&v->filter, x->seed, query);
		v->filter.before = *before;
		v->filter.first_event = first_event;
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
	} else {
		r = -ENOENT;
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
