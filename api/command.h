/*
 * `sluice-api app create` and `sluice-api app list`: work on the directory
 * itself, whether or not a process serves it. What they write is seen by that
 * process within a tick and published.
 */
#ifndef SLUICE_API_COMMAND_H
#define SLUICE_API_COMMAND_H

#include "common/config.h"

extern const char command_help[];
/* As struct proc_ops wants it: exit status, or -1 when it is no command. */
int command_run(const struct config *config, int argc, char **argv);

#endif
