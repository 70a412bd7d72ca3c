/*
 * Whose turn it is: where endpoints wait for theirs.
 *
 * An endpoint is ready when it has due work and room for it; ready endpoints
 * wait in a queue of their application, applications with any in the queue of
 * all, so that dispatch.c can go round. There is a queue for each level of how
 * late an endpoint is: for how long its next delivery had been due when it
 * came into the queue. The least late come first: who keeps up, or has nearly
 * caught up, is done soon, while one turn in a round over a thousand backlogs
 * would be less than what he gets meanwhile. Each TURNS_OF_EACH-th turn goes to
 * the levels one after the other, so none waits for ever. Those with work due
 * later stand in a heap.
 *
 * endpoints_touch() puts an endpoint where it belongs; call it after any
 * change. Loop thread only.
 */
#ifndef SLUICE_LOGGER_TURNS_H
#define SLUICE_LOGGER_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "logger/endpoint.h"

#define TURNS_OF_EACH 4
/* Level 0 is below this, each other one below so many times the one before, the
 * last is all that is later. */
#define TURNS_LATE_MS 1000
#define TURNS_LATE_TIMES 8

void endpoints_touch(struct endpoints *e, struct endpoint *p, uint64_t now_ms);
/* Moves those whose time has come from the heap to the queues. */
void endpoints_wake(struct endpoints *e, uint64_t now_ms);
/* Somebody of the application is ready; somebody but e is. */
bool turns_ready(const struct app *a);
bool turns_others(const struct app *a, const struct endpoint *e);
/* Of an application that is ready: the queue whose turn it is; a->turns counts
 * those that were taken. */
struct endpoint_queue *turns_next(struct app *a);
/* The next queue with somebody in it, where that one gets nothing now; NULL:
 * begun is where it began. */
struct endpoint_queue *turns_other(struct app *a,
    const struct endpoint_queue *queue, const struct endpoint_queue *begun);
/* It waits nowhere any more: it is going to be forgotten. */
void turns_leave(struct endpoints *e, struct endpoint *p);

#endif
