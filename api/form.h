/*
 * Reads the properties of a JSON body one by one and remembers everything that
 * is wrong, so that one answer names it all: {"missing": [{"name":
 * "required"}], "invalid": [{"name": "why"}]}.
 *
 * Each reader returns true when the property is there and right; values are
 * borrowed from the body. form_end() also complains about every property that
 * no reader asked for.
 */
#ifndef SLUICE_API_FORM_H
#define SLUICE_API_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "common/attributes.h"
#include "common/buf.h"

#define FORM_NAMES_MAX 32

struct form {
	const json_t *body;
	bool required; /* properties marked so must be there (create) */
	json_t *missing;
	json_t *invalid;
	const char *names[FORM_NAMES_MAX];
	unsigned count;
};

enum form_need { FORM_OPTIONAL, FORM_REQUIRED };

void form_init(struct form *f, const json_t *body, bool is_create);
/* Text of at most max bytes; not empty when min is 1. */
bool form_text(struct form *f, const char *name, enum form_need need,
    size_t min, char *text, size_t size);
bool form_bool(
    struct form *f, const char *name, enum form_need need, bool *ret);
/* Any value; NULL when absent. Null counts as there. */
const json_t *form_value(struct form *f, const char *name, enum form_need need);
void form_complain(struct form *f, const char *name, const char *why);
/* The detail of a 400, or NULL when everything is right. */
json_t *form_end(struct form *f);

#endif
