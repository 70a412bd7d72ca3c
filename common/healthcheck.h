/*
 * Asks a process on this machine how it is, without any other program: what
 * `sluice-STAGE --healthcheck` does in a container that has no shell.
 *
 * One GET of a path on the admin port; 200 is good. Blocking, bounded by
 * HEALTHCHECK_TIMEOUT_MS whole.
 */
#ifndef SLUICE_HEALTHCHECK_H
#define SLUICE_HEALTHCHECK_H

#include "common/attributes.h"

#define HEALTHCHECK_TIMEOUT_MS 3000

/* address: host:port as SLUICE_ADMIN_HTTP has it; 0.0.0.0 and [::] mean
 * loopback. 0: answered 200. -EINVAL: no fixed port in the address. -EPROTO:
 * another answer, or none that is HTTP. -ETIMEDOUT, -errno of the connection.
 */
int healthcheck_ask(const char *address, const char *path) SL_MUST_CHECK;

#endif
