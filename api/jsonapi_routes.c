#include "api/jsonapi_routes.h"

#include <stdio.h>
#include <string.h>

#include "api/jsonapi.h"
#include "api/jsonapi_events.h"
#include "api/jsonapi_login.h"
#include "api/jsonapi_webhooks.h"

/* "{id}" at the end stands for one segment. Rows of one path stand together;
 * the first path that fits counts. */
static const struct route {
	const char *method;
	const char *path;
	bool is_open; /* to everybody */
	void (*handler)(struct call *c);
} routes[] = {
	{ "POST", "/api/v3/iam/auth/api/login", true, jsonapi_login },
	{ "GET", "/api/v3/notification/webhooks", false,
	    jsonapi_webhooks_list },
	{ "POST", "/api/v3/notification/webhooks", false,
	    jsonapi_webhooks_create },
	{ "GET", "/api/v3/notification/webhooks/events", false,
	    jsonapi_events_list },
	{ "POST", "/api/v3/notification/webhooks/test/{id}", false,
	    jsonapi_webhooks_test },
	{ "GET", "/api/v3/notification/webhooks/{id}", false,
	    jsonapi_webhooks_get },
	{ "PATCH", "/api/v3/notification/webhooks/{id}", false,
	    jsonapi_webhooks_update },
	{ "DELETE", "/api/v3/notification/webhooks/{id}", false,
	    jsonapi_webhooks_delete },
};

#define ROUTES (sizeof(routes) / sizeof(*routes))

static bool
matches(const char *pattern, const char *path, char id[LIMIT_ID_TEXT + 1])
{
	size_t before = strcspn(pattern, "{"), len;

	id[0] = '\0';
	if (pattern[before] == '\0')
		return strcmp(pattern, path) == 0;
	if (strncmp(pattern, path, before) != 0)
		return false;
	path += before;
	len = strlen(path);
	if (len == 0 || strchr(path, '/') != NULL)
		return false;
	/* What is longer than any id is no integer either. */
	(void)snprintf(
	    id, LIMIT_ID_TEXT + 1, "%s", len <= LIMIT_ID_TEXT ? path : "?");
	return true;
}

bool
jsonapi_routes_own(const char *path)
{
	return strncmp(path, JSONAPI_ROOT, strlen(JSONAPI_ROOT)) == 0;
}

/* A path that is a route by itself ("events") is no id of another. */
static bool
goes_on(const struct route *before, const struct route *r)
{
	return before == NULL || strcmp(before->path, r->path) == 0;
}

static void
refuse(struct call *c)
{
	char allow[64] = "", id[LIMIT_ID_TEXT + 1];
	const struct route *before = NULL;
	size_t len = 0;

	for (size_t i = 0; i < ROUTES && goes_on(before, &routes[i]); i++) {
		if (!matches(routes[i].path, http_path(c->request), id))
			continue;
		before = &routes[i];
		len += (size_t)snprintf(allow + len, sizeof(allow) - len,
		    "%s%s", len > 0 ? ", " : "", routes[i].method);
	}
	if (before == NULL) {
		call_fail_text(c, HTTP_E_NOT_FOUND, "There is no such route.");
		return;
	}
	http_add_header(c->request, "Allow", allow);
	call_fail_text(
	    c, HTTP_E_METHOD, "The route does not have this method.");
}

void
jsonapi_routes_handle(struct call *c)
{
	const char *method = http_method(c->request);
	const struct route *before = NULL;

	c->face = &jsonapi_face;
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < ROUTES && goes_on(before, &routes[i]); i++) {
		if (!matches(routes[i].path, http_path(c->request), c->id))
			continue;
		before = &routes[i];
		if (strcmp(routes[i].method, method) != 0)
			continue;
		if (routes[i].is_open || jsonapi_login_check(c))
			routes[i].handler(c);
		return;
	}
	refuse(c);
}
