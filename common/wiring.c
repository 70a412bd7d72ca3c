#include "common/wiring.h"

#include <stddef.h>

static const struct {
	const char *name;
	unsigned port;
} stages[STAGE_MAX] = {
	[STAGE_INGEST] = { "ingest", 5555 },
	[STAGE_ROUTER] = { "router", 0 },
	[STAGE_LOGGER] = { "logger", 5557 },
	[STAGE_DELIVERER] = { "deliverer", 0 },
	[STAGE_API] = { "api", 5554 },
};

#define M(type) (UINT64_C(1) << MSG_##type)

/* Connecting stage, binding stage, messages there, messages back. */
static const struct {
	enum stage from, to;
	uint64_t there, back;
} hops[] = {
	{ STAGE_ROUTER, STAGE_INGEST, 0, M(EVENT) },
	{ STAGE_ROUTER, STAGE_API, 0, M(EVENT) | M(DIRECTORY) },
	{ STAGE_INGEST, STAGE_API, 0, M(DIRECTORY) },
	{ STAGE_LOGGER, STAGE_API, M(NOTICE), M(DIRECTORY) },
	{ STAGE_ROUTER, STAGE_LOGGER, M(PLAN), 0 },
	{ STAGE_DELIVERER, STAGE_LOGGER,
	    M(OUTCOME) | M(RELEASE) | M(HELD) | M(PROBED),
	    M(DELIVER) | M(PROBE) },
	{ STAGE_API, STAGE_LOGGER, M(QUERY) | M(PROBE) | M(REPLAY),
	    M(PAGE) | M(PROBED) },
};

#define HOPS (sizeof(hops) / sizeof(hops[0]))

const char *
stage_name(enum stage stage)
{
	if (stage <= STAGE_NONE || stage >= STAGE_MAX)
		return "?";
	return stages[stage].name;
}

enum stage
stage_from(struct slice name)
{
	for (unsigned s = STAGE_NONE + 1; s < STAGE_MAX; s++)
		if (slice_is(name, stages[s].name))
			return (enum stage)s;
	return STAGE_NONE;
}

unsigned
stage_port(enum stage stage)
{
	if (stage <= STAGE_NONE || stage >= STAGE_MAX)
		return 0;
	return stages[stage].port;
}

bool
wiring_connects(enum stage from, enum stage to)
{
	for (size_t i = 0; i < HOPS; i++)
		if (hops[i].from == from && hops[i].to == to)
			return true;
	return false;
}

bool
wiring_allows(enum stage from, enum stage to, enum msg_type type)
{
	uint64_t bit = UINT64_C(1) << type;

	/* Logger and api each connect to the other: two hops, one question. */
	for (size_t i = 0; i < HOPS; i++) {
		if (hops[i].from == from && hops[i].to == to &&
		    (hops[i].there & bit))
			return true;
		if (hops[i].from == to && hops[i].to == from &&
		    (hops[i].back & bit))
			return true;
	}
	return false;
}
