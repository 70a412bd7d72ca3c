/*
 * Beside a webhook: its settings, its secret, and a test of it.
 *
 * The published object stays as it is published; what goes beyond it is here,
 * under /webhook/webhooks/{id}/.
 */
#ifndef SLUICE_API_HOOK_OPTIONS_H
#define SLUICE_API_HOOK_OPTIONS_H

#include "api/call.h"

/* A rotation without a number of hours. */
#define HOOK_OVERLAP_H 24
#define HOOK_OVERLAP_MAX_H (30 * 24)

void hook_settings_get(struct call *c);
void hook_settings_update(struct call *c);
void hook_secret_get(struct call *c);
/* A new secret; what signed before signs too for some hours. */
void hook_secret_rotate(struct call *c);
/* None any more: the application's key signs again. */
void hook_secret_delete(struct call *c);
/* An event for this webhook alone: one attempt, outside the quota. */
void hook_test(struct call *c);

#endif
