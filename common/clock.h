/*
 * Time, with its unit in every name. Monotonic time decides inside a process;
 * wall time (UTC) is only shown to people and stored by its owner.
 */
#ifndef SLUICE_CLOCK_H
#define SLUICE_CLOCK_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

#define CLOCK_TEXT_SIZE 25 /* 2019-11-14T00:55:31.820Z and the NUL */

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
uint64_t clock_wall_ms(void); /* since 1970-01-01T00:00:00Z */
uint64_t clock_wall_us(void);
/* ISO 8601 in UTC with milliseconds, as every API answer shows it. */
void clock_text(uint64_t wall_ms, char text[CLOCK_TEXT_SIZE]);
/*
 * Reads RFC 3339 (any offset or none, any number of fraction digits, 'T' or
 * space, seconds optional) or a bare date. -EINVAL when it is neither, names a
 * day that its month does not have, or is before 1970.
 */
int clock_parse(struct slice text, uint64_t *ret_wall_ms) SL_MUST_CHECK;

#endif
