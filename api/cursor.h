/*
 * Cursors: a place in a list as opaque text.
 *
 * The text is sealed, so nobody can make or change one, and bound to what it
 * was made for (route, application and filter): it opens for nothing else.
 */
#ifndef SLUICE_API_CURSOR_H
#define SLUICE_API_CURSOR_H

#include "common/attributes.h"
#include "common/buf.h"
#include "common/seal.h"

#define CURSOR_PLACE_MAX 1024 /* bytes of a place */
#define CURSOR_TEXT_MAX 2048

/* Appends the text, base64url. An empty place is a cursor too. */
int cursor_make(const struct seal *seal, const char *binding,
    struct slice place, struct buf *out) SL_MUST_CHECK;
/* Appends the place. -EBADMSG: not one of ours for this binding. */
int cursor_read(const struct seal *seal, const char *binding, const char *text,
    struct buf *place) SL_MUST_CHECK;

#endif
