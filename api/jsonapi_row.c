#include "api/jsonapi_row.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/hook_form.h"
#include "api/jsonapi.h"
#include "api/scopes_form.h"
#include "api/url.h"

#define ATTRIBUTES "/data/attributes/"

/* ---- showing ---------------------------------------------------------- */

static json_t *
show_secret(struct api *api, const struct directory_hook *hook)
{
	json_t *json = NULL;
	struct buf secret;

	if (!hook->has_secret)
		return json_null();
	buf_init(&secret, SEAL_SECRET_MAX);
	if (directory_hook_secret(api->directory, hook, &secret) == 0)
		json = call_text(buf_slice(&secret));
	buf_done(&secret);
	return json;
}

json_t *
jsonapi_row_attributes(struct api *api, const struct directory_hook *hook)
{
	return json_pack("{s:I,s:o,s:s,s:o,s:o,s:o,s:o,s:o}", "account_id",
	    (json_int_t)hook->app, "name",
	    hook->has_description ? json_string(hook->description)
				  : json_null(),
	    "url", hook->url, "secret", show_secret(api, hook), "events",
	    hook_form_show_events(hook->events), "scopes",
	    scopes_form_show(hook->scopes), "created_at",
	    call_time(hook->created_ms), "updated_at",
	    call_time(hook->updated_ms));
}

/* Without those that nobody asked for. */
static json_t *
choose(json_t *attributes, const json_t *fields)
{
	json_t *chosen = json_object(), *value;
	const char *name;

	json_object_foreach(attributes, name, value)
	{
		if (json_object_get(fields, name) != NULL)
			(void)json_object_set(chosen, name, value);
	}
	json_decref(attributes);
	return chosen;
}

json_t *
jsonapi_row_show(
    const struct directory_hook *hook, json_t *attributes, const json_t *fields)
{
	char id[16];

	if (attributes != NULL && fields != NULL)
		attributes = choose(attributes, fields);
	(void)snprintf(id, sizeof(id), "%u", (unsigned)hook->subscription);
	return json_pack("{s:s,s:s,s:o}", "type", JSONAPI_WEBHOOKS, "id", id,
	    "attributes", attributes);
}

/* ---- reading ---------------------------------------------------------- */

struct reading {
	const json_t *attributes;
	struct directory_hook *hook;
	bool is_new;
	unsigned changes;
	json_t *errors;
};

static void
complain(struct reading *r, const char *name, const char *why)
{
	char pointer[sizeof(ATTRIBUTES) + 64];

	(void)snprintf(pointer, sizeof(pointer), ATTRIBUTES "%s", name);
	jsonapi_complain(&r->errors, "pointer", pointer, why);
}

/* True when it is there and right. */
static bool
read_text(struct reading *r, const char *name, const json_t *value, size_t min,
    char *text, size_t size)
{
	char why[64];

	if (!json_is_string(value)) {
		complain(r, name, "must be a string");
	} else if (json_string_length(value) < min) {
		complain(r, name, "must not be empty");
	} else if (json_string_length(value) >= size) {
		(void)snprintf(why, sizeof(why),
		    "must not be longer than %zu bytes", size - 1);
		complain(r, name, why);
	} else {
		memcpy(text, json_string_value(value),
		    json_string_length(value) + 1);
		return true;
	}
	return false;
}

static void
read_name(struct reading *r)
{
	const json_t *value = json_object_get(r->attributes, "name");
	char text[sizeof(r->hook->description)];

	if (value == NULL)
		return;
	if (json_is_null(value)) {
		r->hook->has_description = false;
		r->changes |= JSONAPI_NAME;
	} else if (read_text(r, "name", value, 0, text, sizeof(text))) {
		r->hook->has_description = true;
		memcpy(r->hook->description, text, sizeof(text));
		r->changes |= JSONAPI_NAME;
	}
}

static void
read_url(struct reading *r)
{
	const json_t *value = json_object_get(r->attributes, "url");
	char text[sizeof(r->hook->url)];

	if (value == NULL && r->is_new)
		complain(r, "url", "is required");
	if (value == NULL || !read_text(r, "url", value, 1, text, sizeof(text)))
		return;
	if (!url_is_http(text)) {
		complain(r, "url", "must be an http:// or https:// URL");
	} else if (strcmp(text, r->hook->url) != 0) {
		memcpy(r->hook->url, text, sizeof(text));
		r->changes |= JSONAPI_URL;
	}
}

/* Here `*` is every event of the application, for which a record has no API;
 * else one made here is of the API of its first event, and keeps it. */
static void
set_api(struct directory_hook *hook, bool is_new)
{
	const char *list = hook->events;
	size_t len = strcspn(list, ".");

	for (const char *at = list; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (at[0] == '*') {
			hook->unified_api[0] = '\0';
			return;
		}
	}
	if (!is_new && hook->unified_api[0] != '\0')
		return;
	if (list[0] == '\0' || len >= sizeof(hook->unified_api))
		(void)snprintf(
		    hook->unified_api, sizeof(hook->unified_api), "vault");
	else
		(void)snprintf(hook->unified_api, sizeof(hook->unified_api),
		    "%.*s", (int)len, list);
}

static void
read_events(struct reading *r)
{
	const json_t *value = json_object_get(r->attributes, "events");
	const char *wrong;

	if (value == NULL && r->is_new)
		complain(r, "events", "is required");
	if (value == NULL)
		return;
	wrong = hook_form_events(value, r->hook->events);
	if (wrong != NULL) {
		complain(r, "events", wrong);
		return;
	}
	set_api(r->hook, r->is_new);
	r->changes |= JSONAPI_LIST;
}

static void
read_secret(struct reading *r, struct jsonapi_secret *secret)
{
	const json_t *value = json_object_get(r->attributes, "secret");

	/* A generated one is the caller's affair. */
	if (value != NULL && !(r->is_new && json_is_null(value)) &&
	    read_text(
		r, "secret", value, 1, secret->text, sizeof(secret->text)))
		r->changes |= JSONAPI_SECRET;
}

static void
read_scopes(struct reading *r)
{
	const json_t *value = json_object_get(r->attributes, "scopes");
	const char *where, *wrong;
	char name[64];

	if (value == NULL)
		return;
	wrong = scopes_form_read(value, r->hook->scopes, &where);
	if (wrong == NULL) {
		r->changes |= JSONAPI_SCOPES;
		return;
	}
	(void)snprintf(name, sizeof(name), "scopes%s%.40s",
	    where[0] != '\0' ? "/" : "", where);
	complain(r, name, wrong);
}

/* data.id, and the id among the attributes, where the original reads it too. */
static void
check_id(struct reading *r, const json_t *data, uint32_t id)
{
	const json_t *outer = json_object_get(data, "id");
	const json_t *inner = json_object_get(r->attributes, "id");
	char text[16];

	if (r->is_new)
		return;
	(void)snprintf(text, sizeof(text), "%u", (unsigned)id);
	if (outer != NULL &&
	    !(json_is_string(outer) &&
		strcmp(json_string_value(outer), text) == 0) &&
	    !(json_is_integer(outer) && json_integer_value(outer) == id))
		jsonapi_complain(&r->errors, "pointer", "/data/id",
		    "must be the id of the path");
	if (inner != NULL &&
	    !(json_is_string(inner) &&
		strcmp(json_string_value(inner), text) == 0) &&
	    !(json_is_integer(inner) && json_integer_value(inner) == id))
		complain(r, "id", "must be the id of the path");
}

/* True when there are attributes to read. */
static bool
check_document(struct reading *r, const json_t *body)
{
	const json_t *data = json_object_get(body, "data");
	const json_t *type = json_object_get(data, "type");

	r->attributes = json_object_get(data, "attributes");
	if (!json_is_object(data)) {
		jsonapi_complain(&r->errors, "pointer", "/data",
		    data == NULL ? "is required" : "must be an object");
		return false;
	}
	if (type == NULL)
		jsonapi_complain(
		    &r->errors, "pointer", "/data/type", "is required");
	else if (!json_is_string(type) ||
		 strcmp(json_string_value(type), JSONAPI_WEBHOOKS) != 0)
		jsonapi_complain(&r->errors, "pointer", "/data/type",
		    "must be " JSONAPI_WEBHOOKS);
	if (!json_is_object(r->attributes)) {
		jsonapi_complain(&r->errors, "pointer", "/data/attributes",
		    r->attributes == NULL ? "is required"
					  : "must be an object");
		return false;
	}
	return true;
}

json_t *
jsonapi_row_read(const json_t *body, uint32_t id, struct directory_hook *hook,
    struct jsonapi_secret *secret, unsigned *ret_changes)
{
	struct reading r = { .hook = hook, .is_new = id == 0 };

	secret->text[0] = '\0';
	if (check_document(&r, body)) {
		check_id(&r, json_object_get(body, "data"), id);
		read_name(&r);
		read_url(&r);
		read_secret(&r, secret);
		read_events(&r);
		read_scopes(&r);
	}
	*ret_changes = r.changes;
	return r.errors;
}
