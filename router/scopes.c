#include "router/scopes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static const char *const names[ATTRIBUTE_MAX] = {
	[ATTRIBUTE_CONSUMER_ID] = "consumer_id",
	[ATTRIBUTE_SERVICE_ID] = "service_id",
	[ATTRIBUTE_ENTITY_TYPE] = "entity_type",
	[ATTRIBUTE_ENTITY_ID] = "entity_id",
	[ATTRIBUTE_UNIFIED_API] = "unified_api",
};

/* The values of one attribute, sorted by compare(). */
struct values {
	bool named; /* an attribute with no value lets nothing through */
	size_t count;
	struct slice *sorted;
};

struct scopes {
	struct values values[ATTRIBUTE_MAX];
	json_t *json; /* holds the bytes of the values */
};

static int
compare(const void *a, const void *b)
{
	const struct slice *x = a;
	const struct slice *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->len == 0 ? 0 : memcmp(x->data, y->data, x->len);
}

static int
find_attribute(const char *name)
{
	for (int i = 0; i < ATTRIBUTE_MAX; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -EINVAL;
}

static int
add_value(struct values *v, const json_t *value)
{
	if (!json_is_string(value))
		return -EINVAL;
	v->sorted[v->count++] =
	    (struct slice){ (const uint8_t *)json_string_value(value),
		    json_string_length(value) };
	return 0;
}

static int
parse_values(struct values *v, const json_t *list)
{
	size_t count = json_is_array(list) ? json_array_size(list) : 1;
	int r = 0;

	v->named = true;
	v->sorted = calloc(count + 1, sizeof(*v->sorted));
	if (v->sorted == NULL)
		return -ENOMEM;
	if (!json_is_array(list))
		return add_value(v, list);
	for (size_t i = 0; i < count && r == 0; i++)
		r = add_value(v, json_array_get(list, i));
	qsort(v->sorted, v->count, sizeof(*v->sorted), compare);
	return r;
}

static int
parse_object(struct scopes *s)
{
	const char *name;
	json_t *list;

	json_object_foreach(s->json, name, list)
	{
		int attribute = find_attribute(name);
		int r = attribute;

		if (r >= 0)
			r = parse_values(&s->values[attribute], list);
		if (r < 0)
			return r;
	}
	return 0;
}

int
scopes_parse(struct slice json, struct scopes **ret_scopes)
{
	struct scopes *s = NULL;
	int r = -EINVAL;
	json_t *root;

	if (json.len == 0) {
		*ret_scopes = NULL;
		return 0;
	}
	root = json_loadb((const char *)json.data, json.len,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	if (json_is_null(root) ||
	    (json_is_object(root) && json_object_size(root) == 0)) {
		json_decref(root);
		*ret_scopes = NULL;
		return 0;
	}
	if (!json_is_object(root))
		goto out;
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		r = -ENOMEM;
		goto out;
	}
	s->json = root;
	root = NULL;
	r = parse_object(s);
	if (r == 0) {
		*ret_scopes = s;
		s = NULL;
	}
out:
	json_decref(root);
	scopes_free(s);
	return r;
}

void
scopes_free(struct scopes *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < ATTRIBUTE_MAX; i++)
		free(s->values[i].sorted);
	json_decref(s->json);
	free(s);
}

static bool
holds(const struct values *v, struct slice value)
{
	return !v->named || bsearch(&value, v->sorted, v->count,
				sizeof(*v->sorted), compare) != NULL;
}

struct slice
scopes_value(
    enum attribute attribute, const struct msg *event, struct slice api)
{
	switch (attribute) {
	case ATTRIBUTE_ENTITY_ID:
		return event->entity_id;
	case ATTRIBUTE_CONSUMER_ID:
		return event->consumer_id;
	case ATTRIBUTE_SERVICE_ID:
		return event->service_id;
	case ATTRIBUTE_ENTITY_TYPE:
		return event->entity_type;
	case ATTRIBUTE_UNIFIED_API:
		return api;
	case ATTRIBUTE_MAX:
		break;
	}
	return (struct slice){ NULL, 0 };
}

bool
scopes_allow(const struct scopes *s, const struct msg *event, struct slice api)
{
	if (s == NULL)
		return true;
	for (unsigned i = 0; i < ATTRIBUTE_MAX; i++)
		if (!holds(&s->values[i],
			scopes_value((enum attribute)i, event, api)))
			return false;
	return true;
}

enum attribute
scopes_first(
    const struct scopes *s, const struct slice **ret_values, size_t *ret_count)
{
	for (unsigned i = 0; s != NULL && i < ATTRIBUTE_MAX; i++) {
		if (!s->values[i].named)
			continue;
		*ret_values = s->values[i].sorted;
		*ret_count = s->values[i].count;
		return (enum attribute)i;
	}
	return ATTRIBUTE_MAX;
}
