/*
 * One of the router's links, and what finds the addresses it connects to.
 *
 * Embedded by value. The callbacks of its link get the port as their argument.
 */
#ifndef SLUICE_ROUTER_PORT_H
#define SLUICE_ROUTER_PORT_H

#include "common/attributes.h"
#include "common/discovery.h"
#include "common/link.h"
#include "common/proc.h"

struct port {
	void *owner;
	enum stage stage; /* at the other end */
	struct link *link;
	struct discovery *discovery;
};

/* Makes the link. -errno after it has logged why. */
int port_open(struct port *port, const struct proc *proc, enum stage stage,
    const struct link_ops *ops, void *owner) SL_MUST_CHECK;
/* Connects to what the configuration names from now on; likewise. */
int port_find(struct port *port, const struct proc *proc) SL_MUST_CHECK;
/* Of a port that was never opened, too. */
void port_close(struct port *port);

#endif
