/*
 * `_raw` of an answer: the request as it was received, for who asks for it with
 * ?raw=true or an x-apideck-raw header. Credentials in headers are masked.
 */
#ifndef SLUICE_RAW_H
#define SLUICE_RAW_H

#include <stdbool.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/http.h"

/* Of a body of LIMIT_BODY_BYTES each byte may become six. */
#define RAW_MAX (8u * 1024 * 1024)

bool raw_is_wanted(const struct http_request *request);
/* Appends the JSON object. */
int raw_request(
    const struct http_request *request, struct buf *out) SL_MUST_CHECK;

#endif
