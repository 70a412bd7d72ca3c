/*
 * What this process is made of, for the modules that answer requests. main.c
 * opens and closes it; everything belongs to the loop's thread.
 */
#ifndef SLUICE_API_API_H
#define SLUICE_API_API_H

#include "api/asks.h"
#include "api/directory.h"
#include "api/outbox.h"
#include "api/publish.h"
#include "common/discovery.h"
#include "common/http.h"
#include "common/id.h"
#include "common/jwt.h"
#include "common/link.h"
#include "common/proc.h"
#include "common/rate.h"
#include "common/seal.h"

struct api {
	struct proc *proc;
	struct seal seal;
	struct jwt_key tokens;
	struct directory *directory;
	struct link *bound;   /* routers, ingests and loggers connect */
	struct link *loggers; /* questions to the loggers */
	struct discovery *discovery;
	struct publish *publish;
	struct outbox *outbox; /* events to the routers */
	struct id_maker ids;   /* of them */
	struct rate rate;      /* of the applications */
	struct asks *asks;
	struct http *http;
	char *public_url; /* without a slash at the end */
	char *ingest_url;
	uint64_t calls; /* requests answered, for /metrics */
	uint64_t calls_failed;
};

#endif
