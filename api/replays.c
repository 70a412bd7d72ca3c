#include "api/replays.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/form.h"
#include "api/log_filter.h"
#include "api/webhooks.h"
#include "common/log.h"

#define TIME_TEXT 40

/* What a call keeps until its answer. */
struct replaying {
	struct id job;
	const char *entity; /* of the path: "log", "webhook" */
};

static bool
starts_with(struct slice text, const char *word)
{
	return text.len >= strlen(word) &&
	       memcmp(text.data, word, strlen(word)) == 0;
}

/* The first word of the logger's answer says what it means. */
static const struct {
	const char *word;
	enum http_error error;
	const char *text;
} refusals[] = {
	{ "live", HTTP_E_STATE,
	    "The delivery is not finished, so it cannot be sent again." },
	{ "held", HTTP_E_STATE,
	    "Nothing is sent to the webhook: it is disabled, or the quota is "
	    "used up. What is held is sent when that has changed." },
	{ "gone", HTTP_E_STATE, "The webhook of the delivery was deleted." },
	{ "many", HTTP_E_RATE, "Too many replays are under way." },
};

static void
fail(struct call *c, struct slice error)
{
	if (starts_with(error, "unknown")) {
		call_not_found(
		    c, ((const struct replaying *)c->kept)->entity, c->id);
		return;
	}
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (starts_with(error, refusals[i].word)) {
			call_fail_text(c, refusals[i].error, refusals[i].text);
			return;
		}
	call_fail_text(
	    c, HTTP_E_UNAVAILABLE, "The event store could not do it.");
}

/* Null when there are too many to be counted at once. */
static json_t *
show_count(uint64_t count)
{
	return count == MSG_COUNT_UNKNOWN ? json_null()
					  : json_integer((json_int_t)count);
}

static void
on_answer(struct ask *ask, const struct msg *answer)
{
	struct call *c =
	    (struct call *)((char *)ask - offsetof(struct call, ask));
	char job[ID_TEXT_SIZE];

	c->asking = false;
	ask_done(ask);
	if (answer == NULL || answer->type != MSG_PAGE) {
		call_fail_text(c, HTTP_E_UNAVAILABLE,
		    "The event store did not answer in time.");
	} else if (answer->error.data != NULL) {
		fail(c, answer->error);
	} else {
		id_text(((const struct replaying *)c->kept)->job, job);
		call_data(c, 200,
		    json_pack("{s:s,s:o}", "id", job, "count",
			show_count(answer->count)));
	}
}

static void
ask(struct call *c, const char *entity, struct msg *replay)
{
	struct replaying *kept = malloc(sizeof(*kept));
	int r = -ENOMEM;

	c->kept = kept;
	if (kept != NULL) {
		kept->job = id_make(&c->api->ids);
		kept->entity = entity;
		replay->type = MSG_REPLAY;
		replay->app = c->app.app;
		replay->job = id_slice(&kept->job);
		c->ask.done = on_answer;
		r = asks_send(c->api->asks, c->api->loggers, &c->ask, replay,
		    ASKS_QUERY_MS);
		if (r < 0)
			ask_done(&c->ask);
	}
	if (r < 0) {
		call_error(c, r);
		return;
	}
	c->asking = true;
	link_flush(c->api->loggers);
}

void
replays_log(struct call *c)
{
	struct msg replay = { .type = MSG_REPLAY };
	struct id delivery;

	if (id_parse(slice_text(c->id), &delivery) < 0) {
		call_not_found(c, "log", c->id);
		return;
	}
	replay.delivery = id_slice(&delivery);
	ask(c, "log", &replay);
}

static void
read_time(struct form *f, const char *name, bool is_end, uint64_t *ret_ms)
{
	char text[TIME_TEXT + 1];

	if (form_text(f, name, FORM_OPTIONAL, 1, text, sizeof(text)) &&
	    log_filter_date(slice_text(text), is_end, ret_ms) < 0)
		form_complain(
		    f, name, "must be a time like 2021-10-01T03:14:55.419Z");
}

static void
read_state(struct form *f, uint64_t *ret)
{
	static const struct {
		const char *name;
		enum msg_state state;
	} states[] = {
		{ "failed", MSG_STATE_FAILED },
		{ "held", MSG_STATE_HELD },
		{ "delivered", MSG_STATE_DELIVERED },
	};
	char text[DIRECTORY_WORD_TEXT + 1];

	if (!form_text(f, "state", FORM_OPTIONAL, 1, text, sizeof(text)))
		return;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (strcmp(text, states[i].name) == 0)
			*ret = states[i].state;
	if (*ret == MSG_STATE_NONE)
		form_complain(f, "state", "must be failed, held or delivered");
}

void
replays_webhook(struct call *c)
{
	struct msg replay = { .type = MSG_REPLAY };
	struct directory_hook hook;
	json_t *body, *detail;
	struct form f;

	body = http_body(c->request).len > 0 ? call_body(c) : json_object();
	if (body == NULL)
		return; /* answered; the call is gone */
	c->body = body;
	form_init(&f, c->body, false);
	read_time(&f, "start_date", false, &replay.from_ms);
	read_time(&f, "end_date", true, &replay.to_ms);
	read_state(&f, &replay.state);
	if (replay.to_ms != 0 && replay.to_ms < replay.from_ms)
		form_complain(&f, "end_date", "must not be before start_date");
	detail = form_end(&f);
	if (detail != NULL) {
		call_fail(c, HTTP_E_VALIDATION, NULL, detail);
		return;
	}
	if (!webhooks_find(c, &hook))
		return;
	replay.subscription = hook.subscription;
	ask(c, "webhook", &replay);
}
