#include "ingest/form_body.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/hex.h"

/* Into out, which is emptied first. */
static int
decode(struct slice text, struct buf *out)
{
	int r = 0;

	buf_clear(out);
	for (size_t i = 0; r == 0 && i < text.len; i++) {
		uint8_t c = text.data[i] == '+' ? ' ' : text.data[i];

		if (c == '%') {
			int byte = hex_escape(
			    (struct slice){ text.data + i, text.len - i });

			if (byte < 0)
				return -EBADMSG;
			c = (uint8_t)byte;
			i += HEX_ESCAPE_SIZE - 1;
		}
		r = buf_add(out, &c, 1);
	}
	return r;
}

/* Puts the value where it belongs in its parent; takes it. A name that is
 * there already becomes an array. */
static int
put(json_t *parent, const char *name, size_t len, json_t *value)
{
	json_t *there;
	int r;

	if (json_is_array(parent))
		return json_array_append_new(parent, value);
	there = json_object_getn(parent, name, len);
	if (there == NULL)
		return json_object_setn_new(parent, name, len, value);
	if (json_is_array(there))
		return json_array_append_new(there, value);
	if (!json_is_string(there)) {
		json_decref(value);
		return -1;
	}
	r = json_object_setn_new(
	    parent, name, len, json_pack("[O,o]", there, value));
	return r;
}

/* The object or array under the name, made if it is not there. */
static json_t *
descend(json_t *parent, const char *name, size_t len, bool array)
{
	json_t *there = json_object_getn(parent, name, len);

	if (there != NULL)
		return json_is_array(there) == array && !json_is_string(there)
			   ? there
			   : NULL;
	if (json_object_setn_new(
		parent, name, len, array ? json_array() : json_object()) < 0)
		return NULL;
	return json_object_getn(parent, name, len);
}

/* a[b][c]: name is the segment that comes next. */
static int
add(json_t *root, char *name, json_t *value)
{
	size_t len = strcspn(name, "[");
	json_t *parent = root;
	unsigned depth = 0;

	while (name[len] != '\0') {
		char *next = name + len + (name[len] == ']') + 1;
		size_t next_len = strcspn(next, "]");

		if (name[len] == ']' && name[len + 1] == '\0')
			break;
		if (++depth > FORM_DEPTH_MAX || next[-1] != '[' ||
		    next[next_len] != ']') {
			json_decref(value);
			return -EBADMSG;
		}
		parent = descend(parent, name, len, next_len == 0);
		if (parent == NULL ||
		    (next_len == 0 && next[next_len + 1] != '\0')) {
			json_decref(value);
			return -EBADMSG;
		}
		name = next;
		len = next_len;
	}
	return put(parent, name, len, value) < 0 ? -EBADMSG : 0;
}

static int
add_field(json_t *root, struct slice name, struct slice value, struct buf *text)
{
	char decoded[FORM_NAME_MAX + 1];
	json_t *json;
	int r;

	r = decode(name, text);
	if (r == 0 &&
	    (slice_copy(buf_slice(text), decoded, sizeof(decoded)) < 0 ||
		strlen(decoded) != text->len || text->len == 0))
		r = -EBADMSG;
	if (r == 0)
		r = decode(value, text);
	if (r < 0)
		return r;
	json = text->len == 0
		   ? json_string("")
		   : json_stringn((const char *)text->data, text->len);
	return json == NULL ? -EBADMSG : add(root, decoded, json);
}

static int
read_fields(json_t *root, struct slice body, struct buf *text)
{
	unsigned count = 0;
	int r = 0;

	while (r == 0 && body.len > 0) {
		const uint8_t *end = memchr(body.data, '&', body.len);
		size_t len = end == NULL ? body.len : (size_t)(end - body.data);
		const uint8_t *equals = memchr(body.data, '=', len);
		size_t name_len =
		    equals == NULL ? len : (size_t)(equals - body.data);
		size_t value_at = equals == NULL ? len : name_len + 1;

		if (len > 0 && ++count > FORM_FIELDS_MAX)
			return -EBADMSG;
		if (len > 0)
			r = add_field(root,
			    (struct slice){ body.data, name_len },
			    (struct slice){
				body.data + value_at, len - value_at },
			    text);
		len += end != NULL;
		body.data += len;
		body.len -= len;
	}
	return r;
}

static int
add_json(const char *text, size_t len, void *out)
{
	return buf_add(out, text, len) < 0 ? -1 : 0;
}

int
form_body(struct slice body, struct buf *out)
{
	json_t *root = json_object();
	struct buf text;
	int r;

	if (root == NULL)
		return -ENOMEM;
	buf_init(&text, body.len + 1);
	r = read_fields(root, body, &text);
	if (r == 0 && json_dump_callback(root, add_json, out, JSON_COMPACT) < 0)
		r = -ENOMEM;
	buf_done(&text);
	json_decref(root);
	return r == -ENOBUFS ? -EBADMSG : r;
}
