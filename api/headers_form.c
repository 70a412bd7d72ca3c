#include "api/headers_form.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/headers.h"

#define PROPERTY "headers"
#define FIELD_SIZE (sizeof(PROPERTY) + HEADERS_NAME_MAX + 2)

static void
wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_done(b);
}

static json_t *
text_of(struct slice text)
{
	return json_stringn((const char *)text.data, text.len);
}

/* Name to value, or to the mask. */
static int
open_object(const struct seal *seal, const struct directory_hook *hook,
    bool masked, json_t **ret)
{
	char what[HEADERS_SEAL_NAME_SIZE], text[HEADERS_NAME_MAX + 1];
	json_t *object = json_object();
	struct slice rest, name, value;
	struct buf block;
	int r = object == NULL ? -ENOMEM : 0;

	buf_init(&block, HEADERS_BYTES + 1);
	headers_seal_name(hook->app, what);
	if (r == 0 && hook->headers_len > 0)
		r = seal_open(seal, what, directory_hook_headers(hook), &block);
	rest = buf_slice(&block);
	while (r == 0 && headers_next(&rest, &name, &value)) {
		r = slice_copy(name, text, sizeof(text)) < 0 ? -EBADMSG : 0;
		if (r == 0 && json_object_set_new(object, text,
				  masked ? json_string(HEADERS_FORM_MASK)
					 : text_of(value)) < 0)
			r = -ENOMEM;
	}
	wipe(&block);
	if (r == 0)
		*ret = object;
	else
		json_decref(object);
	return r;
}

/* ---- reading ---------------------------------------------------------- */

/* NULL, or what is wrong with the header. */
static const char *
check(const json_t *headers, const char *name, const json_t *value)
{
	struct slice text = { (const uint8_t *)json_string_value(value),
		json_string_length(value) };

	if (!headers_may_set(slice_text(name)))
		return "is no header name, or one that is not to be set";
	if (json_is_null(value))
		return NULL;
	if (!json_is_string(value))
		return "must be a string or null";
	if (slice_is(text, HEADERS_FORM_MASK) &&
	    json_object_get(headers, name) == NULL)
		return "has no value yet that could be kept";
	if (!headers_is_value(text))
		return "must be printable ASCII without blanks around it";
	return NULL;
}

/* Puts one into headers, which go by names in lower case; done has those that
 * the body named before. NULL, or what is wrong. */
static const char *
apply_one(json_t *headers, json_t *done, const char *key, const json_t *value)
{
	char name[HEADERS_NAME_MAX + 1];
	const char *wrong;
	size_t len = strlen(key);

	if (len > HEADERS_NAME_MAX)
		return "is too long a name";
	for (size_t i = 0; i <= len; i++)
		name[i] = (char)tolower((unsigned char)key[i]);
	wrong = check(headers, name, value);
	if (wrong != NULL)
		return wrong;
	if (json_object_get(done, name) != NULL)
		return "is there twice";
	(void)json_object_set_new(done, name, json_true());
	if (json_is_null(value))
		(void)json_object_del(headers, name);
	else if (strcmp(json_string_value(value), HEADERS_FORM_MASK) != 0)
		(void)json_object_set_new(
		    headers, name, json_string(json_string_value(value)));
	return NULL;
}

/* False after a complaint. */
static bool
apply(struct form *f, const json_t *value, json_t *headers)
{
	char field[FIELD_SIZE];
	json_t *done;
	bool right = true;

	/* Iterating only reads, but jansson's iterators want it writable. */
	union {
		const json_t *in;
		json_t *out;
	} object = { .in = value };

	if (json_is_null(value))
		(void)json_object_clear(headers);
	else if (!json_is_object(value)) {
		form_complain(f, PROPERTY, "must be an object or null");
		return false;
	}
	done = json_object();
	for (void *at = json_object_iter(object.out); at != NULL;
	    at = json_object_iter_next(object.out, at)) {
		const char *key = json_object_iter_key(at);
		const char *wrong =
		    apply_one(headers, done, key, json_object_iter_value(at));

		if (wrong == NULL)
			continue;
		(void)snprintf(field, sizeof(field), PROPERTY ".%s", key);
		form_complain(f, field, wrong);
		right = false;
	}
	json_decref(done);
	return right;
}

/* -ENOBUFS: they are too many, or too long. */
static int
close_object(
    json_t *headers, const struct seal *seal, uint32_t app, struct buf *sealed)
{
	char what[HEADERS_SEAL_NAME_SIZE];
	struct buf block;
	int r = json_object_size(headers) > HEADERS_MAX ? -ENOBUFS : 0;

	buf_init(&block, HEADERS_BYTES);
	for (void *at = json_object_iter(headers); r == 0 && at != NULL;
	    at = json_object_iter_next(headers, at))
		r = headers_add(&block, slice_text(json_object_iter_key(at)),
		    slice_text(json_string_value(json_object_iter_value(at))));
	headers_seal_name(app, what);
	if (r == 0 && block.len > 0)
		r = seal_close(seal, what, buf_slice(&block), sealed);
	wipe(&block);
	return r;
}

int
headers_form_read(
    struct form *f, const struct seal *seal, struct directory_hook *hook)
{
	const json_t *value = form_value(f, PROPERTY, FORM_OPTIONAL);
	json_t *headers = NULL;
	struct buf sealed;
	int r;

	if (value == NULL)
		return 0;
	r = open_object(seal, hook, false, &headers);
	if (r < 0)
		return r;
	buf_init(&sealed, sizeof(hook->headers));
	if (apply(f, value, headers)) {
		r = close_object(headers, seal, hook->app, &sealed);
		if (r == -ENOBUFS) {
			form_complain(f, PROPERTY,
			    "must be 32 at most, and 4,096 bytes in all");
			r = 0;
		} else if (r == 0) {
			if (sealed.len > 0)
				memcpy(hook->headers, sealed.data, sealed.len);
			hook->headers_len = sealed.len;
		}
	}
	buf_done(&sealed);
	json_decref(headers);
	return r;
}

/* ---- showing ---------------------------------------------------------- */

json_t *
headers_form_show(const struct seal *seal, const struct directory_hook *hook)
{
	json_t *object = NULL;

	return open_object(seal, hook, true, &object) < 0 ? NULL : object;
}
