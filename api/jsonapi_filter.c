#include "api/jsonapi_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/config.h"

enum kind {
	KIND_NUMBER,
	KIND_TEXT,
	KIND_SECRET,
	KIND_TIME,
	KIND_LIST,
	KIND_OBJECT
};

/* FIELD_ID is not among the attributes. */
enum { FIELD_ID };
static const struct {
	const char *name;
	enum kind kind;
} fields[] = {
	[FIELD_ID] = { "id", KIND_NUMBER },
	{ "account_id", KIND_NUMBER },
	{ "name", KIND_TEXT },
	{ "url", KIND_TEXT },
	{ "secret", KIND_SECRET },
	{ "events", KIND_LIST },
	{ "scopes", KIND_OBJECT },
	{ "created_at", KIND_TIME },
	{ "updated_at", KIND_TIME },
};

enum op {
	OP_EQ,
	OP_NEQ,
	OP_IN,
	OP_LT,
	OP_LTE,
	OP_GT,
	OP_GTE,
	OP_EXISTS,
	OP_PREFIX,
	OP_SUFFIX,
	OP_MATCH,
	OP_CONTAINS,
	OP_MAX
};

static const char *const ops[OP_MAX] = {
	[OP_EQ] = "eq",
	[OP_NEQ] = "neq",
	[OP_IN] = "in",
	[OP_LT] = "lt",
	[OP_LTE] = "lte",
	[OP_GT] = "gt",
	[OP_GTE] = "gte",
	[OP_EXISTS] = "exists",
	[OP_PREFIX] = "prefix",
	[OP_SUFFIX] = "suffix",
	[OP_MATCH] = "match",
	[OP_CONTAINS] = "contains",
};

#define FIELDS (sizeof(fields) / sizeof(*fields))

void
jsonapi_filter_init(struct jsonapi_filter *f)
{
	f->count = 0;
}

void
jsonapi_filter_done(struct jsonapi_filter *f)
{
	for (unsigned i = 0; i < f->count; i++)
		json_decref(f->terms[i].values);
	f->count = 0;
}

/* ---- what is asked for ------------------------------------------------ */

static bool
read_name(const char *name, unsigned *ret_field, unsigned *ret_op)
{
	const char *under = strstr(name, "__");
	size_t len = under != NULL ? (size_t)(under - name) : strlen(name);
	unsigned field = 0, op = OP_EQ;

	while (
	    field < FIELDS && (strlen(fields[field].name) != len ||
				  memcmp(fields[field].name, name, len) != 0))
		field++;
	if (under != NULL)
		while (op < OP_MAX && strcmp(ops[op], under + 2) != 0)
			op++;
	if (field == FIELDS || op == OP_MAX)
		return false;
	/* Nobody finds a secret letter by letter. */
	if (fields[field].kind == KIND_SECRET && op != OP_EQ && op != OP_IN)
		return false;
	*ret_field = field;
	*ret_op = op;
	return true;
}

static bool
is_textual(unsigned op)
{
	return op == OP_PREFIX || op == OP_SUFFIX || op == OP_MATCH;
}

static json_t *
read_number(const char *value)
{
	bool negative = value[0] == '-';
	uint64_t number;

	value += negative;
	if (value[strspn(value, "0123456789")] != '\0' ||
	    config_parse_number(slice_text(value), &number) < 0 ||
	    number > INT64_MAX)
		return NULL;
	return json_integer(
	    negative ? -(json_int_t)number : (json_int_t)number);
}

/* As it is shown, so that texts compare like times. */
static json_t *
read_time(const char *value)
{
	char text[CLOCK_TEXT_SIZE];
	uint64_t ms;

	if (clock_parse(slice_text(value), &ms) < 0)
		return NULL;
	clock_text(ms, text);
	return json_string(text);
}

/* NULL: it is none of that kind. An empty value asks for no value. */
static json_t *
read_value(enum kind kind, unsigned op, const char *value)
{
	bool is_number = kind == KIND_NUMBER && op != OP_CONTAINS;

	if (op == OP_EXISTS)
		return json_boolean(value[0] != '\0' &&
				    strcmp(value, "0") != 0 &&
				    strcasecmp(value, "false") != 0);
	if (is_textual(op))
		return json_string(value);
	if (value[0] == '\0' && (op == OP_EQ || op == OP_NEQ))
		return json_string("");
	if (is_number)
		return read_number(value);
	if (kind == KIND_TIME && op != OP_CONTAINS)
		return read_time(value);
	if (kind == KIND_OBJECT &&
	    (op == OP_EQ || op == OP_NEQ || op == OP_IN || op == OP_CONTAINS))
		return json_loads(
		    value, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	return json_string(value);
}

static const char *
add_value(struct jsonapi_term *t, const char *value)
{
	static const char *const wrong[] = {
		[KIND_NUMBER] = "must be an integer",
		[KIND_TEXT] = "must be UTF-8",
		[KIND_SECRET] = "must be UTF-8",
		[KIND_TIME] = "must be an ISO 8601 date",
		[KIND_LIST] = "must be UTF-8",
		[KIND_OBJECT] = "must be JSON",
	};
	enum kind kind = fields[t->field].kind;
	json_t *json = read_value(kind, t->op, value);

	if (json == NULL)
		return wrong[kind];
	if (json_array_size(t->values) == JSONAPI_VALUES_MAX) {
		json_decref(json);
		return "has too many values";
	}
	return json_array_append_new(t->values, json) < 0
		   ? "does not fit into memory"
		   : NULL;
}

/* "a,b" of one in; JSON has commas of its own. */
static const char *
add_split(struct jsonapi_term *t, const char *value)
{
	char *copy = strdup(value), *rest = copy, *part;
	const char *wrong = copy == NULL ? "does not fit into memory" : NULL;

	while (wrong == NULL && (part = strsep(&rest, ",")) != NULL)
		wrong = add_value(t, part);
	free(copy);
	return wrong;
}

static struct jsonapi_term *
find_term(struct jsonapi_filter *f, unsigned field, unsigned op)
{
	struct jsonapi_term *t = f->terms;

	for (; t < f->terms + f->count; t++)
		if (t->field == field && t->op == op)
			return t;
	if (f->count == JSONAPI_TERMS_MAX)
		return NULL;
	t->values = json_array();
	if (t->values == NULL)
		return NULL;
	t->field = field;
	t->op = op;
	t->is_list = false;
	f->count++;
	return t;
}

const char *
jsonapi_filter_add(
    struct jsonapi_filter *f, const char *name, bool is_list, const char *value)
{
	struct jsonapi_term *t;
	unsigned field, op;

	if (!read_name(name, &field, &op))
		return NULL;
	t = find_term(f, field, op);
	if (t == NULL)
		return "is one filter too many";
	/* Of a name that comes again without [] the last counts. */
	if (!is_list || !t->is_list)
		(void)json_array_clear(t->values);
	t->is_list = is_list;
	if (op == OP_IN && !is_list && fields[field].kind != KIND_OBJECT)
		return add_split(t, value);
	return add_value(t, value);
}

/* ---- what a webhook has ----------------------------------------------- */

static bool
has_prefix(const char *text, const char *value)
{
	return strncasecmp(text, value, strlen(value)) == 0;
}

static bool
has_suffix(const char *text, const char *value)
{
	size_t len = strlen(text), tail = strlen(value);

	return tail <= len && strcasecmp(text + len - tail, value) == 0;
}

static bool
compares(unsigned op, int order)
{
	switch (op) {
	case OP_LT:
		return order < 0;
	case OP_LTE:
		return order <= 0;
	case OP_GT:
		return order > 0;
	case OP_GTE:
		return order >= 0;
	}
	return order == 0;
}

static bool
text_holds(unsigned op, const char *text, const char *value)
{
	switch (op) {
	case OP_PREFIX:
		return has_prefix(text, value);
	case OP_SUFFIX:
		return has_suffix(text, value);
	case OP_MATCH:
		return strcasestr(text, value) != NULL;
	case OP_CONTAINS:
		return strstr(text, value) != NULL;
	}
	return compares(op, strcmp(text, value));
}

static bool
number_holds(unsigned op, json_int_t number, const json_t *value)
{
	json_int_t other = json_integer_value(value);
	char text[24];

	if (json_is_integer(value))
		return compares(op, number < other   ? -1
				    : number > other ? 1
						     : 0);
	(void)snprintf(text, sizeof(text), "%lld", (long long)number);
	return text_holds(op, text, json_string_value(value));
}

/* Everything that part has is in whole: of arrays each element. */
static bool
includes(const json_t *whole, const json_t *part)
{
	const char *name;
	json_t *value;

	/* Iterating only reads, but jansson's iterators want it writable. */
	union {
		const json_t *in;
		json_t *out;
	} object = { .in = part };

	if (json_is_object(part)) {
		json_object_foreach(object.out, name, value)
		{
			const json_t *other = json_object_get(whole, name);

			if (other == NULL || !includes(other, value))
				return false;
		}
		return json_is_object(whole);
	}
	if (!json_is_array(whole))
		return json_equal(whole, part);
	for (size_t i = 0; i < json_array_size(part); i++)
		if (!includes(whole, json_array_get(part, i)))
			return false;
	if (json_is_array(part))
		return true;
	for (size_t i = 0; i < json_array_size(whole); i++)
		if (json_equal(json_array_get(whole, i), part))
			return true;
	return false;
}

static bool
object_holds(unsigned op, const json_t *object, const json_t *value)
{
	char *text;
	bool holds;

	if (op == OP_CONTAINS)
		return includes(object, value);
	if (op == OP_EQ || op == OP_NEQ || op == OP_IN)
		return json_equal(object, value);
	text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	holds = text != NULL && text_holds(op, text, json_string_value(value));
	free(text);
	return holds;
}

/* A value that is there, against one that is asked for. */
static bool
one_holds(const struct jsonapi_term *t, const json_t *has, const json_t *value)
{
	switch (fields[t->field].kind) {
	case KIND_NUMBER:
		return number_holds(t->op, json_integer_value(has), value);
	case KIND_OBJECT:
		return object_holds(t->op, has, value);
	case KIND_TEXT:
	case KIND_SECRET:
	case KIND_TIME:
		return text_holds(
		    t->op, json_string_value(has), json_string_value(value));
	case KIND_LIST:
		break;
	}
	for (size_t i = 0; i < json_array_size(has); i++)
		if (text_holds(t->op == OP_CONTAINS ? OP_EQ : t->op,
			json_string_value(json_array_get(has, i)),
			json_string_value(value)))
			return true;
	return false;
}

static bool
is_empty(const json_t *has)
{
	return has == NULL || json_is_null(has) ||
	       (json_is_string(has) && json_string_length(has) == 0) ||
	       (json_is_array(has) && json_array_size(has) == 0) ||
	       (json_is_object(has) && json_object_size(has) == 0);
}

static bool
asks_for_nothing(const struct jsonapi_term *t, const json_t *value)
{
	return (t->op == OP_EQ || t->op == OP_NEQ) && json_is_string(value) &&
	       json_string_length(value) == 0;
}

static bool
any_holds(const struct jsonapi_term *t, const json_t *has)
{
	for (size_t i = 0; i < json_array_size(t->values); i++) {
		const json_t *value = json_array_get(t->values, i);

		if (asks_for_nothing(t, value)) {
			if (is_empty(has))
				return true;
		} else if (has != NULL && !json_is_null(has) &&
			   one_holds(t, has, value)) {
			return true;
		}
	}
	return false;
}

static bool
term_holds(const struct jsonapi_term *t, const json_t *has)
{
	if (t->op == OP_EXISTS)
		return is_empty(has) !=
		       json_is_true(json_array_get(t->values, 0));
	if (t->op != OP_NEQ)
		return any_holds(t, has);
	/* What is not there differs from nothing (as NULL does in SQL), but
	 * it is not there. */
	return has != NULL && !json_is_null(has) && !any_holds(t, has);
}

bool
jsonapi_filter_holds(
    const struct jsonapi_filter *f, uint32_t id, const json_t *attributes)
{
	json_t *number = json_integer((json_int_t)id);
	bool holds = number != NULL;

	for (unsigned i = 0; holds && i < f->count; i++) {
		const struct jsonapi_term *t = &f->terms[i];

		holds = term_holds(t,
		    t->field == FIELD_ID
			? number
			: json_object_get(attributes, fields[t->field].name));
	}
	json_decref(number);
	return holds;
}
