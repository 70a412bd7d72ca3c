#include "api/test_send.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

struct test {
	struct call *call;
	test_send_fn *then;
	int timer;
	uint64_t until_ms;
	struct id delivery;
	struct test_send_result result;
};

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
		r = test_send_post(c, hook, TEST_SEND_TYPE, custody);
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
