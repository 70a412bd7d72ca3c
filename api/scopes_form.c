#include "api/scopes_form.h"

#include <stdbool.h>
#include <string.h>

static const char *const attributes[] = { "consumer_id", "service_id",
	"entity_type", "entity_id", "unified_api" };

static bool
is_attribute(const char *name)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (strcmp(attributes[i], name) == 0)
			return true;
	return false;
}

static const char *
check_values(const json_t *values)
{
	static const char why[] = "must be a string or an array of strings";

	if (json_is_string(values))
		return NULL;
	if (!json_is_array(values))
		return why;
	for (size_t i = 0; i < json_array_size(values); i++)
		if (!json_is_string(json_array_get(values, i)))
			return why;
	return NULL;
}

const char *
scopes_form_read(const json_t *value, char text[LIMIT_SCOPES_TEXT + 1],
    const char **ret_where)
{
	const char *wrong = NULL;
	size_t len;
	void *at;

	/* Iterating only reads, but jansson's iterators want it writable. */
	union {
		const json_t *in;
		json_t *out;
	} object = { .in = value };

	*ret_where = "";
	if (json_is_null(value) ||
	    (json_is_object(value) && json_object_size(value) == 0)) {
		text[0] = '\0';
		return NULL;
	}
	if (!json_is_object(value))
		return "must be an object";
	for (at = json_object_iter(object.out); wrong == NULL && at != NULL;
	    at = json_object_iter_next(object.out, at)) {
		*ret_where = json_object_iter_key(at);
		wrong = is_attribute(*ret_where)
			    ? check_values(json_object_iter_value(at))
			    : "is no attribute of an event";
	}
	if (wrong != NULL)
		return wrong;
	*ret_where = "";
	len = json_dumpb(
	    value, text, LIMIT_SCOPES_TEXT, JSON_COMPACT | JSON_SORT_KEYS);
	if (len == 0 || len > LIMIT_SCOPES_TEXT)
		return "is too long";
	text[len] = '\0';
	return NULL;
}

json_t *
scopes_form_show(const char *text)
{
	json_t *json = text[0] == '\0'
			   ? NULL
			   : json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	return json != NULL ? json : json_object();
}
