/*
 * What is kept of a subscriber's answer, for the log that people read: its
 * first bytes, 1 KiB of a 2xx and 16 KiB of anything else, as valid UTF-8 (what
 * is not becomes U+FFFD). The rest is counted and thrown away; an answer of
 * more than EXCERPT_READ_MAX bytes is not read to its end.
 */
#ifndef SLUICE_DELIVERER_EXCERPT_H
#define SLUICE_DELIVERER_EXCERPT_H

#include <stdbool.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/limits.h"

/* Reading a little more than is kept saves the connection for the next POST;
 * reading for ever would be the subscriber's to decide. */
#define EXCERPT_READ_MAX (64 * 1024)

struct excerpt {
	struct buf kept; /* capped by LIMIT_EXCERPT_BYTES */
	uint64_t seen;
};

void excerpt_init(struct excerpt *e);
void excerpt_done(struct excerpt *e);
void excerpt_clear(struct excerpt *e);
/* False: it is long enough, read no more. Memory that is out costs only the
 * excerpt. */
bool excerpt_add(
    struct excerpt *e, unsigned status, struct slice bytes) SL_MUST_CHECK;
/* The kept bytes as UTF-8, at most LIMIT_EXCERPT_BYTES, appended to out. */
int excerpt_text(const struct excerpt *e, struct buf *out) SL_MUST_CHECK;

#endif
