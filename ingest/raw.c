#include "ingest/raw.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#define MASK "***"

bool
raw_is_wanted(const struct http_request *request)
{
	const char *query = http_query(request, "raw");
	const char *header = http_header(request, "x-apideck-raw");

	if (query != NULL)
		return strcmp(query, "true") == 0;
	return header != NULL && header[0] != '\0' &&
	       strcasecmp(header, "false") != 0;
}

static bool
add_header(void *arg, const char *name, const char *value)
{
	static const char *const secret[] = { "authorization", "cookie",
		"proxy-authorization" };
	json_t *headers = arg, *text;

	for (size_t i = 0; i < sizeof(secret) / sizeof(*secret); i++)
		if (strcasecmp(name, secret[i]) == 0)
			value = MASK;
	/* NULL when it is no UTF-8: left out. */
	text = json_string(value);
	if (text != NULL)
		(void)json_object_set_new(headers, name, text);
	return true;
}

static int
add_json(const char *text, size_t len, void *out)
{
	return buf_add(out, text, len) < 0 ? -1 : 0;
}

int
raw_request(const struct http_request *request, struct buf *out)
{
	struct slice body = http_body(request);
	json_t *headers = json_object(), *text, *raw;
	int r;

	http_each_header(request, add_header, headers);
	text = body.len == 0 ? json_string("")
			     : json_stringn((const char *)body.data, body.len);
	/* What is no UTF-8 cannot be shown as text. */
	raw = json_pack("{s:s,s:o,s:o}", "method", http_method(request),
	    "headers", headers, "body", text != NULL ? text : json_null());
	if (raw == NULL)
		return -ENOMEM;
	r = json_dump_callback(raw, add_json, out, JSON_COMPACT);
	json_decref(raw);
	return r < 0 ? -ENOMEM : 0;
}
