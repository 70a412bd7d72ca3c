#include "ingest/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/msg.h"

#define BUCKETS 1024
#define PEERS_MAX LINK_PEERS_MAX

struct list {
	struct accept_record *first, *last;
};

/* One application of which something is here. */
struct app {
	struct app *next; /* in its bucket */
	struct app *ring_next,
	    *ring_prev; /* those that have something queued */
	uint32_t number;
	bool in_ring;
	struct list queued;	/* by order */
	struct list out;	/* with peer */
	struct link_peer *peer; /* valid while something is out */
};

struct router {
	struct link_peer *peer;
	uint64_t hash; /* of its instance */
};

struct forward {
	struct link *link;
	struct accept_log *log;
	struct app *buckets[BUCKETS];
	struct app *ring; /* where the next turn begins; NULL: empty */
	struct router routers[PEERS_MAX];
	size_t router_count;
	struct buf scratch;
	uint64_t next_order;
	uint64_t queued, out;
	uint64_t sent, completed, refused, returned;
	bool stopped;
};

struct forward *
forward_new(void)
{
	struct forward *f = calloc(1, sizeof(*f));

	if (f != NULL)
		buf_init(&f->scratch, LIMIT_MESSAGE_BYTES);
	return f;
}

void
forward_connect(struct forward *f, struct link *link, struct accept_log *log)
{
	f->link = link;
	f->log = log;
}

/* ---- lists ---------------------------------------------------------- */

static void
list_remove(struct list *list, struct accept_record *record)
{
	if (record->prev != NULL)
		record->prev->next = record->next;
	else
		list->first = record->next;
	if (record->next != NULL)
		record->next->prev = record->prev;
	else
		list->last = record->prev;
	record->next = record->prev = NULL;
}

/* By order; from its end, because nearly everything belongs there. */
static void
list_insert(struct list *list, struct accept_record *record)
{
	struct accept_record *before = list->last;

	while (before != NULL && before->order > record->order)
		before = before->prev;
	record->prev = before;
	record->next = before == NULL ? list->first : before->next;
	if (record->next != NULL)
		record->next->prev = record;
	else
		list->last = record;
	if (before != NULL)
		before->next = record;
	else
		list->first = record;
}

static void
ring_add(struct forward *f, struct app *app)
{
	if (app->in_ring)
		return;
	app->in_ring = true;
	if (f->ring == NULL) {
		app->ring_next = app->ring_prev = app;
		f->ring = app;
		return;
	}
	/* Behind all others: just before the one whose turn is next. */
	app->ring_next = f->ring;
	app->ring_prev = f->ring->ring_prev;
	app->ring_prev->ring_next = app;
	f->ring->ring_prev = app;
}

static void
ring_remove(struct forward *f, struct app *app)
{
	if (!app->in_ring)
		return;
	app->in_ring = false;
	if (app->ring_next == app) {
		f->ring = NULL;
		return;
	}
	app->ring_next->ring_prev = app->ring_prev;
	app->ring_prev->ring_next = app->ring_next;
	if (f->ring == app)
		f->ring = app->ring_next;
}

/* ---- applications --------------------------------------------------- */

static struct app *
find_app(struct forward *f, uint32_t number)
{
	struct app *app = f->buckets[number % BUCKETS];

	while (app != NULL && app->number != number)
		app = app->next;
	return app;
}

static struct app *
get_app(struct forward *f, uint32_t number)
{
	struct app *app = find_app(f, number);

	if (app != NULL)
		return app;
	app = calloc(1, sizeof(*app));
	if (app == NULL)
		return NULL;
	app->number = number;
	app->next = f->buckets[number % BUCKETS];
	f->buckets[number % BUCKETS] = app;
	return app;
}

static void
drop_if_idle(struct forward *f, struct app *app)
{
	struct app **at = &f->buckets[app->number % BUCKETS];

	if (app->queued.first != NULL || app->out.first != NULL)
		return;
	ring_remove(f, app);
	while (*at != app)
		at = &(*at)->next;
	*at = app->next;
	free(app);
}

static void
free_list(struct list *list)
{
	struct accept_record *record = list->first, *next;

	for (; record != NULL; record = next) {
		next = record->next;
		accept_record_free(record);
	}
}

void
forward_free(struct forward *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct app *app = f->buckets[i], *next;

		for (; app != NULL; app = next) {
			next = app->next;
			free_list(&app->queued);
			free_list(&app->out);
			free(app);
		}
	}
	buf_done(&f->scratch);
	free(f);
}

static void
enqueue(struct forward *f, struct app *app, struct accept_record *record)
{
	list_insert(&app->queued, record);
	f->queued++;
	ring_add(f, app);
}

void
forward_add(struct forward *f, struct accept_record *record)
{
	struct app *app = get_app(f, accept_record_key(record));

	if (app == NULL) {
		/* Of 64 bytes: the process is at its end. Kept and shown. */
		accept_log_quarantine(
		    f->log, record, slice_text("full: no memory"));
		return;
	}
	record->owner = app;
	record->order = f->next_order++;
	enqueue(f, app, record);
}

/* ---- routers -------------------------------------------------------- */

static uint64_t
mix(uint64_t x)
{
	/* splitmix64's finaliser: every bit of x reaches every bit. */
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t
hash_text(const char *text)
{
	uint64_t hash = 0;

	for (; *text != '\0'; text++)
		hash = mix(hash ^ (uint8_t)*text);
	return hash;
}

void
forward_peer_up(struct forward *f, struct link_peer *peer)
{
	if (f->router_count == PEERS_MAX)
		return;
	f->routers[f->router_count++] =
	    (struct router){ peer, hash_text(link_peer_instance(peer)) };
}

void
forward_peer_down(struct forward *f, struct link_peer *peer)
{
	for (size_t i = 0; i < f->router_count; i++) {
		if (f->routers[i].peer != peer)
			continue;
		f->routers[i] = f->routers[--f->router_count];
		return;
	}
}

static struct link_peer *
choose(const struct forward *f, uint32_t app)
{
	struct link_peer *best = NULL;
	uint64_t best_score = 0;

	for (size_t i = 0; i < f->router_count; i++) {
		const struct router *r = &f->routers[i];
		uint64_t score = mix(r->hash ^ mix(app));

		if (link_room(r->peer, MSG_LANE_WORK) == 0)
			continue;
		if (best == NULL || score > best_score) {
			best = r->peer;
			best_score = score;
		}
	}
	return best;
}

/* ---- sending -------------------------------------------------------- */

/* The message as the router gets it; data NULL: it cannot be made. */
static struct slice
message_of(struct forward *f, const struct accept_record *record)
{
	struct slice payload = accept_record_payload(record);
	uint64_t now = clock_wall_ms(), at = accept_record_time(record);
	struct msg m;

	if (now < at + FORWARD_AGE_MS)
		return payload;
	buf_clear(&f->scratch);
	if (msg_unpack(payload, &m) < 0)
		return (struct slice){ 0 };
	m.age_ms = now - at;
	if (msg_pack(&m, &f->scratch) < 0)
		return (struct slice){ 0 };
	return buf_slice(&f->scratch);
}

static void
give_up(struct forward *f, struct app *app, struct accept_record *record,
    struct slice reason)
{
	list_remove(&app->queued, record);
	f->queued--;
	f->refused++;
	accept_log_quarantine(f->log, record, reason);
}

/* false: no room now. */
static bool
send_one(struct forward *f, struct app *app)
{
	struct accept_record *record = app->queued.first;
	struct slice message = message_of(f, record);
	int r;

	if (message.data == NULL) {
		give_up(f, app, record, slice_text("bad: not an event"));
		return true;
	}
	r = link_send(
	    app->peer, MSG_EVENT, message, (uint64_t)(uintptr_t)record);
	if (r == -EAGAIN || r == -ENOMEM)
		return false;
	if (r < 0) {
		give_up(f, app, record, slice_text(strerror(-r)));
		return true;
	}
	list_remove(&app->queued, record);
	f->queued--;
	list_insert(&app->out, record);
	f->out++;
	f->sent++;
	return true;
}

/* Up to a burst; true when something moved. */
static bool
serve(struct forward *f, struct app *app)
{
	bool moved = false;

	if (app->out.first == NULL)
		app->peer = choose(f, app->number);
	if (app->peer == NULL)
		return false;
	for (int i = 0; i < FORWARD_BURST && app->queued.first != NULL; i++) {
		if (!send_one(f, app))
			break;
		moved = true;
	}
	return moved;
}

static bool
any_room(const struct forward *f)
{
	for (size_t i = 0; i < f->router_count; i++)
		if (link_room(f->routers[i].peer, MSG_LANE_WORK) > 0)
			return true;
	return false;
}

/* One turn of everybody in the ring; true when something moved. */
static bool
go_round(struct forward *f)
{
	struct app *app = f->ring, *last = app->ring_prev;
	bool moved = false, end = false;

	while (!end) {
		struct app *next = app->ring_next;

		end = app == last;
		moved |= serve(f, app);
		if (app->queued.first == NULL) {
			ring_remove(f, app);
			drop_if_idle(f, app);
		}
		app = next;
	}
	if (f->ring != NULL)
		f->ring = f->ring->ring_next;
	return moved;
}

void
forward_run(struct forward *f)
{
	if (f->stopped || f->ring == NULL)
		return;
	while (f->ring != NULL && any_room(f))
		if (!go_round(f))
			break;
	link_flush(f->link);
}

void
forward_stop(struct forward *f)
{
	f->stopped = true;
}

/* ---- what came of it ------------------------------------------------ */

/* Takes the record from those that are out. */
static struct accept_record *
take_out(struct forward *f, uint64_t cookie, struct app **ret_app)
{
	struct accept_record *record = (void *)(uintptr_t)cookie;
	struct app *app = record->owner;

	list_remove(&app->out, record);
	f->out--;
	*ret_app = app;
	return record;
}

void
forward_completed(struct forward *f, uint64_t cookie)
{
	struct app *app;
	struct accept_record *record = take_out(f, cookie, &app);

	f->completed++;
	accept_log_complete(f->log, record);
	drop_if_idle(f, app);
}

void
forward_refused(struct forward *f, uint64_t cookie, struct slice reason)
{
	struct app *app;
	struct accept_record *record = take_out(f, cookie, &app);

	f->refused++;
	accept_log_quarantine(f->log, record, reason);
	drop_if_idle(f, app);
}

void
forward_returned(struct forward *f, uint64_t cookie)
{
	struct app *app;
	struct accept_record *record = take_out(f, cookie, &app);

	f->returned++;
	enqueue(f, app, record);
}

uint64_t
forward_out(const struct forward *f)
{
	return f->out;
}

int
forward_metrics(const struct forward *f, struct buf *out)
{
	return buf_addf(out,
	    "sluice_forward_routers %zu\n"
	    "sluice_forward_queued %llu\n"
	    "sluice_forward_out %llu\n"
	    "sluice_forward_sent_total %llu\n"
	    "sluice_forward_completed_total %llu\n"
	    "sluice_forward_refused_total %llu\n"
	    "sluice_forward_returned_total %llu\n",
	    f->router_count, (unsigned long long)f->queued,
	    (unsigned long long)f->out, (unsigned long long)f->sent,
	    (unsigned long long)f->completed, (unsigned long long)f->refused,
	    (unsigned long long)f->returned);
}
