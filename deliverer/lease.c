#include "deliverer/lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t
bucket(struct id delivery, uint64_t token)
{
	uint64_t high, low;

	memcpy(&high, delivery.bytes, sizeof(high));
	memcpy(&low, delivery.bytes + sizeof(high), sizeof(low));
	high ^= low * UINT64_C(0x9e3779b97f4a7c15);
	high ^= token * UINT64_C(0xc2b2ae3d27d4eb4f);
	return (size_t)((high * UINT64_C(0x9e3779b97f4a7c15)) >> 32) &
	       (LEASE_BUCKETS - 1);
}

/* Copies with a NUL behind, so that texts can be handed to libcurl. */
static struct slice
keep(uint8_t **at, struct slice s)
{
	struct slice kept = { s.data == NULL ? NULL : *at, s.len };

	if (s.data != NULL && s.len > 0)
		memcpy(*at, s.data, s.len);
	(*at)[s.len] = '\0';
	*at += s.len + 1;
	return kept;
}

struct lease *
lease_new(const struct msg *record, struct slice event_type, struct body *body)
{
	size_t len = record->url.len + event_type.len + record->secret.len +
		     record->schedule.len + record->headers.len + 5;
	struct lease *l = calloc(1, sizeof(*l) + len);
	uint8_t *at;

	if (l == NULL)
		return NULL;
	if (id_from(record->delivery, &l->transfer.id) < 0) {
		free(l);
		return NULL;
	}
	at = l->texts;
	l->transfer.url = (const char *)at;
	(void)keep(&at, record->url);
	l->transfer.event_type = (const char *)at;
	(void)keep(&at, event_type);
	l->transfer.secret = keep(&at, record->secret);
	l->schedule = keep(&at, record->schedule);
	l->transfer.headers = keep(&at, record->headers);
	l->transfer.body = body == NULL ? NULL : body_ref(body);
	l->transfer.app = (uint32_t)record->app;
	l->transfer.pin = (uint32_t)record->subscription;
	l->transfer.timeout_ms = record->timeout_ms;
	l->transfer.alone = (record->flags & MSG_FLAG_ALONE) != 0;
	l->transfer.troubled = (record->flags & MSG_FLAG_TROUBLED) != 0;
	l->transfer.http2 = record->http2;
	l->token = record->token;
	l->attempt = (uint32_t)record->attempt;
	l->cycle_attempt = (uint32_t)record->cycle_attempt;
	l->age_ms = record->age_ms;
	l->flags = record->flags;
	return l;
}

void
lease_free(struct lease *l)
{
	if (l == NULL)
		return;
	body_unref(l->transfer.body);
	buf_done(&l->transfer.response);
	free(l);
}

static size_t
body_len(const struct lease *l)
{
	return l->transfer.body == NULL ? 0 : l->transfer.body->len;
}

int
lease_table_add(struct lease_table *t, struct lease *l)
{
	struct lease **at = &t->buckets[bucket(l->transfer.id, l->token)];

	for (struct lease *o = *at; o != NULL; o = o->chain)
		if (o->token == l->token &&
		    id_same(o->transfer.id, l->transfer.id))
			return -EEXIST;
	l->chain = *at;
	*at = l;
	l->state = LEASE_OUT;
	t->count++;
	t->out++;
	t->body_bytes += body_len(l);
	return 0;
}

void
lease_finish(struct lease_table *t, struct lease *l)
{
	if (l->state != LEASE_OUT)
		return;
	l->state = LEASE_FINISHED;
	t->out--;
	t->body_bytes -= body_len(l);
	body_unref(l->transfer.body);
	l->transfer.body = NULL;
}

void
lease_drop(struct lease_table *t, struct lease *l)
{
	struct lease **at = &t->buckets[bucket(l->transfer.id, l->token)];

	lease_finish(t, l);
	while (*at != l)
		at = &(*at)->chain;
	*at = l->chain;
	t->count--;
	lease_free(l);
}

struct lease *
lease_next(const struct lease_table *t, const struct lease *l)
{
	size_t i = 0;

	if (l != NULL) {
		if (l->chain != NULL)
			return l->chain;
		i = bucket(l->transfer.id, l->token) + 1;
	}
	for (; i < LEASE_BUCKETS; i++)
		if (t->buckets[i] != NULL)
			return t->buckets[i];
	return NULL;
}

void
lease_table_done(struct lease_table *t)
{
	for (size_t i = 0; i < LEASE_BUCKETS; i++)
		while (t->buckets[i] != NULL) {
			struct lease *l = t->buckets[i];

			t->buckets[i] = l->chain;
			lease_free(l);
		}
	t->count = t->out = 0;
	t->body_bytes = 0;
}
