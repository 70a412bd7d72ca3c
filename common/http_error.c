#include "common/http_error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REF_BASE "https://developers.apideck.com/errors#"

static const struct {
	unsigned status;
	const char *error;
	const char *type_name;
	const char *message;
	const char *ref;
} errors[HTTP_E_MAX] = {
	[HTTP_E_VALIDATION] = { 400, "Bad Request", "RequestValidationError",
	    "Invalid Params", "requestvalidationerror" },
	/* Apideck's own example refers to the unauthorized section. */
	[HTTP_E_HEADERS] = { 400, "Bad Request",
	    "RequestHeadersValidationError", "Invalid Params",
	    "unauthorizederror" },
	[HTTP_E_CURSOR] = { 400, "Bad Request", "InvalidCursorError",
	    "Invalid Cursor", "invalidcursorerror" },
	[HTTP_E_FILTERS] = { 400, "Bad Request", "UnsupportedFiltersError",
	    "Unsupported Filters", "unsupportedfilterserror" },
	[HTTP_E_SORT] = { 400, "Bad Request", "UnsupportedSortFieldError",
	    "Unsupported Sort Field", "unsupportedsortfielderror" },
	[HTTP_E_UNAUTHORIZED] = { 401, "Unauthorized", "UnauthorizedError",
	    "Unauthorized Request", "unauthorizederror" },
	[HTTP_E_CREDENTIALS] = { 401, "Unauthorized",
	    "ConnectorCredentialsError", "Connector Not Authorized",
	    "connectorcredentialserror" },
	[HTTP_E_LIMIT] = { 402, "Payment Required", "RequestLimitError",
	    "Request Limit Reached", "requestlimiterror" },
	[HTTP_E_DISABLED] = { 403, "Forbidden", "ConnectorDisabledError",
	    "Connector Disabled", "connectordisablederror" },
	[HTTP_E_FORBIDDEN] = { 403, "Forbidden", "VerificationFailedError",
	    "Verification Failed", "connectorcredentialserror" },
	[HTTP_E_NOT_FOUND] = { 404, "Not Found", "EntityNotFoundError",
	    "Not Found", "entitynotfounderror" },
	[HTTP_E_CONNECTOR] = { 404, "Not Found", "ConnectorNotFoundError",
	    "Unknown Connector", "connectornotfounderror" },
	[HTTP_E_CONNECTION] = { 404, "Not Found", "ConnectionNotFoundError",
	    "Unknown Connection", "connectionnotfounderror" },
	[HTTP_E_INTEGRATION] = { 404, "Not Found", "IntegrationNotFoundError",
	    "Unknown Integration", "integrationnotfounderror" },
	[HTTP_E_METHOD] = { 405, "Method Not Allowed", "MethodNotAllowedError",
	    "Method Not Allowed", "entitynotfounderror" },
	[HTTP_E_TIMEOUT] = { 408, "Request Timeout", "RequestTimeoutError",
	    "Request Timeout", "requestvalidationerror" },
	[HTTP_E_CONFLICT] = { 409, "Conflict", "ConflictError", "Conflict",
	    "conflicterror" },
	[HTTP_E_TOO_LARGE] = { 413, "Payload Too Large", "PayloadTooLargeError",
	    "Payload Too Large", "requestvalidationerror" },
	[HTTP_E_URI] = { 414, "URI Too Long", "UriTooLongError", "URI Too Long",
	    "requestvalidationerror" },
	[HTTP_E_MEDIA_TYPE] = { 415, "Unsupported Media Type",
	    "UnsupportedMediaTypeError", "Unsupported Media Type",
	    "requestvalidationerror" },
	[HTTP_E_STATE] = { 422, "Unprocessable Entity", "InvalidStateError",
	    "Invalid State", "invalidstateerror" },
	[HTTP_E_RATE] = { 429, "Too Many Requests", "ConnectorRateLimitError",
	    "Too Many Requests", "connectorratelimiterror" },
	[HTTP_E_HEADER_SIZE] = { 431, "Request Header Fields Too Large",
	    "HeadersTooLargeError", "Request Headers Too Large",
	    "requestvalidationerror" },
	[HTTP_E_INTERNAL] = { 500, "Internal Server Error",
	    "InternalServerError", "Internal Server Error",
	    "internalservererror" },
	[HTTP_E_UNAVAILABLE] = { 503, "Service Unavailable",
	    "ServiceUnavailableError", "Service Unavailable",
	    "serviceunavailableerror" },
};

unsigned
http_error_status(enum http_error error)
{
	return errors[error].status;
}

enum http_error
http_error_of(unsigned status)
{
	for (unsigned e = 0; e < HTTP_E_MAX; e++)
		if (errors[e].status == status)
			return (enum http_error)e;
	return HTTP_E_VALIDATION;
}

int
http_error_body(
    enum http_error error, const char *message, json_t *detail, struct buf *out)
{
	char ref[128];
	json_t *body, *said;
	char *text;
	int r;

	/* NULL when it is no UTF-8, or there is none: then the table's. */
	said = message == NULL ? NULL : json_string(message);
	if (said == NULL)
		said = json_string(errors[error].message);
	body = json_pack("{s:i,s:s,s:s,s:o}", "status_code",
	    (int)errors[error].status, "error", errors[error].error,
	    "type_name", errors[error].type_name, "message", said);
	if (body == NULL) {
		json_decref(detail);
		return -ENOMEM;
	}
	if (detail != NULL)
		json_object_set_new(body, "detail", detail);
	(void)snprintf(ref, sizeof(ref), REF_BASE "%s", errors[error].ref);
	json_object_set_new(body, "ref", json_string(ref));
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	if (text == NULL)
		return -ENOMEM;
	r = buf_add_text(out, text);
	free(text);
	return r;
}
