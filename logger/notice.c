#include "logger/logger.h"

#include "common/log.h"

/* To every api that is connected: the one that answers does so with a change
 * of the directory, which lifts the hold in endpoint.c. It is repeated. */
static void
tell(struct logger *l, const struct msg *m)
{
	int r;

	buf_clear(&l->packed);
	r = msg_pack(m, &l->packed);
	if (r < 0) {
		log_error("notice app=%u subscription=%u error=%d",
		    (unsigned)m->app, (unsigned)m->subscription, r);
		return;
	}
	for (struct link_peer *p = link_peer_next(l->apis, NULL); p != NULL;
	    p = link_peer_next(l->apis, p)) {
		r = link_send(p, MSG_NOTICE, buf_slice(&l->packed), 0);
		if (r < 0)
			log_debug("notice app=%u subscription=%u error=%d",
			    (unsigned)m->app, (unsigned)m->subscription, r);
	}
}

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

	tell(l, &m);
}

/* The number is of the entry whose quota it was judged by, and the time is in
 * the month that is used up: by these the api knows one that came too late. */
void
notice_app(struct logger *l, struct app *a)
{
	struct msg m = {
		.type = MSG_NOTICE,
		.app = a->app,
		.number = a->number,
		.reason = slice_text(APP_LIMITED),
		.at_ms = logger_now(l),
	};
	uint64_t now = loop_now_ms(l->loop);

	if (a->limited || !app_used_up(a, quota_month(l)))
		return;
	if (a->notice_number == a->number &&
	    now < a->notice_ms + LOGGER_NOTICE_MS)
		return;
	if (a->notice_number != a->number)
		log_info("app=%u month=%u events=%llu quota=%llu used up",
		    a->app, a->usage.month, (unsigned long long)a->usage.events,
		    (unsigned long long)a->quota);
	a->notice_number = a->number;
	a->notice_ms = now;
	tell(l, &m);
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
