/*
 * The router at work: its links to every ingest, api and logger, what it
 * grants them, and what becomes of their messages.
 *
 * Three links, one per stage. EVENTs of ingests and apis go into the plan,
 * DIRECTORY messages into the replica and from there into the match index,
 * the plan's parts to the logger that has room. Nothing is granted to those
 * who send events unless the directory is whole and a logger takes plans.
 *
 * Everything runs in the loop's thread.
 */
#ifndef SLUICE_ROUTER_ROUTER_H
#define SLUICE_ROUTER_ROUTER_H

#include <stdbool.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/proc.h"

/* DIRECTORY messages on their way from one api. */
#define ROUTER_DIRECTORY_MESSAGES 64
#define ROUTER_DIRECTORY_BYTES (8u * 1024 * 1024)

struct router;

/* Connects to all peers of the configuration. -errno after it has logged
 * why. proc is kept by pointer. */
int router_new(struct proc *proc, struct router **ret_router) SL_MUST_CHECK;
void router_free(struct router *r);

/* The directory is whole and a logger takes plans; else adds why not. */
bool router_ready(const struct router *r, struct buf *why);
/* Grants nothing from now on. */
void router_drain(struct router *r);
/* Nothing is left here that could be finished. */
bool router_drained(const struct router *r);
int router_metrics(const struct router *r, struct buf *out) SL_MUST_CHECK;

#endif
