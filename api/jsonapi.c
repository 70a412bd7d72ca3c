#include "api/jsonapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TITLE "Verse::Error::"

/* As clients of the original see them; where that has none, ours. */
static const char *const titles[HTTP_E_MAX] = {
	[HTTP_E_VALIDATION] = TITLE "BadRequest",
	[HTTP_E_HEADERS] = TITLE "BadRequest",
	[HTTP_E_CURSOR] = TITLE "BadRequest",
	[HTTP_E_FILTERS] = TITLE "BadRequest",
	[HTTP_E_SORT] = TITLE "BadRequest",
	[HTTP_E_UNAUTHORIZED] = TITLE "AuthenticationFailed",
	[HTTP_E_CREDENTIALS] = TITLE "AuthenticationFailed",
	[HTTP_E_LIMIT] = "Payment Required",
	[HTTP_E_DISABLED] = TITLE "Unauthorized",
	[HTTP_E_NOT_FOUND] = TITLE "NotFound",
	[HTTP_E_CONNECTOR] = TITLE "NotFound",
	[HTTP_E_CONNECTION] = TITLE "NotFound",
	[HTTP_E_INTEGRATION] = TITLE "NotFound",
	[HTTP_E_METHOD] = "Method Not Allowed",
	[HTTP_E_TIMEOUT] = "Request Timeout",
	[HTTP_E_CONFLICT] = "Conflict",
	[HTTP_E_TOO_LARGE] = "Payload Too Large",
	[HTTP_E_MEDIA_TYPE] = "Unsupported Media Type",
	[HTTP_E_STATE] = TITLE "ValidationFailed",
	[HTTP_E_RATE] = "Too Many Requests",
	[HTTP_E_INTERNAL] = "Internal Server Error",
	[HTTP_E_UNAVAILABLE] = "Service Unavailable",
};

static void
reply(struct call *c, unsigned status, json_t *document)
{
	call_reply(c, status, JSONAPI_MEDIA, document);
}

static void
face_data(struct call *c, unsigned status, json_t *data)
{
	if (status == 204) {
		json_decref(data);
		reply(c, status, NULL);
		return;
	}
	reply(c, status, json_pack("{s:o}", "data", data));
}

/* A detail of the first face may be an object. */
static json_t *
detail_text(const char *message, json_t *detail, const char *title)
{
	char *text;
	json_t *json;

	if (json_is_string(detail))
		return detail;
	if (detail == NULL)
		return json_string(message != NULL ? message : title);
	text = json_dumps(detail, JSON_COMPACT);
	json_decref(detail);
	json = json_string(text != NULL ? text : title);
	free(text);
	return json;
}

static void
face_fail(
    struct call *c, enum http_error error, const char *message, json_t *detail)
{
	unsigned status = http_error_status(error);
	const char *title = titles[error];
	char text[8];

	(void)snprintf(text, sizeof(text), "%u", status);
	if (status == 429 || status == 503)
		http_add_header(c->request, "Retry-After", "1");
	reply(c, status,
	    json_pack("{s:[{s:s,s:s,s:o}]}", "errors", "status", text, "title",
		title, "detail", detail_text(message, detail, title)));
}

const struct call_face jsonapi_face = {
	.data = face_data,
	.fail = face_fail,
};

void
jsonapi_complain(
    json_t **errors, const char *kind, const char *where, const char *why)
{
	if (*errors == NULL)
		*errors = json_array();
	if (json_array_size(*errors) == JSONAPI_ERRORS_MAX)
		return;
	/* The status of these is a number, that of the others a string. */
	(void)json_array_append_new(
	    *errors, json_pack("{s:i,s:s,s:s,s:{s:o}}", "status", 422, "title",
			 TITLE "ValidationFailed", "detail", why, "source",
			 kind, call_text(slice_text(where))));
}

void
jsonapi_refuse(struct call *c, json_t *errors)
{
	reply(c, 422, json_pack("{s:o}", "errors", errors));
}

void
jsonapi_refuse_one(
    struct call *c, const char *kind, const char *where, const char *why)
{
	json_t *errors = NULL;

	jsonapi_complain(&errors, kind, where, why);
	jsonapi_refuse(c, errors);
}

void
jsonapi_not_found(struct call *c)
{
	char detail[LIMIT_ID_TEXT + 64];

	(void)snprintf(detail, sizeof(detail), "There is no %s with id %s.",
	    JSONAPI_WEBHOOKS, c->id);
	reply(c, 404,
	    json_pack("{s:[{s:s,s:s,s:s}]}", "errors", "status", "404", "title",
		TITLE "RecordNotFound", "detail", detail));
}
