/*
 * Retry schedules as the logger needs them: how many attempts a delivery has,
 * and the gap after an attempt that the logger itself must count as failed.
 * Parsed once for each text and kept to the end of the process, so that the
 * writer's thread may read one while the directory changes.
 */
#ifndef SLUICE_LOGGER_SCHEDULE_H
#define SLUICE_LOGGER_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

#define SCHEDULE_GAPS_MAX 64
#define SCHEDULES_MAX 4096 /* different ones; the rest get the default */
/* Giving up disables an endpoint after so many failed attempts. */
#define SCHEDULE_FAILED_ENOUGH 5

struct schedule {
	struct schedule *next;
	size_t count;
	uint64_t gaps_ms[SCHEDULE_GAPS_MAX];
	size_t len;
	char text[];
};

struct schedules {
	struct schedule *first; /* the default comes last in the list */
	struct schedule *standard;
	size_t count;
};

/* text: SLUICE_RETRY_SCHEDULE. -EINVAL, -ENOMEM. */
int schedules_init(struct schedules *s, const char *text) SL_MUST_CHECK;
void schedules_done(struct schedules *s);
/* Absent, wrong or too many: the default one. */
const struct schedule *schedules_get(struct schedules *s, struct slice text);
/* Failed attempts after which giving up disables the endpoint. */
uint32_t schedule_failed_enough(const struct schedule *s);

#endif
