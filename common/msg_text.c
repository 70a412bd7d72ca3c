/* The tables as people read them: dumps and docs/messages.md. */
#include <inttypes.h>

#include "common/msg.h"
#include "common/msg_table.h"

static int
dump_value(const struct msg_field *f, const void *member, struct buf *out)
{
	const struct slice *s = member;

	switch (f->kind) {
	case MSG_KIND_U64:
		return buf_addf(
		    out, " %s=%" PRIu64, f->name, *(const uint64_t *)member);
	case MSG_KIND_BOOL:
		return buf_addf(out, " %s=%s", f->name,
		    *(const bool *)member ? "true" : "false");
	case MSG_KIND_TEXT:
		return buf_addf(out, " %s=\"%.*s\"", f->name, (int)s->len,
		    s->data == NULL ? "" : (const char *)s->data);
	case MSG_KIND_BYTES:
		return buf_addf(out, " %s=<%zu bytes>", f->name, s->len);
	case MSG_KIND_LIST:
		return buf_addf(out, " %s=<%" PRIu32 " records>", f->name,
		    ((const struct msg_list *)member)->count);
	case MSG_KIND_NONE:
	case MSG_KIND_MAX:
		break;
	}
	return 0;
}

int
msg_dump(const struct msg *m, struct buf *out)
{
	bool known = m->type > MSG_NONE && m->type < MSG_TYPE_MAX;
	const struct msg_shape *shape = &msg_shapes[known ? m->type : MSG_NONE];
	int r = buf_add_text(out, msg_name(m->type));

	for (unsigned i = 0; r == 0 && i < MSG_USES_MAX; i++) {
		const struct msg_field *f = &msg_fields[shape->uses[i].key];

		if (shape->uses[i].key == 0)
			break;
		r = dump_value(f, (const uint8_t *)m + f->offset, out);
	}
	return r;
}

static int
document_type(const struct msg_shape *shape, struct buf *out)
{
	static const char *const kinds[MSG_KIND_MAX] = {
		[MSG_KIND_U64] = "number",
		[MSG_KIND_BOOL] = "bool",
		[MSG_KIND_TEXT] = "text",
		[MSG_KIND_BYTES] = "bytes",
		[MSG_KIND_LIST] = "list",
	};
	int r = buf_addf(out,
	    "\n## %s\n\n%s\n\n| key | field | kind | cap | required | meaning "
	    "|\n|---|---|---|---|---|---|\n",
	    shape->name, shape->text);

	for (unsigned i = 0; r == 0 && i < MSG_USES_MAX; i++) {
		const struct msg_use *use = &shape->uses[i];
		const struct msg_field *f = &msg_fields[use->key];

		if (use->key == 0)
			break;
		r = buf_addf(out,
		    "| %u | `%s` | %s | %" PRIu64 " | %s | %s |\n", use->key,
		    f->name, kinds[f->kind], f->max, use->required ? "yes" : "",
		    f->text);
	}
	return r;
}

int
msg_document(struct buf *out)
{
	int r = buf_add_text(out,
	    "# Messages\n\nWritten by `build/*/bin/sluice-messages` from "
	    "`common/msg_fields.[ch]`; do not edit.\n\nA message is its type "
	    "number and a msgpack map from keys to values. Unknown keys are "
	    "skipped;\nfields are only ever added.\n");

	for (unsigned t = MSG_NONE + 1; r == 0 && t < MSG_TYPE_MAX; t++)
		r = document_type(&msg_shapes[t], out);
	return r;
}
