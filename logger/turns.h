/*
 * Whose turn it is: where endpoints wait for theirs.
 *
 * An endpoint is ready when it has due work and room for it; ready endpoints
 * wait in their application's queue, applications with any in the queue of
 * all, so that dispatch.c can go round. Those with work due later stand in a
 * heap. endpoints_touch() puts an endpoint where it belongs; call it after any
 * change. Loop thread only.
 */
#ifndef SLUICE_LOGGER_TURNS_H
#define SLUICE_LOGGER_TURNS_H

#include <stdint.h>

#include "logger/endpoint.h"

void endpoints_touch(struct endpoints *e, struct endpoint *p, uint64_t now_ms);
/* Moves those whose time has come from the heap to the queues. */
void endpoints_wake(struct endpoints *e, uint64_t now_ms);
/* It waits nowhere any more: it is going to be forgotten. */
void turns_leave(struct endpoints *e, struct endpoint *p);

#endif
