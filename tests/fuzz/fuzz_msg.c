/*
 * msg_unpack() on any bytes. What it accepts can be walked to the end, dumped
 * and packed again; that form unpacks, and packs to the same bytes.
 */
#include "common/msg.h"
#include "common/msg_table.h"
#include "tests/fuzz/fuzz.h"

#define OUT_MAX (16u * 1024 * 1024)

static void walk(const struct msg *m);

static void
walk_list(struct msg_list list, enum msg_type record)
{
	uint32_t left = list.count;
	struct msg r;

	while (msg_next(&list, record, &r)) {
		walk(&r);
		left--;
	}
	HOLDS(left == 0 && list.packed.len == 0);
}

static void
walk(const struct msg *m)
{
	const struct msg_shape *shape = &msg_shapes[m->type];

	for (unsigned i = 0; i < MSG_USES_MAX && shape->uses[i].key; i++) {
		const struct msg_field *f = &msg_fields[shape->uses[i].key];
		const void *member = (const uint8_t *)m + f->offset;

		if (f->kind == MSG_KIND_LIST)
			walk_list(*(const struct msg_list *)member,
			    shape->uses[i].record);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg m, again;
	struct buf first, second;

	if (msg_unpack((struct slice){ data, size }, &m) < 0)
		return 0;
	walk(&m);
	buf_init(&first, OUT_MAX);
	buf_init(&second, OUT_MAX);
	HOLDS(msg_dump(&m, &first) == 0);
	buf_clear(&first);
	HOLDS(msg_pack(&m, &first) == 0);
	HOLDS(msg_unpack(buf_slice(&first), &again) == 0);
	HOLDS(msg_pack(&again, &second) == 0);
	HOLDS(slice_same(buf_slice(&first), buf_slice(&second)));
	buf_done(&first);
	buf_done(&second);
	return 0;
}
