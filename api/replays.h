/*
 * Sending again: one delivery, or those of a webhook. The loggers do it, as a
 * job whose id is made here, so that asking twice makes one job.
 */
#ifndef SLUICE_API_REPLAYS_H
#define SLUICE_API_REPLAYS_H

#include "api/call.h"

void replays_log(struct call *c);
void replays_webhook(struct call *c);

#endif
