/*
 * The listening socket of HTTP in: from the text of an address to a descriptor
 * and back. No state.
 */
#ifndef SLUICE_HTTP_LISTEN_H
#define SLUICE_HTTP_LISTEN_H

#include <stddef.h>

#include "common/attributes.h"

/* A descriptor, which is the caller's: non-blocking, closed on exec. address is
 * host:port, "[::1]:8080", "*:8080"; port 0 takes a free one. -EINVAL: address;
 * -EADDRINUSE; -EACCES. */
int http_listen(const char *address) SL_MUST_CHECK;
/* "127.0.0.1:8080", as really bound. */
int http_listen_address(int fd, char *ret, size_t size) SL_MUST_CHECK;

#endif
