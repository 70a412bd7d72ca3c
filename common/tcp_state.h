/*
 * What the kernel says of a TCP connection: how much has come over it, and
 * whether the other side has said that nothing more will.
 *
 * It is asked about connections whose bytes somebody else reads
 * (libmicrohttpd, which does not tell of a request before its first line is
 * whole). A module of its own because the kernel's header and libc's cannot be
 * included together.
 */
#ifndef SLUICE_TCP_STATE_H
#define SLUICE_TCP_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"

/* -errno; *ret_received: since it was opened. */
int tcp_state(
    int fd, uint64_t *ret_received, bool *ret_half_closed) SL_MUST_CHECK;

#endif
