#include "api/jsonapi_query.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/jsonapi.h"
#include "common/config.h"

/* Beyond it nothing is: keeps products small. */
#define NUMBER_MAX 1000000000

struct reading {
	struct jsonapi_query *q;
	json_t *errors;
	bool is_list;
};

static void
complain(struct reading *r, const char *name, const char *why)
{
	jsonapi_complain(&r->errors, "parameter", name, why);
}

static void
read_page(struct reading *r, const char *name, const char *value, uint64_t max,
    uint64_t *ret)
{
	uint64_t number;
	char why[64];

	if (config_parse_number(slice_text(value), &number) == 0 &&
	    number >= 1 && number <= max) {
		*ret = number;
		return;
	}
	(void)snprintf(why, sizeof(why), "must be a number from 1 to %llu",
	    (unsigned long long)max);
	complain(r, name, why);
}

static void
read_count(struct reading *r, const char *value)
{
	bool yes = strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0;

	if (!yes && value[0] != '\0' && strcasecmp(value, "false") != 0 &&
	    strcmp(value, "0") != 0)
		complain(r, "count", "must be true or false");
	r->q->count = yes;
}

/* ---- sort ------------------------------------------------------------- */

static const struct {
	const char *name;
	enum directory_by column;
} columns[] = {
	{ "id", DIRECTORY_BY_NUMBER },
	{ "account_id", DIRECTORY_BY_APP },
	{ "name", DIRECTORY_BY_DESCRIPTION },
	{ "url", DIRECTORY_BY_URL },
	{ "events", DIRECTORY_BY_EVENTS },
	{ "scopes", DIRECTORY_BY_SCOPES },
	{ "created_at", DIRECTORY_BY_CREATED },
	{ "updated_at", DIRECTORY_BY_UPDATED },
};

#define COLUMNS (sizeof(columns) / sizeof(*columns))

/* "-name", "webhooks.name". NULL, or what is wrong with it. */
static const char *
add_sort(struct directory_order *order, struct slice field)
{
	bool descending = field.len > 0 && field.data[0] == '-';
	const uint8_t *dot;

	if (order->count == DIRECTORY_ORDER_MAX)
		return "has too many fields";
	if (descending)
		field = (struct slice){ field.data + 1, field.len - 1 };
	dot = field.len > 0 ? memrchr(field.data, '.', field.len) : NULL;
	if (dot != NULL)
		field = (struct slice){ dot + 1,
			field.len - (size_t)(dot + 1 - field.data) };
	for (size_t i = 0; i < COLUMNS; i++) {
		if (!slice_is(field, columns[i].name))
			continue;
		order->by[order->count].column = columns[i].column;
		order->by[order->count++].descending = descending;
		return NULL;
	}
	return "must be fields to sort by, a comma between";
}

static void
read_sort(struct reading *r, const char *value)
{
	const char *wrong = NULL;

	r->q->order.count = 0;
	while (wrong == NULL && *value != '\0') {
		size_t len = strcspn(value, ",");

		wrong = add_sort(&r->q->order,
		    (struct slice){ (const uint8_t *)value, len });
		value += len + (value[len] == ',');
	}
	if (wrong != NULL)
		complain(r, "sort", wrong);
}

/* ---- names with brackets ---------------------------------------------- */

/* Of "word[inner]" or "word[inner][]" the inner. */
static bool
read_brackets(const char *name, const char *word, char *inner, size_t size,
    bool *ret_list)
{
	size_t len = strlen(word), end;

	if (strncmp(name, word, len) != 0 || name[len] != '[')
		return false;
	name += len + 1;
	end = strcspn(name, "]");
	if (name[end] == '\0' || end >= size)
		return false;
	*ret_list = strcmp(name + end, "][]") == 0;
	if (!*ret_list && name[end + 1] != '\0')
		return false;
	memcpy(inner, name, end);
	inner[end] = '\0';
	return true;
}

/* Both "[]" and the commas of JSON:API. */
static void
read_fields(struct reading *r, const char *value)
{
	json_t **fields = &r->q->fields;

	if (*fields == NULL)
		*fields = json_object();
	while (*value != '\0') {
		size_t len = strcspn(value, ",");
		char name[64];

		if (json_object_size(*fields) >= JSONAPI_FIELDS_MAX)
			return;
		/* What is not known is not shown. */
		if (slice_copy((struct slice){ (const uint8_t *)value, len },
			name, sizeof(name)) == 0)
			(void)json_object_set_new(*fields, name, json_true());
		value += len + (value[len] == ',');
	}
}

static void
read_bracketed(struct reading *r, const char *name, const char *value)
{
	char inner[128];
	const char *wrong;
	bool is_list;

	if (read_brackets(name, "fields", inner, sizeof(inner), &is_list)) {
		if (strcmp(inner, JSONAPI_WEBHOOKS) == 0)
			read_fields(r, value);
		return;
	}
	if (!r->is_list ||
	    !read_brackets(name, "filter", inner, sizeof(inner), &is_list))
		return;
	wrong = jsonapi_filter_add(&r->q->filter, inner, is_list, value);
	if (wrong != NULL)
		complain(r, name, wrong);
}

static bool
read_parameter(void *arg, const char *name, const char *value)
{
	struct reading *r = arg;

	if (!r->is_list && strncmp(name, "included", 8) == 0 &&
	    value[0] != '\0')
		complain(r, name, "nothing can be included");
	else if (r->is_list && strcmp(name, "page[number]") == 0)
		read_page(r, name, value, NUMBER_MAX, &r->q->number);
	else if (r->is_list && strcmp(name, "page[size]") == 0)
		read_page(r, name, value, JSONAPI_PAGE_MAX, &r->q->size);
	else if (r->is_list && strcmp(name, "sort") == 0)
		read_sort(r, value);
	else if (r->is_list && strcmp(name, "count") == 0)
		read_count(r, value);
	else
		read_bracketed(r, name, value);
	return true;
}

bool
jsonapi_query_read(struct jsonapi_query *q, struct call *c, bool is_list)
{
	struct reading r = { .q = q, .is_list = is_list };

	*q = (struct jsonapi_query){ .number = 1, .size = JSONAPI_PAGE_MAX };
	jsonapi_filter_init(&q->filter);
	http_each_query(c->request, read_parameter, &r);
	if (r.errors == NULL)
		return true;
	jsonapi_refuse(c, r.errors);
	return false;
}

void
jsonapi_query_done(struct jsonapi_query *q)
{
	jsonapi_filter_done(&q->filter);
	json_decref(q->fields);
	q->fields = NULL;
}
