#include "common/msg.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <msgpack.h>

#include "common/msg_table.h"

/* Message, record, record of a record, and there a list of records that only a
 * newer peer knows: list, record, value. One to spare. */
#define DEPTH_MAX 6

/* ---- reading ---------------------------------------------------------- */

/* A place in packed bytes. Every step checks the end. */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
};

/* The head of one msgpack object. */
struct head {
	enum {
		H_NIL,
		H_BOOL,
		H_UINT,
		H_INT,
		H_FLOAT,
		H_STR,
		H_BIN,
		H_ARRAY,
		H_MAP,
		H_EXT
	} type;
	uint64_t value; /* number, or length in bytes or items */
};

static bool
take_big_endian(struct cursor *c, unsigned bytes, uint64_t *ret)
{
	uint64_t v = 0;

	if ((size_t)(c->end - c->at) < bytes)
		return false;
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | *c->at++;
	*ret = v;
	return true;
}

/* 0xc0..0xdf of the msgpack specification. */
static bool
read_wide_head(struct cursor *c, uint8_t b, struct head *h)
{
	static const struct {
		uint8_t type, bytes;
	} wide[32] = {
		[0xc4 - 0xc0] = { H_BIN, 1 },
		[0xc5 - 0xc0] = { H_BIN, 2 },
		[0xc6 - 0xc0] = { H_BIN, 4 },
		[0xc7 - 0xc0] = { H_EXT, 1 },
		[0xc8 - 0xc0] = { H_EXT, 2 },
		[0xc9 - 0xc0] = { H_EXT, 4 },
		[0xca - 0xc0] = { H_FLOAT, 4 },
		[0xcb - 0xc0] = { H_FLOAT, 8 },
		[0xcc - 0xc0] = { H_UINT, 1 },
		[0xcd - 0xc0] = { H_UINT, 2 },
		[0xce - 0xc0] = { H_UINT, 4 },
		[0xcf - 0xc0] = { H_UINT, 8 },
		[0xd0 - 0xc0] = { H_INT, 1 },
		[0xd1 - 0xc0] = { H_INT, 2 },
		[0xd2 - 0xc0] = { H_INT, 4 },
		[0xd3 - 0xc0] = { H_INT, 8 },
		[0xd9 - 0xc0] = { H_STR, 1 },
		[0xda - 0xc0] = { H_STR, 2 },
		[0xdb - 0xc0] = { H_STR, 4 },
		[0xdc - 0xc0] = { H_ARRAY, 2 },
		[0xdd - 0xc0] = { H_ARRAY, 4 },
		[0xde - 0xc0] = { H_MAP, 2 },
		[0xdf - 0xc0] = { H_MAP, 4 },
	};

	if (b >= 0xd4 && b <= 0xd8) { /* fixext 1, 2, 4, 8, 16 */
		h->type = H_EXT;
		h->value = 1u << (b - 0xd4);
		return true;
	}
	if (wide[b - 0xc0].bytes == 0)
		return false;
	h->type = wide[b - 0xc0].type;
	return take_big_endian(c, wide[b - 0xc0].bytes, &h->value);
}

static bool
read_head(struct cursor *c, struct head *h)
{
	uint8_t b;

	if (c->at == c->end)
		return false;
	b = *c->at++;
	if (b <= 0x7f) {
		h->type = H_UINT;
		h->value = b;
	} else if (b <= 0x8f) {
		h->type = H_MAP;
		h->value = b & 0x0f;
	} else if (b <= 0x9f) {
		h->type = H_ARRAY;
		h->value = b & 0x0f;
	} else if (b <= 0xbf) {
		h->type = H_STR;
		h->value = b & 0x1f;
	} else if (b >= 0xe0) {
		h->type = H_INT;
		h->value = b;
	} else if (b == 0xc0) {
		h->type = H_NIL;
	} else if (b == 0xc2 || b == 0xc3) {
		h->type = H_BOOL;
		h->value = b & 1;
	} else {
		return read_wide_head(c, b, h);
	}
	return true;
}

static bool
take_bytes(struct cursor *c, uint64_t len, struct slice *ret)
{
	if ((uint64_t)(c->end - c->at) < len)
		return false;
	*ret = (struct slice){ c->at, (size_t)len };
	c->at += len;
	return true;
}

/* Steps over one object of any kind; what a newer peer may have added. */
static bool
skip(struct cursor *c, unsigned depth)
{
	struct head h = { 0 };
	struct slice ignored;
	uint64_t items;

	if (depth > DEPTH_MAX || !read_head(c, &h))
		return false;
	switch (h.type) {
	case H_STR:
	case H_BIN:
		return take_bytes(c, h.value, &ignored);
	case H_EXT: /* and its type byte */
		return h.value < UINT32_MAX &&
		       take_bytes(c, h.value + 1, &ignored);
	case H_ARRAY:
	case H_MAP:
		items = h.type == H_MAP ? 2 * h.value : h.value;
		if (items > (uint64_t)(c->end - c->at))
			return false;
		while (items-- > 0)
			if (!skip(c, depth + 1))
				return false;
		return true;
	case H_NIL:
	case H_BOOL:
	case H_UINT:
	case H_INT:
	case H_FLOAT:
		return true;
	}
	return false;
}

static bool read_map(
    struct cursor *c, enum msg_type type, unsigned depth, struct msg *m);

static bool
read_list(struct cursor *c, const struct head *h, enum msg_type record,
    unsigned depth, struct msg_list *ret)
{
	struct msg_list list = { { c->at, 0 }, (uint32_t)h->value };

	for (uint32_t i = 0; i < list.count; i++) {
		struct msg ignored = { 0 };

		if (!read_map(c, record, depth + 1, &ignored))
			return false;
	}
	list.packed.len = (size_t)(c->at - list.packed.data);
	*ret = list;
	return true;
}

static bool
read_value(struct cursor *c, const struct msg_field *f, enum msg_type record,
    unsigned depth, struct msg *m)
{
	static const int wanted[MSG_KIND_MAX] = {
		[MSG_KIND_U64] = H_UINT,
		[MSG_KIND_BOOL] = H_BOOL,
		[MSG_KIND_TEXT] = H_STR,
		[MSG_KIND_BYTES] = H_BIN,
		[MSG_KIND_LIST] = H_ARRAY,
	};
	void *member = (uint8_t *)m + f->offset;
	struct head h = { 0 };

	if (!read_head(c, &h) || (int)h.type != wanted[f->kind] ||
	    h.value > f->max)
		return false;
	switch (f->kind) {
	case MSG_KIND_U64:
		*(uint64_t *)member = h.value;
		return true;
	case MSG_KIND_BOOL:
		*(bool *)member = h.value != 0;
		return true;
	case MSG_KIND_TEXT:
	case MSG_KIND_BYTES:
		return take_bytes(c, h.value, member);
	case MSG_KIND_LIST:
		return read_list(c, &h, record, depth, member);
	case MSG_KIND_NONE:
	case MSG_KIND_MAX:
		break;
	}
	return false;
}

/* The packer writes fields in the order of uses, so the next one is usually
 * the one after the last. */
static const struct msg_use *
find_use(const struct msg_shape *shape, uint64_t key, unsigned *hint)
{
	for (unsigned n = 0; n < MSG_USES_MAX; n++) {
		unsigned i = (*hint + n) % MSG_USES_MAX;

		if (shape->uses[i].key == key) {
			*hint = i + 1;
			return &shape->uses[i];
		}
	}
	return NULL;
}

static bool
has_required(const struct msg_shape *shape, uint32_t seen)
{
	for (unsigned i = 0; i < MSG_USES_MAX && shape->uses[i].key; i++)
		if (shape->uses[i].required && !(seen & 1u << i))
			return false;
	return true;
}

static bool
read_map(struct cursor *c, enum msg_type type, unsigned depth, struct msg *m)
{
	const struct msg_shape *shape = &msg_shapes[type];
	struct head h = { 0 };
	uint32_t seen = 0;
	unsigned hint = 0;

	if (depth > DEPTH_MAX || !read_head(c, &h) || h.type != H_MAP)
		return false;
	for (uint64_t i = 0; i < h.value; i++) {
		const struct msg_use *use;
		struct head key = { 0 };
		uint32_t bit;

		if (!read_head(c, &key) || key.type != H_UINT)
			return false;
		use = key.value == 0 ? NULL : find_use(shape, key.value, &hint);
		if (use == NULL) {
			if (!skip(c, depth + 1))
				return false;
			continue;
		}
		bit = 1u << (use - shape->uses);
		if (seen & bit)
			return false;
		seen |= bit;
		if (!read_value(
			c, &msg_fields[use->key], use->record, depth, m))
			return false;
	}
	m->type = type;
	return has_required(shape, seen);
}

enum msg_type
msg_peek(struct slice bytes)
{
	if (bytes.len == 0 || bytes.data[0] >= MSG_TYPE_MAX)
		return MSG_NONE;
	return (enum msg_type)bytes.data[0];
}

int
msg_unpack(struct slice bytes, struct msg *ret_msg)
{
	enum msg_type type = msg_peek(bytes);
	struct cursor c;

	if (type == MSG_NONE)
		return -EBADMSG;
	c = (struct cursor){ bytes.data + 1, bytes.data + bytes.len };
	memset(ret_msg, 0, sizeof(*ret_msg));
	if (!read_map(&c, type, 0, ret_msg) || c.at != c.end)
		return -EBADMSG;
	return 0;
}

bool
msg_next(struct msg_list *list, enum msg_type type, struct msg *ret_record)
{
	struct cursor c;

	if (list->count == 0 || list->packed.data == NULL)
		return false;
	c = (struct cursor){ list->packed.data,
		list->packed.data + list->packed.len };
	memset(ret_record, 0, sizeof(*ret_record));
	if (!read_map(&c, type, 1, ret_record))
		return false;
	list->count--;
	list->packed.len -= (size_t)(c.at - list->packed.data);
	list->packed.data = c.at;
	return true;
}

/* ---- writing ---------------------------------------------------------- */

static int
write_to_buf(void *out, const char *data, size_t len)
{
	struct buf *b = out;

	if (len == 0 || len > b->cap - b->len)
		return buf_add(b, data, len) < 0 ? -1 : 0;
	memcpy(b->data + b->len, data, len); /* the usual case, without calls */
	b->len += len;
	return 0;
}

static bool
is_absent(const struct msg_field *f, const void *member)
{
	switch (f->kind) {
	case MSG_KIND_U64:
		return *(const uint64_t *)member == 0;
	case MSG_KIND_BOOL:
		return !*(const bool *)member;
	case MSG_KIND_TEXT:
	case MSG_KIND_BYTES:
		return ((const struct slice *)member)->data == NULL;
	case MSG_KIND_LIST:
		return ((const struct msg_list *)member)->count == 0;
	case MSG_KIND_NONE:
	case MSG_KIND_MAX:
		break;
	}
	return true;
}

static uint64_t
measure(const struct msg_field *f, const void *member)
{
	switch (f->kind) {
	case MSG_KIND_U64:
		return *(const uint64_t *)member;
	case MSG_KIND_TEXT:
	case MSG_KIND_BYTES:
		return ((const struct slice *)member)->len;
	case MSG_KIND_LIST:
		return ((const struct msg_list *)member)->count;
	case MSG_KIND_BOOL:
	case MSG_KIND_NONE:
	case MSG_KIND_MAX:
		break;
	}
	return 0;
}

static int
write_value(msgpack_packer *pk, const struct msg_field *f, const void *member)
{
	const struct slice *s = member;
	const struct msg_list *list = member;

	switch (f->kind) {
	case MSG_KIND_U64:
		return msgpack_pack_uint64(pk, *(const uint64_t *)member);
	case MSG_KIND_BOOL:
		return *(const bool *)member ? msgpack_pack_true(pk)
					     : msgpack_pack_false(pk);
	case MSG_KIND_TEXT:
		return msgpack_pack_str_with_body(pk, s->data, s->len);
	case MSG_KIND_BYTES:
		return msgpack_pack_bin_with_body(pk, s->data, s->len);
	case MSG_KIND_LIST:
		if (msgpack_pack_array(pk, list->count) < 0)
			return -1;
		return write_to_buf(pk->data, (const char *)list->packed.data,
		    list->packed.len);
	case MSG_KIND_NONE:
	case MSG_KIND_MAX:
		break;
	}
	return -1;
}

/* Which uses are packed; -EINVAL when a required one is missing or over. */
static int
choose(const struct msg *m, const struct msg_shape *shape, uint32_t *ret_uses)
{
	uint32_t uses = 0;

	for (unsigned i = 0; i < MSG_USES_MAX && shape->uses[i].key; i++) {
		const struct msg_field *f = &msg_fields[shape->uses[i].key];
		const void *member = (const uint8_t *)m + f->offset;
		bool is_number =
		    f->kind == MSG_KIND_U64 || f->kind == MSG_KIND_BOOL;

		if (measure(f, member) > f->max)
			return -EINVAL;
		if (!is_absent(f, member) ||
		    (shape->uses[i].required && is_number))
			uses |= 1u << i;
		else if (shape->uses[i].required)
			return -EINVAL;
	}
	*ret_uses = uses;
	return 0;
}

static int
write_map(const struct msg *m, struct buf *out)
{
	const struct msg_shape *shape = &msg_shapes[m->type];
	msgpack_packer pk;
	uint32_t uses;
	int r;

	r = choose(m, shape, &uses);
	if (r < 0)
		return r;
	msgpack_packer_init(&pk, out, write_to_buf);
	if (msgpack_pack_map(&pk, (size_t)__builtin_popcount(uses)) < 0)
		return -ENOBUFS;
	for (unsigned i = 0; i < MSG_USES_MAX; i++) {
		const struct msg_field *f = &msg_fields[shape->uses[i].key];

		if (!(uses & 1u << i))
			continue;
		if (msgpack_pack_uint8(&pk, shape->uses[i].key) < 0 ||
		    write_value(&pk, f, (const uint8_t *)m + f->offset) < 0)
			return -ENOBUFS;
	}
	return 0;
}

int
msg_pack(const struct msg *m, struct buf *out)
{
	uint8_t type = (uint8_t)m->type;
	size_t start = out->len;
	int r;

	if (m->type <= MSG_NONE || m->type >= MSG_TYPE_MAX)
		return -EINVAL;
	r = buf_add(out, &type, 1);
	if (r == 0)
		r = write_map(m, out);
	if (r < 0)
		out->len = start;
	return r;
}

int
msg_pack_record(const struct msg *record, struct buf *out)
{
	size_t start = out->len;
	int r;

	if (record->type <= MSG_NONE || record->type >= MSG_TYPE_MAX)
		return -EINVAL;
	r = write_map(record, out);
	if (r < 0)
		out->len = start;
	return r;
}

/* ---- names ------------------------------------------------------------ */

const char *
msg_name(enum msg_type type)
{
	if (type <= MSG_NONE || type >= MSG_TYPE_MAX)
		return "?";
	return msg_shapes[type].name;
}

enum msg_lane
msg_lane(enum msg_type type)
{
	if (type <= MSG_NONE || type >= MSG_TYPE_MAX)
		return MSG_LANE_CONTROL;
	return msg_shapes[type].lane;
}
