#include "api/webhooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/hook_form.h"
#include "api/page.h"
#include "api/validate.h"

struct showing {
	struct api *api;
	json_t *data;
	bool limited;
};

/* Nothing is sent to an enabled one while the quota is used up. */
static json_t *
show_limited(struct api *api, const struct directory_hook *hook, bool limited)
{
	json_t *json = hook_form_show(api, hook);

	if (limited && hook->enabled) {
		json_object_set_new(json, "status", json_string("disabled"));
		json_object_set_new(
		    json, "disabled_reason", json_string("usage_limit"));
	}
	return json;
}

static void
show(void *arg, const struct directory_hook *hook)
{
	struct showing *s = arg;

	(void)json_array_append_new(
	    s->data, show_limited(s->api, hook, s->limited));
}

static int
fill(struct call *c, struct directory_page *found, json_t *data)
{
	struct showing s = { c->api, data, c->app.limited != 0 };

	return directory_hook_page(c->api->directory, found, show, &s);
}

void
webhooks_list(struct call *c)
{
	page_list(c, fill, true);
}

bool
webhooks_find(struct call *c, struct directory_hook *ret)
{
	int r = directory_hook_get(c->api->directory, c->app.app, c->id, ret);

	if (r == -ENOENT)
		call_not_found(c, "webhook", c->id);
	else if (r < 0)
		call_error(c, r);
	return r == 0;
}

void
webhooks_get(struct call *c)
{
	struct directory_hook hook;

	if (webhooks_find(c, &hook))
		call_data(
		    c, 200, show_limited(c->api, &hook, c->app.limited != 0));
}

int
webhooks_undo(struct call *c)
{
	struct directory_hook hook;
	int r;

	r = directory_hook_find(
	    c->api->directory, c->app.app, c->undo_number, &hook);
	if (r == 0)
		r = directory_hook_remove(c->api->directory, &hook);
	return r;
}

/* What the validation came to, after the body was applied. */
static void
apply_validation(
    struct directory_hook *hook, bool right, bool says_status, const char *why)
{
	static const char failed[] = "delivery_url_validation_failed";

	if (right && strcmp(hook->reason, failed) != 0)
		return;
	/* A URL that works lifts what one that did not has caused. */
	hook->enabled = right && (!says_status || hook->enabled);
	(void)snprintf(
	    hook->reason, sizeof(hook->reason), "%s", right ? "none" : failed);
	(void)snprintf(hook->cause, sizeof(hook->cause), "%s", why);
}

bool
webhooks_has_quota(struct call *c)
{
	char detail[64];

	if (c->app.limited == 0)
		return true;
	(void)snprintf(detail, sizeof(detail),
	    "You have reached your limit of %llu",
	    (unsigned long long)c->app.quota);
	call_fail_text(c, HTTP_E_LIMIT, detail);
	return false;
}

/* Enabling needs some, too. */
static bool
may_enable(struct call *c, const struct directory_hook *hook, unsigned changes)
{
	return (changes & HOOK_STATUS) == 0 || !hook->enabled ||
	       webhooks_has_quota(c);
}

static void
create(struct call *c, bool right, const char *why)
{
	struct directory_hook hook = { .app = c->app.app };
	unsigned changes;
	int r;

	if (!call_can_write(c))
		return;
	json_decref(hook_form_read(c->body, true, &hook, &changes));
	apply_validation(&hook, right, true, why);
	r = directory_hook_add(c->api->directory, &hook);
	if (r < 0) {
		call_error(c, r);
		return;
	}
	c->undo = webhooks_undo;
	c->undo_number = hook.subscription;
	/* Its token is new to the ingests. */
	call_written(c, hook.number, true, 201,
	    show_limited(c->api, &hook, c->app.limited != 0));
}

void
webhooks_create(struct call *c)
{
	struct directory_hook hook = { .app = c->app.app };
	json_t *body = call_body(c), *detail;
	unsigned changes;

	if (body == NULL)
		return;
	c->body = body;
	detail = hook_form_read(c->body, true, &hook, &changes);
	if (detail != NULL)
		call_fail(c, HTTP_E_VALIDATION, NULL, detail);
	else if (webhooks_has_quota(c) && call_can_write(c))
		validate_url(c, &hook, create);
}

static void
store(struct call *c, struct directory_hook *hook, unsigned changes)
{
	bool touch = (changes & HOOK_URL) != 0 ||
		     ((changes & HOOK_STATUS) != 0 && hook->enabled);
	int r = directory_hook_set(c->api->directory, hook, touch);

	if (r < 0)
		call_error(c, r);
	else
		call_written(c, hook->number, false, 200,
		    show_limited(c->api, hook, c->app.limited != 0));
}

/* The record may have changed meanwhile: the body is applied anew. */
static void
update(struct call *c, bool right, const char *why)
{
	struct directory_hook hook;
	unsigned changes = 0;

	if (!webhooks_find(c, &hook) || !call_can_write(c))
		return;
	json_decref(hook_form_read(c->body, false, &hook, &changes));
	apply_validation(&hook, right, (changes & HOOK_STATUS) != 0, why);
	store(c, &hook, changes | HOOK_URL);
}

void
webhooks_update(struct call *c)
{
	struct directory_hook hook;
	json_t *body = call_body(c), *detail;
	unsigned changes = 0;

	if (body == NULL)
		return;
	c->body = body;
	if (!webhooks_find(c, &hook))
		return;
	detail = hook_form_read(c->body, false, &hook, &changes);
	if (detail != NULL)
		call_fail(c, HTTP_E_VALIDATION, NULL, detail);
	else if (changes == 0)
		call_data(
		    c, 200, show_limited(c->api, &hook, c->app.limited != 0));
	else if (!may_enable(c, &hook, changes) || !call_can_write(c))
		return;
	else if (changes & HOOK_URL)
		validate_url(c, &hook, update);
	else
		store(c, &hook, changes);
}

void
webhooks_delete(struct call *c)
{
	struct directory_hook hook;
	json_t *data;
	int r;

	if (!webhooks_find(c, &hook) || !call_can_write(c))
		return;
	data = show_limited(c->api, &hook, c->app.limited != 0);
	r = directory_hook_remove(c->api->directory, &hook);
	if (r < 0) {
		json_decref(data);
		call_error(c, r);
		return;
	}
	/* Its token must stop working. */
	call_written(c, hook.number, true, 200, data);
}
