#include "api/form.h"

#include <stdio.h>
#include <string.h>

void
form_init(struct form *f, const json_t *body, bool is_create)
{
	*f = (struct form){ .body = body, .required = is_create };
}

#define NOTES_MAX 64	   /* complaints that one answer lists */
#define NOTED_NAME_MAX 128 /* a longer name is not repeated */

static void
note(json_t **list, const char *name, const char *why)
{
	if (*list == NULL)
		*list = json_array();
	if (json_array_size(*list) == NOTES_MAX)
		return;
	if (strlen(name) > NOTED_NAME_MAX)
		name = "(a long name)";
	json_array_append_new(*list, json_pack("{s:s}", name, why));
}

void
form_complain(struct form *f, const char *name, const char *why)
{
	note(&f->invalid, name, why);
}

const json_t *
form_value(struct form *f, const char *name, enum form_need need)
{
	const json_t *value = json_object_get(f->body, name);

	if (f->count < FORM_NAMES_MAX)
		f->names[f->count++] = name;
	if (value == NULL && need == FORM_REQUIRED && f->required)
		note(&f->missing, name, "required");
	return value;
}

bool
form_text(struct form *f, const char *name, enum form_need need, size_t min,
    char *text, size_t size)
{
	const json_t *value = form_value(f, name, need);
	struct slice s;
	char why[64];

	if (value == NULL)
		return false;
	if (!json_is_string(value)) {
		form_complain(f, name, "must be a string");
		return false;
	}
	s.data = (const uint8_t *)json_string_value(value);
	s.len = json_string_length(value);
	if (s.len < min) {
		(void)snprintf(
		    why, sizeof(why), "must have at least %zu bytes", min);
		form_complain(f, name, min > 1 ? why : "must not be empty");
		return false;
	}
	if (slice_copy(s, text, size) < 0) {
		(void)snprintf(why, sizeof(why),
		    "must not be longer than %zu bytes", size - 1);
		form_complain(f, name, why);
		return false;
	}
	return true;
}

bool
form_bool(struct form *f, const char *name, enum form_need need, bool *ret)
{
	const json_t *value = form_value(f, name, need);

	if (value == NULL)
		return false;
	if (!json_is_boolean(value)) {
		form_complain(f, name, "must be true or false");
		return false;
	}
	*ret = json_is_true(value);
	return true;
}

static bool
is_known(const struct form *f, const char *name)
{
	for (unsigned i = 0; i < f->count; i++)
		if (strcmp(f->names[i], name) == 0)
			return true;
	return false;
}

json_t *
form_end(struct form *f)
{
	json_t *detail;
	void *at;

	/* Iterating only reads, but jansson's iterators want it writable. */
	union {
		const json_t *in;
		json_t *out;
	} body = { .in = f->body };

	for (at = json_object_iter(body.out); at != NULL;
	    at = json_object_iter_next(body.out, at))
		if (!is_known(f, json_object_iter_key(at)))
			form_complain(
			    f, json_object_iter_key(at), "is not known");
	if (f->missing == NULL && f->invalid == NULL)
		return NULL;
	detail = json_object();
	if (f->missing != NULL)
		json_object_set_new(detail, "missing", f->missing);
	if (f->invalid != NULL)
		json_object_set_new(detail, "invalid", f->invalid);
	return detail;
}
