#include "logger/keyset.h"

#include <errno.h>
#include <stdlib.h>

#define KEYSET_FIRST 1024

void
keyset_done(struct keyset *k)
{
	free(k->slots);
	*k = (struct keyset){ 0 };
}

/* The slot of key, or the free one where it belongs. */
static struct keyset_entry *
find(const struct keyset *k, uint64_t key)
{
	size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) &
		    (k->size - 1);

	while (k->slots[at].key != 0 && k->slots[at].key != key)
		at = (at + 1) & (k->size - 1);
	return &k->slots[at];
}

static int
grow(struct keyset *k)
{
	struct keyset bigger = {
		.size = k->size ? k->size * 2 : KEYSET_FIRST,
		.used = k->used,
	};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < k->size; i++)
		if (k->slots[i].key != 0)
			*find(&bigger, k->slots[i].key) = k->slots[i];
	free(k->slots);
	*k = bigger;
	return 0;
}

int
keyset_put(struct keyset *k, uint64_t key, uint64_t event, uint64_t *ret_before)
{
	struct keyset_entry *e;

	if ((k->used + 1) * 2 > k->size && grow(k) < 0)
		return -ENOMEM;
	e = find(k, key);
	*ret_before = e->key == key ? e->event : 0;
	k->used += e->key == 0;
	*e = (struct keyset_entry){ key, event };
	return 0;
}

uint64_t
keyset_get(const struct keyset *k, uint64_t key)
{
	const struct keyset_entry *e;

	if (k->size == 0)
		return 0;
	e = find(k, key);
	return e->key == key ? e->event : 0;
}

static int
compare(const void *a, const void *b)
{
	const struct keyset_entry *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

struct keyset_entry *
keyset_sort(struct keyset *k, size_t *ret_count)
{
	struct keyset_entry *entries = k->slots;
	size_t count = 0;

	for (size_t i = 0; i < k->size; i++)
		if (entries[i].key != 0 && entries[i].event != 0)
			entries[count++] = entries[i];
	if (count > 0)
		qsort(entries, count, sizeof(*entries), compare);
	*k = (struct keyset){ 0 };
	*ret_count = count;
	return entries;
}
