/*
 * The codec, by walking its tables. What is fed to msg_unpack() is made with
 * msgpack-c here, not with msg_pack(): a second opinion, and the only way to
 * write what msg_pack() refuses to.
 */
#include "common/msg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include <cmocka.h>

#include "common/crypto.h"
#include "common/msg_table.h"

#define ARENA_BYTES (16u * 1024 * 1024)
#define LONGEST (LIMIT_MESSAGE_BYTES + 64 * 1024)

/* Bytes that texts are cut from, one more than any cap. */
static uint8_t letters[LONGEST + 1];

static int
set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(letters); i++)
		letters[i] = (uint8_t)("abcdefghijklmnopqrstuvwxyz0123456789+"
				       "/"[i % 38]);
	return 0;
}

/* ---- making messages -------------------------------------------------- */

enum fullness {
	BARE,  /* required fields only, numbers 0 */
	SHORT, /* every field, small values, lists of two */
	FULL,  /* every field at its cap */
};

/* Where packed lists live: one buf each, freed with the rest. */
struct arena {
	struct buf lists[16];
	unsigned used;
};

static void
arena_done(struct arena *a)
{
	while (a->used > 0)
		buf_done(&a->lists[--a->used]);
}

static void fill(
    struct arena *a, enum msg_type type, enum fullness how, struct msg *ret);

/* At its cap a list has that many bare records and one of everything. */
static struct msg_list
make_list(struct arena *a, const struct msg_field *f, enum msg_type record,
    enum fullness how)
{
	struct buf *out = &a->lists[a->used++];
	uint32_t count = how == FULL ? (uint32_t)f->max : 2;
	struct msg bare, rich;

	assert_true(a->used <= 16);
	buf_init(out, ARENA_BYTES);
	fill(a, record, BARE, &bare);
	fill(a, record, how, &rich);
	for (uint32_t i = 1; i < count; i++)
		assert_int_equal(msg_pack_record(&bare, out), 0);
	assert_int_equal(msg_pack_record(&rich, out), 0);
	return (struct msg_list){ buf_slice(out), count };
}

static size_t
length(const struct msg_field *f, enum fullness how)
{
	if (how == FULL)
		return f->max;
	if (how == BARE)
		return 0;
	return f->max < 5 ? f->max : 5;
}

static void
fill_value(struct arena *a, const struct msg_use *use, enum fullness how,
    struct msg *m)
{
	const struct msg_field *f = &msg_fields[use->key];
	void *member = (uint8_t *)m + f->offset;

	switch (f->kind) {
	case MSG_KIND_U64:
		*(uint64_t *)member = how == FULL    ? f->max
				      : how == SHORT ? 1
						     : 0;
		break;
	case MSG_KIND_BOOL:
		*(bool *)member = how != BARE;
		break;
	case MSG_KIND_TEXT:
	case MSG_KIND_BYTES:
		*(struct slice *)member =
		    (struct slice){ letters + use->key, length(f, how) };
		/* the longest would begin too late to fit */
		if (length(f, how) > sizeof(letters) - use->key)
			((struct slice *)member)->data = letters;
		break;
	case MSG_KIND_LIST:
		if (how != BARE)
			*(struct msg_list *)member =
			    make_list(a, f, use->record, how);
		break;
	case MSG_KIND_NONE:
	case MSG_KIND_MAX:
		fail_msg("key %u has no field", use->key);
	}
}

static void
fill(struct arena *a, enum msg_type type, enum fullness how, struct msg *ret)
{
	const struct msg_shape *shape = &msg_shapes[type];

	memset(ret, 0, sizeof(*ret));
	ret->type = type;
	for (unsigned i = 0; i < MSG_USES_MAX && shape->uses[i].key; i++)
		if (how != BARE || shape->uses[i].required)
			fill_value(a, &shape->uses[i], how, ret);
}

/* ---- comparing -------------------------------------------------------- */

static void assert_same(const struct msg *a, const struct msg *b);

static void
assert_same_list(struct msg_list a, struct msg_list b, enum msg_type record)
{
	struct msg x, y;

	assert_int_equal(a.count, b.count);
	for (uint32_t n = a.count; n > 0; n--) {
		assert_true(msg_next(&a, record, &x));
		assert_true(msg_next(&b, record, &y));
		assert_same(&x, &y);
	}
	assert_false(msg_next(&a, record, &x));
	assert_false(msg_next(&b, record, &y));
	assert_int_equal(a.packed.len, 0);
}

static void
assert_same_value(
    const struct msg_use *use, const struct msg *a, const struct msg *b)
{
	const struct msg_field *f = &msg_fields[use->key];
	const void *x = (const uint8_t *)a + f->offset;
	const void *y = (const uint8_t *)b + f->offset;

	switch (f->kind) {
	case MSG_KIND_U64:
		assert_true(*(const uint64_t *)x == *(const uint64_t *)y);
		break;
	case MSG_KIND_BOOL:
		assert_true(*(const bool *)x == *(const bool *)y);
		break;
	case MSG_KIND_TEXT:
	case MSG_KIND_BYTES:
		assert_true(slice_same(
		    *(const struct slice *)x, *(const struct slice *)y));
		assert_true((((const struct slice *)x)->data == NULL) ==
			    (((const struct slice *)y)->data == NULL));
		break;
	case MSG_KIND_LIST:
		assert_same_list(*(const struct msg_list *)x,
		    *(const struct msg_list *)y, use->record);
		break;
	case MSG_KIND_NONE:
	case MSG_KIND_MAX:
		break;
	}
}

static void
assert_same(const struct msg *a, const struct msg *b)
{
	const struct msg_shape *shape = &msg_shapes[a->type];

	assert_int_equal(a->type, b->type);
	for (unsigned i = 0; i < MSG_USES_MAX && shape->uses[i].key; i++)
		assert_same_value(&shape->uses[i], a, b);
}

/* A copy that ends where its allocation ends, so that a read too far is seen
 * by the sanitizer. */
static int
unpack_exact(struct slice bytes, struct msg *ret, uint8_t **ret_copy)
{
	uint8_t *copy = malloc(bytes.len ? bytes.len : 1);

	assert_non_null(copy);
	if (bytes.len > 0)
		memcpy(copy, bytes.data, bytes.len);
	*ret_copy = copy;
	return msg_unpack((struct slice){ copy, bytes.len }, ret);
}

static int
unpacks(struct slice bytes)
{
	uint8_t *copy;
	struct msg m;
	int r = unpack_exact(bytes, &m, &copy);

	free(copy);
	return r;
}

/* ---- round trips ------------------------------------------------------ */

static void
round_trip(enum msg_type type, enum fullness how)
{
	struct arena a = { 0 };
	struct buf packed;
	struct msg m, back;
	uint8_t *copy;

	fill(&a, type, how, &m);
	buf_init(&packed, ARENA_BYTES);
	assert_int_equal(msg_pack(&m, &packed), 0);
	assert_int_equal(msg_peek(buf_slice(&packed)), type);
	assert_int_equal(unpack_exact(buf_slice(&packed), &back, &copy), 0);
	assert_same(&m, &back);
	free(copy);
	buf_done(&packed);
	arena_done(&a);
}

static void
every_message_comes_back(void **state)
{
	(void)state;
	for (unsigned t = MSG_NONE + 1; t < MSG_TYPE_MAX; t++) {
		round_trip((enum msg_type)t, BARE);
		round_trip((enum msg_type)t, SHORT);
		round_trip((enum msg_type)t, FULL);
	}
}

/* An absent value and an empty one differ; zero numbers cost nothing. */
static void
absent_stays_absent(void **state)
{
	struct msg m = { .type = MSG_RELEASE }, back;
	struct buf packed;

	(void)state;
	buf_init(&packed, 100);
	assert_int_equal(msg_pack(&m, &packed), 0);
	assert_int_equal(packed.len, 2);
	assert_int_equal(msg_unpack(buf_slice(&packed), &back), 0);
	assert_null(back.reason.data);
	assert_int_equal(back.leases.count, 0);
	m.reason = slice_text("");
	buf_clear(&packed);
	assert_int_equal(msg_pack(&m, &packed), 0);
	assert_int_equal(msg_unpack(buf_slice(&packed), &back), 0);
	assert_non_null(back.reason.data);
	assert_int_equal(back.reason.len, 0);
	buf_done(&packed);
}

/* Whatever the room, the message is there whole or not at all. */
static void
packs_whole_or_not_at_all(void **state)
{
	(void)state;
	for (unsigned t = MSG_NONE + 1; t < MSG_TYPE_MAX; t++) {
		struct arena a = { 0 };
		struct msg m;
		struct buf whole;

		fill(&a, (enum msg_type)t, SHORT, &m);
		buf_init(&whole, ARENA_BYTES);
		assert_int_equal(msg_pack(&m, &whole), 0);
		for (size_t room = 4; room < 4 + whole.len; room++) {
			struct buf tight;

			buf_init(&tight, room);
			assert_int_equal(buf_add_text(&tight, "kept"), 0);
			assert_int_equal(msg_pack(&m, &tight), -ENOBUFS);
			assert_true(slice_is(buf_slice(&tight), "kept"));
			assert_true(room - 4 >= whole.len - 1 ||
				    msg_pack_record(&m, &tight) == -ENOBUFS);
			buf_done(&tight);
		}
		buf_done(&whole);
		arena_done(&a);
	}
}

/* The largest message of each part-size named in limits.h passes the link. */
static void
parts_fit_one_message(void **state)
{
	static const struct {
		enum msg_type type, record;
		uint32_t count;
	} parts[] = {
		{ MSG_PLAN, MSG_PLANNED, LIMIT_PLAN_PART },
		{ MSG_DELIVER, MSG_LEASE, LIMIT_DELIVER_PART },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct arena a = { 0 };
		struct msg m, record;
		struct buf packed, list;

		buf_init(&packed, ARENA_BYTES);
		buf_init(&list, ARENA_BYTES);
		fill(&a, parts[i].type, FULL, &m);
		fill(&a, parts[i].record, FULL, &record);
		for (uint32_t n = 0; n < parts[i].count; n++)
			assert_int_equal(msg_pack_record(&record, &list), 0);
		m.deliveries =
		    (struct msg_list){ buf_slice(&list), parts[i].count };
		assert_int_equal(msg_pack(&m, &packed), 0);
		assert_true(packed.len <= LIMIT_MESSAGE_BYTES);
		buf_done(&list);
		buf_done(&packed);
		arena_done(&a);
	}
}

/* ---- caps, on both sides ---------------------------------------------- */

static int
write_bytes(void *out, const char *data, size_t len)
{
	return buf_add(out, data, len) < 0 ? -1 : 0;
}

static void
put_key(msgpack_packer *pk, unsigned key)
{
	assert_int_equal(msgpack_pack_unsigned_int(pk, key), 0);
}

static void
put_value(msgpack_packer *pk, const struct msg_field *f, const void *member)
{
	const struct slice *s = member;
	const struct msg_list *list = member;

	switch (f->kind) {
	case MSG_KIND_U64:
		msgpack_pack_uint64(pk, *(const uint64_t *)member);
		break;
	case MSG_KIND_BOOL:
		if (*(const bool *)member)
			msgpack_pack_true(pk);
		else
			msgpack_pack_false(pk);
		break;
	case MSG_KIND_TEXT:
		msgpack_pack_str_with_body(pk, s->data, s->len);
		break;
	case MSG_KIND_BYTES:
		msgpack_pack_bin_with_body(pk, s->data, s->len);
		break;
	case MSG_KIND_LIST:
		msgpack_pack_array(pk, list->count);
		write_bytes(pk->data, (const char *)list->packed.data,
		    list->packed.len);
		break;
	case MSG_KIND_NONE:
	case MSG_KIND_MAX:
		fail_msg("no kind");
	}
}

/* The message as msg_pack() would write it, without any check, and without
 * the field `left_out`; `more` further entries are promised in its head. */
static void
write_unchecked(
    const struct msg *m, unsigned left_out, unsigned more, struct buf *out)
{
	const struct msg_shape *shape = &msg_shapes[m->type];
	msgpack_packer pk;
	uint8_t type = (uint8_t)m->type;
	unsigned count = more;

	for (unsigned i = 0; i < MSG_USES_MAX && shape->uses[i].key; i++)
		count += shape->uses[i].key != left_out;
	assert_int_equal(buf_add(out, &type, 1), 0);
	msgpack_packer_init(&pk, out, write_bytes);
	msgpack_pack_map(&pk, count);
	for (unsigned i = 0; i < MSG_USES_MAX && shape->uses[i].key; i++) {
		const struct msg_field *f = &msg_fields[shape->uses[i].key];

		if (shape->uses[i].key == left_out)
			continue;
		put_key(&pk, shape->uses[i].key);
		put_value(&pk, f, (const uint8_t *)m + f->offset);
	}
}

/* Raises one field over its cap; false when the type has no larger value. */
static bool
raise(struct arena *a, const struct msg_use *use, struct msg *m)
{
	const struct msg_field *f = &msg_fields[use->key];
	void *member = (uint8_t *)m + f->offset;
	struct buf *out;
	struct msg bare;

	switch (f->kind) {
	case MSG_KIND_U64:
		*(uint64_t *)member = f->max + 1;
		return f->max < UINT64_MAX;
	case MSG_KIND_TEXT:
	case MSG_KIND_BYTES:
		assert_true(f->max < sizeof(letters));
		*(struct slice *)member = (struct slice){ letters, f->max + 1 };
		return true;
	case MSG_KIND_LIST:
		out = &a->lists[a->used++];
		buf_init(out, ARENA_BYTES);
		fill(a, use->record, BARE, &bare);
		for (uint64_t i = 0; i <= f->max; i++)
			assert_int_equal(msg_pack_record(&bare, out), 0);
		*(struct msg_list *)member =
		    (struct msg_list){ buf_slice(out), (uint32_t)f->max + 1 };
		return true;
	case MSG_KIND_BOOL:
	case MSG_KIND_NONE:
	case MSG_KIND_MAX:
		break;
	}
	return false;
}

static void
for_each_use(void (*check)(enum msg_type, const struct msg_use *))
{
	for (unsigned t = MSG_NONE + 1; t < MSG_TYPE_MAX; t++)
		for (unsigned i = 0;
		    i < MSG_USES_MAX && msg_shapes[t].uses[i].key; i++)
			check((enum msg_type)t, &msg_shapes[t].uses[i]);
}

static void
check_over_cap(enum msg_type type, const struct msg_use *use)
{
	struct arena a = { 0 };
	struct buf out;
	struct msg m;

	buf_init(&out, ARENA_BYTES);
	fill(&a, type, SHORT, &m);
	write_unchecked(&m, 0, 0, &out);
	assert_int_equal(unpacks(buf_slice(&out)), 0);
	buf_clear(&out);
	if (raise(&a, use, &m)) {
		assert_int_equal(msg_pack(&m, &out), -EINVAL);
		assert_int_equal(msg_pack_record(&m, &out), -EINVAL);
		assert_int_equal(out.len, 0);
		write_unchecked(&m, 0, 0, &out);
		assert_int_equal(unpacks(buf_slice(&out)), -EBADMSG);
	}
	buf_done(&out);
	arena_done(&a);
}

static void
over_the_cap_is_refused(void **state)
{
	(void)state;
	for_each_use(check_over_cap);
}

/* A missing number is packed as 0; a missing text cannot be. */
static void
check_missing(enum msg_type type, const struct msg_use *use)
{
	const struct msg_field *f = &msg_fields[use->key];
	struct arena a = { 0 };
	struct buf out;
	struct msg m;

	buf_init(&out, ARENA_BYTES);
	fill(&a, type, SHORT, &m);
	write_unchecked(&m, use->key, 0, &out);
	assert_int_equal(
	    unpacks(buf_slice(&out)), use->required ? -EBADMSG : 0);
	buf_clear(&out);
	if (f->kind == MSG_KIND_TEXT || f->kind == MSG_KIND_BYTES) {
		*(struct slice *)((uint8_t *)&m + f->offset) =
		    (struct slice){ NULL, 0 };
		assert_int_equal(
		    msg_pack(&m, &out), use->required ? -EINVAL : 0);
	}
	buf_done(&out);
	arena_done(&a);
}

static void
missing_required_is_refused(void **state)
{
	(void)state;
	for_each_use(check_missing);
}

static void
check_twice(enum msg_type type, const struct msg_use *use)
{
	const struct msg_field *f = &msg_fields[use->key];
	struct arena a = { 0 };
	msgpack_packer pk;
	struct buf out;
	struct msg m;

	buf_init(&out, ARENA_BYTES);
	fill(&a, type, SHORT, &m);
	write_unchecked(&m, 0, 1, &out);
	msgpack_packer_init(&pk, &out, write_bytes);
	put_key(&pk, use->key);
	put_value(&pk, f, (const uint8_t *)&m + f->offset);
	assert_int_equal(unpacks(buf_slice(&out)), -EBADMSG);
	buf_done(&out);
	arena_done(&a);
}

static void
a_key_twice_is_refused(void **state)
{
	(void)state;
	for_each_use(check_twice);
}

/* ---- strange values --------------------------------------------------- */

/* One value of each kind msgpack has, and what it looks like to us. */
static void
put_sample(msgpack_packer *pk, unsigned which)
{
	switch (which) {
	case 0:
		msgpack_pack_uint64(pk, 1);
		break;
	case 1:
		msgpack_pack_true(pk);
		break;
	case 2:
		msgpack_pack_str_with_body(pk, "x", 1);
		break;
	case 3:
		msgpack_pack_bin_with_body(pk, "x", 1);
		break;
	case 4:
		msgpack_pack_array(pk, 0);
		break;
	case 5:
		msgpack_pack_nil(pk);
		break;
	case 6:
		msgpack_pack_int64(pk, -1);
		break;
	case 7:
		msgpack_pack_double(pk, 1.5);
		break;
	case 8:
		msgpack_pack_map(pk, 0);
		break;
	case 9:
		msgpack_pack_ext_with_body(pk, "x", 1, 5);
		break;
	case 10:
		msgpack_pack_float(pk, 1.5f);
		break;
	case 11:
		msgpack_pack_int64(pk, INT64_MIN);
		break;
	case 12:
		msgpack_pack_ext_with_body(pk, letters, 100000, 5);
		break;
	case 13:
		msgpack_pack_str_with_body(pk, letters, 70000);
		break;
	case 14: /* a list of records, as a newer peer may add */
		msgpack_pack_array(pk, 2);
		for (int i = 0; i < 2; i++) {
			msgpack_pack_map(pk, 1);
			put_key(pk, 1);
			msgpack_pack_bin_with_body(pk, "x", 1);
		}
		break;
	default:
		fail_msg("no sample");
	}
}

#define SAMPLES 15

/* Of a record without required fields, two with unknown ones will do. */
static bool
requires_nothing(enum msg_type record)
{
	const struct msg_use *uses = msg_shapes[record].uses;

	for (unsigned i = 0; i < MSG_USES_MAX && uses[i].key; i++)
		if (uses[i].required || uses[i].key == 1)
			return false;
	return true;
}

static bool
suits(const struct msg_use *use, unsigned sample)
{
	enum msg_kind kind = msg_fields[use->key].kind;

	if (kind == MSG_KIND_LIST && sample == 14)
		return requires_nothing(use->record);
	return (kind == MSG_KIND_U64 && sample == 0) ||
	       (kind == MSG_KIND_BOOL && sample == 1) ||
	       (kind == MSG_KIND_TEXT && sample == 2) ||
	       (kind == MSG_KIND_BYTES && sample == 3) ||
	       (kind == MSG_KIND_LIST && sample == 4);
}

static void
check_kinds(enum msg_type type, const struct msg_use *use)
{
	struct arena a = { 0 };
	struct buf out;
	struct msg m;

	buf_init(&out, ARENA_BYTES);
	fill(&a, type, SHORT, &m);
	for (unsigned sample = 0; sample < SAMPLES; sample++) {
		msgpack_packer pk;

		buf_clear(&out);
		write_unchecked(&m, use->key, 1, &out);
		msgpack_packer_init(&pk, &out, write_bytes);
		put_key(&pk, use->key);
		put_sample(&pk, sample);
		assert_int_equal(unpacks(buf_slice(&out)),
		    suits(use, sample) ? 0 : -EBADMSG);
	}
	buf_done(&out);
	arena_done(&a);
}

static void
another_kind_is_refused(void **state)
{
	(void)state;
	for_each_use(check_kinds);
}

/* Fields of a newer peer, of whatever kind, wherever they stand. */
static void
unknown_keys_are_skipped(void **state)
{
	static const unsigned keys[] = { MSG_KEY_MAX - 1, 128, 255, 256, 70000,
		UINT32_MAX };

	(void)state;
	for (unsigned t = MSG_NONE + 1; t < MSG_TYPE_MAX; t++) {
		struct arena a = { 0 };
		struct msg m, back;
		struct buf out;
		msgpack_packer pk;
		uint8_t *copy;

		buf_init(&out, ARENA_BYTES);
		fill(&a, (enum msg_type)t, SHORT, &m);
		write_unchecked(&m, 0, SAMPLES, &out);
		msgpack_packer_init(&pk, &out, write_bytes);
		for (unsigned sample = 0; sample < SAMPLES; sample++) {
			put_key(&pk, keys[sample % 6]);
			put_sample(&pk, sample);
		}
		assert_int_equal(
		    unpack_exact(buf_slice(&out), &back, &copy), 0);
		assert_same(&m, &back);
		free(copy);
		buf_done(&out);
		arena_done(&a);
	}
}

/* The record of a list, by hand: its head promises one entry more. */
static struct msg_list
list_with_unknown(const struct msg *record, unsigned sample, struct buf *out)
{
	msgpack_packer pk;

	write_unchecked(record, 0, 1, out);
	buf_shift(out, 1); /* records have no type */
	msgpack_packer_init(&pk, out, write_bytes);
	put_key(&pk, 100);
	put_sample(&pk, sample);
	return (struct msg_list){ buf_slice(out), 1 };
}

/* In the record of a record too: PAGE, row, attempt. */
static void
unknown_keys_of_records_are_skipped(void **state)
{
	(void)state;
	for (unsigned sample = 0; sample < SAMPLES; sample++) {
		struct arena a = { 0 };
		struct msg attempt, row, page, back;
		struct buf out, rows, attempts;
		uint8_t *copy;

		buf_init(&out, ARENA_BYTES);
		buf_init(&rows, ARENA_BYTES);
		buf_init(&attempts, ARENA_BYTES);
		fill(&a, MSG_ATTEMPT, SHORT, &attempt);
		fill(&a, MSG_ROW, SHORT, &row);
		fill(&a, MSG_PAGE, SHORT, &page);
		row.attempts = list_with_unknown(&attempt, sample, &attempts);
		page.rows = list_with_unknown(&row, sample, &rows);
		assert_int_equal(msg_pack(&page, &out), 0);
		assert_int_equal(
		    unpack_exact(buf_slice(&out), &back, &copy), 0);
		assert_same(&page, &back);
		free(copy);
		buf_done(&out);
		buf_done(&rows);
		buf_done(&attempts);
		arena_done(&a);
	}
}

/* ---- broken bytes ----------------------------------------------------- */

static void
cut_anywhere_is_refused(void **state)
{
	(void)state;
	for (unsigned t = MSG_NONE + 1; t < MSG_TYPE_MAX; t++) {
		struct arena a = { 0 };
		struct buf out;
		struct msg m;

		buf_init(&out, ARENA_BYTES);
		fill(&a, (enum msg_type)t, SHORT, &m);
		assert_int_equal(msg_pack(&m, &out), 0);
		for (size_t len = 0; len < out.len; len++)
			assert_int_equal(
			    unpacks((struct slice){ out.data, len }), -EBADMSG);
		/* and so is more than the message */
		assert_int_equal(buf_add(&out, "", 1), 0);
		assert_int_equal(unpacks(buf_slice(&out)), -EBADMSG);
		buf_done(&out);
		arena_done(&a);
	}
}

/* What is accepted can be walked, packed again, and means the same. */
static void
survive(struct slice bytes)
{
	uint8_t *copy;
	struct msg m, again;
	struct buf out;

	if (unpack_exact(bytes, &m, &copy) == 0) {
		buf_init(&out, ARENA_BYTES);
		assert_int_equal(msg_dump(&m, &out), 0);
		buf_clear(&out);
		assert_int_equal(msg_pack(&m, &out), 0);
		assert_int_equal(msg_unpack(buf_slice(&out), &again), 0);
		assert_same(&m, &again);
		buf_done(&out);
	}
	free(copy);
}

static void
a_changed_byte_harms_nobody(void **state)
{
	(void)state;
	for (unsigned t = MSG_NONE + 1; t < MSG_TYPE_MAX; t++) {
		struct arena a = { 0 };
		struct buf out;
		struct msg m;

		buf_init(&out, ARENA_BYTES);
		fill(&a, (enum msg_type)t, SHORT, &m);
		assert_int_equal(msg_pack(&m, &out), 0);
		for (size_t at = 0; at < out.len; at++) {
			uint8_t was = out.data[at];

			for (unsigned v = 0; v < 256; v++) {
				out.data[at] = (uint8_t)v;
				survive(buf_slice(&out));
			}
			out.data[at] = was;
		}
		buf_done(&out);
		arena_done(&a);
	}
}

static void
noise_harms_nobody(void **state)
{
	uint32_t seed = 20240614;
	uint8_t noise[64] = { 0 };

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t len = (size_t)i % sizeof(noise);

		for (size_t k = 0; k < len; k++) {
			seed = seed * 1664525 + 1013904223;
			noise[k] = (uint8_t)(seed >> 24);
		}
		noise[0] = (uint8_t)(i % MSG_TYPE_MAX);
		/* mostly maps, or nothing would get past the second byte */
		noise[1] = (uint8_t)(i % 7 ? 0x80 | (noise[1] & 15) : noise[1]);
		survive((struct slice){ noise, len });
	}
}

/* Heads that promise more than there is, at once, without looking. */
static void
empty_promises_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "", 0 },
		{ "\x00\x80", 2 },
		{ "\x0b", 1 },
		{ "\x0b\xc0", 2 },
		{ "\x0b\xc1", 2 },
		{ "\xff\x80", 2 },
		{ "\x0b\xdf\xff\xff\xff\xff", 6 },
		{ "\x0f\xdf\xff\xff\xff\xff", 6 },
		/* RELEASE: unknown key, then array, map, bin, str, ext */
		{ "\x0f\x81\x64\xdd\xff\xff\xff\xff", 8 },
		{ "\x0f\x81\x64\xdf\xff\xff\xff\xff", 8 },
		{ "\x0f\x81\x64\xc6\xff\xff\xff\xff", 8 },
		{ "\x0f\x81\x64\xdb\xff\xff\xff\xff", 8 },
		{ "\x0f\x81\x64\xc9\xff\xff\xff\xff", 8 },
		/* its leases: 4,096 records promised, none there */
		{ "\x0f\x81\x3b\xdc\x10\x00", 6 },
		/* its reason with a key that is no number */
		{ "\x0f\x81\xa1\x0b\xa1x", 6 },
		{ "\x0f\x81\xff\xa1x", 5 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    unpacks((struct slice){
			(const uint8_t *)bad[i].bytes, bad[i].len }),
		    -EBADMSG);
	assert_int_equal(unpacks((struct slice){ NULL, 0 }), -EBADMSG);
}

/* A value nested without end must not take the stack with it. */
static void
depth_is_bounded(void **state)
{
	static const uint8_t openers[] = { 0x91, 0x81, 0xdc };
	enum { DEEP = 1000000 };
	uint8_t *bytes = malloc(DEEP);

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < sizeof(openers); i++) {
		memset(bytes, openers[i], DEEP);
		for (size_t k = 3; openers[i] == 0xdc && k + 2 < DEEP; k += 3) {
			bytes[k + 1] = 0;
			bytes[k + 2] = 1;
		}
		bytes[0] = MSG_RELEASE;
		bytes[1] = 0x81;
		bytes[2] = 100;
		assert_int_equal(msg_unpack((struct slice){ bytes, DEEP },
				     &(struct msg){ 0 }),
		    -EBADMSG);
	}
	free(bytes);
}

static void
expect_list(const char *packed, size_t len, uint32_t count, int expected)
{
	struct msg m = { .type = MSG_RELEASE,
		.leases = { { (const uint8_t *)packed, len }, count } };
	struct buf out;

	buf_init(&out, 1000);
	assert_int_equal(msg_pack(&m, &out), 0);
	assert_int_equal(unpacks(buf_slice(&out)), expected);
	buf_done(&out);
}

/* A lease id is { 44: bin 16, 45: number }. */
#define LEASE_ID           \
	"\x82\x2c\xc4\x10" \
	"0123456789abcdef" \
	"\x2d\x01"

static void
bad_records_are_refused(void **state)
{
	(void)state;
	expect_list(LEASE_ID, 22, 1, 0);
	expect_list(LEASE_ID LEASE_ID, 44, 2, 0);
	expect_list(LEASE_ID, 22, 2, -EBADMSG);		 /* one too few */
	expect_list(LEASE_ID LEASE_ID, 44, 1, -EBADMSG); /* one too many */
	expect_list(LEASE_ID, 21, 1, -EBADMSG);		 /* cut */
	expect_list("\x80", 1, 1, -EBADMSG); /* nothing required in it */
	expect_list("\x01", 1, 1, -EBADMSG); /* no map */
	expect_list("\xc0", 1, 1, -EBADMSG);
	expect_list("\x90", 1, 1, -EBADMSG);
	/* the second of two is bad */
	expect_list(LEASE_ID "\x81\x2d\x01", 25, 2, -EBADMSG);
	/* the id is too long */
	expect_list("\x82\x2c\xc4\x11"
		    "0123456789abcdefg"
		    "\x2d\x01",
	    23, 1, -EBADMSG);
}

static void
next_stops(void **state)
{
	struct msg_list none = { { NULL, 0 }, 0 };
	struct msg_list lie = { { NULL, 0 }, 3 };
	struct msg record;

	(void)state;
	assert_false(msg_next(&none, MSG_LEASE_ID, &record));
	assert_false(msg_next(&lie, MSG_LEASE_ID, &record));
}

/* ---- the tables and their prints -------------------------------------- */

static void
the_table_makes_sense(void **state)
{
	bool used[MSG_KEY_MAX] = { false };
	bool is_record[MSG_TYPE_MAX] = { false };

	(void)state;
	for (unsigned t = MSG_NONE + 1; t < MSG_TYPE_MAX; t++) {
		const struct msg_shape *shape = &msg_shapes[t];
		bool here[MSG_KEY_MAX] = { false };

		assert_non_null(shape->name);
		assert_non_null(shape->text);
		assert_string_equal(msg_name((enum msg_type)t), shape->name);
		assert_true(msg_lane((enum msg_type)t) < MSG_LANE_MAX);
		for (unsigned i = 0; i < MSG_USES_MAX && shape->uses[i].key;
		    i++) {
			const struct msg_use *use = &shape->uses[i];
			const struct msg_field *f = &msg_fields[use->key];
			bool list = f->kind == MSG_KIND_LIST;

			assert_non_null(f->name);
			assert_true(
			    f->kind > MSG_KIND_NONE && f->kind < MSG_KIND_MAX);
			assert_false(here[use->key]);
			assert_true(list == (use->record != MSG_NONE));
			/* an empty list is absent, so cannot be required */
			assert_false(list && use->required);
			here[use->key] = used[use->key] = true;
			is_record[use->record] = true;
		}
	}
	for (unsigned t = MSG_NONE + 1; t < MSG_TYPE_MAX; t++)
		assert_true(is_record[t] == (t >= MSG_RANGE));
	for (unsigned k = 0; k < MSG_KEY_MAX; k++)
		if (used[k] != (msg_fields[k].name != NULL))
			fail_msg("key %u (%s) is in no message", k,
			    msg_fields[k].name);
	assert_true(MSG_TYPE_MAX <= 0x80); /* one byte of msgpack */
}

static void
what_is_no_type_has_no_name(void **state)
{
	struct msg m = { .type = MSG_TYPE_MAX };
	struct buf out;

	(void)state;
	assert_string_equal(msg_name(MSG_NONE), "?");
	assert_string_equal(msg_name(MSG_TYPE_MAX), "?");
	assert_int_equal(msg_lane(MSG_TYPE_MAX), MSG_LANE_CONTROL);
	assert_int_equal(msg_peek(slice_text("\x7f")), MSG_NONE);
	assert_int_equal(msg_peek((struct slice){ NULL, 0 }), MSG_NONE);
	buf_init(&out, 1000);
	assert_int_equal(msg_pack(&m, &out), -EINVAL);
	assert_int_equal(msg_pack_record(&m, &out), -EINVAL);
	assert_int_equal(msg_dump(&m, &out), 0);
	assert_true(slice_is(buf_slice(&out), "?"));
	m.type = MSG_NONE;
	assert_int_equal(msg_pack(&m, &out), -EINVAL);
	buf_done(&out);
}

static void
dump_tells_but_not_secrets(void **state)
{
	struct msg m = { .type = MSG_LEASE,
		.token = 7,
		.url = slice_text("https://x/"),
		.secret = slice_text("hush") };
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	assert_int_equal(msg_dump(&m, &out), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_non_null(strstr((char *)out.data, "token=7"));
	assert_non_null(strstr((char *)out.data, "url=\"https://x/\""));
	assert_non_null(strstr((char *)out.data, "secret=<4 bytes>"));
	assert_null(strstr((char *)out.data, "hush"));
	buf_done(&out);
}

static void
the_document_names_everything(void **state)
{
	struct buf out;
	char wanted[200];

	(void)state;
	buf_init(&out, 1024 * 1024);
	assert_int_equal(msg_document(&out), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	for (unsigned t = MSG_NONE + 1; t < MSG_TYPE_MAX; t++) {
		(void)snprintf(
		    wanted, sizeof(wanted), "\n## %s\n", msg_shapes[t].name);
		assert_non_null(strstr((char *)out.data, wanted));
	}
	for (unsigned k = 1; k < MSG_KEY_MAX; k++) {
		if (msg_fields[k].name == NULL)
			continue;
		(void)snprintf(wanted, sizeof(wanted), "| %u | `%s` |", k,
		    msg_fields[k].name);
		assert_non_null(strstr((char *)out.data, wanted));
	}
	buf_done(&out);
	buf_init(&out, 100);
	assert_int_equal(msg_document(&out), -ENOBUFS);
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_comes_back),
		cmocka_unit_test(absent_stays_absent),
		cmocka_unit_test(packs_whole_or_not_at_all),
		cmocka_unit_test(parts_fit_one_message),
		cmocka_unit_test(over_the_cap_is_refused),
		cmocka_unit_test(missing_required_is_refused),
		cmocka_unit_test(a_key_twice_is_refused),
		cmocka_unit_test(another_kind_is_refused),
		cmocka_unit_test(unknown_keys_are_skipped),
		cmocka_unit_test(unknown_keys_of_records_are_skipped),
		cmocka_unit_test(cut_anywhere_is_refused),
		cmocka_unit_test(a_changed_byte_harms_nobody),
		cmocka_unit_test(noise_harms_nobody),
		cmocka_unit_test(empty_promises_are_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(bad_records_are_refused),
		cmocka_unit_test(next_stops),
		cmocka_unit_test(the_table_makes_sense),
		cmocka_unit_test(what_is_no_type_has_no_name),
		cmocka_unit_test(dump_tells_but_not_secrets),
		cmocka_unit_test(the_document_names_everything),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
