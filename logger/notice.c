#include "logger/logger.h"

#include "common/log.h"

/* To every api that is connected: the one that answers does so with a change
 * of the directory, which lifts the hold in endpoint.c. */
void
notice_send(struct logger *l, struct endpoint *e)
{
	struct msg m = {
		.type = MSG_NOTICE,
		.subscription = e->subscription,
		.app = e->app->app,
		.number = e->hold_number,
		.reason = slice_text(e->hold),
		.delivery = id_slice(&e->hold_delivery),
		.at_ms = e->hold_ms,
	};
	int r;

	buf_clear(&l->packed);
	r = msg_pack(&m, &l->packed);
	if (r < 0) {
		log_error(
		    "notice subscription=%u error=%d", e->subscription, r);
		return;
	}
	for (struct link_peer *p = link_peer_next(l->apis, NULL); p != NULL;
	     p = link_peer_next(l->apis, p)) {
		r = link_send(p, MSG_NOTICE, buf_slice(&l->packed), 0);
		if (r < 0) /* it is repeated */
			log_debug("notice subscription=%u error=%d",
			    e->subscription, r);
	}
}

void
notice_tick(struct logger *l)
{
	uint64_t now = loop_now_ms(l->loop);
	struct endpoint *e;

	if (TAILQ_EMPTY(&l->endpoints.holds) ||
	    now < l->notice_ms + LOGGER_NOTICE_MS)
		return;
	l->notice_ms = now;
	TAILQ_FOREACH(e, &l->endpoints.holds, hold_entry)
	notice_send(l, e);
}
