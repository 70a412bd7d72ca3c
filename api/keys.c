#include "api/keys.h"

#include <errno.h>
#include <string.h>

static json_t *
show(const struct directory_key *key)
{
	return json_pack("{s:s,s:b,s:o}", "id", key->id, "signing",
	    (int)key->signing, "created_at", call_time(key->created_ms));
}

static void
append(void *arg, const struct directory_key *key)
{
	json_t *data = arg;

	(void)json_array_append_new(data, show(key));
}

void
keys_list(struct call *c)
{
	json_t *data = json_array();
	int r = directory_key_each(c->api->directory, c->app.app, append, data);

	if (r < 0) {
		json_decref(data);
		call_error(c, r);
	} else {
		call_data(c, 200, data);
	}
}

static void
fail(struct call *c, int r)
{
	if (r == -ENOENT)
		call_not_found(c, "key", c->id);
	else if (r == -EPERM)
		call_fail_text(c, HTTP_E_STATE,
		    "This key signs deliveries: let another one sign first.");
	else if (r == -E2BIG)
		call_fail_text(c, HTTP_E_CONFLICT,
		    "The application has as many keys as it may have.");
	else
		call_error(c, r);
}

void
keys_create(struct call *c)
{
	struct directory_key key;
	uint64_t number = 0;
	struct buf text;
	json_t *data;
	int r;

	if (!call_can_write(c))
		return;
	buf_init(&text, SEAL_SECRET_MAX);
	r = directory_key_add(c->api->directory, c->app.app,
	    (struct slice){ NULL, 0 }, &text, &key, &number);
	if (r < 0) {
		fail(c, r);
	} else {
		data = show(&key);
		json_object_set_new(data, "key", call_text(buf_slice(&text)));
		call_written(c, number, true, 201, data);
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	buf_done(&text);
}

/* The key as it is after a change, or was before it went. */
struct finding {
	const char *id;
	json_t *found;
};

static void
look(void *arg, const struct directory_key *key)
{
	struct finding *f = arg;

	if (strcmp(key->id, f->id) == 0)
		f->found = show(key);
}

static json_t *
find(struct call *c)
{
	struct finding f = { c->id, NULL };

	int r = directory_key_each(c->api->directory, c->app.app, look, &f);

	return r < 0 ? NULL : f.found;
}

void
keys_delete(struct call *c)
{
	uint64_t number = 0;
	json_t *data;
	int r;

	if (!call_can_write(c))
		return;
	data = find(c);
	r = directory_key_remove(c->api->directory, c->app.app, c->id, &number);
	if (r < 0) {
		json_decref(data);
		fail(c, r);
		return;
	}
	call_written(c, number, true, 200, data);
}

void
keys_sign(struct call *c)
{
	uint64_t number = 0;
	int r;

	if (!call_can_write(c))
		return;
	r = directory_key_sign(c->api->directory, c->app.app, c->id, &number);
	if (r < 0)
		fail(c, r);
	else
		call_written(c, number, true, 200, find(c));
}
