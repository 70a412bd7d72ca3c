#include "ingest/connector.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "ingest/connector_private.h"
#include "ingest/event_type.h"

#define LOG_EVERY_MS 60000

struct connectors {
	struct connector **list;
	size_t count;
};

/* ---- all of them ---------------------------------------------------- */

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
		r = connector_file_load(
		    folder, entry->d_name, &c->list[c->count]);
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
		connector_file_free(c->list[i]);
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

enum connector_body
connector_body(const struct connector *c, const char *content_type)
{
	size_t len;

	if (content_type == NULL)
		return CONNECTOR_BODY_UNDECLARED;
	content_type += strspn(content_type, " \t");
	len = strcspn(content_type, "; \t");
	for (unsigned i = 0; i < c->media_type_count; i++) {
		const struct media_type *type = &c->media_types[i];

		if (strlen(type->name) == len &&
		    strncasecmp(type->name, content_type, len) == 0)
			return type->body;
	}
	return CONNECTOR_BODY_UNDECLARED;
}

bool
connector_answers_empty(const struct connector *c)
{
	return c->answers_empty;
}

const struct signature *
connector_signature(const struct connector *c)
{
	return c->signature;
}

uint32_t
connector_items(const struct connector *c, const struct json *json)
{
	return json_pointer(json, 0, c->items);
}

/* -EINVAL: there is no such text. */
static int
read_part(const struct source_part *part, const struct connector_call *call,
    uint32_t item, struct buf *out)
{
	const char *text = NULL;

	switch (part->kind) {
	case SOURCE_ITEM:
		return json_text(call->json,
		    json_pointer(call->json, item, part->text), out);
	case SOURCE_BODY:
		return json_text(
		    call->json, json_pointer(call->json, 0, part->text), out);
	case SOURCE_HEADER:
		text = http_header(call->request, part->text);
		break;
	case SOURCE_QUERY:
		text = http_query(call->request, part->text);
		break;
	}
	if (text == NULL || *text == '\0')
		return -EINVAL;
	return buf_add_text(out, text);
}

/* 1: there was a text; 0: there was none. */
static int
read_one(const struct source *s, const struct connector_call *call,
    uint32_t item, struct buf *out)
{
	size_t start = out->len;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < s->count; i++) {
		if (i > 0)
			r = buf_add(out, ".", 1);
		if (r == 0)
			r = read_part(&s->parts[i], call, item, out);
	}
	if (r == 0 && out->len > start)
		return 1;
	out->len = start;
	return r == -EINVAL ? 0 : r;
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

/* Names of events are ASCII. */
static void
lower(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

static const char *
find_type(const struct connector *c, const char *name)
{
	char lowered[LIMIT_TYPE_TEXT + 1];

	if (!c->ignores_case)
		return json_string_value(json_object_get(c->events, name));
	if (slice_copy(slice_text(name), lowered, sizeof(lowered)) < 0)
		return NULL; /* none is so long */
	lower(lowered);
	return json_string_value(json_object_get(c->events, lowered));
}

const char *
connector_map(const struct connector *c, const char *name)
{
	const char *type = find_type(c, name);

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
	if (c->unmapped_logged_ms != 0 &&
	    now - c->unmapped_logged_ms < LOG_EVERY_MS)
		return;
	log_info("connector=%s event=\"%.128s\" is not mapped: answered 200, "
		 "dropped; unmapped=%llu",
	    c->id, name, (unsigned long long)c->unmapped);
	c->unmapped_logged_ms = now;
}

void
connector_count_refused(
    struct connector *c, enum signature_result why, struct slice connection)
{
	uint64_t now = clock_mono_ms();

	c->refused[why]++;
	if (c->refused_logged_ms != 0 &&
	    now - c->refused_logged_ms < LOG_EVERY_MS)
		return;
	log_warn("connector=%s connection=%.*s signature=%s: refused; "
		 "refused=%llu",
	    c->id, (int)connection.len, (const char *)connection.data,
	    signature_result_name(why), (unsigned long long)c->refused[why]);
	c->refused_logged_ms = now;
}

static int
refused_metrics(const struct connector *c, struct buf *out)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < SIGNATURE_RESULT_MAX; i++)
		if (c->refused[i] > 0)
			r = buf_addf(out,
			    "sluice_ingest_signature_refused_total{"
			    "connector=\"%s\",why=\"%s\"} %llu\n",
			    c->id,
			    signature_result_name((enum signature_result)i),
			    (unsigned long long)c->refused[i]);
	return r;
}

int
connectors_metrics(const struct connectors *c, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->count; i++) {
		const struct connector *one = c->list[i];

		r = refused_metrics(one, out);
		if (r < 0 || (one->accepted == 0 && one->unmapped == 0))
			continue;
		r = buf_addf(out,
		    "sluice_ingest_events_total{connector=\"%s\"} %llu\n"
		    "sluice_ingest_unmapped_total{connector=\"%s\"} %llu\n",
		    one->id, (unsigned long long)one->accepted, one->id,
		    (unsigned long long)one->unmapped);
	}
	return r;
}
