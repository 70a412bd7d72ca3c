#include "ingest/secret_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct opened {
	uint32_t app;
	struct buf sealed, secret; /* empty: nothing is there */
};

struct secret_cache {
	struct seal seal;
	struct opened slots[SECRET_CACHE_SLOTS];
};

struct secret_cache *
secret_cache_new(const struct seal *seal)
{
	struct secret_cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->seal = *seal;
	for (size_t i = 0; i < SECRET_CACHE_SLOTS; i++) {
		buf_init(&c->slots[i].sealed, SEAL_SECRET_MAX + SEAL_OVERHEAD);
		buf_init(&c->slots[i].secret, SEAL_SECRET_MAX + 1);
	}
	return c;
}

static void
empty(struct opened *s)
{
	if (s->secret.data != NULL)
		explicit_bzero(s->secret.data, s->secret.cap);
	buf_done(&s->secret);
	buf_done(&s->sealed);
	s->app = 0;
}

void
secret_cache_free(struct secret_cache *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < SECRET_CACHE_SLOTS; i++)
		empty(&c->slots[i]);
	explicit_bzero(&c->seal, sizeof(c->seal));
	free(c);
}

/* The end of what is sealed is its tag: as good as a hash. */
static struct opened *
find_slot(struct secret_cache *c, struct slice sealed)
{
	uint32_t tag = 0;

	if (sealed.len >= sizeof(tag))
		memcpy(
		    &tag, sealed.data + sealed.len - sizeof(tag), sizeof(tag));
	return &c->slots[tag % SECRET_CACHE_SLOTS];
}

static int
fill(
    struct secret_cache *c, struct opened *s, uint32_t app, struct slice sealed)
{
	char what[24];
	int r;

	(void)snprintf(what, sizeof(what), "secret:%u", (unsigned)app);
	r = seal_open(&c->seal, what, sealed, &s->secret);
	if (r == 0)
		r = buf_add(&s->sealed, sealed.data, sealed.len);
	if (r == 0)
		s->app = app;
	else
		empty(s);
	return r;
}

int
secret_cache_open(struct secret_cache *c, uint32_t app, struct slice sealed,
    struct slice *ret)
{
	struct opened *s = find_slot(c, sealed);
	int r = 0;

	if (s->app != app || !slice_same(buf_slice(&s->sealed), sealed)) {
		empty(s);
		r = fill(c, s, app, sealed);
	}
	*ret = buf_slice(&s->secret);
	return r;
}
