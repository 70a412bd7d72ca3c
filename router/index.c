#include "router/index.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "router/table.h"

#define TAG_MAX 8
#define KEY_HEAD 7 /* app, kind, tag, length of the text */
#define KEY_MAX (KEY_HEAD + LIMIT_TYPE_TEXT + INDEX_VALUE_MAX)

struct key {
	uint8_t bytes[KEY_MAX];
	size_t len;
};

struct slot {
	UT_hash_handle hh;
	struct members members;
	uint8_t kind, tag;
	uint8_t key[];
};

struct place {
	struct slot *slot;
	uint32_t member; /* in its members */
};

struct index {
	struct slot *slots;
	size_t counts[PATTERN_MAX][TAG_MAX];
};

struct index *
index_new(void)
{
	return calloc(1, sizeof(struct index));
}

void
index_free(struct index *x)
{
	free(x);
}

size_t
index_count(const struct index *x, enum pattern_kind kind, uint8_t tag)
{
	return x->counts[kind][tag];
}

static bool
set_key(struct key *k, const struct pattern *p)
{
	uint8_t *at = k->bytes + KEY_HEAD;

	if (p->text.len > LIMIT_TYPE_TEXT || p->value.len > INDEX_VALUE_MAX)
		return false;
	memcpy(k->bytes, &p->app, sizeof(p->app));
	k->bytes[4] = (uint8_t)p->kind;
	k->bytes[5] = p->tag;
	k->bytes[6] = (uint8_t)p->text.len;
	if (p->text.len > 0)
		memcpy(at, p->text.data, p->text.len);
	at += p->text.len;
	if (p->value.len > 0)
		memcpy(at, p->value.data, p->value.len);
	k->len = KEY_HEAD + p->text.len + p->value.len;
	return true;
}

static struct slot *
find(const struct index *x, const struct key *k)
{
	struct slot *s;

	HASH_FIND(hh, x->slots, k->bytes, k->len, s);
	return s;
}

const struct members *
index_find(const struct index *x, const struct pattern *p)
{
	const struct slot *s;
	struct key key;

	if (!set_key(&key, p))
		return NULL;
	s = find(x, &key);
	return s == NULL ? NULL : &s->members;
}

static struct slot *
find_or_make(struct index *x, const struct pattern *p, const struct key *k)
{
	struct slot *s = find(x, k);

	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s) + k->len);
	if (s == NULL)
		return NULL;
	s->kind = (uint8_t)p->kind;
	s->tag = p->tag;
	memcpy(s->key, k->bytes, k->len);
	HASH_ADD_KEYPTR(hh, x->slots, s->key, k->len, s);
	if (s->hh.tbl == NULL) { /* no memory for the table */
		free(s);
		return NULL;
	}
	return s;
}

static void
drop_if_empty(struct index *x, struct slot *s)
{
	if (s->members.count > 0)
		return;
	/* s is in the table, so the table is there:
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DELETE(hh, x->slots, s);
	free(s->members.at);
	free(s);
}

static int
reserve_member(struct members *m)
{
	uint32_t cap = m->cap == 0 ? 1 : 2 * m->cap;
	struct member *at;

	if (m->count < m->cap)
		return 0;
	at = realloc(m->at, cap * sizeof(*at));
	if (at == NULL)
		return -ENOMEM;
	m->at = at;
	m->cap = cap;
	return 0;
}

static int
reserve_place(struct places *p)
{
	uint32_t cap = p->cap == 0 ? 1 : 2 * p->cap;
	struct place *at;

	if (p->count < p->cap)
		return 0;
	at = realloc(p->at, cap * sizeof(*at));
	if (at == NULL)
		return -ENOMEM;
	p->at = at;
	p->cap = cap;
	return 0;
}

int
index_join(struct index *x, const struct pattern *p, struct places *who)
{
	struct members *m;
	struct slot *s;
	struct key key;

	if (!set_key(&key, p))
		return 0;
	if (reserve_place(who) < 0)
		return -ENOMEM;
	s = find_or_make(x, p, &key);
	if (s == NULL)
		return -ENOMEM;
	m = &s->members;
	if (m->count > 0 && m->at[m->count - 1].who == who)
		return 0; /* joined before */
	if (reserve_member(m) < 0) {
		drop_if_empty(x, s);
		return -ENOMEM;
	}
	m->at[m->count] = (struct member){ who, who->count };
	who->at[who->count++] = (struct place){ s, m->count++ };
	x->counts[s->kind][s->tag]++;
	return 0;
}

/* The last member takes the place that becomes free. */
void
index_leave(struct index *x, struct places *who)
{
	for (uint32_t i = 0; i < who->count; i++) {
		struct slot *s = who->at[i].slot;
		struct member *hole = &s->members.at[who->at[i].member];

		*hole = s->members.at[--s->members.count];
		hole->who->at[hole->place].member = who->at[i].member;
		x->counts[s->kind][s->tag]--;
		drop_if_empty(x, s);
	}
	free(who->at);
	who->at = NULL;
	who->count = who->cap = 0;
}
