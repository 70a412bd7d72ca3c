/*
 * Who is calling? Three ways to say it:
 *
 * - the integration token in an execute or x path: an application and the API
 *   of a subscription; or the bare id of a subscription with a bearer key;
 * - the connection token in a /w/ path, or l_id: a consumer's connection;
 * - a bearer API key with x-apideck-app-id, on POST /webhook/events.
 *
 * A token minted at a directory number that we have not reached is no wrong
 * token: TOKEN_BEHIND, ask again when the directory has moved on. Nothing of
 * the result outlives the next change of the directory.
 */
#ifndef SLUICE_TOKEN_H
#define SLUICE_TOKEN_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/jwt.h"
#include "ingest/directory.h"

#define TOKEN_CACHE 1024 /* tokens whose signature was checked before */

enum token_result {
	TOKEN_OK,
	TOKEN_BEHIND,	      /* wait, then 503 */
	TOKEN_UNKNOWABLE,     /* no directory: 503 */
	TOKEN_UNAUTHORIZED,   /* 401 */
	TOKEN_NO_APP_HEADER,  /* 400 */
	TOKEN_NO_INTEGRATION, /* 404 */
	TOKEN_NO_CONNECTION,  /* 404 */
	TOKEN_DISABLED,	      /* 403 */
	TOKEN_RESULT_MAX
};

struct identity {
	uint32_t app;
	struct slice unified_api; /* absent: not said */
	struct slice consumer_id; /* absent: none */
	struct slice service_id;  /* absent: any */
	struct slice source;	  /* of the connection, else absent */
	struct slice secret;	  /* of the connection, sealed; absent: none */
};

struct token_checker;

/* directory is kept by pointer. NULL when memory is out. */
struct token_checker *token_new(
    const struct jwt_key *key, const struct directory *directory);
void token_free(struct token_checker *t);

/* text: from the path of execute or x; bearer and app_id: headers, or NULL. */
enum token_result token_integration(struct token_checker *t, struct slice text,
    const char *bearer, const char *app_id, struct identity *ret);
/* text: from the path of /w/. */
enum token_result token_connection(
    struct token_checker *t, struct slice text, struct identity *ret);
/* l_id, a connection token or the lookup id in it: adds what the connection
 * says to the identity, whose application it must belong to. */
enum token_result token_lookup(
    struct token_checker *t, struct slice text, struct identity *identity);
enum token_result token_key(struct token_checker *t, const char *bearer,
    const char *app_id, struct identity *ret);

#endif
