/*
 * The log index puts changes where they belong: notes of the writer, and
 * deliveries that were leased by their commit and have ended that since.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "logger/log_index_private.h"

#define PENDING_FIRST_MS 250
#define PENDING_LAST_MS 4000

/* ---- what changed ------------------------------------------------------- */

/* Writes what is edited back. */
int
log_end_editing(struct log_index *x)
{
	struct log_editing *e = &x->editing;
	int r = 0;

	if (e->changed)
		r = log_sealed_set_states(
		    x->file, e->segment, e->part, &e->states);
	e->loaded = e->changed = false;
	return r;
}

/* The part of a sealed segment is edited until another one is, or the end. */
static int
edit(struct log_index *x, uint64_t segment, uint32_t ordinal, uint32_t state)
{
	struct log_editing *e = &x->editing;
	uint32_t part = ordinal / LOG_STATES_MAX;
	int r = log_begin_file(x);

	if (r == 0 && e->loaded && (e->segment != segment || e->part != part))
		r = log_end_editing(x);
	if (r == 0 && !e->loaded) {
		r = log_sealed_states(x->file, segment, part, &e->states);
		e->loaded = r == 0;
		e->segment = segment;
		e->part = part;
	}
	if (r < 0)
		return r;
	if (ordinal % LOG_STATES_MAX >= e->states.count)
		return -EBADMSG;
	log_states_set(&e->states, ordinal % LOG_STATES_MAX, state);
	e->changed = true;
	return 0;
}

static bool
is_sealed(const struct log_index *x, uint64_t segment)
{
	for (size_t i = x->entry_count; i-- > 0;)
		if (x->entries[i].id == segment)
			return true;
	return false;
}

static int
set_state(
    struct log_index *x, uint64_t segment, uint32_t ordinal, uint32_t state)
{
	if (segment == x->open->id) {
		pthread_mutex_lock(&x->lock);
		x->open->states[ordinal] = state;
		pthread_mutex_unlock(&x->lock);
		return 0;
	}
	/* Dropped meanwhile, with all its events. */
	return is_sealed(x, segment) ? edit(x, segment, ordinal, state) : 0;
}

/* 1: it is in this part, in x->found. */
static int
find_in_part(struct log_index *x, uint32_t part, const struct log_position *at,
    uint32_t *ret_ordinal)
{
	struct log_found *f = &x->found;
	uint32_t rest = f->sealed.head.count - part * LOG_PART;
	int r = 0;

	if (!f->has_places || f->part != part)
		r = log_sealed_places(x->file, &f->sealed, part, f->places);
	f->has_places = r == 0;
	f->part = part;
	for (uint32_t i = 0; r == 0 && i < rest && i < LOG_PART; i++)
		if (log_position_compare(&f->places[i].at, at) == 0) {
			*ret_ordinal = part * LOG_PART + i;
			return 1;
		}
	return r;
}

static int
find_in_segment(struct log_index *x, uint64_t segment,
    const struct log_position *at, uint32_t *ret_ordinal)
{
	struct log_found *f = &x->found;
	int r = 0;

	if (!f->has_sealed || f->sealed.id != segment) {
		f->has_places = f->has_sealed = false;
		r = log_sealed_walk(x->file, segment + 1, &f->sealed);
		if (r == 0 || (r > 0 && f->sealed.id != segment))
			r = -EBADMSG;
		if (r < 0)
			return r;
		f->has_sealed = true;
	}
	for (uint32_t i = 0; i * LOG_PART < f->sealed.head.count; i++) {
		const struct log_part *part = &f->sealed.head.parts[i];

		if (at->event < part->min_event || at->event > part->max_event)
			continue;
		r = find_in_part(x, i, at, ret_ordinal);
		if (r != 0)
			return r;
	}
	return 0;
}

/* 1: found. */
static int
find(struct log_index *x, const struct log_position *at, uint64_t *ret_segment,
    uint32_t *ret_ordinal)
{
	*ret_segment = x->open->id;
	if (log_segment_find(x->open, at, ret_ordinal))
		return 1;
	for (size_t i = x->entry_count; i-- > 0;) {
		const struct log_entry *e = &x->entries[i];
		int r;

		if (at->event < e->min_event || at->event > e->max_event)
			continue;
		*ret_segment = e->id;
		r = find_in_segment(x, e->id, at, ret_ordinal);
		if (r != 0)
			return r;
	}
	return 0;
}

/* It came to its event later than the index. It goes into the open segment,
 * which is lost when we are: the note is needed until that is sealed. */
static int
add_late(struct log_index *x, const struct log_delivery *d)
{
	struct log_new n = { 0, d->at.subscription, d->state, 0 };
	int r = log_feed_events(
	    x->feed, d->at.event, d->at.event, x->events, &x->event_count);

	if (r < 0 || x->event_count == 0)
		return r;
	if (log_is_full(x))
		r = log_seal(x, x->last_event);
	if (r < 0)
		return r;
	n.key =
	    log_key_subscription(x->seed, x->events[0].app, d->at.subscription);
	if (!x->late)
		x->late_change = x->last_change;
	x->late = true;
	pthread_mutex_lock(&x->lock);
	r = log_add_new(x, &n);
	pthread_mutex_unlock(&x->lock);
	return r;
}

static int
take_change(struct log_index *x, const struct log_position *at)
{
	struct log_delivery d;
	uint64_t segment;
	uint32_t ordinal;
	int r = log_feed_delivery(x->feed, at, &d);

	/* Gone, or to be read as it is later. */
	if (r <= 0 || at->event > x->last_event)
		return r < 0 ? r : 0;
	r = find(x, at, &segment, &ordinal);
	if (r < 0)
		return r;
	if (r == 0)
		return add_late(x, &d);
	if (d.state == LOG_STATE_PENDING)
		log_add_pending(x, at, segment, ordinal);
	return set_state(x, segment, ordinal, d.state);
}

static int
compare_changes(const void *a, const void *b)
{
	return log_position_compare(&((const struct log_change *)a)->at,
	    &((const struct log_change *)b)->at);
}

/* The oldest notes that are not in yet; *ret_change: all up to it are. */
static int
take_changes(struct log_index *x, uint64_t *ret_change)
{
	size_t count;
	int r = log_feed_changes(
	    x->feed, x->last_change, x->changes, LOG_BATCH_DELIVERIES, &count);

	*ret_change = x->last_change;
	if (r < 0 || count == 0)
		return r;
	*ret_change = x->changes[count - 1].id;
	qsort(x->changes, count, sizeof(*x->changes), compare_changes);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (i == 0 || log_position_compare(&x->changes[i].at,
				  &x->changes[i - 1].at) != 0)
			r = take_change(x, &x->changes[i].at);
	return r;
}

/* ---- what is pending ---------------------------------------------------- */

void
log_add_pending(struct log_index *x, const struct log_position *at,
    uint64_t segment, uint32_t ordinal)
{
	if (x->pending_count == LOG_PENDING_MAX)
		return;
	if (x->pending_count == x->pending_cap) {
		size_t cap = x->pending_cap > 0 ? x->pending_cap * 2 : 256;
		struct log_pending *pending =
		    realloc(x->pending, cap * sizeof(*pending));

		if (pending == NULL)
			return;
		x->pending = pending;
		x->pending_cap = cap;
	}
	x->pending[x->pending_count++] = (struct log_pending){ *at, segment,
		ordinal, PENDING_FIRST_MS, clock_mono_ms() + PENDING_FIRST_MS };
	atomic_store(&x->pendings, x->pending_count);
}

/* *ret_keep: it is pending still. */
static int
look_again(struct log_index *x, struct log_pending *p, bool *ret_keep)
{
	struct log_delivery d = { .state = LOG_STATE_OTHER };
	int r = log_feed_delivery(x->feed, &p->at, &d);

	*ret_keep = r > 0 && d.state == LOG_STATE_PENDING;
	if (*ret_keep) {
		p->delay_ms *= 2;
		if (p->delay_ms > PENDING_LAST_MS)
			p->delay_ms = PENDING_LAST_MS;
		p->look_ms = clock_mono_ms() + p->delay_ms;
		return 0;
	}
	return r < 0 ? r : set_state(x, p->segment, p->ordinal, d.state);
}

static int
look_at_pending(struct log_index *x)
{
	uint64_t now = clock_mono_ms();
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < x->pending_count; i++) {
		bool keep = true;

		if (r == 0 && x->pending[i].look_ms <= now)
			r = look_again(x, &x->pending[i], &keep);
		/* What was not written is done again. */
		if (keep || r < 0)
			x->pending[kept++] = x->pending[i];
	}
	x->pending_count = kept;
	atomic_store(&x->pendings, kept);
	return r;
}

/* After a start: those that are pending in the file. */
static int
load_pending_part(
    struct log_index *x, uint64_t segment, uint32_t part, uint32_t count)
{
	struct log_states *states = &x->editing.states;
	int r = log_sealed_states(x->file, segment, part, states);

	if (r == 0 && states->count != count)
		r = -EBADMSG;
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		uint32_t ordinal = part * LOG_STATES_MAX + i;

		if (states->kinds[states->codes[i]] != LOG_STATE_PENDING)
			continue;
		if (!x->found.has_places || x->found.part != ordinal / LOG_PART)
			r = log_sealed_places(x->file, &x->found.sealed,
			    ordinal / LOG_PART, x->found.places);
		x->found.has_places = r == 0;
		x->found.part = ordinal / LOG_PART;
		if (r == 0)
			log_add_pending(x,
			    &x->found.places[ordinal % LOG_PART].at, segment,
			    ordinal);
	}
	return r;
}

int
log_load_pending(struct log_index *x)
{
	struct log_sealed *sealed = &x->found.sealed;
	uint64_t below = INT64_MAX;
	int r;

	while ((r = log_sealed_walk(x->file, below, sealed)) > 0) {
		uint32_t count = sealed->head.count;

		below = sealed->id;
		x->found.has_places = false;
		for (uint32_t at = 0; at < count; at += LOG_STATES_MAX) {
			uint32_t rest = count - at;

			r = load_pending_part(x, sealed->id,
			    at / LOG_STATES_MAX,
			    rest < LOG_STATES_MAX ? rest : LOG_STATES_MAX);
			if (r < 0)
				return r;
		}
	}
	x->found.has_sealed = x->found.has_places = false;
	return r;
}

/* ---- settling ----------------------------------------------------------- */

static int
commit_settled(struct log_index *x, uint64_t change)
{
	uint64_t kept = x->late ? x->late_change : change;
	bool marked = kept == atomic_load(&x->settled);
	uint64_t sealed_event;
	int r = log_end_editing(x);

	if (r < 0 || (marked && !x->file_begun))
		return r;
	r = log_begin_file(x);
	if (r == 0)
		r = log_file_mark(x->file, LOG_MARK_EVENT, &sealed_event);
	if (r == 0)
		r = log_set_marks(x, sealed_event, kept);
	fail_point("logger.index.settle");
	if (r == 0)
		r = log_file_end(x->file);
	if (r < 0)
		return r;
	x->file_begun = false;
	atomic_store(&x->settled, kept);
	return 0;
}

/* Changes and pending deliveries, in one commit. */
int
log_settle(struct log_index *x)
{
	uint64_t waiting = atomic_load(&x->store_change) - x->last_change;
	uint64_t now = clock_mono_ms(), change = x->last_change;
	int r;

	if (waiting < LOG_SETTLE_CHANGES && now < x->settle_ms + LOG_SETTLE_MS)
		return 0;
	x->settle_ms = now;
	if (waiting == 0 && x->pending_count == 0)
		return 0;
	r = log_feed_begin(x->feed, atomic_load(&x->recent));
	if (r == 0)
		r = look_at_pending(x);
	if (r == 0 && waiting > 0)
		r = take_changes(x, &change);
	log_feed_end(x->feed);
	if (r == 0)
		r = commit_settled(x, change);
	if (r < 0) {
		log_undo_file(x);
		return r;
	}
	pthread_mutex_lock(&x->lock);
	x->last_change = change;
	pthread_mutex_unlock(&x->lock);
	return 0;
}
