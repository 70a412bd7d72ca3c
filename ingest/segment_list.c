#include "ingest/segment_list.h"

#include <stddef.h>

void
segment_list_add(struct segment_list *l, struct segment *s)
{
	s->next = NULL;
	if (l->last == NULL)
		l->first = s;
	else
		l->last->next = s;
	l->last = s;
	l->count++;
}

void
segment_list_insert(struct segment_list *l, struct segment *some)
{
	struct segment **at = &l->first, *next;

	while (*at != NULL && (*at)->sealed)
		at = &(*at)->next;
	for (; some != NULL; some = next) {
		next = some->next;
		some->next = *at;
		*at = some;
		at = &some->next;
		if (some->next == NULL)
			l->last = some;
		l->count++;
	}
}

void
segment_list_remove(struct segment_list *l, const struct segment *s)
{
	struct segment **at = &l->first, *before = NULL;

	while (*at != s) {
		before = *at;
		at = &(*at)->next;
	}
	*at = s->next;
	if (l->last == s)
		l->last = before;
	l->count--;
}

struct segment *
segment_list_unread(const struct segment_list *l)
{
	struct segment *s = l->first;

	while (s != NULL && segment_is_read(s))
		s = s->next;
	return s;
}

uint64_t
segment_list_next_seq(const struct segment_list *l)
{
	uint64_t next = 1;

	for (const struct segment *s = l->first; s != NULL; s = s->next)
		if (s->base_seq + SEGMENT_BITS > next)
			next = s->base_seq + SEGMENT_BITS;
	return next;
}

void
segment_list_free(struct segment_list *l)
{
	struct segment *next;

	for (; l->first != NULL; l->first = next) {
		next = l->first->next;
		segment_free(l->first);
	}
	*l = (struct segment_list){ 0 };
}
