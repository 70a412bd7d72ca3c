/*
 * Which addresses may be called: public ones, and those that SLUICE_ALLOW_NET
 * names; never a listener of our own, as far as we know them.
 *
 * Addresses are judged as numbers, right before the connect, so no spelling
 * and no DNS answer gets around it. IPv6 forms that carry an IPv4 address
 * (mapped, 6to4, NAT64) are judged by that address. Of IPv6 only 2000::/3 is
 * public, less its special parts (IANA special-purpose registries).
 *
 * Made once, then read by any thread.
 */
#ifndef SLUICE_DELIVERER_SSRF_H
#define SLUICE_DELIVERER_SSRF_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/attributes.h"
#include "common/buf.h"

#define SSRF_NETS_MAX 64	/* in SLUICE_ALLOW_NET */
#define SSRF_LISTENERS_MAX 1024 /* addresses, after a name was looked up */

struct ssrf;

/* "127.0.0.0/8,::1/128,10.0.0.7"; empty: none. -EINVAL, -ENOMEM. */
int ssrf_new(const char *allow_net, struct ssrf **ret_ssrf) SL_MUST_CHECK;
void ssrf_free(struct ssrf *s);
/* host:port of a listener that must never be called. A wildcard host stands
 * for every address of this machine. May wait for the resolver: call it at
 * start. -EINVAL: no such address; -ENOBUFS: too many. */
int ssrf_add_listener(struct ssrf *s, const char *address) SL_MUST_CHECK;

bool ssrf_allows(const struct ssrf *s, const struct sockaddr *address);
/* The same for a numeric address as text, as libcurl tells it. */
bool ssrf_allows_text(const struct ssrf *s, const char *ip, unsigned port);

/* NULL when the URL may be tried, else what is wrong with it: it must be http
 * or https, with a host, without user information, and without bytes that no
 * URL has. */
const char *ssrf_check_url(struct slice url);

#endif
