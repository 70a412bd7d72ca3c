#include "ingest/routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/openapi.h"
#include "common/rate.h"
#include "ingest/call.h"
#include "ingest/event.h"
#include "ingest/handshake.h"
#include "ingest/raw.h"

#define BEHIND_TICK_MS 100
/* All texts of one event, which never move: reserved at once. */
#define TEXT_MAX 8192
#define SEGMENTS_MAX 6

enum route { ROUTE_NONE, ROUTE_W, ROUTE_EXECUTE, ROUTE_X, ROUTE_EVENTS };

/* What a request is waiting with: its answer, or its turn to be asked again. */
struct pending {
	struct pending *next; /* of those behind the directory */
	struct http_request *request;
	uint64_t deadline_ms; /* 0: it waits for the disk */
	struct buf answer;
};

struct routes {
	struct routes_config config;
	struct http *http;
	struct event_maker maker;
	struct json json;
	struct buf text;
	struct rate rate; /* of the applications */
	struct pending *behind;
	unsigned behind_count;
	int timer;
	uint64_t calls, accepted, too_late;
};

struct target {
	enum route route;
	struct slice token;
	char service[LIMIT_SERVICE_TEXT + 1];
};

int
routes_new(const struct routes_config *config, struct routes **ret)
{
	struct routes *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->config = *config;
	r->timer = -1;
	rate_init(&r->rate);
	event_maker_init(&r->maker, config->ids, config->entity_base_url);
	json_init(&r->json);
	buf_init(&r->text, TEXT_MAX);
	if (buf_reserve(&r->text, TEXT_MAX) < 0) {
		routes_free(r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

static void
pending_free(struct pending *p)
{
	if (p == NULL)
		return;
	http_set_data(p->request, NULL);
	buf_done(&p->answer);
	free(p);
}

void
routes_free(struct routes *r)
{
	struct pending *next;

	if (r == NULL)
		return;
	if (r->timer >= 0)
		loop_del_timer(r->config.loop, r->timer);
	for (; r->behind != NULL; r->behind = next) {
		next = r->behind->next;
		free(r->behind);
	}
	event_maker_done(&r->maker);
	json_done(&r->json);
	buf_done(&r->text);
	free(r);
}

/* ---- which route ---------------------------------------------------- */

static size_t
split(const char *path, struct slice segments[SEGMENTS_MAX])
{
	size_t count = 0;

	while (*path == '/') {
		size_t len = strcspn(path + 1, "/");

		if (count == SEGMENTS_MAX)
			return 0;
		segments[count++] =
		    (struct slice){ (const uint8_t *)path + 1, len };
		path += 1 + len;
	}
	return *path == '\0' ? count : 0;
}

static enum route
which(const struct slice *s, size_t count)
{
	if (count < 2 || !slice_is(s[0], "webhook"))
		return ROUTE_NONE;
	if (count == 2 && slice_is(s[1], "events"))
		return ROUTE_EVENTS;
	if (count == 4 && slice_is(s[1], "w"))
		return ROUTE_W;
	if (count != 5 || !slice_is(s[1], "webhooks"))
		return ROUTE_NONE;
	if (slice_is(s[3], "execute"))
		return ROUTE_EXECUTE;
	return slice_is(s[3], "x") ? ROUTE_X : ROUTE_NONE;
}

static void
find_target(const char *path, struct target *t)
{
	struct slice segments[SEGMENTS_MAX];
	size_t count = split(path, segments);

	*t = (struct target){ .route = which(segments, count) };
	if (t->route == ROUTE_NONE || t->route == ROUTE_EVENTS)
		return;
	t->token = segments[2];
	/* Too long for any connector there is: stays empty, is not found. */
	if (slice_copy(segments[count - 1], t->service, sizeof(t->service)) < 0)
		t->service[0] = '\0';
}

static int
check_method(struct call *c, enum route route)
{
	const char *method = http_method(c->request);

	/* What a GET of it does is safe, so HEAD is the same without a body. */
	if (strcmp(method, "POST") == 0 ||
	    (route == ROUTE_W &&
		(strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)))
		return 0;
	http_add_header(
	    c->request, "Allow", route == ROUTE_W ? "GET, POST" : "POST");
	return call_fail(c, HTTP_E_METHOD, "This route has no such method.");
}

/* ---- who calls ------------------------------------------------------ */

static const struct {
	enum http_error error;
	const char *detail;
} refusals[TOKEN_RESULT_MAX] = {
	[TOKEN_UNKNOWABLE] = { HTTP_E_UNAVAILABLE,
	    "The directory has not arrived yet." },
	[TOKEN_UNAUTHORIZED] = { HTTP_E_UNAUTHORIZED,
	    "Missing or wrong authentication" },
	[TOKEN_NO_APP_HEADER] = { HTTP_E_HEADERS,
	    "Missing Header: x-apideck-app-id" },
	[TOKEN_NO_INTEGRATION] = { HTTP_E_INTEGRATION,
	    "The webhook of this token is gone." },
	[TOKEN_NO_CONNECTION] = { HTTP_E_CONNECTION,
	    "Could not find the connection." },
	[TOKEN_DISABLED] = { HTTP_E_DISABLED, "The connection is disabled." },
};

static enum token_result
identify(struct routes *r, struct call *c, const struct target *t)
{
	struct token_checker *tokens = r->config.tokens;
	enum token_result result;
	const char *bearer, *app_id, *lookup;

	if (t->route == ROUTE_W)
		return token_connection(tokens, t->token, &c->who);
	bearer = http_header(c->request, "Authorization");
	app_id = http_header(c->request, "x-apideck-app-id");
	if (t->route == ROUTE_EVENTS)
		return token_key(tokens, bearer, app_id, &c->who);
	result = token_integration(tokens, t->token, bearer, app_id, &c->who);
	if (result != TOKEN_OK)
		return result;
	lookup = http_query(c->request, "l_id");
	if (lookup == NULL || *lookup == '\0')
		return TOKEN_OK;
	return token_lookup(tokens, slice_text(lookup), &c->who);
}

static void
on_behind_tick(void *arg)
{
	struct routes *r = arg;
	uint64_t now = loop_now_ms(r->config.loop);
	struct pending **at = &r->behind, *p;

	while ((p = *at) != NULL) {
		struct http_request *request = p->request;

		if (now < p->deadline_ms) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		r->behind_count--;
		r->too_late++;
		pending_free(p);
		http_fail_text(request, HTTP_E_UNAVAILABLE,
		    "The token is newer than what is known here.");
	}
	if (r->behind == NULL) {
		loop_del_timer(r->config.loop, r->timer);
		r->timer = -1;
	}
	http_flush(r->http);
}

/* The call waits for the directory, or has waited long enough. */
static int
wait_behind(struct routes *r, struct call *c)
{
	struct pending *p = NULL;

	if (r->behind_count < ROUTES_BEHIND_MAX)
		p = calloc(1, sizeof(*p));
	if (p == NULL)
		return call_fail(c, HTTP_E_UNAVAILABLE,
		    "The token is newer than what is known here.");
	p->request = c->request;
	p->deadline_ms = c->deadline_ms;
	if (p->deadline_ms == 0)
		p->deadline_ms = loop_now_ms(r->config.loop) + ROUTES_BEHIND_MS;
	http_set_data(c->request, p);
	p->next = r->behind;
	r->behind = p;
	r->behind_count++;
	if (r->timer < 0)
		r->timer = loop_add_timer(
		    r->config.loop, BEHIND_TICK_MS, on_behind_tick, r);
	return -EINPROGRESS;
}

static int
authorise(struct routes *r, struct call *c, const struct target *t)
{
	enum token_result result = identify(r, c, t);

	if (result == TOKEN_OK)
		return 0;
	if (result == TOKEN_BEHIND)
		return wait_behind(r, c);
	return call_fail(c, refusals[result].error, refusals[result].detail);
}

/* Of publishing. Connectors' calls are always answered: senders switch off
 * hooks that fail. What is over the quota is held by the logger. */
static int
check_limits(struct routes *r, struct call *c)
{
	const struct directory_entry *app =
	    directory_app(r->config.directory, c->who.app);
	char detail[64];

	if (app == NULL)
		return 0;
	if (!rate_take(
		&r->rate, app->app, app->rate, loop_now_ms(r->config.loop)))
		return call_fail(c, HTTP_E_RATE,
		    "The application makes too many requests a second.");
	if (!app->limited)
		return 0;
	(void)snprintf(detail, sizeof(detail),
	    "You have reached your limit of %llu",
	    (unsigned long long)app->quota);
	return call_fail(c, HTTP_E_LIMIT, detail);
}

static int
find_connector(struct routes *r, struct call *c, const struct target *t)
{
	if (t->route == ROUTE_EVENTS)
		return 0;
	c->connector = connectors_find(r->config.connectors, t->service);
	if (c->connector != NULL &&
	    (c->who.service_id.data == NULL ||
		slice_is(c->who.service_id, t->service)) &&
	    connector_serves(c->connector, c->who.unified_api))
		return 0;
	return call_fail(
	    c, HTTP_E_CONNECTOR, "There is no such connector for this token.");
}

/* ---- the call ------------------------------------------------------- */

/* Connectors say all kinds of things, but who publishes is told. */
static int
check_type(struct call *c, enum route route)
{
	if (route != ROUTE_EVENTS || http_sends_json(c->request))
		return 0;
	return call_fail(
	    c, HTTP_E_MEDIA_TYPE, "The content type must be application/json.");
}

static int
read_events(struct call *c, enum route route)
{
	bool in_body = c->connector != NULL &&
		       signature_is_in_body(connector_signature(c->connector));
	int r = in_body ? 0 : call_check_signature(c);

	if (r == 0)
		r = call_parse(c, route == ROUTE_W);
	if (r == 0 && in_body)
		r = call_check_signature(c);
	if (r == 0 && route == ROUTE_W)
		r = handshake_body(c);
	if (r < 0)
		return r;
	if (route == ROUTE_EVENTS)
		return call_each(c, call_unwrap(c->json, 0), call_published);
	return call_each(
	    c, connector_items(c->connector, c->json), call_connector);
}

static int
append(struct routes *r, struct call *c, struct pending *p)
{
	int e =
	    accept_log_append(r->config.log, c->first, c->count, c->request);

	switch (e) {
	case 0:
		break;
	case -EMSGSIZE:
		return call_fail(
		    c, HTTP_E_TOO_LARGE, "The events are too large together.");
	default:
		return call_fail(
		    c, HTTP_E_UNAVAILABLE, "There is no room to accept more.");
	}
	c->first = c->last = NULL;
	p->request = c->request;
	http_set_data(c->request, p);
	r->accepted += c->count;
	if (c->connector != NULL)
		connector_count(c->connector, c->count);
	return 0;
}

/* Takes the answer. An empty one is no JSON. */
static void
answer(struct http_request *request, struct buf *body)
{
	http_reply_take(request, 200,
	    body->len == 0 ? "text/plain" : "application/json", body);
}

/* The group to the log; or, without events, the answer at once. */
static int
finish(struct routes *r, struct call *c)
{
	struct pending *p = calloc(1, sizeof(*p));
	int e = -ENOMEM;

	if (p != NULL) {
		buf_init(&p->answer, CALL_ANSWER_MAX + (c->raw ? RAW_MAX : 0));
		e = call_answer(c, &p->answer);
	}
	if (e < 0) {
		(void)call_fail(c, HTTP_E_UNAVAILABLE, "Out of memory.");
	} else if (c->count == 0) {
		answer(c->request, &p->answer);
	} else {
		e = append(r, c, p);
		if (e == 0)
			return 0;
	}
	if (p != NULL)
		buf_done(&p->answer);
	free(p);
	return e;
}

static int
handle(struct routes *r, struct call *c)
{
	struct target t;
	int e;

	find_target(http_path(c->request), &t);
	if (t.route == ROUTE_NONE)
		return call_fail(
		    c, HTTP_E_NOT_FOUND, "There is no such route.");
	e = check_method(c, t.route);
	if (e == 0)
		e = authorise(r, c, &t);
	if (e == 0 && t.route == ROUTE_EVENTS)
		e = check_limits(r, c);
	if (e == 0)
		e = find_connector(r, c, &t);
	if (e == 0)
		e = check_type(c, t.route);
	if (e < 0)
		return e;
	if (t.route == ROUTE_W) {
		e = handshake_query(c);
		if (e < 0)
			return e;
		c->raw = raw_is_wanted(c->request);
	}
	if (strcmp(http_method(c->request), "POST") == 0)
		e = read_events(c, t.route);
	return e < 0 ? e : finish(r, c);
}

/* deadline_ms: of a call that has waited for the directory, else 0. */
static void
ask(struct routes *r, struct http_request *request, uint64_t deadline_ms)
{
	struct call c = {
		.request = request,
		.deadline_ms = deadline_ms,
		.directory = r->config.directory,
		.maker = &r->maker,
		.json = &r->json,
		.text = &r->text,
		.secrets = r->config.secrets,
		.public_url = r->config.public_url,
	};

	r->calls++;
	buf_init(&c.event_ids, CALL_ANSWER_MAX);
	buf_init(&c.form, CALL_FORM_MAX);
	clock_text(clock_wall_ms(), c.timestamp);
	(void)handle(r, &c);
	call_done(&c);
}

void
routes_handle(void *arg, struct http_request *request)
{
	if (!openapi_handle(request))
		ask(arg, request, 0);
}

void
routes_attach(struct routes *r, struct http *http)
{
	r->http = http;
}

static void
unlink_behind(struct routes *r, const struct pending *p)
{
	struct pending **at = &r->behind;

	while (*at != NULL && *at != p)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = p->next;
	r->behind_count--;
}

void
routes_gone(void *arg, struct http_request *request)
{
	struct routes *r = arg;
	struct pending *p = http_data(request);

	if (p == NULL)
		return;
	if (p->deadline_ms != 0)
		unlink_behind(r, p);
	else
		accept_log_forget(r->config.log, request);
	pending_free(p);
}

void
routes_durable(struct routes *r, void *waiter, bool durable)
{
	struct http_request *request = waiter;
	struct pending *p = http_data(request);
	struct buf body = p->answer;

	(void)r;
	buf_init(&p->answer, CALL_ANSWER_MAX);
	pending_free(p);
	if (durable)
		answer(request, &body);
	else
		http_fail_text(request, HTTP_E_UNAVAILABLE,
		    "There is no room to accept more.");
	buf_done(&body);
}

void
routes_directory_changed(struct routes *r)
{
	struct pending *list = r->behind, *next;

	r->behind = NULL;
	r->behind_count = 0;
	for (; list != NULL; list = next) {
		struct http_request *request = list->request;
		uint64_t deadline_ms = list->deadline_ms;

		next = list->next;
		pending_free(list);
		ask(r, request, deadline_ms);
	}
}

int
routes_metrics(const struct routes *r, struct buf *out)
{
	return buf_addf(out,
	    "sluice_ingest_calls_total %llu\n"
	    "sluice_ingest_accepted_total %llu\n"
	    "sluice_ingest_behind %u\n"
	    "sluice_ingest_behind_refused_total %llu\n",
	    (unsigned long long)r->calls, (unsigned long long)r->accepted,
	    r->behind_count, (unsigned long long)r->too_late);
}
