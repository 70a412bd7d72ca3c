#include "ingest/connector_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/limits.h"
#include "common/log.h"
#include "ingest/event_type.h"

static const struct {
	const char *name;
	enum source_kind kind;
} source_kinds[] = {
	{ "header", SOURCE_HEADER },
	{ "query", SOURCE_QUERY },
	{ "item", SOURCE_ITEM },
	{ "body", SOURCE_BODY },
};
#define SOURCE_KINDS (sizeof(source_kinds) / sizeof(*source_kinds))

static const char *const field_names[CONNECTOR_FIELD_MAX] = {
	[CONNECTOR_EVENT] = "event",
	[CONNECTOR_ENTITY_ID] = "entity_id",
	[CONNECTOR_OCCURRED_AT] = "occurred_at",
	[CONNECTOR_CONSUMER_ID] = "consumer_id",
	[CONNECTOR_DEDUPE] = "dedupe",
};

static int
add_part(struct source *s, enum source_kind kind, const json_t *text)
{
	if (s->count == CONNECTOR_PARTS_MAX || !json_is_string(text))
		return -EINVAL;
	s->parts[s->count].kind = kind;
	s->parts[s->count++].text = json_string_value(text);
	return 0;
}

/* {KIND: TEXT} or {KIND: [TEXT, ...]} */
static int
add_parts(struct source *s, const json_t *json)
{
	const json_t *value = NULL;
	size_t i = 0;
	int r = 0;

	for (; value == NULL && i < SOURCE_KINDS; i++)
		value = json_object_get(json, source_kinds[i].name);
	if (value == NULL || json_object_size(json) != 1)
		return -EINVAL;
	if (!json_is_array(value))
		return add_part(s, source_kinds[i - 1].kind, value);
	for (size_t n = 0; r == 0 && n < json_array_size(value); n++)
		r = add_part(
		    s, source_kinds[i - 1].kind, json_array_get(value, n));
	return r;
}

static int
read_source(const json_t *json, struct source *s)
{
	const json_t *join = json_object_get(json, "join");
	int r = 0;

	if (join == NULL)
		r = add_parts(s, json);
	else if (json_object_size(json) != 1)
		return -EINVAL;
	for (size_t i = 0; r == 0 && i < json_array_size(join); i++)
		r = add_parts(s, json_array_get(join, i));
	return r == 0 && s->count == 0 ? -EINVAL : r;
}

static int
read_sources(const json_t *json, struct sources *s)
{
	size_t count = json_array_size(json);

	if (json == NULL)
		return 0;
	if (!json_is_array(json) || count > CONNECTOR_SOURCES_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		if (read_source(json_array_get(json, i), &s->list[i]) < 0)
			return -EINVAL;
	s->count = (unsigned)count;
	return 0;
}

static bool
has_upper_case(const char *text)
{
	return strpbrk(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL;
}

static int
check_events(const json_t *events, bool ignores_case)
{
	const char *name;
	const json_t *type;
	void *at;

	if (events == NULL)
		return 0;
	if (!json_is_object(events))
		return -EINVAL;
	/* json_object_iter() takes its object mutable and changes nothing. */
	union {
		const json_t *in;
		json_t *out;
	} cast = { events };
	for (at = json_object_iter(cast.out); at != NULL;
	    at = json_object_iter_next(cast.out, at)) {
		name = json_object_iter_key(at);
		type = json_object_iter_value(at);
		if (!json_is_string(type) ||
		    !event_type_is_valid(slice_text(json_string_value(type)))) {
			log_error("event %s maps to no event type", name);
			return -EINVAL;
		}
		if (ignores_case && has_upper_case(name)) {
			log_error("event %s must be in lower case", name);
			return -EINVAL;
		}
	}
	return 0;
}

/* type/subtype, without parameters. */
static bool
is_media_type(const char *text)
{
	const char *slash = strchr(text, '/');

	return slash != NULL && slash != text && slash[1] != '\0' &&
	       strpbrk(text, "; \t,") == NULL && strchr(slash + 1, '/') == NULL;
}

static int
read_media_type(struct connector *c, const char *name, const json_t *value)
{
	const char *body = json_string_value(value);
	struct media_type *type;

	if (c->media_type_count == CONNECTOR_MEDIA_TYPES_MAX ||
	    !is_media_type(name)) {
		log_error(
		    "content type %s is none, or there are too many", name);
		return -EINVAL;
	}
	for (unsigned i = 0; i < c->media_type_count; i++) {
		if (strcasecmp(c->media_types[i].name, name) == 0) {
			log_error("content type %s is there twice", name);
			return -EINVAL;
		}
	}
	type = &c->media_types[c->media_type_count++];
	type->name = name;
	if (body != NULL && strcmp(body, "json") == 0) {
		type->body = CONNECTOR_BODY_JSON;
		return 0;
	}
	type->body = CONNECTOR_BODY_FORM;
	if (body != NULL && strcmp(body, "form") == 0)
		return 0;
	log_error("content type %s must be \"json\" or \"form\"", name);
	return -EINVAL;
}

static int
read_media_types(struct connector *c, json_t *types)
{
	int r = 0;

	if (types != NULL && !json_is_object(types)) {
		log_error("content_types must be an object");
		return -EINVAL;
	}
	for (void *at = json_object_iter(types); r == 0 && at != NULL;
	    at = json_object_iter_next(types, at))
		r = read_media_type(
		    c, json_object_iter_key(at), json_object_iter_value(at));
	return r;
}

static int
read_answer(struct connector *c, const json_t *answer)
{
	const char *text = json_string_value(answer);

	c->answers_empty = answer != NULL;
	if (answer == NULL || (text != NULL && strcmp(text, "empty") == 0))
		return 0;
	log_error("answer can only be \"empty\"");
	return -EINVAL;
}

static bool
is_known_member(const char *name)
{
	static const char *const others[] = { "id", "name", "unified_apis",
		"items", "events", "unified", "ignore_case", "content_types",
		"answer", "signature" };

	for (size_t i = 0; i < CONNECTOR_FIELD_MAX; i++)
		if (strcmp(name, field_names[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(name, others[i]) == 0)
			return true;
	return false;
}

static int
check_members(json_t *file)
{
	for (void *at = json_object_iter(file); at != NULL;
	    at = json_object_iter_next(file, at)) {
		if (!is_known_member(json_object_iter_key(at))) {
			log_error(
			    "member %s is not known", json_object_iter_key(at));
			return -EINVAL;
		}
	}
	return 0;
}

static int
read_file(struct connector *c, const char *id)
{
	json_t *file = c->file;
	const json_t *items = json_object_get(file, "items");

	c->id = json_string_value(json_object_get(file, "id"));
	if (c->id == NULL || strcmp(c->id, id) != 0 ||
	    strlen(c->id) > LIMIT_SERVICE_TEXT) {
		log_error("id must be the name of the file");
		return -EINVAL;
	}
	if (check_members(file) < 0)
		return -EINVAL;
	c->items = items == NULL ? "" : json_string_value(items);
	c->events = json_object_get(file, "events");
	c->unified = json_is_true(json_object_get(file, "unified"));
	c->ignores_case = json_is_true(json_object_get(file, "ignore_case"));
	c->unified_apis = json_object_get(file, "unified_apis");
	if (c->items == NULL || check_events(c->events, c->ignores_case) < 0 ||
	    (c->unified_apis != NULL && !json_is_array(c->unified_apis)) ||
	    read_media_types(c, json_object_get(file, "content_types")) < 0)
		return -EINVAL;
	if (read_answer(c, json_object_get(file, "answer")) < 0)
		return -EINVAL;
	for (size_t i = 0; i < CONNECTOR_FIELD_MAX; i++) {
		if (read_sources(json_object_get(file, field_names[i]),
			&c->fields[i]) < 0) {
			log_error("%s is no list of sources", field_names[i]);
			return -EINVAL;
		}
	}
	return signature_read(
	    json_object_get(file, "signature"), &c->signature);
}

void
connector_file_free(struct connector *c)
{
	if (c == NULL)
		return;
	signature_free(c->signature);
	json_decref(c->file);
	free(c);
}

int
connector_file_load(
    const char *folder, const char *name, struct connector **ret)
{
	struct connector *c = calloc(1, sizeof(*c));
	char path[4096], id[LIMIT_SERVICE_TEXT + 1];
	json_error_t error = { 0 };
	int r = -EINVAL;

	if (c == NULL)
		return -ENOMEM;
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >=
		(int)sizeof(path) ||
	    slice_copy((struct slice){ (const uint8_t *)name,
			   strlen(name) - strlen(".json") },
		id, sizeof(id)) < 0)
		r = -ENAMETOOLONG;
	else
		c->file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (c->file == NULL)
		log_error("connector %s: line %d: %s", name, error.line,
		    r == -EINVAL ? error.text : strerror(-r));
	else
		r = read_file(c, id);
	if (r < 0) {
		log_error("connector file %s/%s cannot be used", folder, name);
		connector_file_free(c);
		return r;
	}
	*ret = c;
	return 0;
}
