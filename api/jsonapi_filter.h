/*
 * Which webhooks a list of the second face has: filter[FIELD]=VALUE,
 * filter[FIELD__OPERATOR]=VALUE, or filter[...][]=VALUE several times. A
 * webhook must satisfy all of them.
 *
 * Fields are numbers (id, account_id), texts (name, url, secret), times, a
 * list (events: an operator holds when it does for any of them, neq when for
 * none) and an object (scopes). What has no value satisfies nothing but
 * exists=false and eq with an empty value.
 *
 * A filter is embedded by value. Pure; no more than the caps below is kept.
 */
#ifndef SLUICE_API_JSONAPI_FILTER_H
#define SLUICE_API_JSONAPI_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "common/attributes.h"

#define JSONAPI_TERMS_MAX 32
#define JSONAPI_VALUES_MAX 1000

struct jsonapi_term {
	unsigned field;
	unsigned op;
	bool is_list;	/* given with [] */
	json_t *values; /* of the field's kind */
};

struct jsonapi_filter {
	struct jsonapi_term terms[JSONAPI_TERMS_MAX];
	unsigned count;
};

void jsonapi_filter_init(struct jsonapi_filter *f);
void jsonapi_filter_done(struct jsonapi_filter *f);
/* name: FIELD or FIELD__OPERATOR; what is neither is ignored, as the original
 * does. NULL, or what is wrong with the value. */
const char *jsonapi_filter_add(struct jsonapi_filter *f, const char *name,
    bool is_list, const char *value);
/* attributes: of the webhook, as they are shown. */
bool jsonapi_filter_holds(
    const struct jsonapi_filter *f, uint32_t id, const json_t *attributes);

#endif
