#include "common/openapi.h"

#include <string.h>

/* Made by cmake/embed.cmake. */
extern const unsigned char openapi_json[];
extern const size_t openapi_json_len;

struct slice
openapi_text(void)
{
	return (struct slice){ openapi_json, openapi_json_len };
}

bool
openapi_handle(struct http_request *request)
{
	const char *method = http_method(request);

	if (strcmp(http_path(request), "/openapi.json") != 0)
		return false;
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
		http_reply(request, 200, "application/json", openapi_text());
		return true;
	}
	http_add_header(request, "Allow", "GET");
	http_fail(request, HTTP_E_METHOD, NULL, NULL);
	return true;
}
