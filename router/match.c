#include "router/match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "router/index.h"
#include "router/scopes.h"
#include "router/table.h"

/* Patterns that one subscription may join by the values of its scopes; with
 * more it joins without them, and is asked about every event. */
#define VALUED_MAX 4096

struct subscription {
	UT_hash_handle hh;
	uint32_t number;
	uint32_t app;
	uint64_t generation;
	uint64_t seen;			  /* the newest match that found it */
	uint8_t digest[CRYPTO_HASH_SIZE]; /* of what it asks for */
	struct scopes *scopes;
	struct places places;
};

struct match {
	struct index *index;
	struct subscription *subscriptions;
	uint64_t matches;
};

void
targets_done(struct targets *t)
{
	free(t->numbers);
	memset(t, 0, sizeof(*t));
}

static int
targets_add(struct targets *t, uint32_t number)
{
	if (t->count == t->cap) {
		size_t cap = t->cap == 0 ? 64 : 2 * t->cap;
		uint32_t *numbers =
		    realloc(t->numbers, cap * sizeof(*t->numbers));

		if (numbers == NULL)
			return -ENOMEM;
		t->numbers = numbers;
		t->cap = cap;
	}
	t->numbers[t->count++] = number;
	return 0;
}

/* ---- subscriptions ---------------------------------------------------- */

static struct subscription *
find_subscription(const struct match *m, uint32_t number)
{
	struct subscription *s;

	HASH_FIND(hh, m->subscriptions, &number, sizeof(number), s);
	return s;
}

static void
remove_subscription(struct match *m, struct subscription *s)
{
	index_leave(m->index, &s->places);
	/* s is in the table and not freed yet:
	 * NOLINTNEXTLINE(clang-analyzer-*) */
	HASH_DELETE(hh, m->subscriptions, s);
	scopes_free(s->scopes);
	free(s);
}

static void
remove_app(struct match *m, uint32_t app)
{
	struct subscription *s, *next;

	HASH_ITER(hh, m->subscriptions, s, next)
	{
		if (s->app == app)
			remove_subscription(m, s);
	}
}

/* Cuts the first name off a comma-separated list, without its spaces. */
static struct slice
take_name(struct slice *list)
{
	struct slice name = *list;
	const uint8_t *comma = memchr(list->data, ',', list->len);

	if (comma != NULL)
		name.len = (size_t)(comma - list->data);
	list->data += name.len + (comma != NULL);
	list->len -= name.len + (comma != NULL);
	while (name.len > 0 && name.data[0] == ' ') {
		name.data++;
		name.len--;
	}
	while (name.len > 0 && name.data[name.len - 1] == ' ')
		name.len--;
	return name;
}

/* How a subscription joins: the values of the first attribute of its scopes,
 * so that events with other values never meet it. */
struct joining {
	struct match *match;
	struct subscription *subscription;
	uint8_t tag; /* 0: without values */
	const struct slice *values;
	size_t value_count;
};

static int
join(const struct joining *j, enum pattern_kind kind, struct slice text)
{
	struct pattern p = { .app = j->subscription->app,
		.kind = kind,
		.tag = j->tag,
		.text = text };
	struct places *who = &j->subscription->places;
	int r = 0;

	if (j->tag == 0)
		return index_join(j->match->index, &p, who);
	for (size_t i = 0; i < j->value_count && r == 0; i++) {
		p.value = j->values[i];
		r = index_join(j->match->index, &p, who);
	}
	return r;
}

static int
join_name(const struct joining *j, struct slice name, struct slice api)
{
	if (name.len == 0)
		return 0;
	if (slice_is(name, "*"))
		return join(j, PATTERN_ALL, api);
	if (name.len > 2 && memcmp(name.data + name.len - 2, ".*", 2) == 0) {
		name.len -= 2;
		return join(j, PATTERN_BELOW, name);
	}
	return join(j, PATTERN_NAME, name);
}

static size_t
count_names(struct slice list)
{
	size_t names = 1;

	for (size_t i = 0; i < list.len; i++)
		names += list.data[i] == ',';
	return names;
}

static uint8_t
tag_of(enum attribute attribute)
{
	return (uint8_t)(attribute + 1);
}

static int
join_all(struct match *m, struct subscription *s, const struct msg *entry)
{
	struct joining j = { .match = m, .subscription = s };
	struct slice list = entry->events;
	enum attribute first =
	    scopes_first(s->scopes, &j.values, &j.value_count);
	int r = 0;

	if (first != ATTRIBUTE_MAX &&
	    j.value_count * count_names(list) <= VALUED_MAX)
		j.tag = tag_of(first);
	while (list.len > 0 && r == 0)
		r = join_name(&j, take_name(&list), entry->unified_api);
	return r;
}

static void
digest_entry(const struct msg *entry, uint8_t digest[CRYPTO_HASH_SIZE])
{
	const struct slice parts[] = { entry->unified_api, entry->events,
		entry->scopes };
	struct slice key = { (const uint8_t *)&entry->app, sizeof(entry->app) };
	uint8_t hashes[3][CRYPTO_HASH_SIZE];
	struct slice all = { hashes[0], sizeof(hashes) };

	for (size_t i = 0; i < 3; i++)
		crypto_sha256(parts[i], hashes[i]);
	crypto_hmac(key, &all, 1, digest);
}

static struct subscription *
make_subscription(struct match *m, uint32_t number)
{
	struct subscription *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->number = number;
	s->places.owner = s;
	HASH_ADD(hh, m->subscriptions, number, sizeof(s->number), s);
	if (s->hh.tbl == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

static int
put_subscription(struct match *m, const struct msg *entry, uint64_t generation)
{
	struct subscription *s =
	    find_subscription(m, (uint32_t)entry->subscription);
	uint8_t digest[CRYPTO_HASH_SIZE];
	int r;

	digest_entry(entry, digest);
	if (s == NULL)
		s = make_subscription(m, (uint32_t)entry->subscription);
	if (s == NULL)
		return -ENOMEM;
	s->generation = generation;
	if (memcmp(s->digest, digest, sizeof(digest)) == 0)
		return 0;
	index_leave(m->index, &s->places);
	scopes_free(s->scopes);
	s->scopes = NULL;
	s->app = (uint32_t)entry->app;
	r = scopes_parse(entry->scopes, &s->scopes);
	if (r == 0)
		r = join_all(m, s, entry);
	if (r != -ENOMEM)
		memcpy(s->digest, digest, sizeof(digest));
	return r;
}

/* ---- the module ------------------------------------------------------- */

struct match *
match_new(void)
{
	struct match *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->index = index_new();
	if (m->index == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void
match_free(struct match *m)
{
	if (m == NULL)
		return;
	match_sweep(m, UINT64_MAX);
	index_free(m->index);
	free(m);
}

int
match_one(struct match *m, const struct msg *event, struct targets *targets)
{
	const struct subscription *s =
	    find_subscription(m, (uint32_t)event->subscription);

	targets->count = 0;
	if (s == NULL || s->app != event->app)
		return 0;
	return targets_add(targets, s->number);
}

size_t
match_count(const struct match *m)
{
	return HASH_COUNT(m->subscriptions);
}

int
match_entry(struct match *m, const struct msg *entry, uint64_t generation)
{
	struct subscription *s;

	if (entry->kind == MSG_ENTRY_APP && entry->deleted)
		remove_app(m, (uint32_t)entry->app);
	if (entry->kind != MSG_ENTRY_SUBSCRIPTION)
		return 0;
	if (!entry->deleted)
		return put_subscription(m, entry, generation);
	s = find_subscription(m, (uint32_t)entry->subscription);
	if (s != NULL)
		remove_subscription(m, s);
	return 0;
}

void
match_sweep(struct match *m, uint64_t generation)
{
	struct subscription *s, *next;

	HASH_ITER(hh, m->subscriptions, s, next)
	{
		if (s->generation < generation)
			remove_subscription(m, s);
	}
}

/* An event being matched. */
struct question {
	struct match *match;
	const struct msg *event;
	struct slice api;
	struct targets *targets;
};

static int
add_members(const struct question *q, const struct members *found)
{
	uint64_t match = q->match->matches;

	for (uint32_t i = 0; found != NULL && i < found->count; i++) {
		struct subscription *s = found->at[i].who->owner;

		if (s->seen == match ||
		    !scopes_allow(s->scopes, q->event, q->api))
			continue;
		s->seen = match;
		if (targets_add(q->targets, s->number) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Those who joined without values, and by each attribute that is in use. */
static int
look_up(const struct question *q, enum pattern_kind kind, struct slice text)
{
	const struct index *index = q->match->index;
	struct pattern p = {
		.app = (uint32_t)q->event->app, .kind = kind, .text = text
	};
	int r = 0;

	if (index_count(index, kind, 0) > 0)
		r = add_members(q, index_find(index, &p));
	for (unsigned a = 0; a < ATTRIBUTE_MAX && r == 0; a++) {
		p.tag = tag_of((enum attribute)a);
		if (index_count(index, kind, p.tag) == 0)
			continue;
		p.value = scopes_value((enum attribute)a, q->event, q->api);
		r = add_members(q, index_find(index, &p));
	}
	return r;
}

/* crm.contact and crm of crm.contact.created. */
static int
look_up_below(const struct question *q)
{
	struct slice type = q->event->event_type;
	int r = 0;

	for (size_t i = type.len; i-- > 0 && r == 0;)
		if (type.data[i] == '.')
			r = look_up(
			    q, PATTERN_BELOW, (struct slice){ type.data, i });
	return r;
}

/* The API an event type starts with. */
static struct slice
prefix(struct slice type)
{
	const uint8_t *dot = memchr(type.data, '.', type.len);

	return dot == NULL
		   ? type
		   : (struct slice){ type.data, (size_t)(dot - type.data) };
}

static int
look_up_all(const struct question *q, struct slice first)
{
	int r = look_up(q, PATTERN_ALL, (struct slice){ NULL, 0 });

	if (r == 0)
		r = look_up(q, PATTERN_ALL, q->api);
	if (r == 0 && slice_is(first, "vault"))
		r = look_up(q, PATTERN_ALL, first);
	return r;
}

int
match_event(struct match *m, const struct msg *event, struct targets *targets)
{
	struct slice first = prefix(event->event_type);
	struct question q = { m, event,
		event->unified_api.len > 0 ? event->unified_api : first,
		targets };
	int r;

	targets->count = 0;
	m->matches++;
	r = look_up(&q, PATTERN_NAME, event->event_type);
	if (r == 0)
		r = look_up_below(&q);
	if (r == 0)
		r = look_up_all(&q, first);
	return r;
}
