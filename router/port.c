#include "router/port.h"

#include <limits.h>
#include <string.h>

#include "common/log.h"

static void
on_found(void *arg, const char *address)
{
	struct port *port = arg;
	int r = link_connect(port->link, port->stage, address);

	if (r < 0)
		log_warn("cannot connect to %s at %s: %s",
		    stage_name(port->stage), address, strerror(-r));
}

static void
on_lost(void *arg, const char *address)
{
	struct port *port = arg;

	link_disconnect(port->link, address);
}

int
port_open(struct port *port, const struct proc *proc, enum stage stage,
    const struct link_ops *ops, void *owner)
{
	const char *keys = proc->config.keys_folder;
	struct link_config config = {
		.stage = proc->stage,
		.instance = proc->instance,
		.keys_folder = keys[0] == '\0' ? NULL : keys,
		.plain_tcp = proc->config.link_plain,
	};
	int r;

	port->owner = owner;
	port->stage = stage;
	r = link_new(proc->loop, &config, ops, port, &port->link);
	if (r < 0)
		log_error("cannot make the link to %s: %s", stage_name(stage),
		    strerror(-r));
	return r;
}

int
port_find(struct port *port, const struct proc *proc)
{
	char peers[PATH_MAX];
	int r;

	r = config_peers(&proc->config, port->stage, peers);
	if (r == 0)
		r = discovery_new(proc->loop, peers, on_found, on_lost, port,
		    &port->discovery);
	if (r < 0)
		log_error("cannot look for %s: %s", stage_name(port->stage),
		    strerror(-r));
	return r;
}

void
port_close(struct port *port)
{
	discovery_free(port->discovery);
	port->discovery = NULL;
	if (port->link != NULL)
		link_free(port->link);
	port->link = NULL;
}
