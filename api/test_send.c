#include "api/test_send.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/catalogue.h"
#include "api/event_example.h"
#include "common/clock.h"
#include "common/log.h"

#define HOLE "\"execution_attempt\":"

struct test {
	struct call *call;
	test_send_fn *then;
	int timer;
	uint64_t until_ms;
	struct id delivery;
	struct test_send_result result;
};

/* ---- the event -------------------------------------------------------- */

struct choice {
	const char *api; /* "": the first */
	const char *name;
};

static void
choose_one(void *arg, const char *name)
{
	struct choice *choice = arg;
	size_t len = strlen(choice->api);

	if (choice->name == NULL && strncmp(name, choice->api, len) == 0 &&
	    (len == 0 || name[len] == '.'))
		choice->name = name;
}

/* The first event that the webhook wants, or one of its API. */
static const char *
choose(const struct directory_hook *hook)
{
	struct choice first = { .api = "" };
	struct choice any = { .api = hook->unified_api };

	catalogue_expand((struct slice){ (const uint8_t *)hook->events,
			     strcspn(hook->events, ",") },
	    choose_one, &first);
	if (first.name != NULL && strcmp(first.name, "*") != 0)
		return first.name;
	catalogue_each(choose_one, &any);
	return any.name != NULL ? any.name : "crm.contact.created";
}

/* The body without the attempt's number, and where that goes. */
static int
make_body(json_t *json, struct buf *body, uint64_t *ret_hole)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	const char *hole = text != NULL ? strstr(text, HOLE "1") : NULL;
	size_t before = hole != NULL ? (size_t)(hole - text) + strlen(HOLE) : 0;
	int r = text == NULL ? -ENOMEM : 0;

	if (r == 0)
		r = buf_add(body, text, before);
	if (r == 0)
		r = buf_add_text(body, text + before + (hole != NULL));
	*ret_hole = before;
	free(text);
	return r;
}

static struct slice
member(const json_t *payload, const char *name)
{
	return slice_text(json_string_value(json_object_get(payload, name)));
}

static int
pack_event(const struct call *c, const struct directory_hook *hook,
    struct id custody, struct buf *out)
{
	struct event_example example = {
		.name = choose(hook), .id = custody, .at_ms = clock_wall_ms()
	};
	struct id request = http_request_id(c->request);
	json_t *json = event_example_body(c->api, &c->app, &example);
	const json_t *payload = json_object_get(json, "payload");
	struct msg m = {
		.type = MSG_EVENT,
		.custody = id_slice(&custody),
		.app = c->app.app,
		.event_type = slice_text(example.name),
		.unified_api = member(payload, "unified_api"),
		.service_id = member(payload, "service_id"),
		.consumer_id = member(payload, "consumer_id"),
		.entity_id = member(payload, "entity_id"),
		.entity_type = member(payload, "entity_type"),
		.request_id = id_slice(&request),
		.number = hook->number,
		.subscription = hook->subscription,
		.flags = MSG_FLAG_ONCE | MSG_FLAG_FREE,
	};
	struct buf body;
	int r = -ENOMEM;

	buf_init(&body, LIMIT_MESSAGE_BYTES);
	if (json != NULL)
		r = make_body(json, &body, &m.hole);
	m.body = buf_slice(&body);
	if (r == 0)
		r = msg_pack(&m, out);
	buf_done(&body);
	json_decref(json);
	return r;
}

static int
post(const struct call *c, const struct directory_hook *hook, struct id custody)
{
	struct buf event;
	int r;

	buf_init(&event, LIMIT_MESSAGE_BYTES);
	r = pack_event(c, hook, custody, &event);
	if (r == 0)
		r = directory_outbox_add(
		    c->api->directory, c->app.app, custody, buf_slice(&event));
	buf_done(&event);
	if (r == 0)
		outbox_pump(c->api->outbox);
	return r;
}

/* ---- what came of it -------------------------------------------------- */

static void
stop(struct call *c)
{
	const struct test *t = c->kept;

	loop_del_timer(c->api->proc->loop, t->timer);
}

/* then frees what is kept with the call. */
static void
end(struct test *t)
{
	struct test_send_result result = t->result;
	struct call *c = t->call;
	test_send_fn *then = t->then;

	stop(c);
	c->cancel = NULL;
	then(c, &result);
}

static void
explain(struct test_send_result *result, const struct msg *row)
{
	result->status = (unsigned)row->status;
	if (row->error.len > 0)
		(void)snprintf(result->message, sizeof(result->message), "%.*s",
		    (int)row->error.len, (const char *)row->error.data);
	else
		(void)snprintf(result->message, sizeof(result->message),
		    "The webhook answered with status %u.", result->status);
}

static void
on_answer(struct ask *ask, const struct msg *answer)
{
	struct call *c =
	    (struct call *)((char *)ask - offsetof(struct call, ask));
	struct test *t = c->kept;
	struct msg_list rows = { 0 };
	struct msg row;

	c->asking = false;
	ask_done(ask);
	if (answer != NULL && answer->type == MSG_PAGE)
		rows = answer->rows;
	if (!msg_next(&rows, MSG_ROW, &row) ||
	    (row.state != MSG_STATE_DELIVERED && row.state != MSG_STATE_FAILED))
		return; /* the timer asks again */
	explain(&t->result, &row);
	t->result.success = row.state == MSG_STATE_DELIVERED;
	end(t);
}

static void
look(void *arg)
{
	struct test *t = arg;
	struct call *c = t->call;
	struct msg query = {
		.type = MSG_QUERY,
		.what = MSG_QUERY_LOG,
		.app = c->app.app,
		.delivery = id_slice(&t->delivery),
		.limit = 1,
	};

	if (clock_mono_ms() >= t->until_ms) {
		(void)snprintf(t->result.message, sizeof(t->result.message),
		    "The test was not answered in time.");
		end(t);
	} else if (!c->asking) {
		c->ask.done = on_answer;
		if (asks_send(c->api->asks, c->api->loggers, &c->ask, &query,
			ASKS_QUERY_MS) == 0)
			c->asking = true;
		else
			ask_done(&c->ask);
		link_flush(c->api->loggers);
	}
}

void
test_send(struct call *c, const struct directory_hook *hook, test_send_fn *then)
{
	struct test *t = calloc(1, sizeof(*t));
	struct id custody = id_make(&c->api->ids);
	int r = t == NULL ? -ENOMEM : 0;

	if (r == 0)
		r = post(c, hook, custody);
	if (r == 0)
		r = loop_add_timer(
		    c->api->proc->loop, TEST_SEND_LOOK_MS, look, t);
	if (r < 0) {
		free(t);
		call_error(c, r);
		return;
	}
	*t = (struct test){ .call = c,
		.then = then,
		.timer = r,
		.until_ms = clock_mono_ms() + TEST_SEND_MS,
		.delivery = id_delivery(custody, hook->subscription),
		.result.event = custody };
	c->kept = t;
	c->cancel = stop;
}
