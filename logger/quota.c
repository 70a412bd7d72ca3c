#include "logger/logger.h"

#define MINUTE_MS 60000

/*
 * The quota of a month. The store judges, in the transaction that counts; here
 * is what the loop makes of it: the api is told when a quota is used up, and
 * what was held for it is lifted when it is no more, by another quota or by
 * the turn of the month. See dispatch.c for the lifting itself, which asks the
 * store again.
 */

/* Asked anew whenever something is judged: the api turns the month by itself,
 * and what it says of the new one may be here before a tick. */
uint32_t
quota_month(struct logger *l)
{
	uint64_t now = logger_now(l);
	uint32_t month;

	if (now < l->month_ends_ms)
		return l->month;
	month = timekeeper_month(now);
	if (month > l->month) /* slewed back over the turn is not back */
		l->month = month;
	l->month_ends_ms = (now / MINUTE_MS + 1) * MINUTE_MS;
	return l->month;
}

void
quota_look(struct logger *l, struct app *a)
{
	endpoints_lift(&l->endpoints, a, quota_month(l));
	notice_app(l, a);
}

void
quota_tick(struct logger *l)
{
	const struct table *t = &l->endpoints.apps;

	for (struct table_node *node = table_next(t, NULL); node != NULL;
	    node = table_next(t, node))
		quota_look(l, (struct app *)node);
}

void
quota_over(struct logger *l, struct endpoint *e)
{
	l->counts.over_quota++;
	endpoint_set_over(&l->endpoints, e, true);
	/* It may have been raised while this one was with the writer. */
	endpoints_lift(&l->endpoints, e->app, quota_month(l));
}
