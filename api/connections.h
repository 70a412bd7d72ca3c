/*
 * /webhook/connections: consumers' links to services. A connection's
 * execute_url is what its service is told to call; the secret that checks the
 * service's signatures goes in and never comes out.
 */
#ifndef SLUICE_API_CONNECTIONS_H
#define SLUICE_API_CONNECTIONS_H

#include "api/call.h"

void connections_list(struct call *c);
void connections_create(struct call *c);
void connections_get(struct call *c);
void connections_update(struct call *c);
void connections_delete(struct call *c);
void connections_enable(struct call *c);
void connections_disable(struct call *c);
void connections_callable(struct call *c);
/* Makes its execute_url void and answers with a new one. */
void connections_revoke(struct call *c);

#endif
