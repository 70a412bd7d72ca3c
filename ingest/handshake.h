/*
 * Vendors that want to see a text again before they send events to a /w/ URL.
 * The token in the URL was checked before: it is what they are let in by.
 *
 *   POST ?validationToken= or ?validationtoken=  (Graph, SharePoint)
 *   GET  ?challenge=                             (Dropbox)
 *   GET  ?hub.mode=subscribe&hub.challenge=      (Meta; another mode is 403)
 *   POST {"type": "url_verification", "challenge": ...} (Slack)
 *
 * Both say 0 when it is none of this, else -ECANCELED: the call is answered.
 */
#ifndef SLUICE_HANDSHAKE_H
#define SLUICE_HANDSHAKE_H

#include "common/attributes.h"
#include "ingest/call.h"

#define HANDSHAKE_TEXT_MAX 2048

/* By the query. */
int handshake_query(struct call *c) SL_MUST_CHECK;
/* By the body, which was parsed. */
int handshake_body(struct call *c) SL_MUST_CHECK;

#endif
