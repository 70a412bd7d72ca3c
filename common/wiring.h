/*
 * Who talks to whom: the stages, the link ports they bind, and which messages
 * a port takes from which stage. One table, in wiring.c; the link refuses
 * whatever is not in it.
 */
#ifndef SLUICE_WIRING_H
#define SLUICE_WIRING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/msg.h"

enum stage {
	STAGE_NONE,
	STAGE_INGEST,
	STAGE_ROUTER,
	STAGE_LOGGER,
	STAGE_DELIVERER,
	STAGE_API,
	STAGE_MAX
};

const char *stage_name(enum stage stage);
/* STAGE_NONE when the text names no stage. */
enum stage stage_from(struct slice name);
/* TCP port a stage binds its link on by default; 0: it binds none. */
unsigned stage_port(enum stage stage);

/* May `from` connect to the port of `to`? */
bool wiring_connects(enum stage from, enum stage to);
/* May `from` send a message of this type to `to`? */
bool wiring_allows(enum stage from, enum stage to, enum msg_type type);

#endif
