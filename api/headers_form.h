/*
 * The request headers that a webhook adds (common/headers.h), as JSON: an
 * object from name to value. Any value may be a credential, so none is ever
 * shown: HEADERS_FORM_MASK stands in its place, and coming back it means what
 * is there already.
 */
#ifndef SLUICE_API_HEADERS_FORM_H
#define SLUICE_API_HEADERS_FORM_H

#include <jansson.h>

#include "api/directory.h"
#include "api/form.h"
#include "common/seal.h"

#define HEADERS_FORM_MASK "***"

/* Applies the property `headers` to the hook: a name with a value is set, one
 * with null goes, those not named stay; null instead of the object removes all
 * of them. Complains in f about what is wrong, and then changes nothing.
 * -EBADMSG: what is there cannot be opened. -ENOMEM. */
int headers_form_read(struct form *f, const struct seal *seal,
    struct directory_hook *hook) SL_MUST_CHECK;
/* Always an object; NULL when it cannot be opened or memory is out. */
json_t *headers_form_show(
    const struct seal *seal, const struct directory_hook *hook);

#endif
