#include "api/jsonapi_webhooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/jsonapi.h"
#include "api/jsonapi_query.h"
#include "api/jsonapi_row.h"
#include "api/test_send.h"
#include "api/webhooks.h"
#include "common/config.h"

/* Counted behind the page's beginning, as the original does. */
#define COUNT_MAX 1000
#define SECRET_BYTES 32

/* ---- the list --------------------------------------------------------- */

struct listing {
	struct api *api;
	const struct jsonapi_query *q;
	uint64_t offset;
	uint64_t matched;
	json_t *data;
	bool failed;
};

static bool
goes_on(const struct listing *l)
{
	uint64_t wanted =
	    l->q->count && l->q->size < COUNT_MAX ? COUNT_MAX : l->q->size;

	return !l->failed && l->matched < l->offset + wanted;
}

static bool
list_one(void *arg, const struct directory_hook *hook)
{
	struct listing *l = arg;
	json_t *attributes = jsonapi_row_attributes(l->api, hook);
	uint64_t at;

	if (attributes == NULL) {
		l->failed = true;
	} else if (jsonapi_filter_holds(
		       &l->q->filter, hook->subscription, attributes)) {
		at = l->matched++;
		if (at >= l->offset && at < l->offset + l->q->size)
			l->failed =
			    json_array_append_new(l->data,
				jsonapi_row_show(hook, json_incref(attributes),
				    l->q->fields)) < 0;
	}
	json_decref(attributes);
	return goes_on(l);
}

static json_t *
make_list(const struct listing *l)
{
	uint64_t behind = l->matched > l->offset ? l->matched - l->offset : 0;
	bool more = behind >= COUNT_MAX;
	json_t *document = json_pack("{s:O}", "data", l->data);

	if (!l->q->count)
		return document;
	/* matched is all there is when the page begins behind it. */
	(void)json_object_set_new(document, "meta",
	    json_pack("{s:I,s:b}", "count",
		(json_int_t)(more ? l->offset + COUNT_MAX : l->matched), "more",
		more));
	return document;
}

void
jsonapi_webhooks_list(struct call *c)
{
	struct jsonapi_query q;
	struct listing l = { .api = c->api, .q = &q };
	int r;

	if (!jsonapi_query_read(&q, c, true)) {
		jsonapi_query_done(&q);
		return;
	}
	l.offset = (q.number - 1) * q.size;
	l.data = json_array();
	r = directory_hook_list(
	    c->api->directory, c->app.app, &q.order, list_one, &l);
	if (r == 0 && l.failed)
		r = -ENOMEM;
	if (r < 0)
		call_error(c, r);
	else
		call_reply(c, 200, JSONAPI_MEDIA, make_list(&l));
	json_decref(l.data);
	jsonapi_query_done(&q);
}

/* ---- one -------------------------------------------------------------- */

bool
jsonapi_webhooks_find(struct call *c, struct directory_hook *ret)
{
	uint64_t number;
	int r;

	if (c->id[strspn(c->id, "0123456789")] != '\0') {
		jsonapi_refuse_one(
		    c, "parameter", "resource_id", "must be an integer");
		return false;
	}
	r = -ENOENT;
	if (config_parse_number(slice_text(c->id), &number) == 0 &&
	    number <= UINT32_MAX)
		r = directory_hook_find(
		    c->api->directory, c->app.app, (uint32_t)number, ret);
	if (r == -ENOENT)
		jsonapi_not_found(c);
	else if (r < 0)
		call_error(c, r);
	return r == 0;
}

void
jsonapi_webhooks_get(struct call *c)
{
	struct jsonapi_query q;
	struct directory_hook hook;

	if (jsonapi_query_read(&q, c, false) && jsonapi_webhooks_find(c, &hook))
		call_data(c, 200,
		    jsonapi_row_show(&hook,
			jsonapi_row_attributes(c->api, &hook), q.fields));
	jsonapi_query_done(&q);
}

static json_t *
show(struct call *c, const struct directory_hook *hook)
{
	return jsonapi_row_show(
	    hook, jsonapi_row_attributes(c->api, hook), NULL);
}

/* ---- writes ----------------------------------------------------------- */

/* As Standard Webhooks has them. */
static int
make_secret(struct jsonapi_secret *secret)
{
	uint8_t bytes[SECRET_BYTES];
	struct buf text;
	int r;

	crypto_random(bytes, sizeof(bytes));
	buf_init(&text, sizeof(secret->text) - 1);
	r = buf_add_text(&text, "whsec_");
	if (r == 0)
		r = crypto_base64(
		    (struct slice){ bytes, sizeof(bytes) }, &text);
	if (r == 0)
		r = slice_copy(
		    buf_slice(&text), secret->text, sizeof(secret->text));
	buf_done(&text);
	return r;
}

static void
add_location(struct call *c, const struct directory_hook *hook)
{
	char *url;

	if (asprintf(&url, "%s%s/%u", c->api->public_url, JSONAPI_WEBHOOKS_PATH,
		(unsigned)hook->subscription) < 0)
		return;
	http_add_header(c->request, "Location", url);
	free(url);
}

static void
create(
    struct call *c, struct directory_hook *hook, struct jsonapi_secret *secret)
{
	int r = secret->text[0] != '\0' ? 0 : make_secret(secret);

	/* Enabled, and nobody calls its URL before its first event does. */
	hook->enabled = true;
	(void)snprintf(hook->reason, sizeof(hook->reason), "none");
	if (r == 0)
		r = directory_hook_add_secret(
		    c->api->directory, hook, slice_text(secret->text));
	if (r < 0) {
		call_error(c, r);
		return;
	}
	c->undo = webhooks_undo;
	c->undo_number = hook->subscription;
	add_location(c, hook);
	call_written(c, hook->number, true, 201, show(c, hook));
}

void
jsonapi_webhooks_create(struct call *c)
{
	struct directory_hook hook = { .app = c->app.app };
	json_t *body = call_body(c), *errors;
	struct jsonapi_secret secret;
	unsigned changes;

	if (body == NULL)
		return;
	c->body = body;
	errors = jsonapi_row_read(body, 0, &hook, &secret, &changes);
	if (errors != NULL)
		jsonapi_refuse(c, errors);
	else if (webhooks_has_quota(c) && call_can_write(c))
		create(c, &hook, &secret);
}

/* A URL that did not answer has nothing to say about another one. */
static bool
is_lifted(const struct directory_hook *hook, unsigned changes)
{
	return (changes & JSONAPI_URL) != 0 &&
	       strcmp(hook->reason, "delivery_url_validation_failed") == 0;
}

static void
lift_failed_validation(struct directory_hook *hook)
{
	hook->enabled = true;
	(void)snprintf(hook->reason, sizeof(hook->reason), "none");
	hook->cause[0] = '\0';
}

static void
store(struct call *c, struct directory_hook *hook,
    const struct jsonapi_secret *secret, unsigned changes)
{
	bool is_url = (changes & JSONAPI_URL) != 0;
	bool is_secret = (changes & JSONAPI_SECRET) != 0;
	int r;

	if (is_lifted(hook, changes))
		lift_failed_validation(hook);
	r = directory_hook_set_secret(c->api->directory, hook, is_url,
	    slice_text(is_secret ? secret->text : NULL));
	if (r < 0)
		call_error(c, r);
	else
		call_written(c, hook->number, false, 200, show(c, hook));
}

void
jsonapi_webhooks_update(struct call *c)
{
	struct directory_hook hook;
	json_t *body, *errors;
	struct jsonapi_secret secret;
	unsigned changes;

	if (!jsonapi_webhooks_find(c, &hook))
		return;
	body = call_body(c);
	if (body == NULL)
		return;
	c->body = body;
	errors =
	    jsonapi_row_read(body, hook.subscription, &hook, &secret, &changes);
	if (errors != NULL)
		jsonapi_refuse(c, errors);
	else if (changes == 0)
		call_data(c, 200, show(c, &hook));
	else if (is_lifted(&hook, changes) && !webhooks_has_quota(c))
		return; /* it enables, which needs some */
	else if (call_can_write(c))
		store(c, &hook, &secret, changes);
}

void
jsonapi_webhooks_delete(struct call *c)
{
	struct directory_hook hook;
	int r;

	if (!jsonapi_webhooks_find(c, &hook) || !call_can_write(c))
		return;
	r = directory_hook_remove(c->api->directory, &hook);
	if (r < 0)
		call_error(c, r);
	else
		call_written(c, hook.number, true, 204, NULL);
}

static void
answer_test(struct call *c, const struct test_send_result *result)
{
	/* Its schema is no JSON:API document. */
	call_reply(c, 200, JSONAPI_MEDIA,
	    json_pack("{s:b,s:o}", "success", result->success, "message",
		call_text(slice_text(result->message))));
}

void
jsonapi_webhooks_test(struct call *c)
{
	struct directory_hook hook;

	if (jsonapi_webhooks_find(c, &hook) && call_can_write(c))
		test_send(c, &hook, answer_test);
}
