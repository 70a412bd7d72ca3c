/*
 * What json.h offers on a document that was read: values, look-ups, texts.
 */
#include "common/json.h"

#include <errno.h>
#include <string.h>

#include "common/hex.h"

#define SURROGATE_HIGH 0xd800u
#define SURROGATE_LOW 0xdc00u
#define REPLACEMENT 0xfffdu

enum json_kind
json_kind(const struct json *j, uint32_t node)
{
	return (enum json_kind)j->nodes[node].kind;
}

struct slice
json_raw(const struct json *j, uint32_t node)
{
	const struct json_node *n = &j->nodes[node];

	return (struct slice){ j->text.data + n->start, n->len };
}

struct json_units
json_units(struct slice raw)
{
	return (struct json_units){ raw.data, raw.data + raw.len, 0 };
}

static int32_t
next_escape(struct json_units *u)
{
	uint8_t c = u->at[1];
	uint32_t unit = 0;

	u->at += 2;
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'u':
		for (int i = 0; i < 4; i++)
			unit = unit << 4 | (uint32_t)hex_digit(u->at[i]);
		u->at += 4;
		return (int32_t)unit;
	default:
		return c;
	}
}

int32_t
json_next_unit(struct json_units *u)
{
	const uint8_t *p = u->at;
	uint32_t rune;

	if (u->pending) {
		rune = u->pending;
		u->pending = 0;
		return (int32_t)rune;
	}
	if (p == u->end)
		return -1;
	if (*p == '\\')
		return next_escape(u);
	if (*p < 0x80) {
		u->at = p + 1;
		return *p;
	}
	if (*p < 0xe0) {
		u->at = p + 2;
		return (p[0] & 0x1f) << 6 | (p[1] & 0x3f);
	}
	if (*p < 0xf0) {
		u->at = p + 3;
		return (p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f);
	}
	u->at = p + 4;
	rune = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
	       (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
	rune -= 0x10000;
	u->pending = SURROGATE_LOW | (rune & 0x3ff);
	return (int32_t)(SURROGATE_HIGH | rune >> 10);
}

static bool
key_is(const struct json *j, uint32_t key, const char *name, size_t len)
{
	struct slice raw = json_raw(j, key);
	struct json_units a, b;
	int32_t unit;

	if (!j->nodes[key].escaped)
		return raw.len == len && memcmp(raw.data, name, len) == 0;
	a = json_units(raw);
	b = json_units((struct slice){ (const uint8_t *)name, len });
	do {
		unit = json_next_unit(&a);
		if (unit != json_next_unit(&b))
			return false;
	} while (unit >= 0);
	return true;
}

static uint32_t
member(const struct json *j, uint32_t node, const char *name, size_t len)
{
	uint32_t found = JSON_NONE, at, count;

	if (node == JSON_NONE || j->nodes[node].kind != JSON_KIND_OBJECT)
		return JSON_NONE;
	at = node + 1;
	for (count = j->nodes[node].count; count > 0; count--) {
		if (key_is(j, at, name, len))
			found = at + 1;
		at = j->nodes[at + 1].next;
	}
	return found;
}

uint32_t
json_member(const struct json *j, uint32_t node, const char *name)
{
	return member(j, node, name, strlen(name));
}

static uint32_t
element(const struct json *j, uint32_t node, const char *name, size_t len)
{
	uint32_t index = 0, at = node + 1;

	if (len == 0 || len > 7 || (len > 1 && name[0] == '0'))
		return JSON_NONE;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return JSON_NONE;
		index = index * 10 + (uint32_t)(name[i] - '0');
	}
	if (index >= j->nodes[node].count)
		return JSON_NONE;
	while (index-- > 0)
		at = j->nodes[at].next;
	return at;
}

/* One step of a pointer, ~0 and ~1 undone. */
static uint32_t
step(const struct json *j, uint32_t node, const char *name, size_t len)
{
	char plain[128];
	size_t n = 0;

	if (node == JSON_NONE || len > sizeof(plain))
		return JSON_NONE;
	if (j->nodes[node].kind == JSON_KIND_ARRAY)
		return element(j, node, name, len);
	for (size_t i = 0; i < len; i++) {
		plain[n] = name[i];
		if (name[i] == '~' && i + 1 < len)
			plain[n] = name[++i] == '1' ? '/' : '~';
		n++;
	}
	return member(j, node, plain, n);
}

uint32_t
json_pointer(const struct json *j, uint32_t node, const char *pointer)
{
	while (*pointer == '/' && node != JSON_NONE) {
		size_t len = strcspn(pointer + 1, "/");

		node = step(j, node, pointer + 1, len);
		pointer += 1 + len;
	}
	return *pointer == '\0' ? node : JSON_NONE;
}

static int
add_decoded(struct slice raw, struct buf *out)
{
	struct json_units u = json_units(raw), ahead;
	int32_t unit, low;
	int r;

	while ((unit = json_next_unit(&u)) >= 0) {
		uint32_t rune = (uint32_t)unit;

		if (rune == 0)
			return -EINVAL;
		if (rune >= SURROGATE_HIGH && rune < 0xe000) {
			ahead = u;
			low = json_next_unit(&ahead);
			if (rune < SURROGATE_LOW && low >= 0xdc00 &&
			    low < 0xe000) {
				u = ahead;
				rune = 0x10000 + ((rune & 0x3ff) << 10) +
				       ((uint32_t)low & 0x3ff);
			} else {
				rune = REPLACEMENT;
			}
		}
		r = buf_add_rune(out, rune);
		if (r < 0)
			return r;
	}
	return 0;
}

int
json_text(const struct json *j, uint32_t node, struct buf *out)
{
	size_t len = out->len;
	struct slice raw;
	int r;

	if (node == JSON_NONE)
		return -EINVAL;
	raw = json_raw(j, node);
	switch (json_kind(j, node)) {
	case JSON_KIND_STRING:
		if (!j->nodes[node].escaped)
			return buf_add(out, raw.data, raw.len);
		r = add_decoded(raw, out);
		if (r < 0)
			out->len = len;
		return r;
	case JSON_KIND_NUMBER:
	case JSON_KIND_TRUE:
	case JSON_KIND_FALSE:
		return buf_add(out, raw.data, raw.len);
	case JSON_KIND_NULL:
	case JSON_KIND_OBJECT:
	case JSON_KIND_ARRAY:
		break;
	}
	return -EINVAL;
}
