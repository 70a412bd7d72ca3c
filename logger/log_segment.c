#include "logger/log_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 1024 /* a power of two; at most half are taken */
#define FEW 4

int
log_position_compare(const struct log_position *a, const struct log_position *b)
{
	if (a->event != b->event)
		return a->event < b->event ? -1 : 1;
	if (a->subscription != b->subscription)
		return a->subscription < b->subscription ? -1 : 1;
	return 0;
}

struct log_segment *
log_segment_new(uint64_t id)
{
	struct log_segment *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->id = id;
	s->slot_count = FIRST_SLOTS;
	s->slots = calloc(s->slot_count, sizeof(*s->slots));
	if (s->slots == NULL) {
		log_segment_free(s);
		return NULL;
	}
	return s;
}

void
log_segment_free(struct log_segment *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->list_count; i++) {
		if (s->lists[i].cap > 0)
			free(s->lists[i].u.many);
		free(s->lists[i].check);
	}
	free(s->lists);
	free(s->slots);
	free(s);
}

bool
log_segment_full(const struct log_segment *s)
{
	return s->head.count == LOG_SEGMENT_MAX ||
	       s->list_count > LOG_KEYS_MAX - LOG_FIELD_MAX;
}

/* ---- lists -------------------------------------------------------------- */

static uint32_t *
slot_of(const struct log_segment *s, uint64_t key)
{
	uint32_t at = (uint32_t)key & (s->slot_count - 1);

	while (s->slots[at] != 0 && s->lists[s->slots[at] - 1].key != key)
		at = (at + 1) & (s->slot_count - 1);
	return &s->slots[at];
}

static int
grow_slots(struct log_segment *s)
{
	uint32_t *old = s->slots;

	s->slots = calloc((size_t)s->slot_count * 2, sizeof(*s->slots));
	if (s->slots == NULL) {
		s->slots = old;
		return -ENOMEM;
	}
	s->slot_count *= 2;
	for (uint32_t i = 0; i < s->list_count; i++)
		*slot_of(s, s->lists[i].key) = i + 1;
	free(old);
	return 0;
}

static int
grow_lists(struct log_segment *s)
{
	uint32_t cap = s->list_cap > 0 ? s->list_cap * 2 : FIRST_SLOTS / 2;
	struct log_list *lists = realloc(s->lists, cap * sizeof(*lists));

	if (lists == NULL)
		return -ENOMEM;
	s->lists = lists;
	s->list_cap = cap;
	return 0;
}

/* The list of the key, made if need be. */
static int
list_of(struct log_segment *s, uint64_t key, const struct log_check *check,
    struct log_list **ret)
{
	uint32_t *slot = slot_of(s, key);
	struct log_list *list;
	int r = 0;

	if (*slot != 0) {
		*ret = &s->lists[*slot - 1];
		return 0;
	}
	if (s->list_count == s->list_cap)
		r = grow_lists(s);
	if (r == 0 && (s->list_count + 1) * 2 > s->slot_count)
		r = grow_slots(s);
	if (r < 0)
		return r;
	list = &s->lists[s->list_count];
	*list = (struct log_list){ .key = key };
	if (check != NULL && check->len > 0) {
		list->check = malloc(sizeof(*check));
		if (list->check == NULL)
			return -ENOMEM;
		*list->check = *check;
	}
	s->list_count++;
	*slot_of(s, key) = s->list_count;
	*ret = list;
	return 0;
}

static int
list_room(struct log_list *list)
{
	uint32_t cap = list->cap > 0 ? list->cap * 2 : 4 * FEW;
	uint16_t *many;

	if (list->count < (list->cap > 0 ? list->cap : FEW))
		return 0;
	many =
	    realloc(list->cap > 0 ? list->u.many : NULL, cap * sizeof(*many));
	if (many == NULL)
		return -ENOMEM;
	if (list->cap == 0)
		memcpy(many, list->u.few, sizeof(list->u.few));
	list->u.many = many;
	list->cap = cap;
	return 0;
}

const uint16_t *
log_list_ordinals(const struct log_list *list)
{
	return list->cap > 0 ? list->u.many : list->u.few;
}

static int
list_add(struct log_segment *s, uint64_t key, const struct log_check *check)
{
	struct log_list *list;
	int r = list_of(s, key, check, &list);

	if (r < 0)
		return r;
	/* Two values of one delivery may share a key. */
	if (list->count > 0 &&
	    log_list_ordinals(list)[list->count - 1] == s->head.count)
		return 0;
	r = list_room(list);
	if (r < 0)
		return r;
	if (list->cap > 0)
		list->u.many[list->count++] = (uint16_t)s->head.count;
	else
		list->u.few[list->count++] = (uint16_t)s->head.count;
	return 0;
}

/* ---- deliveries --------------------------------------------------------- */

static uint64_t
lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void
head_add(struct log_head *h, const struct log_place *place, bool late)
{
	struct log_part *part = &h->parts[h->count / LOG_PART];
	uint64_t event = place->at.event, ms = place->planned_ms;

	if (h->count % LOG_PART == 0)
		*part = (struct log_part){ event, event, ms, ms };
	if (h->count == 0)
		h->min_event = event;
	part->min_event = lesser(part->min_event, event);
	part->max_event = greater(part->max_event, event);
	part->min_ms = lesser(part->min_ms, ms);
	part->max_ms = greater(part->max_ms, ms);
	h->min_event = lesser(h->min_event, event);
	h->max_event = greater(h->max_event, event);
	h->late = h->late || late;
	h->count++;
}

/* Takes the ordinal that was not finished back out of the lists that got it:
 * no list may have one twice. */
static void
take_back(struct log_segment *s)
{
	for (uint32_t i = 0; i < s->list_count; i++) {
		struct log_list *list = &s->lists[i];

		if (list->count > 0 &&
		    log_list_ordinals(list)[list->count - 1] == s->head.count)
			list->count--;
	}
}

int
log_segment_add(struct log_segment *s, const struct log_event *e,
    uint64_t subscription_key, uint32_t subscription, uint32_t state)
{
	const struct log_place place = { { e->seq, subscription },
		e->planned_ms };
	uint32_t at = s->head.count;
	bool late = at > 0 &&
		    log_position_compare(&s->places[at - 1].at, &place.at) >= 0;
	int r = list_add(s, subscription_key, NULL);

	for (unsigned f = 0; r == 0 && f < LOG_FIELD_SUBSCRIPTION; f++) {
		const struct log_check *check = NULL;

		if (f == LOG_FIELD_API)
			check = &e->api;
		else if (f == LOG_FIELD_PREFIX)
			check = &e->prefix;
		if (e->keys[f] != 0)
			r = list_add(s, e->keys[f], check);
	}
	if (r < 0) {
		take_back(s);
		return r;
	}
	log_kinds_add(&s->kinds, e);
	s->places[at] = place;
	s->states[at] = state;
	head_add(&s->head, &place, late);
	return 0;
}

static bool
find_sorted(const struct log_segment *s, const struct log_position *at,
    uint32_t *ret_ordinal)
{
	uint32_t low = 0, high = s->head.count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = log_position_compare(&s->places[middle].at, at);

		if (order == 0) {
			*ret_ordinal = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool
log_segment_find(const struct log_segment *s, const struct log_position *at,
    uint32_t *ret_ordinal)
{
	if (at->event < s->head.min_event || at->event > s->head.max_event)
		return false;
	if (!s->head.late)
		return find_sorted(s, at, ret_ordinal);
	for (uint32_t i = 0; i < s->head.count; i++) {
		const struct log_part *part = &s->head.parts[i / LOG_PART];

		if (at->event < part->min_event || at->event > part->max_event)
			i |= LOG_PART - 1; /* on to the next */
		else if (log_position_compare(&s->places[i].at, at) == 0) {
			*ret_ordinal = i;
			return true;
		}
	}
	return false;
}

static bool
check_same(const struct log_check *a, const struct log_check *b)
{
	return b != NULL && a->len > 0 && a->len == b->len &&
	       memcmp(a->bytes, b->bytes, a->len) == 0;
}

void
log_segment_posting(const struct log_segment *s, uint64_t key,
    const struct log_check *check, struct ordinals *set)
{
	uint32_t number = *slot_of(s, key);
	const struct log_list *list;
	const uint16_t *ordinals;

	if (number == 0)
		return;
	list = &s->lists[number - 1];
	if (check != NULL && !check_same(check, list->check))
		return;
	ordinals = log_list_ordinals(list);
	for (uint32_t i = 0; i < list->count; i++)
		set->words[ordinals[i] / 64] |= UINT64_C(1) << ordinals[i] % 64;
}

static int
compare_keys(const void *a, const void *b)
{
	uint64_t x = ((const struct log_sorted *)a)->key;
	uint64_t y = ((const struct log_sorted *)b)->key;

	return x < y ? -1 : x > y;
}

struct log_sorted *
log_segment_sorted(const struct log_segment *s)
{
	struct log_sorted *sorted =
	    calloc(s->list_count + (size_t)1, sizeof(*sorted));

	if (sorted == NULL)
		return NULL;
	for (uint32_t i = 0; i < s->list_count; i++)
		sorted[i] =
		    (struct log_sorted){ s->lists[i].key, &s->lists[i] };
	qsort(sorted, s->list_count, sizeof(*sorted), compare_keys);
	return sorted;
}
