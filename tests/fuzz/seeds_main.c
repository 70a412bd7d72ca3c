/* fuzz-seeds FOLDER: writes one small message of each type into it. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/msg.h"
#include "common/msg_table.h"

#define MESSAGE_MAX 65536
#define LISTS_MAX 16

static struct buf lists[LISTS_MAX];
static unsigned lists_used;

static int fill(enum msg_type type, struct msg *m);

static int
fill_list(enum msg_type type, struct msg_list *ret)
{
	struct buf *out = &lists[lists_used++];
	struct msg record;
	int r = fill(type, &record);

	if (r == 0)
		r = msg_pack_record(&record, out);
	if (r == 0)
		*ret = (struct msg_list){ buf_slice(out), 1 };
	return r;
}

/* Every field, with something short in it. */
static int
fill(enum msg_type type, struct msg *m)
{
	static const uint8_t bytes[] = "0123456789abcdef0123456789abcdef";
	const struct msg_shape *shape = &msg_shapes[type];
	int r = 0;

	memset(m, 0, sizeof(*m));
	m->type = type;
	for (unsigned i = 0; r == 0 && i < MSG_USES_MAX && shape->uses[i].key;
	    i++) {
		const struct msg_field *f = &msg_fields[shape->uses[i].key];
		void *member = (uint8_t *)m + f->offset;

		if (f->kind == MSG_KIND_U64)
			*(uint64_t *)member = f->max < 300 ? f->max : 300;
		else if (f->kind == MSG_KIND_BOOL)
			*(bool *)member = true;
		else if (f->kind == MSG_KIND_LIST)
			r = fill_list(shape->uses[i].record, member);
		else
			*(struct slice *)member =
			    (struct slice){ bytes, f->max < 32 ? f->max : 32 };
	}
	return r;
}

static int
write_seed(const char *folder, enum msg_type type, struct slice bytes)
{
	char path[PATH_MAX];
	FILE *file;
	size_t n;

	if (snprintf(path, sizeof(path), "%s/%02d", folder, (int)type) >=
	    (int)sizeof(path))
		return -1;
	file = fopen(path, "w");
	if (file == NULL)
		return -1;
	n = fwrite(bytes.data, 1, bytes.len, file);
	return fclose(file) == 0 && n == bytes.len ? 0 : -1;
}

int
main(int argc, char **argv)
{
	struct buf packed;
	int r = argc == 2 ? 0 : -1;

	buf_init(&packed, MESSAGE_MAX);
	for (unsigned i = 0; i < LISTS_MAX; i++)
		buf_init(&lists[i], MESSAGE_MAX);
	for (unsigned t = MSG_NONE + 1; r == 0 && t < MSG_TYPE_MAX; t++) {
		struct msg m;

		lists_used = 0;
		buf_clear(&packed);
		for (unsigned i = 0; i < LISTS_MAX; i++)
			buf_clear(&lists[i]);
		r = fill((enum msg_type)t, &m);
		if (r == 0)
			r = msg_pack(&m, &packed);
		if (r == 0)
			r = write_seed(
			    argv[1], (enum msg_type)t, buf_slice(&packed));
	}
	for (unsigned i = 0; i < LISTS_MAX; i++)
		buf_done(&lists[i]);
	buf_done(&packed);
	if (r < 0)
		fprintf(stderr, "fuzz-seeds FOLDER\n");
	return r < 0 ? 1 : 0;
}
