#include "logger/logger.h"

#include "common/log.h"

#define LOST_ALONE 2	      /* leases lost in a row: it goes out alone */
#define ONCE_TIMEOUT_MS 10000 /* somebody waits for the end of a test */

static int
pack_lease(struct logger *l, const struct msg *event,
    const struct deliver_item *item, struct buf *out)
{
	const struct lease *lease = item->lease;
	const struct endpoint *e = lease->endpoint;
	struct msg m = {
		.type = MSG_LEASE,
		.delivery = id_slice(&lease->delivery),
		.token = lease->token,
		.attempt = item->attempt,
		.cycle_attempt = item->cycle_attempt,
		.age_ms = item->age_ms,
		.app = e->app->app,
		.subscription = e->subscription,
		.url = endpoint_url(e),
		.secret = endpoint_secret(e),
		.timeout_ms = e->timeout_ms,
		.schedule = endpoint_schedule(&l->endpoints, e),
		.flags = event->flags & MSG_FLAG_ONCE,
		.headers = endpoint_headers(e),
		.http2 = e->http2,
	};

	item->lease->once = (event->flags & MSG_FLAG_ONCE) != 0;
	if (lease->once)
		m.timeout_ms = ONCE_TIMEOUT_MS;
	if (item->lost >= LOST_ALONE)
		m.flags |= MSG_FLAG_ALONE;
	if (lease->troubled)
		m.flags |= MSG_FLAG_TROUBLED;
	return msg_pack_record(&m, out);
}

static int
pack(struct logger *l, const struct msg *event,
    const struct deliver_item *items, size_t count)
{
	struct id custody = id_custody(items[0].lease->delivery);
	struct msg m = {
		.type = MSG_DELIVER,
		.custody = id_slice(&custody),
		.event_type = event->event_type,
		.body = event->body,
		.hole = event->hole,
	};
	struct buf leases;
	int r = 0;

	buf_init(&leases, LIMIT_MESSAGE_BYTES);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = pack_lease(l, event, &items[i], &leases);
	m.deliveries = (struct msg_list){ buf_slice(&leases), (uint32_t)count };
	buf_clear(&l->packed);
	if (r == 0)
		r = msg_pack(&m, &l->packed);
	buf_done(&leases);
	return r;
}

void
deliver_send(struct logger *l, const struct msg *event,
    const struct deliver_item *items, size_t count)
{
	struct deliverer *to = items[0].lease->deliverer;
	bool lost = to->peer == NULL;
	int r = lost ? 0 : pack(l, event, items, count);

	if (r == 0 && !lost)
		r = link_send(to->peer, MSG_DELIVER, buf_slice(&l->packed), 0);
	if (r < 0)
		log_debug("deliver error=%d leases=%zu", r, count);
	for (size_t i = 0; i < count; i++) {
		items[i].lease->sent_ms = loop_now_ms(l->loop);
		if (lost || r < 0)
			lease_give_back(l, items[i].lease, lost);
		else
			fleet_sent(items[i].lease);
	}
}
