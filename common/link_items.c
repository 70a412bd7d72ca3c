#include <errno.h>
#include <stdlib.h>

#include "common/link_private.h"

#define BUCKETS_FIRST 64 /* power of two; numbers in a row never collide */

int
link_items_init(struct link_items *items)
{
	*items = (struct link_items){ .mask = BUCKETS_FIRST - 1 };
	items->buckets = calloc(BUCKETS_FIRST, sizeof(void *));
	return items->buckets == NULL ? -ENOMEM : 0;
}

void
link_items_done(struct link_items *items)
{
	struct link_item *next;

	for (struct link_item *i = items->first; i != NULL; i = next) {
		next = i->next;
		free(i);
	}
	free(items->buckets);
	*items = (struct link_items){ .buckets = NULL };
}

static int
grow(struct link_items *items)
{
	size_t mask = 2 * items->mask + 1;
	struct link_item **buckets = calloc(mask + 1, sizeof(void *));

	if (buckets == NULL)
		return -ENOMEM;
	for (struct link_item *i = items->first; i != NULL; i = i->next) {
		i->chain = buckets[i->seq & mask];
		buckets[i->seq & mask] = i;
	}
	free(items->buckets);
	items->buckets = buckets;
	items->mask = mask;
	return 0;
}

int
link_items_add(struct link_items *items, struct link_item *item)
{
	struct link_item **bucket;

	if (items->count > items->mask && grow(items) < 0)
		return -ENOMEM;
	bucket = &items->buckets[item->seq & items->mask];
	item->chain = *bucket;
	*bucket = item;
	item->next = NULL;
	item->prev = items->last;
	if (items->last != NULL)
		items->last->next = item;
	else
		items->first = item;
	items->last = item;
	items->count++;
	return 0;
}

struct link_item *
link_items_find(const struct link_items *items, uint64_t seq)
{
	struct link_item *i = items->buckets[seq & items->mask];

	while (i != NULL && i->seq != seq)
		i = i->chain;
	return i;
}

void
link_items_remove(struct link_items *items, struct link_item *item)
{
	struct link_item **at = &items->buckets[item->seq & items->mask];

	while (*at != item)
		at = &(*at)->chain;
	*at = item->chain;
	if (item->prev != NULL)
		item->prev->next = item->next;
	else
		items->first = item->next;
	if (item->next != NULL)
		item->next->prev = item->prev;
	else
		items->last = item->prev;
	items->count--;
}
