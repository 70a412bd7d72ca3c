/* What the ends of a world say to the logger, and what it answers. */
#include "logger/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the directory ------------------------------------------------------ */

static bool
feed_answered(struct world *w)
{
	const struct end *e = &w->feed;

	return e->completed + e->refused + e->returned == e->sent;
}

static void
add_app(struct world *w, struct buf *entries)
{
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_APP,
		.number = w->number,
		.app = WORLD_APP,
		.id = slice_text("app"),
		.secret = slice_text("sealed by the app"),
		.quota = w->quota };

	if (w->limited)
		e.reason = slice_text("usage_limit");

	assert_int_equal(msg_pack_record(&e, entries), 0);
}

static void
add_subscription(
    struct world *w, struct buf *entries, uint32_t subscription, bool enabled)
{
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.number = w->number,
		.app = WORLD_APP,
		.id = slice_text("sub"),
		.subscription = subscription,
		.url = slice_text("http://127.0.0.1/hook"),
		.events = slice_text("*"),
		.enabled = enabled,
		.ordered = w->ordered };

	assert_int_equal(msg_pack_record(&e, entries), 0);
}

void
world_snapshot(struct world *w, uint32_t count)
{
	struct msg m = { .type = MSG_DIRECTORY, .phase = MSG_PHASE_SNAPSHOT };
	struct buf entries;

	if (w->number == 0)
		w->number = 100;
	m.number = w->number;
	buf_init(&entries, LIMIT_MESSAGE_BYTES);
	add_app(w, &entries);
	for (uint32_t s = 1; s <= count; s++)
		add_subscription(w, &entries, s, true);
	m.entries = (struct msg_list){ buf_slice(&entries), count + 1 };
	world_send(&w->feed, &m);
	m = (struct msg){ .type = MSG_DIRECTORY,
		.phase = MSG_PHASE_COMPLETE,
		.number = w->number,
		.part = 1 };
	world_send(&w->feed, &m);
	buf_done(&entries);
}

/* Subscription 0: the application alone. */
static void
change(struct world *w, uint32_t subscription, bool enabled)
{
	struct msg m = { .type = MSG_DIRECTORY,
		.phase = MSG_PHASE_CHANGE,
		.number = ++w->number };
	struct buf entries;

	buf_init(&entries, LIMIT_MESSAGE_BYTES);
	add_app(w, &entries);
	if (subscription != 0)
		add_subscription(w, &entries, subscription, enabled);
	m.entries =
	    (struct msg_list){ buf_slice(&entries), subscription != 0 ? 2 : 1 };
	world_send(&w->feed, &m);
	buf_done(&entries);
}

void
world_change(struct world *w, uint32_t subscription, bool enabled)
{
	change(w, subscription, enabled);
	/* The other ends have connections of their own. */
	world_until(w, feed_answered);
}

void
world_change_app(struct world *w)
{
	change(w, 0, false);
}

/* ---- plans and outcomes ------------------------------------------------- */

struct id
world_id(struct world *w)
{
	return id_make(&w->ids);
}

void
world_plan(struct world *w, struct id custody, uint64_t number, uint32_t first,
    uint32_t count)
{
	struct buf planned;
	struct msg m = { .type = MSG_PLAN,
		.custody = id_slice(&custody),
		.app = WORLD_APP,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm"),
		.body = slice_text("{\"payload\":{\"execution_attempt\":}}"),
		.hole = 32,
		.number = number,
		.parts = 1 };

	buf_init(&planned, LIMIT_MESSAGE_BYTES);
	for (uint32_t i = 0; i < count; i++) {
		struct msg p = { .type = MSG_PLANNED,
			.subscription = first + i };

		assert_int_equal(msg_pack_record(&p, &planned), 0);
	}
	m.deliveries = (struct msg_list){ buf_slice(&planned), count };
	world_send(&w->router, &m);
	buf_done(&planned);
}

void
world_outcome(struct world *w, const struct got *got, enum msg_verdict verdict,
    unsigned status, uint64_t delay_ms)
{
	struct msg m = { .type = MSG_OUTCOME,
		.delivery = id_slice(&got->delivery),
		.token = got->token,
		.attempt = got->attempt,
		.status = status,
		.verdict = verdict,
		.delay_ms = delay_ms,
		.started_ms = 2,
		.duration_ms = 1,
		.response = slice_text("thanks") };

	world_send(&w->deliverers[got->deliverer], &m);
	world_use_slots(&w->deliverers[got->deliverer], -1);
}

void
world_lease_ids(struct world *w, unsigned deliverer, enum msg_type type,
    const struct got *got, size_t count)
{
	struct msg m = { .type = type };
	struct buf ids;

	buf_init(&ids, LIMIT_MESSAGE_BYTES);
	for (size_t i = 0; i < count; i++) {
		struct msg id = { .type = MSG_LEASE_ID,
			.delivery = id_slice(&got[i].delivery),
			.token = got[i].token };

		assert_int_equal(msg_pack_record(&id, &ids), 0);
	}
	m.leases = (struct msg_list){ buf_slice(&ids), (uint32_t)count };
	if (type == MSG_HELD)
		m.parts = 1;
	world_send(&w->deliverers[deliverer], &m);
	buf_done(&ids);
}

/* ---- questions ---------------------------------------------------------- */

static bool
has_page(struct world *w)
{
	return w->pages > 0;
}

uint64_t
world_used(struct world *w)
{
	struct msg page, q = { .type = MSG_QUERY,
		.query = 8,
		.what = MSG_QUERY_USAGE,
		.app = WORLD_APP };

	w->pages = 0;
	world_send(&w->api, &q);
	world_until(w, has_page);
	assert_int_equal(msg_unpack(buf_slice(&w->page), &page), 0);
	assert_int_equal(page.query, 8);
	assert_null(page.error.data);
	assert_int_equal(page.rows.count, 0);
	return page.used;
}

void
world_ask_replay(struct world *w, struct id job, struct id delivery)
{
	static const struct id none;
	struct msg m = { .type = MSG_REPLAY,
		.query = 8,
		.app = WORLD_APP,
		.job = id_slice(&job) };

	if (id_same(delivery, none))
		m.subscription = 1;
	else
		m.delivery = id_slice(&delivery);
	w->pages = 0;
	world_send(&w->api, &m);
}

struct msg
world_replay(struct world *w, struct id job, struct id delivery)
{
	struct msg page;

	world_ask_replay(w, job, delivery);
	world_until(w, has_page);
	assert_int_equal(msg_unpack(buf_slice(&w->page), &page), 0);
	assert_int_equal(page.query, 8);
	return page;
}

struct msg
world_row(struct world *w, struct id delivery)
{
	struct msg q = { .type = MSG_QUERY,
		.query = 7,
		.what = MSG_QUERY_LOG,
		.app = WORLD_APP,
		.delivery = id_slice(&delivery) };
	struct msg page, row;

	w->pages = 0;
	world_send(&w->api, &q);
	world_until(w, has_page);
	assert_int_equal(msg_unpack(buf_slice(&w->page), &page), 0);
	assert_int_equal(page.query, 7);
	assert_null(page.error.data);
	assert_int_equal(page.rows.count, 1);
	assert_true(msg_next(&page.rows, MSG_ROW, &row));
	return row;
}

struct got *
world_find(struct world *w, struct id custody, uint32_t subscription)
{
	struct id delivery = id_delivery(custody, subscription);

	for (size_t i = w->got_count; i > 0; i--)
		if (id_same(w->got[i - 1].delivery, delivery))
			return &w->got[i - 1];
	return NULL;
}
