/*
 * The HTTP face of ingest:
 *
 *   POST|GET /webhook/w/{token}/{service}
 *   POST     /webhook/webhooks/{token}/execute/{service}
 *   POST     /webhook/webhooks/{token}/x/{service}?l_id=&e=
 *   POST     /webhook/events
 *
 * A handler checks who calls (token.h), and the vendor's signature when the
 * connection has a secret (signature.h), reads the body, makes the events and
 * appends them to the accept log as one group; the answer waits until the group
 * is on disk (routes_durable()). A call whose token is newer than our
 * directory waits at most ROUTES_BEHIND_MS for it.
 *
 * Loop thread only.
 */
#ifndef SLUICE_ROUTES_H
#define SLUICE_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/http.h"
#include "common/id.h"
#include "ingest/accept_log.h"
#include "ingest/connector.h"
#include "ingest/directory.h"
#include "ingest/secret_cache.h"
#include "ingest/token.h"

#define ROUTES_BEHIND_MS 1000
#define ROUTES_BEHIND_MAX 1024 /* calls that wait for the directory */

struct routes;

struct routes_config {
	struct loop *loop;
	struct accept_log *log;
	struct connectors *connectors;
	struct token_checker *tokens;
	const struct directory *directory;
	struct secret_cache *secrets;
	struct id_maker *ids;
	const char *entity_base_url;
	const char *public_url; /* without slashes at its end */
};

/* All of it is kept by pointer. -ENOMEM. */
int routes_new(
    const struct routes_config *config, struct routes **ret) SL_MUST_CHECK;
void routes_free(struct routes *r);

/* The server that the requests come from; before the first of them. */
void routes_attach(struct routes *r, struct http *http);
/* From http.h; arg is the struct routes. */
void routes_handle(void *arg, struct http_request *request);
void routes_gone(void *arg, struct http_request *request);
/* From accept_log.h: waiter is a request. */
void routes_durable(struct routes *r, void *waiter, bool durable);
/* The directory has moved on: those that wait for it are asked again. The
 * caller flushes log and server. */
void routes_directory_changed(struct routes *r);

int routes_metrics(const struct routes *r, struct buf *out) SL_MUST_CHECK;

#endif
