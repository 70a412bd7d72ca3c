#include "ingest/connector.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "ingest/event_type.h"

#define UNMAPPED_LOG_MS 60000

enum source_kind { SOURCE_HEADER, SOURCE_QUERY, SOURCE_ITEM, SOURCE_BODY };

struct source {
	enum source_kind kind;
	unsigned count;
	const char *parts[CONNECTOR_PARTS_MAX]; /* owned by the json */
};

struct sources {
	unsigned count;
	struct source list[CONNECTOR_SOURCES_MAX];
};

struct connector {
	json_t *file; /* owns every text below */
	const char *id;
	const char *items;
	const json_t *events; /* NULL: none */
	const json_t *unified_apis;
	bool unified;
	struct sources fields[CONNECTOR_FIELD_MAX];
	uint64_t accepted, unmapped;
	uint64_t logged_ms, logged_unmapped;
};

struct connectors {
	struct connector **list;
	size_t count;
};

static const struct {
	const char *name;
	enum source_kind kind;
} source_kinds[] = {
	{ "header", SOURCE_HEADER },
	{ "query", SOURCE_QUERY },
	{ "item", SOURCE_ITEM },
	{ "body", SOURCE_BODY },
};

static const char *const field_names[CONNECTOR_FIELD_MAX] = {
	[CONNECTOR_EVENT] = "event",
	[CONNECTOR_ENTITY_ID] = "entity_id",
	[CONNECTOR_OCCURRED_AT] = "occurred_at",
	[CONNECTOR_CONSUMER_ID] = "consumer_id",
	[CONNECTOR_DEDUPE] = "dedupe",
};

/* ---- reading a file ------------------------------------------------- */

static int
read_parts(const json_t *value, struct source *s)
{
	size_t count = json_is_array(value) ? json_array_size(value) : 1;

	if (count == 0 || count > CONNECTOR_PARTS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		const json_t *part =
		    json_is_array(value) ? json_array_get(value, i) : value;

		s->parts[i] = json_string_value(part);
		if (s->parts[i] == NULL)
			return -EINVAL;
	}
	s->count = (unsigned)count;
	return 0;
}

static int
read_source(const json_t *json, struct source *s)
{
	for (size_t i = 0; i < sizeof(source_kinds) / sizeof(*source_kinds);
	     i++) {
		const json_t *value =
		    json_object_get(json, source_kinds[i].name);

		if (value == NULL)
			continue;
		s->kind = source_kinds[i].kind;
		return json_object_size(json) == 1 ? read_parts(value, s)
						   : -EINVAL;
	}
	return -EINVAL;
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

static int
check_events(const json_t *events)
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
	}
	return 0;
}

static bool
is_known_member(const char *name)
{
	static const char *const others[] = { "id", "name", "unified_apis",
		"items", "events", "unified", "signature" };

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
	const char *scheme = json_string_value(
	    json_object_get(json_object_get(file, "signature"), "scheme"));

	for (void *at = json_object_iter(file); at != NULL;
	     at = json_object_iter_next(file, at)) {
		if (!is_known_member(json_object_iter_key(at))) {
			log_error(
			    "member %s is not known", json_object_iter_key(at));
			return -EINVAL;
		}
	}
	if (scheme != NULL && strcmp(scheme, "none") != 0) {
		log_error("signature scheme %s is not known", scheme);
		return -EINVAL;
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
	c->unified_apis = json_object_get(file, "unified_apis");
	if (c->items == NULL || check_events(c->events) < 0 ||
	    (c->unified_apis != NULL && !json_is_array(c->unified_apis)))
		return -EINVAL;
	for (size_t i = 0; i < CONNECTOR_FIELD_MAX; i++) {
		if (read_sources(json_object_get(file, field_names[i]),
			&c->fields[i]) < 0) {
			log_error("%s is no list of sources", field_names[i]);
			return -EINVAL;
		}
	}
	return 0;
}

static void
free_connector(struct connector *c)
{
	if (c == NULL)
		return;
	json_decref(c->file);
	free(c);
}

static int
load_one(const char *folder, const char *name, struct connector **ret)
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
		free_connector(c);
		return r;
	}
	*ret = c;
	return 0;
}

static bool
is_json(const char *name)
{
	size_t len = strlen(name);

	return len > 5 && name[0] != '.' &&
	       strcmp(name + len - 5, ".json") == 0;
}

static int
compare(const void *a, const void *b)
{
	const struct connector *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

static int
load_all(struct connectors *c, DIR *dir, const char *folder)
{
	struct dirent *entry;
	int r = 0;

	while (r == 0 && (entry = readdir(dir)) != NULL) {
		if (!is_json(entry->d_name))
			continue;
		if (c->count == CONNECTORS_MAX)
			return -E2BIG;
		r = load_one(folder, entry->d_name, &c->list[c->count]);
		c->count += r == 0;
	}
	qsort(c->list, c->count, sizeof(struct connector *), compare);
	return r;
}

int
connectors_load(const char *folder, struct connectors **ret)
{
	struct connectors *c = calloc(1, sizeof(*c));
	DIR *dir;
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->list = calloc(CONNECTORS_MAX, sizeof(struct connector *));
	if (c->list == NULL) {
		free(c);
		return -ENOMEM;
	}
	dir = opendir(folder);
	r = dir == NULL ? -errno : load_all(c, dir, folder);
	if (dir != NULL)
		closedir(dir);
	if (r < 0) {
		log_error("connectors in %s: %s", folder, strerror(-r));
		connectors_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void
connectors_free(struct connectors *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->count; i++)
		free_connector(c->list[i]);
	free(c->list);
	free(c);
}

struct connector *
connectors_find(struct connectors *c, const char *id)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(id, c->list[middle]->id);

		if (order == 0)
			return c->list[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* ---- reading a call ------------------------------------------------- */

const char *
connector_id(const struct connector *c)
{
	return c->id;
}

bool
connector_serves(const struct connector *c, struct slice unified_api)
{
	size_t i;

	if (unified_api.len == 0 || c->unified_apis == NULL)
		return true;
	for (i = 0; i < json_array_size(c->unified_apis); i++) {
		const char *api =
		    json_string_value(json_array_get(c->unified_apis, i));

		if (api != NULL && slice_is(unified_api, api))
			return true;
	}
	return false;
}

uint32_t
connector_items(const struct connector *c, const struct json *json)
{
	return json_pointer(json, 0, c->items);
}

/* 1: there was a text; 0: there was none. */
static int
read_json_source(const struct source *s, const struct json *json, uint32_t node,
    struct buf *out)
{
	size_t start = out->len;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < s->count; i++) {
		if (i > 0)
			r = buf_add(out, ".", 1);
		if (r == 0)
			r = json_text(
			    json, json_pointer(json, node, s->parts[i]), out);
	}
	if (r == 0 && out->len > start)
		return 1;
	out->len = start;
	return r == -EINVAL ? 0 : r;
}

static int
read_one(const struct source *s, const struct connector_call *call,
    uint32_t item, struct buf *out)
{
	const char *text = NULL;
	int r;

	switch (s->kind) {
	case SOURCE_ITEM:
		return read_json_source(s, call->json, item, out);
	case SOURCE_BODY:
		return read_json_source(s, call->json, 0, out);
	case SOURCE_HEADER:
		text = http_header(call->request, s->parts[0]);
		break;
	case SOURCE_QUERY:
		text = http_query(call->request, s->parts[0]);
		break;
	}
	if (text == NULL || *text == '\0')
		return 0;
	r = buf_add_text(out, text);
	return r < 0 ? r : 1;
}

int
connector_read(const struct connector *c, enum connector_field field,
    const struct connector_call *call, uint32_t item, struct buf *out)
{
	const struct sources *s = &c->fields[field];
	int r = 0;

	for (unsigned i = 0; r == 0 && i < s->count; i++)
		r = read_one(&s->list[i], call, item, out);
	return r < 0 ? r : 0;
}

const char *
connector_map(const struct connector *c, const char *name)
{
	const char *type = json_string_value(json_object_get(c->events, name));

	if (type != NULL)
		return type;
	if (c->unified && event_type_is_known(slice_text(name)))
		return name;
	return NULL;
}

/* ---- counting ------------------------------------------------------- */

void
connector_count(struct connector *c, uint64_t events)
{
	c->accepted += events;
}

void
connector_count_unmapped(struct connector *c, const char *name)
{
	uint64_t now = clock_mono_ms();

	c->unmapped++;
	if (c->logged_ms != 0 && now - c->logged_ms < UNMAPPED_LOG_MS)
		return;
	log_info("connector=%s event=\"%.128s\" is not mapped: answered 200, "
		 "dropped; unmapped=%llu",
	    c->id, name, (unsigned long long)c->unmapped);
	c->logged_ms = now;
}

int
connectors_metrics(const struct connectors *c, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->count; i++) {
		const struct connector *one = c->list[i];

		if (one->accepted == 0 && one->unmapped == 0)
			continue;
		r = buf_addf(out,
		    "sluice_ingest_events_total{connector=\"%s\"} %llu\n"
		    "sluice_ingest_unmapped_total{connector=\"%s\"} %llu\n",
		    one->id, (unsigned long long)one->accepted, one->id,
		    (unsigned long long)one->unmapped);
	}
	return r;
}
