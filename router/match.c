#include "router/match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/crypto.h"
#include "router/scopes.h"

/* How a pattern is kept: its kind and the text it is found by. */
enum pattern {
	PATTERN_NAME,  /* the event type */
	PATTERN_BELOW, /* crm.contact of crm.contact.* */
	PATTERN_ALL,   /* the subscription's API of * */
};

/* Application, kind, text; what a slot is found by. */
#define KEY_HEAD 5
#define KEY_MAX (KEY_HEAD + LIMIT_TYPE_TEXT)

struct key {
	uint8_t bytes[KEY_MAX];
	size_t len;
};

/* All the subscriptions with one pattern, in no order. */
struct slot {
	UT_hash_handle hh;
	struct member {
		struct subscription *subscription;
		uint32_t place; /* in its places */
	} * members;
	uint32_t count, cap;
	uint8_t key[];
};

struct subscription {
	UT_hash_handle hh;
	uint32_t number;
	uint32_t app;
	uint64_t generation;
	uint64_t seen;			  /* the newest match that found it */
	uint8_t digest[CRYPTO_HASH_SIZE]; /* of what it asks for */
	struct scopes *scopes;
	struct place {
		struct slot *slot;
		uint32_t member; /* in its members */
	} * places;
	uint32_t place_count;
};

struct match {
	struct slot *slots;
	struct subscription *subscriptions;
	size_t below; /* memberships of the kind PATTERN_BELOW */
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

/* ---- slots ------------------------------------------------------------ */

static void
key_set(struct key *k, uint32_t app, enum pattern kind, struct slice text)
{
	memcpy(k->bytes, &app, sizeof(app));
	k->bytes[KEY_HEAD - 1] = (uint8_t)kind;
	if (text.len > 0)
		memcpy(k->bytes + KEY_HEAD, text.data, text.len);
	k->len = KEY_HEAD + text.len;
}

static struct slot *
find_slot(const struct match *m, const struct key *k)
{
	struct slot *s;

	HASH_FIND(hh, m->slots, k->bytes, k->len, s);
	return s;
}

static struct slot *
make_slot(struct match *m, const struct key *k)
{
	struct slot *s = find_slot(m, k);

	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s) + k->len);
	if (s == NULL)
		return NULL;
	memcpy(s->key, k->bytes, k->len);
	HASH_ADD_KEYPTR(hh, m->slots, s->key, k->len, s);
	if (s->hh.tbl == NULL) { /* no memory for the table */
		free(s);
		return NULL;
	}
	return s;
}

static void
drop_slot_if_empty(struct match *m, struct slot *s)
{
	if (s->count > 0)
		return;
	HASH_DELETE(hh, m->slots, s);
	free(s->members);
	free(s);
}

static struct member *
add_member(struct slot *s)
{
	if (s->count == s->cap) {
		uint32_t cap = s->cap == 0 ? 1 : 2 * s->cap;
		struct member *members =
		    realloc(s->members, cap * sizeof(*members));

		if (members == NULL)
			return NULL;
		s->members = members;
		s->cap = cap;
	}
	return &s->members[s->count++];
}

/* ---- subscriptions ---------------------------------------------------- */

static struct subscription *
find_subscription(const struct match *m, uint32_t number)
{
	struct subscription *s;

	HASH_FIND(hh, m->subscriptions, &number, sizeof(number), s);
	return s;
}

static int
join(struct match *m, struct subscription *s, enum pattern kind,
    struct slice text)
{
	struct key key;
	struct slot *slot;
	struct member *member;

	if (text.len > LIMIT_TYPE_TEXT)
		return 0; /* longer than any event type */
	key_set(&key, s->app, kind, text);
	slot = make_slot(m, &key);
	if (slot == NULL)
		return -ENOMEM;
	if (slot->count > 0 && slot->members[slot->count - 1].subscription == s)
		return 0; /* named twice */
	member = add_member(slot);
	if (member == NULL) {
		drop_slot_if_empty(m, slot);
		return -ENOMEM;
	}
	*member = (struct member){ s, s->place_count };
	s->places[s->place_count++] = (struct place){ slot, slot->count - 1 };
	m->below += kind == PATTERN_BELOW;
	return 0;
}

/* Leaves every slot; the last member of each takes the free place. */
static void
leave_all(struct match *m, struct subscription *s)
{
	for (uint32_t i = 0; i < s->place_count; i++) {
		struct slot *slot = s->places[i].slot;
		struct member *hole = &slot->members[s->places[i].member];

		*hole = slot->members[--slot->count];
		hole->subscription->places[hole->place].member =
		    s->places[i].member;
		m->below -= slot->key[KEY_HEAD - 1] == PATTERN_BELOW;
		drop_slot_if_empty(m, slot);
	}
	free(s->places);
	s->places = NULL;
	s->place_count = 0;
}

static void
remove_subscription(struct match *m, struct subscription *s)
{
	leave_all(m, s);
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

static int
join_name(struct match *m, struct subscription *s, struct slice name,
    struct slice api)
{
	if (name.len == 0)
		return 0;
	if (slice_is(name, "*"))
		return join(m, s, PATTERN_ALL, api);
	if (name.len > 2 && memcmp(name.data + name.len - 2, ".*", 2) == 0) {
		name.len -= 2;
		return join(m, s, PATTERN_BELOW, name);
	}
	return join(m, s, PATTERN_NAME, name);
}

static int
join_all(struct match *m, struct subscription *s, const struct msg *entry)
{
	struct slice list = entry->events;
	size_t names = 1;
	int r = 0;

	for (size_t i = 0; i < list.len; i++)
		names += list.data[i] == ',';
	s->places = calloc(names, sizeof(*s->places));
	if (s->places == NULL)
		return -ENOMEM;
	while (list.len > 0 && r == 0)
		r = join_name(m, s, take_name(&list), entry->unified_api);
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
	leave_all(m, s);
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
	return calloc(1, sizeof(struct match));
}

void
match_free(struct match *m)
{
	if (m == NULL)
		return;
	match_sweep(m, UINT64_MAX);
	free(m);
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
look_up(const struct question *q, enum pattern kind, struct slice text)
{
	struct key key;
	const struct slot *slot;

	if (text.len > LIMIT_TYPE_TEXT)
		return 0;
	key_set(&key, (uint32_t)q->event->app, kind, text);
	slot = find_slot(q->match, &key);
	for (uint32_t i = 0; slot != NULL && i < slot->count; i++) {
		struct subscription *s = slot->members[i].subscription;

		if (s->seen == q->match->matches ||
		    !scopes_allow(s->scopes, q->event, q->api))
			continue;
		s->seen = q->match->matches;
		if (targets_add(q->targets, s->number) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* crm.contact and crm of crm.contact.created. */
static int
look_up_below(const struct question *q)
{
	struct slice type = q->event->event_type;
	int r = 0;

	if (q->match->below == 0)
		return 0;
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
