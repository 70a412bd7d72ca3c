#include "logger/log_search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_POOL 1024

/* What is searched: a sealed segment, or the one in memory. */
struct source {
	const struct log_head *head;
	const struct log_kinds *kinds;
	const struct log_segment *memory; /* NULL: sealed */
	struct ordinals wanted;
	uint32_t parts_left; /* from the first on, not read yet */
};

/* Candidates, newest first from `taken` on. */
struct pool {
	struct log_position *list;
	size_t taken, count, cap;
};

struct log_search {
	struct log_file *file;
	const struct log_filter *filter;
	struct pool found; /* in segments */
	struct pool added; /* by the caller; in order once that has ended */
	bool ordered;
	bool has_last;
	struct log_position last; /* taken last */
	struct log_sealed sealed; /* being read, while has_source */
	struct source source;
	bool has_source;
	struct log_sealed next; /* read when the others reach down to it */
	bool has_next;
	struct ordinals scratch;
	struct log_place places[LOG_PART];
};

/* ---- the filter --------------------------------------------------------- */

static void
want(struct log_filter *f, uint64_t seed, uint32_t app, enum log_field field,
    struct slice value)
{
	if (value.len > 0)
		f->keys[f->key_count++] = log_key(seed, app, field, value);
}

/* Takes the first word off a comma list. */
static struct slice
take_word(struct slice *list)
{
	const uint8_t *comma = memchr(list->data, ',', list->len);
	struct slice word = *list;

	if (comma != NULL)
		word.len = (size_t)(comma - list->data);
	list->data += word.len + (comma != NULL);
	list->len -= word.len + (comma != NULL);
	return word;
}

static void
exclude(struct log_filter *f, uint64_t seed, uint32_t app, struct slice list)
{
	list = log_word(list);
	while (list.len > 0 && f->excluded_count < LOG_EXCLUDED_MAX) {
		struct slice word = take_word(&list);

		f->excluded[f->excluded_count++] = (struct log_excluded){
			log_key(seed, app, LOG_FIELD_API, word),
			log_key(seed, app, LOG_FIELD_PREFIX, word),
			log_check(app, word),
		};
	}
}

/* A status as the row would show it; anything else matches no row. */
static void
want_statuses(struct log_state_filter *f, struct slice list)
{
	f->by_status = list.len > 0;
	while (list.len > 0) {
		struct slice word = take_word(&list);
		uint32_t status = 0;

		for (size_t i = 0; i < word.len && status <= LOG_STATUS_MAX;
		    i++)
			status = status * 10 + (uint8_t)(word.data[i] - '0');
		if (word.len > 0 && status <= LOG_STATUS_MAX)
			f->statuses[status / 64] |= UINT64_C(1) << status % 64;
	}
}

void
log_filter_init(struct log_filter *f, uint64_t seed, const struct msg *q)
{
	uint32_t app = (uint32_t)q->app;

	*f = (struct log_filter){
		.app = app, .from_ms = q->from_ms, .to_ms = UINT64_MAX
	};
	if (q->to_ms > 0)
		f->to_ms = q->to_ms;
	want(f, seed, app, LOG_FIELD_TYPE, q->event_type);
	want(f, seed, app, LOG_FIELD_ENTITY, q->entity_type);
	want(f, seed, app, LOG_FIELD_SERVICE, q->service_id);
	want(f, seed, app, LOG_FIELD_CONSUMER, q->consumer_id);
	if (q->subscription > 0)
		f->keys[f->key_count++] =
		    log_key_subscription(seed, app, (uint32_t)q->subscription);
	if (f->key_count == 0)
		f->keys[f->key_count++] =
		    log_key(seed, app, LOG_FIELD_APP, slice_text(""));
	exclude(f, seed, app, q->exclude_apis);
	f->state.by_success = q->success != MSG_ANY;
	f->state.success = q->success == MSG_TRUE;
	want_statuses(&f->state, log_word(q->statuses));
	f->state.attempts = q->attempt;
	f->by_state =
	    f->state.by_success || f->state.by_status || f->state.attempts > 0;
}

/* ---- the pool ----------------------------------------------------------- */

/* Before something is added. */
static size_t
pool_tidy(struct pool *p)
{
	if (p->taken == p->count)
		p->taken = p->count = 0;
	return p->count;
}

static int
pool_add(struct pool *p, const struct log_position *at)
{
	if (p->count == p->cap) {
		size_t cap = p->cap > 0 ? p->cap * 2 : FIRST_POOL;
		struct log_position *list =
		    realloc(p->list, cap * sizeof(*list));

		if (list == NULL)
			return -ENOMEM;
		p->list = list;
		p->cap = cap;
	}
	p->list[p->count++] = *at;
	return 0;
}

/* Newest first. */
static int
compare_newest(const void *a, const void *b)
{
	return log_position_compare(b, a);
}

/* What was added from `from` on may belong further to the front. */
static void
pool_sort(struct pool *p, size_t from)
{
	bool sorted = true;

	for (size_t i = from > p->taken ? from : p->taken + 1;
	    sorted && i < p->count; i++)
		sorted =
		    log_position_compare(&p->list[i - 1], &p->list[i]) >= 0;
	if (!sorted)
		qsort(p->list + p->taken, p->count - p->taken, sizeof(*p->list),
		    compare_newest);
}

/* NULL when it is empty. */
static const struct log_position *
pool_first(const struct pool *p)
{
	return p->taken < p->count ? &p->list[p->taken] : NULL;
}

/* ---- one segment -------------------------------------------------------- */

static int
posting(struct log_search *s, const struct source *from, uint64_t key,
    const struct log_check *check)
{
	if (from->memory == NULL)
		return log_sealed_posting(
		    s->file, &s->sealed, key, check, &s->scratch);
	log_segment_posting(from->memory, key, check, &s->scratch);
	return 0;
}

static int
match(struct log_search *s, const struct source *from)
{
	const struct log_state_filter *f = &s->filter->state;

	if (from->memory == NULL)
		return log_sealed_match(s->file, &s->sealed, f, &s->scratch);
	for (uint32_t i = 0; i < from->head->count; i++)
		if (log_state_matches(f, from->memory->states[i]))
			s->scratch.words[i / 64] |= UINT64_C(1) << i % 64;
	return 0;
}

static bool
part_wanted(const struct log_filter *f, const struct log_part *part)
{
	return part->min_ms <= f->to_ms && part->max_ms >= f->from_ms &&
	       part->min_event <= f->before.event &&
	       part->min_event <= f->last_event &&
	       part->max_event >= f->first_event;
}

static void
keep_parts(const struct log_filter *f, struct source *from)
{
	ordinals_clear(&from->wanted);
	for (uint32_t at = 0; at < from->head->count; at += LOG_PART) {
		uint32_t end = at + LOG_PART;

		if (end > from->head->count)
			end = from->head->count;
		if (part_wanted(f, &from->head->parts[at / LOG_PART]))
			ordinals_add(&from->wanted, at, end);
	}
}

static int
keep_excluded(struct log_search *s, struct source *from, uint64_t words)
{
	const struct log_filter *f = s->filter;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < f->excluded_count; i++) {
		const struct log_excluded *e = &f->excluded[i];

		if (!(words >> i & 1))
			continue;
		ordinals_clear(&s->scratch);
		r = posting(s, from, e->api_key, &e->check);
		if (r == 0)
			r = posting(s, from, e->prefix_key, &e->check);
		ordinals_and_not(&from->wanted, &s->scratch);
	}
	return r;
}

/* Sets from->wanted: the ordinals that may be asked for. */
static int
choose(struct log_search *s, struct source *from)
{
	const struct log_filter *f = s->filter;
	uint64_t words;
	int r = 0;

	if (!log_kinds_left(
		from->kinds, f->app, f->excluded, f->excluded_count, &words)) {
		ordinals_clear(&from->wanted);
		return 0;
	}
	keep_parts(f, from);
	for (unsigned i = 0; i < f->key_count; i++) {
		if (ordinals_empty(&from->wanted))
			return 0;
		ordinals_clear(&s->scratch);
		r = posting(s, from, f->keys[i], NULL);
		if (r < 0)
			return r;
		ordinals_and(&from->wanted, &s->scratch);
	}
	if (f->by_state && !ordinals_empty(&from->wanted)) {
		ordinals_clear(&s->scratch);
		r = match(s, from);
		ordinals_and(&from->wanted, &s->scratch);
	}
	if (r == 0 && !ordinals_empty(&from->wanted))
		r = keep_excluded(s, from, words);
	return r;
}

static bool
place_wanted(const struct log_filter *f, const struct log_place *p)
{
	return p->planned_ms >= f->from_ms && p->planned_ms <= f->to_ms &&
	       p->at.event >= f->first_event && p->at.event <= f->last_event &&
	       log_position_compare(&p->at, &f->before) < 0;
}

/* Puts what is wanted of the last part not read yet into the pool. */
static int
read_part(struct log_search *s, struct source *from)
{
	uint32_t part = --from->parts_left;
	uint32_t first = part * LOG_PART, end = first + LOG_PART;
	const struct log_place *places = s->places;
	size_t before = pool_tidy(&s->found);
	int r = 0;

	if (end > from->head->count)
		end = from->head->count;
	if (ordinals_next(&from->wanted, first, end) == end)
		return 0;
	if (from->memory != NULL)
		places = from->memory->places + first;
	else
		r = log_sealed_places(s->file, &s->sealed, part, s->places);
	for (uint32_t i = end; r == 0 && i-- > first;)
		if (from->wanted.words[i / 64] >> i % 64 & 1 &&
		    place_wanted(s->filter, &places[i - first]))
			r = pool_add(&s->found, &places[i - first].at);
	pool_sort(&s->found, before);
	return r;
}

static uint32_t
parts_of(const struct log_head *head)
{
	return (head->count + LOG_PART - 1) / LOG_PART;
}

/* The newest event that the parts not read yet may have. */
static uint64_t
reach_of(const struct source *from)
{
	uint64_t reach = 0;

	for (uint32_t i = from->head->late ? 0 : from->parts_left - 1;
	    i < from->parts_left; i++)
		if (from->head->parts[i].max_event > reach)
			reach = from->head->parts[i].max_event;
	return reach;
}

/* ---- the search --------------------------------------------------------- */

struct log_search *
log_search_new(void)
{
	struct log_search *s = calloc(1, sizeof(*s));

	if (s != NULL) {
		log_sealed_init(&s->sealed);
		log_sealed_init(&s->next);
	}
	return s;
}

void
log_search_free(struct log_search *s)
{
	if (s == NULL)
		return;
	log_sealed_done(&s->sealed);
	log_sealed_done(&s->next);
	free(s->found.list);
	free(s->added.list);
	free(s);
}

/* The newest segment below that has events to look for. */
static int
find_next(struct log_search *s, uint64_t below)
{
	int r;

	do {
		r = log_sealed_walk(s->file, below, &s->next);
		below = s->next.id;
	} while (r > 0 && s->next.head.min_event > s->filter->before.event);
	s->has_next = r > 0;
	return r < 0 ? r : 0;
}

int
log_search_begin(struct log_search *s, struct log_file *file,
    const struct log_filter *filter)
{
	s->file = file;
	s->filter = filter;
	s->found.taken = s->found.count = 0;
	s->added.taken = s->added.count = 0;
	s->ordered = false;
	s->has_last = false;
	s->has_source = false;
	return find_next(s, INT64_MAX);
}

int
log_search_segment(struct log_search *s, const struct log_segment *segment)
{
	struct source *from = &s->source;
	int r;

	*from = (struct source){ .head = &segment->head,
		.kinds = &segment->kinds,
		.memory = segment,
		.parts_left = parts_of(&segment->head) };
	r = choose(s, from);
	while (r == 0 && from->parts_left > 0)
		r = read_part(s, from);
	return r;
}

int
log_search_add(struct log_search *s, const struct log_position *at)
{
	const struct log_filter *f = s->filter;

	if (at->event < f->first_event || at->event > f->last_event ||
	    log_position_compare(at, &f->before) >= 0)
		return 0;
	return pool_add(&s->added, at);
}

/* The segment that is next becomes the one being read. */
static int
go_on(struct log_search *s)
{
	struct log_sealed read = s->sealed;
	int r;

	s->sealed = s->next;
	s->next = read;
	s->source.head = &s->sealed.head;
	s->source.kinds = &s->sealed.kinds;
	s->source.memory = NULL;
	s->source.parts_left = parts_of(&s->sealed.head);
	s->has_source = true;
	r = choose(s, &s->source);
	if (r == 0)
		r = find_next(s, s->sealed.id);
	return r;
}

/* The pool whose first is the newest; NULL: both are empty. */
static struct pool *
newest_pool(struct log_search *s)
{
	const struct log_position *found = pool_first(&s->found);
	const struct log_position *added = pool_first(&s->added);

	if (found == NULL)
		return added == NULL ? NULL : &s->added;
	if (added == NULL || log_position_compare(found, added) >= 0)
		return &s->found;
	return &s->added;
}

/* Nothing that is not read yet may stand before or beside the pool's first. */
static bool
is_first(const struct log_search *s, const struct pool *p)
{
	uint64_t event = p->list[p->taken].event;

	if (s->has_source && reach_of(&s->source) >= event)
		return false;
	return !s->has_next || s->next.reach < event;
}

/* Takes the pool's first; false: that was taken before. */
static bool
take(struct log_search *s, struct pool *p, struct log_position *ret)
{
	*ret = p->list[p->taken++];
	if (s->has_last && log_position_compare(ret, &s->last) == 0)
		return false;
	s->last = *ret;
	s->has_last = true;
	return true;
}

int
log_search_next(struct log_search *s, struct log_position *ret)
{
	if (!s->ordered)
		pool_sort(&s->added, 0);
	s->ordered = true;
	for (;;) {
		struct pool *p = newest_pool(s);
		int r = 0;

		if (s->has_source && s->source.parts_left == 0)
			s->has_source = false;
		if (p != NULL && is_first(s, p)) {
			if (take(s, p, ret))
				return 1;
			continue;
		}
		if (s->has_source)
			r = read_part(s, &s->source);
		else if (s->has_next)
			r = go_on(s);
		else
			return 0;
		if (r < 0)
			return r;
	}
}
