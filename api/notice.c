#include "api/notice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

/* The reason's first word, if it is one of the published ones. */
static const char *
published_reason(struct slice reason)
{
	static const char usage[] = "usage_limit";

	if (reason.len >= strlen(usage) &&
	    memcmp(reason.data, usage, strlen(usage)) == 0)
		return usage;
	return "retry_limit";
}

/* Of a whole application: its quota is used up. One that knew an earlier quota
 * undoes nothing, and one of a month that is over says nothing about this one:
 * the clock of the logger may turn it a moment later than ours. */
static int
apply_limit(struct directory *d, const struct msg *notice, bool *ret_changed)
{
	uint64_t now_ms = clock_wall_ms();
	uint64_t month =
	    directory_month(notice->at_ms != 0 ? notice->at_ms : now_ms);
	struct directory_app app;
	int r;

	if (month < directory_month(now_ms))
		return 0;

	r = directory_app_find(d, (uint32_t)notice->app, &app);
	if (r == -ENOENT || (r == 0 && app.quota_number > notice->number))
		return 0;
	if (r == 0 && app.limited == month)
		return 0;
	if (r == 0)
		r = directory_app_limit(d, app.app, app.quota == 0 ? 0 : month);
	if (r < 0)
		return r;
	*ret_changed = true;
	log_info("app=%u id=%s quota=%llu used up", (unsigned)app.app, app.id,
	    (unsigned long long)app.quota);
	return 0;
}

int
notice_apply(struct directory *d, const struct msg *notice, bool *ret_changed)
{
	struct directory_hook hook;
	int r;

	*ret_changed = false;
	if (notice->subscription == 0)
		return apply_limit(d, notice, ret_changed);
	r = directory_hook_find(
	    d, (uint32_t)notice->app, (uint32_t)notice->subscription, &hook);
	if (r == -ENOENT)
		return 0; /* deleted: its mark is on the way or there */
	if (r < 0)
		return r;
	/* A later change that says so is the answer, and on its way. */
	if (hook.touched > notice->number ||
	    (!hook.enabled && hook.number > notice->number))
		return 0;
	if (!hook.enabled) {
		/* Held by what came back after it was disabled: nothing is
		 * different, but the logger waits for a change. */
		*ret_changed = true;
		return directory_hook_set(d, &hook, false);
	}
	hook.enabled = false;
	(void)snprintf(hook.reason, sizeof(hook.reason), "%s",
	    published_reason(notice->reason));
	if (slice_copy(notice->reason, hook.cause, sizeof(hook.cause)) < 0)
		(void)snprintf(
		    hook.cause, sizeof(hook.cause), "%s", hook.reason);
	r = directory_hook_set(d, &hook, false);
	if (r < 0)
		return r;
	*ret_changed = true;
	log_info("subscription=%u id=%s disabled reason=%s cause=\"%s\"",
	    (unsigned)hook.subscription, hook.id, hook.reason, hook.cause);
	return 0;
}
