/*
 * /webhook/keys: the API keys of an application. A key's text is answered once,
 * when it is made. Exactly one signs deliveries; another one only by the call
 * that says so, so adding and removing keys never changes a signature.
 */
#ifndef SLUICE_API_KEYS_H
#define SLUICE_API_KEYS_H

#include "api/call.h"

void keys_list(struct call *c);
void keys_create(struct call *c);
void keys_delete(struct call *c);
void keys_sign(struct call *c);

#endif
