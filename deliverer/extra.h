/*
 * The headers that a webhook adds to one request (common/headers.h), opened
 * and as libcurl wants them. One belongs to an easy handle that needs it;
 * what it held is wiped when the request is over.
 */
#ifndef SLUICE_DELIVERER_EXTRA_H
#define SLUICE_DELIVERER_EXTRA_H

#include <stdint.h>

#include <curl/curl.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/headers.h"
#include "common/seal.h"

struct extra {
	struct buf block;
	struct curl_slist nodes[HEADERS_MAX]; /* point into block */
};

/* NULL when memory is out. */
struct extra *extra_new(void);
/* Accepts NULL. */
void extra_free(struct extra *x);
/* *ret_list: the headers, valid until extra_wipe(); there is at least one.
 * -EBADMSG: they were not sealed by us for this application, or are none that
 * may be sent. -ENOMEM. */
int extra_open(struct extra *x, const struct seal *seal, uint32_t app,
    struct slice sealed, struct curl_slist **ret_list) SL_MUST_CHECK;
void extra_wipe(struct extra *x);

#endif
