#include "api/hook_form.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "api/catalogue.h"
#include "api/form.h"
#include "api/url.h"

#define PUBLIC_URL_MAX (4096 + JWT_TEXT_MAX)

/* ---- reading ---------------------------------------------------------- */

static void
read_description(struct form *f, struct directory_hook *hook, unsigned *changes)
{
	const json_t *value = json_object_get(f->body, "description");
	char text[DIRECTORY_DESCRIPTION_TEXT + 1];

	if (json_is_null(value)) {
		(void)form_value(f, "description", FORM_OPTIONAL);
		hook->has_description = false;
		*changes |= HOOK_DESCRIPTION;
		return;
	}
	if (!form_text(f, "description", FORM_OPTIONAL, 0, text, sizeof(text)))
		return;
	hook->has_description = true;
	memcpy(hook->description, text, sizeof(text));
	*changes |= HOOK_DESCRIPTION;
}

static void
read_api(struct form *f, struct directory_hook *hook)
{
	char text[LIMIT_API_TEXT + 1];

	if (!form_text(f, "unified_api", FORM_REQUIRED, 1, text, sizeof(text)))
		return;
	if (!catalogue_has_api(slice_text(text)))
		form_complain(f, "unified_api", "is not a unified API");
	memcpy(hook->unified_api, text, sizeof(text));
}

static void
read_status(struct form *f, struct directory_hook *hook, unsigned *changes)
{
	char text[16];

	if (!form_text(f, "status", FORM_REQUIRED, 1, text, sizeof(text)))
		return;
	if (strcmp(text, "enabled") != 0 && strcmp(text, "disabled") != 0) {
		form_complain(f, "status", "must be enabled or disabled");
		return;
	}
	hook->enabled = strcmp(text, "enabled") == 0;
	/* A person did this: there is no other reason any more. */
	(void)snprintf(hook->reason, sizeof(hook->reason), "none");
	hook->cause[0] = '\0';
	*changes |= HOOK_STATUS;
}

static void
read_url(struct form *f, struct directory_hook *hook, unsigned *changes)
{
	char text[LIMIT_URL_TEXT + 1];

	if (!form_text(f, "delivery_url", FORM_REQUIRED, 1, text, sizeof(text)))
		return;
	if (!url_is_http(text)) {
		form_complain(
		    f, "delivery_url", "must be an http:// or https:// URL");
		return;
	}
	if (strcmp(hook->url, text) == 0)
		return;
	memcpy(hook->url, text, sizeof(text));
	*changes |= HOOK_URL;
}

/* Whether the comma-separated list has the name. */
static bool
lists(const struct buf *list, struct slice name)
{
	size_t from = 0;

	for (size_t i = 0; i <= list->len; i++) {
		if (i < list->len && list->data[i] != ',')
			continue;
		if (slice_same(
			(struct slice){ list->data + from, i - from }, name))
			return true;
		from = i + 1;
	}
	return false;
}

/* NULL, or what is wrong with the value. */
static const char *
add_event(const json_t *value, struct buf *list)
{
	char name[LIMIT_TYPE_TEXT + 1];
	struct slice text;

	if (!json_is_string(value))
		return "must be an array of strings";
	text.data = (const uint8_t *)json_string_value(value);
	text.len = json_string_length(value);
	if (catalogue_event(text, name, sizeof(name)) < 0)
		return "has an event that does not exist";
	if (lists(list, slice_text(name)))
		return NULL;
	if (list->len > 0 && buf_add(list, ",", 1) < 0)
		return "has too many events";
	return buf_add_text(list, name) < 0 ? "has too many events" : NULL;
}

const char *
hook_form_events(const json_t *value, char events[LIMIT_EVENTS_TEXT + 1])
{
	const char *wrong = NULL;
	struct buf list;

	buf_init(&list, LIMIT_EVENTS_TEXT);
	if (!json_is_array(value))
		wrong = "must be an array of strings";
	for (size_t i = 0; wrong == NULL && i < json_array_size(value); i++)
		wrong = add_event(json_array_get(value, i), &list);
	if (wrong == NULL &&
	    slice_copy(buf_slice(&list), events, LIMIT_EVENTS_TEXT + 1) < 0)
		wrong = "has too many events";
	buf_done(&list);
	return wrong;
}

static void
read_events(struct form *f, struct directory_hook *hook, unsigned *changes)
{
	const json_t *value = form_value(f, "events", FORM_REQUIRED);
	const char *wrong;

	if (value == NULL)
		return;
	wrong = hook_form_events(value, hook->events);
	if (wrong != NULL)
		form_complain(f, "events", wrong);
	else
		*changes |= HOOK_EVENTS;
}

json_t *
hook_form_read(const json_t *body, bool is_create, struct directory_hook *hook,
    unsigned *ret_changes)
{
	unsigned changes = 0;
	json_t *detail;
	struct form f;

	form_init(&f, body, is_create);
	read_description(&f, hook, &changes);
	if (is_create)
		read_api(&f, hook);
	read_status(&f, hook, &changes);
	read_url(&f, hook, &changes);
	read_events(&f, hook, &changes);
	detail = form_end(&f);
	if (detail == NULL)
		*ret_changes = changes;
	return detail;
}

/* ---- showing ---------------------------------------------------------- */

/* Wildcards may stand for a name that is listed as well. */
static void
append_once(void *arg, const char *name)
{
	json_t *array = arg;

	for (size_t i = 0; i < json_array_size(array); i++)
		if (strcmp(json_string_value(json_array_get(array, i)), name) ==
		    0)
			return;
	(void)json_array_append_new(array, json_string(name));
}

json_t *
hook_form_show_events(const char *events)
{
	const char *list = events;
	json_t *array = json_array();

	while (array != NULL && *list != '\0') {
		size_t len = strcspn(list, ",");

		catalogue_expand((struct slice){ (const uint8_t *)list, len },
		    append_once, array);
		list += len + (list[len] == ',');
	}
	return array;
}

const char *
hook_form_api(const struct directory_hook *hook)
{
	return hook->unified_api[0] != '\0' ? hook->unified_api : "vault";
}

/* The token is made anew from the record each time, and is the same. */
static json_t *
show_execute_url(struct api *api, const struct directory_hook *hook)
{
	struct jwt claims = {
		.kind = JWT_INTEGRATION,
		.app = hook->app,
		.subscription = hook->subscription,
		.number = hook->born,
	};
	json_t *json = NULL;
	struct buf url;
	int r;

	buf_init(&url, PUBLIC_URL_MAX);
	r = slice_copy(slice_text(hook_form_api(hook)), claims.unified_api,
	    sizeof(claims.unified_api));
	if (r == 0)
		r = buf_addf(&url, "%s/webhook/webhooks/", api->ingest_url);
	if (r == 0)
		r = jwt_mint(&api->tokens, &claims, &url);
	if (r == 0)
		r = buf_add_text(&url, "/execute");
	if (r == 0)
		json = json_stringn((const char *)url.data, url.len);
	buf_done(&url);
	return json;
}

json_t *
hook_form_show(struct api *api, const struct directory_hook *hook)
{
	return json_pack("{s:s,s:o,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "id",
	    hook->id, "description",
	    hook->has_description ? json_string(hook->description)
				  : json_null(),
	    "unified_api", hook_form_api(hook), "status",
	    hook->enabled ? "enabled" : "disabled", "disabled_reason",
	    hook->reason, "delivery_url", hook->url, "execute_base_url",
	    show_execute_url(api, hook), "events",
	    hook_form_show_events(hook->events), "updated_at",
	    call_time(hook->updated_ms), "created_at",
	    call_time(hook->created_ms));
}
