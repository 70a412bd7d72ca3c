#include "api/usage.h"

#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "common/clock.h"

#define MONTH_TEXT 8 /* 2026-11 */

/* The month of now_ms, and when the next one begins. */
static void
month_texts(uint64_t now_ms, char month[MONTH_TEXT], char next[CLOCK_TEXT_SIZE])
{
	time_t now = (time_t)(now_ms / 1000);
	struct tm tm = { 0 };

	(void)gmtime_r(&now, &tm);
	(void)strftime(month, MONTH_TEXT, "%Y-%m", &tm);
	tm = (struct tm){
		.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1
	};
	clock_text((uint64_t)timegm(&tm) * 1000, next);
}

static json_t *
show(const struct directory_app *app, uint64_t used)
{
	char month[MONTH_TEXT], next[CLOCK_TEXT_SIZE];

	month_texts(clock_wall_ms(), month, next);
	return json_pack("{s:s,s:I,s:o,s:b,s:s}", "month", month, "used",
	    (json_int_t)used, "quota",
	    app->quota != 0 ? json_integer((json_int_t)app->quota)
			    : json_null(),
	    "limited", app->limited != 0, "renews_at", next);
}

static void
on_answer(struct ask *ask, const struct msg *answer)
{
	struct call *c =
	    (struct call *)((char *)ask - offsetof(struct call, ask));

	c->asking = false;
	ask_done(ask);
	if (answer == NULL || answer->type != MSG_PAGE ||
	    answer->error.data != NULL)
		call_fail_text(c, HTTP_E_UNAVAILABLE,
		    "The event store did not answer in time.");
	else
		call_data(c, 200, show(&c->app, answer->used));
}

void
usage_get(struct call *c)
{
	struct msg query = { .type = MSG_QUERY,
		.what = MSG_QUERY_USAGE,
		.app = c->app.app,
		.from_ms = clock_wall_ms() };
	int r;

	c->ask.done = on_answer;
	r = asks_send(
	    c->api->asks, c->api->loggers, &c->ask, &query, ASKS_QUERY_MS);
	if (r < 0) {
		ask_done(&c->ask);
		call_error(c, r);
		return;
	}
	c->asking = true;
	link_flush(c->api->loggers);
}
