#include "logger/fleet.h"

#include <stdlib.h>
#include <string.h>

int
fleet_init(struct fleet *f)
{
	*f = (struct fleet){ 0 };
	TAILQ_INIT(&f->deliverers);
	return table_init(&f->leases);
}

void
fleet_done(struct fleet *f)
{
	struct table_node *node;

	while (f->leases.count > 0 &&
	       (node = table_next(&f->leases, NULL)) != NULL) {
		table_remove(&f->leases, node);
		free(node);
	}
	table_done(&f->leases);
	while (!TAILQ_EMPTY(&f->deliverers)) {
		struct deliverer *d = TAILQ_FIRST(&f->deliverers);

		TAILQ_REMOVE(&f->deliverers, d, entry);
		free(d);
	}
}

/* ---- deliverers --------------------------------------------------------- */

static void
adopt(struct fleet *f, struct deliverer *d)
{
	for (struct table_node *node = table_next(&f->leases, NULL);
	    node != NULL; node = table_next(&f->leases, node)) {
		struct lease *l = (struct lease *)node;

		if (l->deliverer != NULL || l->session != d->session)
			continue;
		l->deliverer = d;
		TAILQ_INSERT_TAIL(&d->leases, l, entry);
		d->out++;
		d->troubled += l->troubled;
	}
}

struct deliverer *
fleet_up(struct fleet *f, struct link_peer *peer)
{
	struct deliverer *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->peer = peer;
	d->session = link_peer_session(peer);
	TAILQ_INIT(&d->leases);
	TAILQ_INSERT_TAIL(&f->deliverers, d, entry);
	adopt(f, d);
	return d;
}

static void
free_when_done(struct fleet *f, struct deliverer *d)
{
	if (d->peer != NULL || d->reserved > 0 || d->out > 0)
		return;
	TAILQ_REMOVE(&f->deliverers, d, entry);
	free(d);
}

void
fleet_down(struct fleet *f, struct deliverer *d)
{
	d->peer = NULL;
	free_when_done(f, d);
}

/* What it holds and grants, less what is kept for probes. */
static uint64_t
slots(const struct deliverer *d)
{
	uint64_t all = d->out + link_room(d->peer, MSG_LANE_WORK);
	uint64_t probes =
	    all / 4 < FLEET_PROBE_SLOTS ? all / 4 : FLEET_PROBE_SLOTS;

	return all - probes;
}

uint64_t
fleet_slots(const struct fleet *f)
{
	const struct deliverer *d;
	uint64_t all = 0;

	TAILQ_FOREACH(d, &f->deliverers, entry)
	if (d->peer != NULL)
		all += slots(d);
	return all;
}

static uint64_t
room(const struct deliverer *d, bool fresh, bool troubled)
{
	uint64_t all = slots(d);
	uint64_t used = (uint64_t)d->out + d->reserved;
	uint64_t most = fresh ? all : all - all / 4;
	uint64_t left = used < most ? most - used : 0;
	uint64_t half = all / 2 > d->troubled ? all / 2 - d->troubled : 0;

	return troubled && half < left ? half : left;
}

struct deliverer *
fleet_choose(
    const struct fleet *f, bool fresh, bool troubled, uint32_t *ret_room)
{
	struct deliverer *d, *best = NULL;
	uint64_t most = 0;

	TAILQ_FOREACH(d, &f->deliverers, entry)
	{
		uint64_t here = d->peer != NULL ? room(d, fresh, troubled) : 0;

		if (here > most) {
			most = here;
			best = d;
		}
	}
	*ret_room = most > UINT32_MAX ? UINT32_MAX : (uint32_t)most;
	return best;
}

/* ---- reserved ----------------------------------------------------------- */

void
fleet_reserve(struct fleet *f, struct deliverer *d, struct endpoint *p,
    bool troubled, uint32_t count)
{
	d->reserved += count;
	d->troubled += troubled ? count : 0;
	p->out += count;
	p->app->out += count;
	f->out += count;
}

void
fleet_unreserve(struct fleet *f, struct deliverer *d, struct endpoint *p,
    bool troubled, uint32_t count)
{
	d->reserved -= count;
	d->troubled -= troubled ? count : 0;
	p->out -= count;
	p->app->out -= count;
	f->out -= count;
	free_when_done(f, d);
}

/* ---- leases ------------------------------------------------------------- */

static uint64_t
hash(struct id id)
{
	uint64_t a, b;

	memcpy(&a, id.bytes, sizeof(a));
	memcpy(&b, id.bytes + sizeof(a), sizeof(b));
	/* What differs between ids of one moment stands in the high bytes:
	 * fold it down before and after it is spread. */
	a ^= b << 1 | b >> 63;
	a = (a ^ a >> 32) * UINT64_C(0xff51afd7ed558ccd);
	a = (a ^ a >> 29) * UINT64_C(0xc4ceb9fe1a85ec53);
	return a ^ a >> 32;
}

struct lease *
fleet_lease(struct fleet *f, struct deliverer *d, struct endpoint *p,
    struct id delivery)
{
	struct lease *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->delivery = delivery;
	l->endpoint = p;
	l->deliverer = d;
	l->token = 1;
	l->troubled = p->window.troubled;
	table_add(&f->leases, &l->node, hash(delivery));
	p->out++;
	p->app->out++;
	f->out++;
	if (d == NULL)
		return l;
	l->session = d->session;
	l->pending = true;
	TAILQ_INSERT_TAIL(&d->leases, l, entry);
	d->reserved++;
	d->troubled += l->troubled;
	return l;
}

void
fleet_sent(struct lease *l)
{
	if (!l->pending)
		return;
	l->pending = false;
	l->deliverer->reserved--;
	l->deliverer->out++;
}

struct lease *
fleet_find(const struct fleet *f, struct id delivery)
{
	struct table_node *node = table_find(&f->leases, hash(delivery));

	while (node != NULL &&
	       !id_same(((struct lease *)node)->delivery, delivery))
		node = table_again(node);
	return (struct lease *)node;
}

void
fleet_end(struct fleet *f, struct lease *l)
{
	struct deliverer *d = l->deliverer;

	table_remove(&f->leases, &l->node);
	l->endpoint->out--;
	l->endpoint->app->out--;
	f->out--;
	if (d != NULL) {
		TAILQ_REMOVE(&d->leases, l, entry);
		if (l->pending)
			d->reserved--;
		else
			d->out--;
		d->troubled -= l->troubled;
		free_when_done(f, d);
	}
	free(l);
}

void
fleet_mark_slow(struct fleet *f, struct lease *l, uint64_t now_ms)
{
	(void)f;
	if (l->troubled || now_ms < l->began_ms + WINDOW_SLOW_MS)
		return;
	l->troubled = true;
	l->endpoint->window.troubled = true;
	if (l->deliverer != NULL)
		l->deliverer->troubled++;
}
