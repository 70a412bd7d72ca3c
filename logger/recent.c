#include "logger/recent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
recent_init(struct recent *r)
{
	int rc;

	*r = (struct recent){ 0 };
	rc = table_init(&r->table);
	if (rc < 0)
		return rc;
	r->entries = calloc(RECENT_MAX, sizeof(*r->entries));
	return r->entries == NULL ? -ENOMEM : 0;
}

void
recent_done(struct recent *r)
{
	table_done(&r->table);
	free(r->entries);
	*r = (struct recent){ 0 };
}

void
recent_clear(struct recent *r)
{
	memset(r->table.buckets, 0, r->table.size * sizeof(*r->table.buckets));
	r->table.count = 0;
	r->count = 0;
}

/* Keys are hashes already: eight bytes of one are as good as all. */
static uint64_t
head(struct slice key)
{
	uint64_t h;

	memcpy(&h, key.data, sizeof(h));
	return h;
}

static struct recent_entry *
find(const struct recent *r, struct slice key)
{
	struct table_node *node = table_find(&r->table, head(key));

	while (node != NULL && memcmp(((struct recent_entry *)node)->key,
				   key.data, RECENT_KEY_SIZE) != 0)
		node = table_again(node);
	return (struct recent_entry *)node;
}

uint64_t
recent_find(const struct recent *r, struct slice key)
{
	const struct recent_entry *e = find(r, key);

	return e == NULL ? 0 : e->event;
}

int
recent_add(struct recent *r, struct slice key, uint64_t event)
{
	struct recent_entry *e = find(r, key);

	if (e == NULL) {
		if (r->count == RECENT_MAX)
			return -ENOBUFS;
		e = &r->entries[r->count++];
		memcpy(e->key, key.data, RECENT_KEY_SIZE);
		table_add(&r->table, &e->node, head(key));
	}
	e->event = event;
	return 0;
}

static int
by_key(const void *a, const void *b)
{
	return memcmp(((const struct recent_entry *)a)->key,
	    ((const struct recent_entry *)b)->key, RECENT_KEY_SIZE);
}

void
recent_sort(struct recent *r)
{
	qsort(r->entries, r->count, sizeof(*r->entries), by_key);
}

uint64_t
recent_search(const struct recent *r, struct slice key)
{
	struct recent_entry wanted;
	const struct recent_entry *e;

	memcpy(wanted.key, key.data, RECENT_KEY_SIZE);
	e = bsearch(&wanted, r->entries, r->count, sizeof(wanted), by_key);
	return e == NULL ? 0 : e->event;
}
