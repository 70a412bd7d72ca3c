/*
 * The place of a page in a list that can only be walked forward: the store's
 * cursor of this page, and those of the pages walked through before, so that
 * there is a way back. At most TRAIL_MAX are kept; further back there is no
 * previous page. Pure functions on bytes.
 */
#ifndef SLUICE_API_TRAIL_H
#define SLUICE_API_TRAIL_H

#include "common/attributes.h"
#include "common/buf.h"

#define TRAIL_MAX 16
#define TRAIL_CURSOR_MAX 64 /* as a PAGE carries it */

/* The cursor that the page starts with; absent at the beginning. -EBADMSG:
 * these bytes are no trail. */
int trail_here(struct slice trail, struct slice *ret_cursor) SL_MUST_CHECK;
/* Appends to out the trail of the page that starts with cursor, after this. */
int trail_next(
    struct slice trail, struct slice cursor, struct buf *out) SL_MUST_CHECK;
/* Whether there is a page before, and its trail. */
bool trail_previous(struct slice trail, struct slice *ret);

#endif
