/*
 * Turns the names in SLUICE_*_PEERS into numeric addresses, and keeps doing so.
 *
 * The list is comma-separated: `logger:5557` (a name or address with a port),
 * `tcp://10.0.0.7:5557`, `ipc:///path`. Names are looked up again and again in
 * a thread of its own (resolver.h); all addresses of a name count. on_found
 * and on_lost run in the loop's thread with numeric addresses only
 * (tcp://10.0.0.7:5557, tcp://[::1]:5557); an address is lost after it was
 * missing from DISCOVERY_MISSES answers in a row (a failed look-up is no
 * answer), so a flapping DNS server disturbs nobody.
 */
#ifndef SLUICE_DISCOVERY_H
#define SLUICE_DISCOVERY_H

#include "common/attributes.h"
#include "common/loop.h"

#define DISCOVERY_MISSES 3
#define DISCOVERY_ADDRESSES_MAX 256

struct discovery;

typedef void discovery_fn(void *arg, const char *address);

/* -EINVAL: an entry is none of the three forms. -ENOMEM, -errno. Numeric and
 * ipc entries are reported before it returns. */
int discovery_new(struct loop *loop, const char *peers, discovery_fn *on_found,
    discovery_fn *on_lost, void *arg, struct discovery **ret) SL_MUST_CHECK;
void discovery_free(struct discovery *d);

#endif
