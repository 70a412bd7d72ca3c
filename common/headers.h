/*
 * Request headers that a webhook adds to its deliveries, as one block of
 * bytes: "name: value" for each, with a NUL behind it, so that a line can be
 * handed to libcurl as it is. Names are kept in lower case.
 *
 * The block is a secret as a whole, since any value may be a credential: it
 * rests and travels sealed (seal.h) for headers_seal_name(). The api makes it,
 * the deliverer sends it; nobody between sees inside. Pure functions.
 */
#ifndef SLUICE_HEADERS_H
#define SLUICE_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

/* Receivers commonly take 8 KiB of headers, and ours are below 1 KiB. */
#define HEADERS_MAX 32
#define HEADERS_BYTES 4096
#define HEADERS_NAME_MAX 128
#define HEADERS_SEAL_NAME_SIZE 24

/* "headers:APP" */
void headers_seal_name(uint32_t app, char name[HEADERS_SEAL_NAME_SIZE]);
/* An RFC 9110 token that is neither ours nor HTTP's to set, in any case. */
bool headers_may_set(struct slice name);
/* Printable ASCII, not empty, no blank at either end: it cannot end its
 * line. */
bool headers_is_value(struct slice value);
/* Appends a line; name and value must be right. -ENOBUFS: over the cap. */
int headers_add(
    struct buf *block, struct slice name, struct slice value) SL_MUST_CHECK;
/* Takes the first line off the block; false at the end. */
bool headers_next(
    struct slice *block, struct slice *ret_name, struct slice *ret_value);
/* At most HEADERS_MAX lines, each of them right: it was made by us. */
bool headers_are_right(struct slice block);

#endif
