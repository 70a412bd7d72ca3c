#include "ingest/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"

#define FIRST_BUCKETS 256
/* The 1 had no secrets: calls that must be signed would pass unsigned. */
#define CACHE_MAGIC UINT64_C(0x3252494443434153) /* "SACCDIR2" */
#define KEY_HASH_SIZE 32
#define LIMITED "usage_limit"

enum { BY_IDENTITY, BY_SECRET, TABLES };

struct directory {
	struct directory_entry **buckets[TABLES];
	size_t size; /* buckets of each, a power of two */
	size_t count;
	uint64_t number;
	bool known;
};

struct cache_head {
	uint64_t magic, number, count;
	uint32_t len, crc;
};

struct directory *
directory_new(void)
{
	struct directory *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->size = FIRST_BUCKETS;
	for (int t = 0; t < TABLES; t++)
		d->buckets[t] =
		    calloc(d->size, sizeof(struct directory_entry *));
	if (d->buckets[0] == NULL || d->buckets[1] == NULL) {
		directory_free(d);
		return NULL;
	}
	return d;
}

static void
clear(struct directory *d)
{
	if (d->buckets[0] == NULL || d->buckets[1] == NULL)
		return;
	for (size_t i = 0; i < d->size; i++) {
		while (d->buckets[0][i] != NULL) {
			struct directory_entry *e = d->buckets[0][i];

			d->buckets[0][i] = e->next[0];
			free(e);
		}
		d->buckets[1][i] = NULL;
	}
	d->count = 0;
	d->known = false;
	d->number = 0;
}

void
directory_free(struct directory *d)
{
	if (d == NULL)
		return;
	clear(d);
	free(d->buckets[0]);
	free(d->buckets[1]);
	free(d);
}

/* FNV-1a: ids and hashes come from our own api, nobody picks collisions. */
static uint64_t
hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t
hash_of(enum msg_entry_kind kind, struct slice key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ kind;

	hash = hash_bytes(hash, key.data, key.len);
	return hash ^ hash >> 32;
}

/* What an entry is one of: a number, or its public id. */
static struct slice
identity(const struct directory_entry *e)
{
	switch (e->kind) {
	case MSG_ENTRY_APP:
		return (
		    struct slice){ (const uint8_t *)&e->app, sizeof(e->app) };
	case MSG_ENTRY_SUBSCRIPTION:
		return (struct slice){ (const uint8_t *)&e->subscription,
			sizeof(e->subscription) };
	case MSG_ENTRY_KEY:
	case MSG_ENTRY_CONNECTION:
	case MSG_ENTRY_NONE:
	case MSG_ENTRY_MAX:
		break;
	}
	return e->id;
}

/* What it is found by when a caller shows it. */
static struct slice
secret(const struct directory_entry *e)
{
	switch (e->kind) {
	case MSG_ENTRY_SUBSCRIPTION:
		return e->id;
	case MSG_ENTRY_KEY:
		return e->key_hash;
	case MSG_ENTRY_CONNECTION:
		return e->lookup;
	case MSG_ENTRY_APP:
	case MSG_ENTRY_NONE:
	case MSG_ENTRY_MAX:
		break;
	}
	return identity(e);
}

static struct slice
key_in(const struct directory_entry *e, int table)
{
	return table == BY_IDENTITY ? identity(e) : secret(e);
}

static struct directory_entry **
bucket(const struct directory *d, int table, uint64_t hash)
{
	return &d->buckets[table][hash & (d->size - 1)];
}

static const struct directory_entry *
find(const struct directory *d, int table, enum msg_entry_kind kind,
    struct slice key)
{
	uint64_t hash = hash_of(kind, key);
	const struct directory_entry *e;

	for (e = *bucket(d, table, hash); e != NULL; e = e->next[table])
		if (e->hashes[table] == hash && e->kind == kind &&
		    slice_same(key_in(e, table), key))
			return e;
	return NULL;
}

static void
link_entry(struct directory *d, struct directory_entry *e)
{
	for (int t = 0; t < TABLES; t++) {
		struct directory_entry **at = bucket(d, t, e->hashes[t]);

		e->next[t] = *at;
		*at = e;
	}
}

static void
unlink_entry(struct directory *d, struct directory_entry *e)
{
	for (int t = 0; t < TABLES; t++) {
		struct directory_entry **at = bucket(d, t, e->hashes[t]);

		while (*at != e)
			at = &(*at)->next[t];
		*at = e->next[t];
	}
	d->count--;
}

static int
grow(struct directory *d)
{
	struct directory bigger = { .size =
					d->size ? d->size * 2 : FIRST_BUCKETS };

	for (int t = 0; t < TABLES; t++)
		bigger.buckets[t] =
		    calloc(bigger.size, sizeof(struct directory_entry *));
	if (bigger.buckets[0] == NULL || bigger.buckets[1] == NULL) {
		free(bigger.buckets[0]);
		free(bigger.buckets[1]);
		return -ENOMEM;
	}
	for (size_t i = 0; i < d->size; i++) {
		struct directory_entry *e = d->buckets[0][i], *next;

		for (; e != NULL; e = next) {
			next = e->next[0];
			link_entry(&bigger, e);
		}
	}
	for (int t = 0; t < TABLES; t++) {
		free(d->buckets[t]);
		d->buckets[t] = bigger.buckets[t];
	}
	d->size = bigger.size;
	return 0;
}

static struct slice
keep(uint8_t **at, struct slice s)
{
	struct slice kept = { s.data == NULL ? NULL : *at, s.len };

	if (s.data != NULL && s.len > 0)
		memcpy(*at, s.data, s.len);
	*at += s.len;
	return kept;
}

/* Only of a connection: other secrets are not for us. */
static struct slice
inbound_secret(const struct msg *m)
{
	return m->kind == MSG_ENTRY_CONNECTION ? m->secret
					       : (struct slice){ 0 };
}

static struct directory_entry *
make(const struct msg *m, uint64_t generation)
{
	struct slice inbound = inbound_secret(m);
	size_t len = m->id.len + m->lookup.len + m->unified_api.len +
		     m->consumer_id.len + m->service_id.len + m->key_hash.len +
		     inbound.len;
	struct directory_entry *e = malloc(sizeof(*e) + len);
	uint8_t *at;

	if (e == NULL)
		return NULL;
	memset(e, 0, sizeof(*e));
	at = e->text;
	e->generation = generation;
	e->number = m->number;
	e->born = m->born;
	e->kind = (enum msg_entry_kind)m->kind;
	e->app = (uint32_t)m->app;
	e->subscription = (uint32_t)m->subscription;
	e->enabled = m->enabled;
	e->quota = m->quota;
	e->rate = m->rate;
	e->limited = m->kind == MSG_ENTRY_APP && slice_is(m->reason, LIMITED);
	e->id = keep(&at, m->id);
	e->lookup = keep(&at, m->lookup);
	e->unified_api = keep(&at, m->unified_api);
	e->consumer_id = keep(&at, m->consumer_id);
	e->service_id = keep(&at, m->service_id);
	e->key_hash = keep(&at, m->key_hash);
	e->secret = keep(&at, inbound);
	for (int t = 0; t < TABLES; t++)
		e->hashes[t] = hash_of(e->kind, key_in(e, t));
	return e;
}

/* find() hands out const entries to callers; their owner may change them. */
static void
remove_like(struct directory *d, const struct directory_entry *like)
{
	struct slice key = identity(like);
	struct directory_entry *e =
	    *bucket(d, BY_IDENTITY, like->hashes[BY_IDENTITY]);

	for (; e != NULL; e = e->next[BY_IDENTITY]) {
		if (e->kind != like->kind || !slice_same(identity(e), key))
			continue;
		unlink_entry(d, e);
		free(e);
		return;
	}
}

int
directory_apply(
    struct directory *d, const struct msg *entry, uint64_t generation)
{
	struct directory_entry *e;

	if (entry->kind == MSG_ENTRY_NONE || entry->kind >= MSG_ENTRY_MAX)
		return 0; /* of a newer api */
	e = make(entry, generation);
	if (e == NULL)
		return -ENOMEM;
	remove_like(d, e);
	if (entry->deleted) {
		free(e);
		return 0;
	}
	if (d->count >= d->size && grow(d) < 0) {
		free(e);
		return -ENOMEM;
	}
	link_entry(d, e);
	d->count++;
	return 0;
}

void
directory_sweep(struct directory *d, uint64_t generation)
{
	for (size_t i = 0; i < d->size; i++) {
		struct directory_entry *e = d->buckets[0][i], *next;

		for (; e != NULL; e = next) {
			next = e->next[0];
			if (e->generation >= generation)
				continue;
			unlink_entry(d, e);
			free(e);
		}
	}
}

void
directory_set_number(struct directory *d, uint64_t number)
{
	d->number = number;
	d->known = true;
}

bool
directory_known(const struct directory *d)
{
	return d->known;
}

uint64_t
directory_number(const struct directory *d)
{
	return d->number;
}

uint64_t
directory_count(const struct directory *d)
{
	return d->count;
}

const struct directory_entry *
directory_app(const struct directory *d, uint32_t app)
{
	return find(d, BY_IDENTITY, MSG_ENTRY_APP,
	    (struct slice){ (const uint8_t *)&app, sizeof(app) });
}

const struct directory_entry *
directory_subscription(const struct directory *d, uint32_t subscription)
{
	return find(d, BY_IDENTITY, MSG_ENTRY_SUBSCRIPTION,
	    (struct slice){
		(const uint8_t *)&subscription, sizeof(subscription) });
}

const struct directory_entry *
directory_subscription_by_id(const struct directory *d, struct slice id)
{
	return find(d, BY_SECRET, MSG_ENTRY_SUBSCRIPTION, id);
}

const struct directory_entry *
directory_key(const struct directory *d, const uint8_t hash[32])
{
	return find(
	    d, BY_SECRET, MSG_ENTRY_KEY, (struct slice){ hash, KEY_HASH_SIZE });
}

const struct directory_entry *
directory_connection(const struct directory *d, struct slice lookup)
{
	if (lookup.len == 0)
		return NULL;
	return find(d, BY_SECRET, MSG_ENTRY_CONNECTION, lookup);
}

static int
save_entry(const struct directory_entry *e, struct buf *out)
{
	struct msg m = {
		.type = MSG_ENTRY,
		.kind = e->kind,
		.number = e->number,
		.born = e->born,
		.app = e->app,
		.subscription = e->subscription,
		.enabled = e->enabled,
		.quota = e->quota,
		.rate = e->rate,
		.reason = slice_text(e->limited ? LIMITED : NULL),
		.id = e->id,
		.lookup = e->lookup,
		.unified_api = e->unified_api,
		.consumer_id = e->consumer_id,
		.service_id = e->service_id,
		.key_hash = e->key_hash,
		.secret = e->secret,
	};

	return msg_pack_record(&m, out);
}

int
directory_save(const struct directory *d, struct buf *out)
{
	struct cache_head head = { CACHE_MAGIC, d->number, d->count, 0, 0 };
	size_t start = out->len;
	int r = buf_add(out, &head, sizeof(head));

	for (size_t i = 0; r == 0 && i < d->size; i++) {
		const struct directory_entry *e = d->buckets[0][i];

		for (; r == 0 && e != NULL; e = e->next[0])
			r = save_entry(e, out);
	}
	if (r < 0)
		return r;
	head.len = (uint32_t)(out->len - start - sizeof(head));
	head.crc = crc32c(0, out->data + start + sizeof(head), head.len);
	memcpy(out->data + start, &head, sizeof(head));
	return 0;
}

static int
load_entries(struct directory *d, struct msg_list list)
{
	uint64_t count = list.count;
	struct msg m;

	while (msg_next(&list, MSG_ENTRY, &m)) {
		if (directory_apply(d, &m, 0) < 0)
			return -ENOMEM;
		count--;
	}
	return count == 0 ? 0 : -EBADMSG;
}

int
directory_load(struct directory *d, struct slice bytes)
{
	struct cache_head head;
	struct msg_list list;
	int r = -EBADMSG;

	clear(d);
	if (bytes.len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, bytes.data, sizeof(head));
	list.packed = (struct slice){ bytes.data + sizeof(head),
		bytes.len - sizeof(head) };
	list.count = (uint32_t)head.count;
	if (head.magic == CACHE_MAGIC && head.len == list.packed.len &&
	    head.crc == crc32c(0, list.packed.data, list.packed.len))
		r = load_entries(d, list);
	if (r < 0) {
		clear(d);
		return r;
	}
	directory_set_number(d, head.number);
	return 0;
}
