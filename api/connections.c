#include "api/connections.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/catalogue.h"
#include "api/form.h"
#include "api/page.h"

#define PUBLIC_URL_MAX (4096 + JWT_TEXT_MAX + LIMIT_SERVICE_TEXT)

/* ---- showing ---------------------------------------------------------- */

static json_t *
show_url(struct api *api, const struct directory_connection *c)
{
	struct jwt claims = {
		.kind = JWT_CONNECTION,
		.app = c->app,
		.number = c->born,
	};
	json_t *json = NULL;
	struct buf url;
	int r;

	buf_init(&url, PUBLIC_URL_MAX);
	r = slice_copy(
	    slice_text(c->lookup), claims.lookup, sizeof(claims.lookup));
	if (r == 0)
		r = buf_addf(&url, "%s/webhook/w/", api->ingest_url);
	if (r == 0)
		r = jwt_mint(&api->tokens, &claims, &url);
	if (r == 0)
		r = buf_addf(&url, "/%s", c->service_id);
	if (r == 0)
		json = json_stringn((const char *)url.data, url.len);
	buf_done(&url);
	return json;
}

static json_t *
text_or_null(const char *text)
{
	return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *
show(struct api *api, const struct directory_connection *c)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:b,s:o,"
			 "s:o,s:s,s:o}",
	    "id", c->id, "consumer_id", c->consumer_id, "unified_api",
	    c->unified_api, "service_id", c->service_id, "name", c->name,
	    "icon", text_or_null(c->icon), "logo", text_or_null(c->logo),
	    "website", text_or_null(c->website), "tag_line",
	    text_or_null(c->tag_line), "auth_type", text_or_null(c->auth_type),
	    "enabled", (int)c->enabled, "created_at", call_time(c->created_ms),
	    "updated_at", call_time(c->updated_ms), "state", c->state,
	    "execute_url", show_url(api, c));
}

/* ---- reading ---------------------------------------------------------- */

/* The words that service ids are made of, safe in a path. */
static bool
is_service(const char *text)
{
	return text[0] != '\0' &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_")] ==
		   '\0';
}

static void
read_keys(struct form *f, struct directory_connection *c)
{
	if (form_text(f, "unified_api", FORM_REQUIRED, 1, c->unified_api,
		sizeof(c->unified_api)) &&
	    !catalogue_has_api(slice_text(c->unified_api)))
		form_complain(f, "unified_api", "is not a unified API");
	if (form_text(f, "service_id", FORM_REQUIRED, 1, c->service_id,
		sizeof(c->service_id)) &&
	    !is_service(c->service_id))
		form_complain(f, "service_id",
		    "must be lower-case letters, digits, - and _");
	(void)form_text(f, "consumer_id", FORM_REQUIRED, 1, c->consumer_id,
	    sizeof(c->consumer_id));
	if (!form_text(f, "name", FORM_OPTIONAL, 1, c->name, sizeof(c->name)))
		catalogue_service_name(
		    slice_text(c->service_id), c->name, sizeof(c->name));
}

/* Null and "" both mean none. */
static void
read_extra(struct form *f, const char *name, char *text, size_t size)
{
	if (json_is_null(json_object_get(f->body, name))) {
		(void)form_value(f, name, FORM_OPTIONAL);
		text[0] = '\0';
		return;
	}
	(void)form_text(f, name, FORM_OPTIONAL, 0, text, size);
}

/* ret_secret stays as it is when the body does not speak of it. */
static bool
read_secret(struct form *f, struct slice *ret_secret)
{
	const json_t *value = form_value(f, "secret", FORM_OPTIONAL);

	if (value == NULL)
		return false;
	if (json_is_null(value)) {
		*ret_secret = slice_text(NULL);
		return true;
	}
	if (!json_is_string(value) || json_string_length(value) == 0 ||
	    json_string_length(value) > SEAL_SECRET_MAX) {
		form_complain(f, "secret",
		    "must be a string of 1 to 4096 "
		    "bytes, or null");
		return false;
	}
	ret_secret->data = (const uint8_t *)json_string_value(value);
	ret_secret->len = json_string_length(value);
	return true;
}

static void
read_state(struct form *f, struct directory_connection *c)
{
	static const char *const states[] = { "added", "authorized", "callable",
		"invalid" };
	char text[DIRECTORY_WORD_TEXT + 1];

	if (!form_text(f, "state", FORM_OPTIONAL, 1, text, sizeof(text)))
		return;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		if (strcmp(text, states[i]) == 0) {
			memcpy(c->state, text, sizeof(text));
			return;
		}
	}
	form_complain(
	    f, "state", "must be added, authorized, callable or invalid");
}

/* secret points into body. */
static json_t *
read_body(const json_t *body, bool is_create, struct directory_connection *c,
    struct slice *secret, bool *ret_has_secret)
{
	struct form f;

	form_init(&f, body, is_create);
	if (is_create)
		read_keys(&f, c);
	else
		(void)form_text(
		    &f, "name", FORM_OPTIONAL, 1, c->name, sizeof(c->name));
	read_extra(&f, "icon", c->icon, sizeof(c->icon));
	read_extra(&f, "logo", c->logo, sizeof(c->logo));
	read_extra(&f, "website", c->website, sizeof(c->website));
	read_extra(&f, "tag_line", c->tag_line, sizeof(c->tag_line));
	read_extra(&f, "auth_type", c->auth_type, sizeof(c->auth_type));
	(void)form_bool(&f, "enabled", FORM_OPTIONAL, &c->enabled);
	read_state(&f, c);
	*ret_has_secret = read_secret(&f, secret);
	return form_end(&f);
}

/* ---- routes ----------------------------------------------------------- */

struct showing {
	struct api *api;
	json_t *data;
};

static void
show_each(void *arg, const struct directory_connection *c)
{
	struct showing *s = arg;

	(void)json_array_append_new(s->data, show(s->api, c));
}

static int
fill(struct call *c, struct directory_page *found, json_t *data)
{
	struct showing s = { c->api, data };

	return directory_connection_page(
	    c->api->directory, found, show_each, &s);
}

void
connections_list(struct call *c)
{
	page_list(c, fill, false);
}

static bool
find(struct call *c, struct directory_connection *ret)
{
	int r =
	    directory_connection_get(c->api->directory, c->app.app, c->id, ret);

	if (r == -ENOENT)
		call_not_found(c, "connection", c->id);
	else if (r < 0)
		call_error(c, r);
	return r == 0;
}

void
connections_get(struct call *c)
{
	struct directory_connection connection;

	if (find(c, &connection))
		call_data(c, 200, show(c->api, &connection));
}

static struct directory_news
make_news(struct call *c, const char *type)
{
	return (struct directory_news){
		.type = type,
		.custody = id_make(&c->api->ids),
		.request_id = http_request_id(c->request),
	};
}

/* Its event may be on the way: another one tells that it is gone again. */
static int
undo_create(struct call *c)
{
	struct directory_news news = make_news(c, "vault.connection.deleted");
	struct directory_connection connection;
	int r;

	r = directory_connection_get(
	    c->api->directory, c->app.app, c->kept, &connection);
	if (r == 0)
		r = directory_connection_remove(
		    c->api->directory, &connection, &news);
	return r;
}

void
connections_create(struct call *c)
{
	struct directory_connection new = {
		.app = c->app.app,
		.enabled = true,
		.state = "added",
	};
	json_t *body = call_body(c), *detail;
	struct slice secret = { NULL, 0 };
	struct directory_news news;
	bool has_secret;
	int r;

	if (body == NULL)
		return;
	detail = read_body(body, true, &new, &secret, &has_secret);
	if (detail != NULL) {
		json_decref(body);
		call_fail(c, HTTP_E_VALIDATION, NULL, detail);
		return;
	}
	if (!call_can_write(c)) {
		json_decref(body);
		return;
	}
	news = make_news(c, "vault.connection.created");
	r = directory_connection_add(c->api->directory, &new, secret, &news);
	json_decref(body);
	if (r == -EEXIST) {
		call_fail_text(c, HTTP_E_CONFLICT,
		    "The consumer already has a connection to this service "
		    "for this API.");
		return;
	}
	if (r < 0) {
		call_error(c, r);
		return;
	}
	c->kept = strdup(new.id);
	c->undo = c->kept != NULL ? undo_create : NULL;
	call_written(c, new.number, true, 201, show(c->api, &new));
}

void
connections_update(struct call *c)
{
	struct directory_connection connection;
	json_t *body = call_body(c), *detail;
	struct slice secret = { NULL, 0 };
	bool has_secret = false, was_enabled;
	struct directory_news news;
	int r;

	if (body == NULL)
		return;
	if (!find(c, &connection)) {
		json_decref(body);
		return;
	}
	was_enabled = connection.enabled;
	detail = read_body(body, false, &connection, &secret, &has_secret);
	if (detail != NULL) {
		json_decref(body);
		call_fail(c, HTTP_E_VALIDATION, NULL, detail);
		return;
	}
	if (json_object_size(body) == 0) {
		json_decref(body);
		call_data(c, 200, show(c->api, &connection));
		return;
	}
	if (!call_can_write(c)) {
		json_decref(body);
		return;
	}
	news = make_news(c, was_enabled && !connection.enabled
				? "vault.connection.disabled"
				: "vault.connection.updated");
	r = directory_connection_set(
	    c->api->directory, &connection, has_secret ? &secret : NULL, &news);
	json_decref(body);
	if (r < 0)
		call_error(c, r);
	else
		call_written(
		    c, connection.number, true, 200, show(c->api, &connection));
}

void
connections_delete(struct call *c)
{
	struct directory_connection connection;
	struct directory_news news;
	json_t *data;
	int r;

	if (!find(c, &connection) || !call_can_write(c))
		return;
	data = show(c->api, &connection);
	/* As the service is to its consumer now. */
	(void)snprintf(connection.state, sizeof(connection.state), "available");
	news = make_news(c, "vault.connection.deleted");
	r = directory_connection_remove(c->api->directory, &connection, &news);
	if (r < 0) {
		json_decref(data);
		call_error(c, r);
		return;
	}
	call_written(c, connection.number, true, 200, data);
}

/* ---- its life --------------------------------------------------------- */

static void
store(struct call *c, struct directory_connection *connection, const char *type,
    bool revokes)
{
	struct directory_news news = make_news(c, type);
	int r;

	if (!call_can_write(c))
		return;
	news.revokes = revokes;
	r = directory_connection_set(
	    c->api->directory, connection, NULL, &news);
	if (r < 0)
		call_error(c, r);
	else
		call_written(
		    c, connection->number, true, 200, show(c->api, connection));
}

static void
set_enabled(struct call *c, bool enabled, const char *type)
{
	struct directory_connection connection;

	if (!find(c, &connection))
		return;
	if (connection.enabled == enabled) {
		call_data(c, 200, show(c->api, &connection));
		return;
	}
	connection.enabled = enabled;
	store(c, &connection, type, false);
}

void
connections_enable(struct call *c)
{
	set_enabled(c, true, "vault.connection.updated");
}

void
connections_disable(struct call *c)
{
	set_enabled(c, false, "vault.connection.disabled");
}

void
connections_callable(struct call *c)
{
	struct directory_connection connection;

	if (!find(c, &connection))
		return;
	if (strcmp(connection.state, "callable") == 0) {
		call_data(c, 200, show(c->api, &connection));
		return;
	}
	(void)snprintf(connection.state, sizeof(connection.state), "callable");
	store(c, &connection, "vault.connection.callable", false);
}

/* The consumer took back what he had granted: nothing that was handed out
 * works any more. The answer has a new URL, for when he grants it again. */
void
connections_revoke(struct call *c)
{
	struct directory_connection connection;

	if (!find(c, &connection))
		return;
	(void)snprintf(connection.state, sizeof(connection.state), "added");
	store(c, &connection, "vault.connection.revoked", true);
}
