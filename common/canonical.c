#include "common/canonical.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/canonical_number.h"
#include "common/limits.h"

#define FIRST_KEYS 256
#define KEYS_KEPT 8192
#define INDEX_MAX UINT64_C(4294967294) /* ECMA-262: array index */
#define INDEX_DIGITS 10
#define SMALL_OBJECT 16 /* up to here insertion sort is the fastest */

void
canonical_init(struct canonical *c)
{
	*c = (struct canonical){ 0 };
}

void
canonical_done(struct canonical *c)
{
	free(c->keys);
	canonical_init(c);
}

static int
reserve(struct canonical *c, uint32_t count)
{
	uint32_t cap = c->cap ? c->cap : FIRST_KEYS;
	uint32_t *keys;

	if (c->count + count <= c->cap)
		return 0;
	while (cap < c->count + count)
		cap *= 2;
	keys = realloc(c->keys, cap * sizeof(*keys));
	if (keys == NULL)
		return -ENOMEM;
	c->keys = keys;
	c->cap = cap;
	return 0;
}

/* The number of a key that is an array index, else -1. */
static int64_t
array_index(struct slice raw)
{
	uint64_t value = 0;

	if (raw.len == 0 || raw.len > INDEX_DIGITS ||
	    (raw.len > 1 && raw.data[0] == '0'))
		return -1;
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.data[i] < '0' || raw.data[i] > '9')
			return -1;
		value = value * 10 + (raw.data[i] - '0');
	}
	return value <= INDEX_MAX ? (int64_t)value : -1;
}

static int
compare_units(struct slice a, struct slice b)
{
	struct json_units ua = json_units(a), ub = json_units(b);
	int32_t x, y;

	do {
		x = json_next_unit(&ua);
		y = json_next_unit(&ub);
	} while (x == y && x >= 0);
	return x < y ? -1 : x > y;
}

/* Bytes decide as code units do until one is at or above U+E000. */
static int
compare_raw(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len, i;

	for (i = 0; i < len; i++)
		if (a.data[i] != b.data[i])
			break;
	if (i == len)
		return a.len < b.len ? -1 : a.len > b.len;
	if (a.data[i] >= 0xee && b.data[i] >= 0xee)
		return compare_units(a, b);
	return a.data[i] < b.data[i] ? -1 : 1;
}

/* An escape may hide a digit, so an escaped key is judged when decoded. */
static int64_t
index_of(const struct json *j, uint32_t key)
{
	struct json_units u;
	uint8_t digits[INDEX_DIGITS];
	size_t n = 0;
	int32_t unit;

	if (!j->nodes[key].escaped)
		return array_index(json_raw(j, key));
	u = json_units(json_raw(j, key));
	while ((unit = json_next_unit(&u)) >= 0) {
		if (n == sizeof(digits) || unit > '9')
			return -1;
		digits[n++] = (uint8_t)unit;
	}
	return array_index((struct slice){ digits, n });
}

/* Indexes stand before names. */
static int
compare_indexes(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? 1 : -1;
	return a < b ? -1 : a > b;
}

static int
compare_keys(const struct json *j, uint32_t a, uint32_t b)
{
	int64_t ia = index_of(j, a), ib = index_of(j, b);

	if (ia >= 0 || ib >= 0)
		return compare_indexes(ia, ib);
	if (j->nodes[a].escaped || j->nodes[b].escaped)
		return compare_units(json_raw(j, a), json_raw(j, b));
	return compare_raw(json_raw(j, a), json_raw(j, b));
}

int
canonical_compare(const struct json *j, uint32_t key, const char *name)
{
	int64_t a = index_of(j, key), b = array_index(slice_text(name));

	if (a >= 0 || b >= 0)
		return compare_indexes(a, b);
	return compare_units(json_raw(j, key), slice_text(name));
}

/* Same names stay in document order, so the last one can win. */
static int
compare_members(const void *x, const void *y, void *json)
{
	const uint32_t *a = x, *b = y;
	int order = compare_keys(json, *a, *b);

	if (order == 0)
		return *a < *b ? -1 : 1;
	return order;
}

static void
sort(const struct json *j, uint32_t *keys, uint32_t count)
{
	if (count > SMALL_OBJECT) {
		/* qsort_r wants its argument mutable and leaves it alone. */
		union {
			const struct json *in;
			void *out;
		} arg = { j };
		qsort_r(keys, count, sizeof(*keys), compare_members, arg.out);
		return;
	}
	for (uint32_t i = 1; i < count; i++) {
		uint32_t key = keys[i], at = i;

		for (; at > 0 && compare_keys(j, keys[at - 1], key) > 0; at--)
			keys[at] = keys[at - 1];
		keys[at] = key;
	}
}

static uint32_t
drop_doubles(const struct json *j, uint32_t *keys, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (kept > 0 && compare_keys(j, keys[kept - 1], keys[i]) == 0)
			kept--;
		keys[kept++] = keys[i];
	}
	return kept;
}

int
canonical_keys(struct canonical *c, const struct json *j, uint32_t node,
    uint32_t *ret_first, uint32_t *ret_count)
{
	uint32_t count = j->nodes[node].count, at = node + 1;
	uint32_t *keys;

	if (reserve(c, count) < 0)
		return -ENOMEM;
	keys = c->keys + c->count;
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = at;
		at = j->nodes[at + 1].next;
	}
	sort(j, keys, count);
	count = drop_doubles(j, keys, count);
	*ret_first = c->count;
	*ret_count = count;
	c->count += count;
	return 0;
}

void
canonical_release(struct canonical *c, uint32_t first)
{
	c->count = first;
}

static int
write_unit(uint32_t unit, struct buf *out)
{
	static const char letters[] = "btn?fr";
	char text[8];

	if (unit == '"' || unit == '\\')
		return buf_addf(out, "\\%c", (int)unit);
	if (unit >= '\b' && unit <= '\r' && unit != '\v') {
		text[0] = '\\';
		text[1] = letters[unit - '\b'];
		return buf_add(out, text, 2);
	}
	return buf_addf(out, "\\u%04x", unit);
}

/* One character, a pair of surrogates put together. */
static int
write_character(struct json_units *u, uint32_t unit, struct buf *out)
{
	struct json_units ahead = *u;
	int32_t low;

	if (unit < 0x80) {
		uint8_t c = (uint8_t)unit;

		if (c < 0x20 || c == '"' || c == '\\')
			return write_unit(unit, out);
		return buf_add(out, &c, 1);
	}
	if (unit < 0xd800 || unit >= 0xe000)
		return buf_add_rune(out, unit);
	low = json_next_unit(&ahead);
	if (unit >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
		return write_unit(unit, out);
	*u = ahead;
	return buf_add_rune(
	    out, 0x10000 + ((unit & 0x3ff) << 10) + ((uint32_t)low & 0x3ff));
}

static int
write_escaped(struct slice raw, struct buf *out)
{
	struct json_units u = json_units(raw);
	int32_t unit;
	int r;

	r = buf_add(out, "\"", 1);
	while (r == 0 && (unit = json_next_unit(&u)) >= 0)
		r = write_character(&u, (uint32_t)unit, out);
	return r < 0 ? r : buf_add(out, "\"", 1);
}

static int
write_string(const struct json *j, uint32_t node, struct buf *out)
{
	struct slice raw = json_raw(j, node);

	if (j->nodes[node].escaped)
		return write_escaped(raw, out);
	/* With the quotes that surround it. */
	return buf_add(out, raw.data - 1, raw.len + 2);
}

static int write_value(
    struct canonical *c, const struct json *j, uint32_t node, struct buf *out);

/* Depth is bounded by json_parse(). */
static int
write_object(
    struct canonical *c, const struct json *j, uint32_t node, struct buf *out)
{
	uint32_t first, count;
	int r;

	r = canonical_keys(c, j, node, &first, &count);
	if (r < 0)
		return r;
	r = buf_add(out, "{", 1);
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		uint32_t key = c->keys[first + i];

		if (i > 0)
			r = buf_add(out, ",", 1);
		if (r == 0)
			r = write_string(j, key, out);
		if (r == 0)
			r = buf_add(out, ":", 1);
		if (r == 0)
			r = write_value(c, j, key + 1, out);
	}
	canonical_release(c, first);
	return r < 0 ? r : buf_add(out, "}", 1);
}

static int
write_array(
    struct canonical *c, const struct json *j, uint32_t node, struct buf *out)
{
	uint32_t at = node + 1;
	int r = buf_add(out, "[", 1);

	for (uint32_t i = 0; r == 0 && i < j->nodes[node].count; i++) {
		if (i > 0)
			r = buf_add(out, ",", 1);
		if (r == 0)
			r = write_value(c, j, at, out);
		at = j->nodes[at].next;
	}
	return r < 0 ? r : buf_add(out, "]", 1);
}

static int
write_value(
    struct canonical *c, const struct json *j, uint32_t node, struct buf *out)
{
	struct slice raw = json_raw(j, node);

	switch (json_kind(j, node)) {
	case JSON_KIND_OBJECT:
		return write_object(c, j, node, out);
	case JSON_KIND_ARRAY:
		return write_array(c, j, node, out);
	case JSON_KIND_STRING:
		return write_string(j, node, out);
	case JSON_KIND_NUMBER:
		return canonical_number(raw, out);
	case JSON_KIND_NULL:
	case JSON_KIND_TRUE:
	case JSON_KIND_FALSE:
		break;
	}
	return buf_add(out, raw.data, raw.len);
}

int
canonical_write(
    struct canonical *c, const struct json *j, uint32_t node, struct buf *out)
{
	size_t len = out->len;
	int r = write_value(c, j, node, out);

	if (r < 0)
		out->len = len;
	if (c->cap > KEYS_KEPT && c->count == 0)
		canonical_done(c);
	return r;
}

int
canonical_document(
    struct canonical *c, struct json *j, struct slice text, struct buf *out)
{
	int r = json_parse(j, text);

	return r < 0 ? r : canonical_write(c, j, 0, out);
}

int
canonical_string(struct slice text, struct buf *out)
{
	size_t start = 0;
	int r = buf_add(out, "\"", 1);

	for (size_t i = 0; r == 0 && i < text.len; i++) {
		uint8_t ch = text.data[i];

		if (ch >= 0x20 && ch != '"' && ch != '\\')
			continue;
		r = buf_add(out, text.data + start, i - start);
		if (r == 0)
			r = write_unit(ch, out);
		start = i + 1;
	}
	if (r == 0)
		r = buf_add(out, text.data + start, text.len - start);
	return r < 0 ? r : buf_add(out, "\"", 1);
}
