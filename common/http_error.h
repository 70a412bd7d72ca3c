/*
 * The errors of both HTTP processes, as Apideck publishes them: status,
 * type_name, message and ref, one row each in http_error.c.
 */
#ifndef SLUICE_HTTP_ERROR_H
#define SLUICE_HTTP_ERROR_H

#include <jansson.h>

#include "common/attributes.h"
#include "common/buf.h"

enum http_error {
	HTTP_E_VALIDATION,   /* 400 RequestValidationError */
	HTTP_E_HEADERS,	     /* 400 RequestHeadersValidationError */
	HTTP_E_CURSOR,	     /* 400 InvalidCursorError */
	HTTP_E_FILTERS,	     /* 400 UnsupportedFiltersError */
	HTTP_E_SORT,	     /* 400 UnsupportedSortFieldError */
	HTTP_E_UNAUTHORIZED, /* 401 UnauthorizedError */
	HTTP_E_CREDENTIALS,  /* 401 ConnectorCredentialsError */
	HTTP_E_LIMIT,	     /* 402 RequestLimitError */
	HTTP_E_DISABLED,     /* 403 ConnectorDisabledError */
	HTTP_E_FORBIDDEN,    /* 403 a handshake that is none */
	HTTP_E_NOT_FOUND,    /* 404 EntityNotFoundError */
	HTTP_E_CONNECTOR,    /* 404 ConnectorNotFoundError */
	HTTP_E_CONNECTION,   /* 404 ConnectionNotFoundError */
	HTTP_E_INTEGRATION,  /* 404 IntegrationNotFoundError */
	HTTP_E_METHOD,	     /* 405 */
	HTTP_E_TIMEOUT,	     /* 408 */
	HTTP_E_CONFLICT,     /* 409 ConflictError */
	HTTP_E_TOO_LARGE,    /* 413 */
	HTTP_E_URI,	     /* 414 */
	HTTP_E_MEDIA_TYPE,   /* 415 */
	HTTP_E_STATE,	     /* 422 InvalidStateError */
	HTTP_E_RATE,	     /* 429 ConnectorRateLimitError */
	HTTP_E_HEADER_SIZE,  /* 431 */
	HTTP_E_INTERNAL,     /* 500 */
	HTTP_E_UNAVAILABLE,  /* 503 */
	HTTP_E_MAX
};

unsigned http_error_status(enum http_error error);
/* One with this status; for a status that none has, HTTP_E_VALIDATION. */
enum http_error http_error_of(unsigned status);
/* Appends the JSON body; takes detail. message NULL (or no UTF-8): the
 * table's. */
int http_error_body(enum http_error error, const char *message, json_t *detail,
    struct buf *out) SL_MUST_CHECK;

#endif
