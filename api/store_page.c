#include "api/store_page.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "api/page.h"
#include "api/trail.h"
#include "common/log.h"

struct asked {
	struct page page;
	store_page_fn *show;
};

/* What a cursor is bound to: the question without its place, however much of
 * the answer is shown. */
static int
pack_filter(const struct msg *query, struct buf *out)
{
	struct msg bare = *query;

	bare.query = 0;
	bare.limit = 0;
	bare.flags = 0;
	bare.cursor = (struct slice){ NULL, 0 };
	return msg_pack(&bare, out);
}

static void
answer_page(
    struct call *c, struct page *page, json_t *data, const struct msg *answer)
{
	struct slice here = buf_slice(&page->place);
	struct page_ends ends = { 0 };
	struct buf next;
	int r = 0;

	buf_init(&next, CURSOR_PLACE_MAX);
	ends.items = answer->rows.count;
	ends.has_previous = trail_previous(here, &ends.previous);
	ends.has_next = answer->cursor.len > 0;
	if (ends.has_next)
		r = trail_next(here, answer->cursor, &next);
	ends.next = buf_slice(&next);
	if (r < 0) {
		json_decref(data);
		log_warn("page with a bad cursor from the store");
		call_fail(c, HTTP_E_INTERNAL, NULL, NULL);
	} else {
		page_answer(page, c, data, &ends);
	}
	buf_done(&next);
}

static void
forget(struct call *c)
{
	struct asked *asked = c->kept;

	page_done(&asked->page);
}

static void
on_answer(struct ask *ask, const struct msg *answer)
{
	struct call *c =
	    (struct call *)((char *)ask - offsetof(struct call, ask));
	struct asked *asked = c->kept;
	struct page page = asked->page;
	json_t *data;

	c->asking = false;
	ask_done(ask);
	if (answer == NULL || answer->type != MSG_PAGE) {
		call_fail_text(c, HTTP_E_UNAVAILABLE,
		    "The event store did not answer in time.");
	} else if (answer->error.data != NULL) {
		log_warn("page error=\"%.*s\"", (int)answer->error.len,
		    (const char *)answer->error.data);
		call_fail_text(
		    c, HTTP_E_UNAVAILABLE, "The event store could not answer.");
	} else {
		data = asked->show(c, answer->rows);
		if (data != NULL)
			answer_page(c, &page, data, answer);
	}
	page_done(&page);
}

static int
ask(struct call *c, struct asked *asked, struct msg *query)
{
	int r;

	r = trail_here(buf_slice(&asked->page.place), &query->cursor);
	if (r < 0)
		return r;
	query->limit = asked->page.limit;
	c->ask.done = on_answer;
	r = asks_send(
	    c->api->asks, c->api->loggers, &c->ask, query, ASKS_QUERY_MS);
	if (r < 0)
		ask_done(&c->ask);
	return r;
}

void
store_page_ask(struct call *c, struct msg *query, store_page_fn *show)
{
	struct asked *asked = calloc(1, sizeof(*asked));
	struct buf filter;
	int r;

	if (asked == NULL) {
		call_error(c, -ENOMEM);
		return;
	}
	c->kept = asked;
	asked->show = show;
	query->app = c->app.app;
	buf_init(&filter, LIMIT_MESSAGE_BYTES);
	r = pack_filter(query, &filter);
	if (r < 0) {
		call_error(c, r);
	} else if (!page_read(&asked->page, c, buf_slice(&filter),
		       query->what == MSG_QUERY_LOGS)) {
		/* answered; c and what it kept are gone */
		buf_done(&filter);
		return;
	} else {
		r = ask(c, asked, query);
		if (r == 0) {
			c->asking = true;
			c->cancel = forget;
			link_flush(c->api->loggers);
		} else {
			page_done(&asked->page);
			call_error(c, r);
		}
	}
	buf_done(&filter);
}
