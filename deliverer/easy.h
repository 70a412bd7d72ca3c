/*
 * One libcurl easy handle with everything a POST needs, used again and again.
 *
 * easy_begin() signs, writes the headers and sets the options for a transfer;
 * easy_end() writes what it came to into the transfer. An address is judged by
 * ssrf.h when a socket is opened and again, with the fence, right before the
 * request is sent, because a connection that is used again opens no socket.
 * Belongs to the thread of its multi.
 */
#ifndef SLUICE_DELIVERER_EASY_H
#define SLUICE_DELIVERER_EASY_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "common/attributes.h"
#include "deliverer/excerpt.h"
#include "deliverer/extra.h"
#include "deliverer/sign.h"
#include "deliverer/ssrf.h"
#include "deliverer/transfer.h"

/* Content-Type ... webhook-signature: names, signatures and ids are about 450
 * bytes, the event type at most LIMIT_TYPE_TEXT. */
#define EASY_HEADERS_SIZE 1024

struct easy_config {
	const struct ssrf *ssrf;
	struct signer *signer;
	struct seal seal;
	uint64_t timeout_ms;
	uint64_t connect_timeout_ms;
	const char *ca_file; /* NULL: the system's */
};

struct easy {
	struct easy *prev, *next; /* the user's lists */
	bool young;		  /* the user's */
	const struct easy_config *config;
	CURL *handle;
	struct transfer *transfer; /* NULL between two of them */
	bool refused, fenced, aborted, sent;
	bool http2; /* the handle is set up for it */
	const char *problem;
	uint64_t started_us;
	struct excerpt excerpt;
	struct curl_slist nodes[2]; /* our headers; "Expect:" */
	struct extra *extra;	    /* the webhook's own; NULL: none so far */
	char headers[EASY_HEADERS_SIZE];
	char error[CURL_ERROR_SIZE];
};

/* NULL when memory is out. config is kept by pointer. */
struct easy *easy_new(const struct easy_config *config);
void easy_free(struct easy *e);
/* False: it cannot be sent at all; call easy_end() with CURLE_OK. */
bool easy_begin(struct easy *e, struct transfer *t) SL_MUST_CHECK;
void easy_end(struct easy *e, CURLcode code);

#endif
