/*
 * Writes a JSON number the way Number.prototype.toString() does (ECMA-262,
 * Number::toString, radix 10), if the shortest text of its nearest double has
 * exactly its digits; else the number is written as it came. Pure.
 */
#ifndef SLUICE_CANONICAL_NUMBER_H
#define SLUICE_CANONICAL_NUMBER_H

#include "common/attributes.h"
#include "common/buf.h"

/* raw is a valid JSON number. */
int canonical_number(struct slice raw, struct buf *out) SL_MUST_CHECK;

#endif
