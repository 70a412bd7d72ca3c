#include "logger/table.h"

#include <errno.h>
#include <stdlib.h>

#define TABLE_FIRST 64

static size_t
bucket(const struct table *t, uint64_t key)
{
	/* Fibonacci hashing: small numbers in a row spread well. */
	return (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) &
	       (t->size - 1);
}

int
table_init(struct table *t)
{
	*t = (struct table){ .size = TABLE_FIRST };
	t->buckets = calloc(t->size, sizeof(struct table_node *));
	return t->buckets == NULL ? -ENOMEM : 0;
}

void
table_done(struct table *t)
{
	free(t->buckets);
	*t = (struct table){ 0 };
}

static void
grow(struct table *t)
{
	struct table bigger = { .size = t->size * 2 };

	bigger.buckets = calloc(bigger.size, sizeof(struct table_node *));
	if (bigger.buckets == NULL)
		return;
	for (size_t i = 0; i < t->size; i++)
		while (t->buckets[i] != NULL) {
			struct table_node *node = t->buckets[i];
			size_t b = bucket(&bigger, node->key);

			t->buckets[i] = node->next;
			node->next = bigger.buckets[b];
			bigger.buckets[b] = node;
		}
	bigger.count = t->count;
	free(t->buckets);
	*t = bigger;
}

void
table_add(struct table *t, struct table_node *node, uint64_t key)
{
	size_t b;

	if (t->count >= t->size)
		grow(t);
	b = bucket(t, key);
	node->key = key;
	node->next = t->buckets[b];
	t->buckets[b] = node;
	t->count++;
}

void
table_remove(struct table *t, struct table_node *node)
{
	struct table_node **at = &t->buckets[bucket(t, node->key)];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	t->count--;
}

struct table_node *
table_find(const struct table *t, uint64_t key)
{
	struct table_node *node = t->buckets[bucket(t, key)];

	while (node != NULL && node->key != key)
		node = node->next;
	return node;
}

struct table_node *
table_again(const struct table_node *node)
{
	struct table_node *next = node->next;

	while (next != NULL && next->key != node->key)
		next = next->next;
	return next;
}

struct table_node *
table_next(const struct table *t, const struct table_node *node)
{
	size_t b = 0;

	if (node != NULL && node->next != NULL)
		return node->next;
	if (node != NULL)
		b = bucket(t, node->key) + 1;
	for (; b < t->size; b++)
		if (t->buckets[b] != NULL)
			return t->buckets[b];
	return NULL;
}
