#include "api/routes.h"

#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/connections.h"
#include "api/events.h"
#include "api/hook_options.h"
#include "api/jsonapi_routes.h"
#include "api/keys.h"
#include "api/logs.h"
#include "api/replays.h"
#include "api/usage.h"
#include "api/webhooks.h"
#include "common/openapi.h"

enum method {
	METHOD_GET,
	METHOD_POST,
	METHOD_PUT,
	METHOD_PATCH,
	METHOD_DELETE,
	METHOD_HEAD,
	METHOD_MAX /* none of these */
};

static const char *const methods[METHOD_MAX] = {
	[METHOD_GET] = "GET",
	[METHOD_POST] = "POST",
	[METHOD_PUT] = "PUT",
	[METHOD_PATCH] = "PATCH",
	[METHOD_DELETE] = "DELETE",
	[METHOD_HEAD] = "HEAD",
};

/* "{id}" stands for one segment that is not empty. */
static const struct route {
	enum method method;
	const char *path;
	void (*handler)(struct call *c);
} routes[] = {
	{ METHOD_GET, "/webhook/webhooks", webhooks_list },
	{ METHOD_POST, "/webhook/webhooks", webhooks_create },
	{ METHOD_GET, "/webhook/webhooks/{id}", webhooks_get },
	{ METHOD_PATCH, "/webhook/webhooks/{id}", webhooks_update },
	{ METHOD_DELETE, "/webhook/webhooks/{id}", webhooks_delete },
	{ METHOD_GET, "/webhook/webhooks/{id}/settings", hook_settings_get },
	{ METHOD_PATCH, "/webhook/webhooks/{id}/settings",
	    hook_settings_update },
	{ METHOD_GET, "/webhook/webhooks/{id}/secret", hook_secret_get },
	{ METHOD_DELETE, "/webhook/webhooks/{id}/secret", hook_secret_delete },
	{ METHOD_POST, "/webhook/webhooks/{id}/secret/rotate",
	    hook_secret_rotate },
	{ METHOD_POST, "/webhook/webhooks/{id}/test", hook_test },
	{ METHOD_POST, "/webhook/webhooks/{id}/replay", replays_webhook },
	{ METHOD_GET, "/webhook/logs", logs_list },
	{ METHOD_POST, "/webhook/logs/{id}/replay", replays_log },
	{ METHOD_GET, "/webhook/usage", usage_get },
	{ METHOD_GET, "/webhook/keys", keys_list },
	{ METHOD_POST, "/webhook/keys", keys_create },
	{ METHOD_DELETE, "/webhook/keys/{id}", keys_delete },
	{ METHOD_POST, "/webhook/keys/{id}/sign", keys_sign },
	{ METHOD_GET, "/webhook/events", events_find },
	{ METHOD_GET, "/webhook/events/{id}", events_get },
	{ METHOD_GET, "/webhook/connections", connections_list },
	{ METHOD_POST, "/webhook/connections", connections_create },
	{ METHOD_GET, "/webhook/connections/{id}", connections_get },
	{ METHOD_PATCH, "/webhook/connections/{id}", connections_update },
	{ METHOD_DELETE, "/webhook/connections/{id}", connections_delete },
	{ METHOD_POST, "/webhook/connections/{id}/enable", connections_enable },
	{ METHOD_POST, "/webhook/connections/{id}/disable",
	    connections_disable },
	{ METHOD_POST, "/webhook/connections/{id}/callable",
	    connections_callable },
	{ METHOD_POST, "/webhook/connections/{id}/revoke", connections_revoke },
};

#define ROUTES (sizeof(routes) / sizeof(*routes))

static enum method
method_from(const char *text)
{
	unsigned m = 0;

	while (m < METHOD_MAX && strcmp(text, methods[m]) != 0)
		m++;
	return (enum method)m;
}

/* Also fills id, whose content counts when it says true. */
static bool
matches(const char *pattern, const char *path, char id[LIMIT_ID_TEXT + 1])
{
	size_t before = strcspn(pattern, "{"), len;

	id[0] = '\0';
	if (strncmp(pattern, path, before) != 0)
		return false;
	if (pattern[before] == '\0')
		return path[before] == '\0';
	path += before;
	len = strcspn(path, "/");
	if (len == 0 || strcmp(path + len, pattern + before + 4) != 0)
		return false;
	/* What is longer than any id is nobody's. */
	(void)snprintf(id, LIMIT_ID_TEXT + 1, "%.*s",
	    len <= LIMIT_ID_TEXT ? (int)len : 1,
	    len <= LIMIT_ID_TEXT ? path : "?");
	return true;
}

/* The method that counts: `_method` may say another on GET and POST. False
 * after the call was answered. */
static bool
read_method(struct call *c, enum method *ret)
{
	const char *other = http_query(c->request, "_method");
	enum method m = method_from(http_method(c->request));

	if (other != NULL && (m == METHOD_GET || m == METHOD_POST)) {
		m = method_from(other);
		if (m == METHOD_MAX) {
			call_fail(c, HTTP_E_VALIDATION, NULL,
			    json_pack("{s:[{s:s}]}", "invalid", "_method",
				"must be GET, POST, PUT, PATCH, DELETE or "
				"HEAD"));
			return false;
		}
	}
	*ret = m == METHOD_HEAD ? METHOD_GET : m;
	return true;
}

/* 405 when the path has other methods, else 404. */
static void
refuse(struct call *c)
{
	char allow[64] = "", id[LIMIT_ID_TEXT + 1];
	size_t len = 0;

	for (size_t i = 0; i < ROUTES; i++) {
		if (!matches(routes[i].path, http_path(c->request), id))
			continue;
		len += (size_t)snprintf(allow + len, sizeof(allow) - len,
		    "%s%s", len > 0 ? ", " : "", methods[routes[i].method]);
	}
	if (len == 0) {
		call_fail(c, HTTP_E_NOT_FOUND, "Unknown Route",
		    json_string("There is no such route."));
		return;
	}
	http_add_header(c->request, "Allow", allow);
	call_fail(c, HTTP_E_METHOD, NULL, NULL);
}

void
routes_handle(struct api *api, struct http_request *request)
{
	struct call *c;
	enum method method;

	if (openapi_handle(request))
		return;
	c = call_new(api, request);
	if (c == NULL)
		return;
	if (jsonapi_routes_own(http_path(request))) {
		jsonapi_routes_handle(c);
		return;
	}
	if (!read_method(c, &method))
		return;
	for (size_t i = 0; i < ROUTES; i++) {
		if (routes[i].method != method ||
		    !matches(routes[i].path, http_path(request), c->id))
			continue;
		if (auth_check(c))
			routes[i].handler(c);
		return;
	}
	refuse(c);
}

void
routes_gone(struct api *api, struct http_request *request)
{
	struct call *c = http_data(request);

	(void)api;
	if (c != NULL)
		call_drop(c);
}
