/*
 * A subscription as a JSON:API resource: its attributes, and what a body may
 * say of them.
 *
 * name is the description of the first face. secret is in clear, and null when
 * the application's key signs. id, account_id and the times cannot be written
 * and are ignored, like everything that is not known.
 */
#ifndef SLUICE_API_JSONAPI_ROW_H
#define SLUICE_API_JSONAPI_ROW_H

#include "api/call.h"

enum jsonapi_change {
	JSONAPI_NAME = 1,
	JSONAPI_URL = 2, /* and it is another one */
	JSONAPI_LIST = 4,
	JSONAPI_SECRET = 8,
	JSONAPI_SCOPES = 16,
};

/* Written beside the record. */
struct jsonapi_secret {
	char text[SEAL_SECRET_MAX + 1]; /* "": none */
};

/* All of them; NULL when memory is out or the secret cannot be opened. */
json_t *jsonapi_row_attributes(
    struct api *api, const struct directory_hook *hook);
/* The resource; takes attributes. fields: names as keys, NULL for all. */
json_t *jsonapi_row_show(const struct directory_hook *hook, json_t *attributes,
    const json_t *fields);
/*
 * Puts what the body says into hook and secret. id: what data.id must be, 0
 * when the record is being made; then url and events must be there. Returns
 * NULL and what changed, or the errors of a 422.
 */
json_t *jsonapi_row_read(const json_t *body, uint32_t id,
    struct directory_hook *hook, struct jsonapi_secret *secret,
    unsigned *ret_changes);

#endif
