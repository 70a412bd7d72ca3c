#include "deliverer/extra.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct extra *
extra_new(void)
{
	struct extra *x = calloc(1, sizeof(*x));

	if (x != NULL) /* opening wants a byte of room */
		buf_init(&x->block, HEADERS_BYTES + 1);
	return x;
}

void
extra_free(struct extra *x)
{
	if (x == NULL)
		return;
	extra_wipe(x);
	buf_done(&x->block);
	free(x);
}

/* A line per node: libcurl looks at each name for what it would set itself. */
static unsigned
list(struct extra *x)
{
	size_t at = 0;
	unsigned count = 0;

	while (at < x->block.len) {
		char *line = (char *)x->block.data + at;

		x->nodes[count].data = line;
		x->nodes[count].next = NULL;
		if (count > 0)
			x->nodes[count - 1].next = &x->nodes[count];
		count++;
		at += strlen(line) + 1;
	}
	return count;
}

int
extra_open(struct extra *x, const struct seal *seal, uint32_t app,
    struct slice sealed, struct curl_slist **ret_list)
{
	char what[HEADERS_SEAL_NAME_SIZE];
	int r;

	buf_clear(&x->block);
	headers_seal_name(app, what);
	r = seal_open(seal, what, sealed, &x->block);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	/* Also from our own api: what could end a line is never sent. */
	if (!headers_are_right(buf_slice(&x->block)) || list(x) == 0)
		return -EBADMSG;
	*ret_list = x->nodes;
	return 0;
}

void
extra_wipe(struct extra *x)
{
	if (x->block.data != NULL)
		explicit_bzero(x->block.data, x->block.cap);
	buf_clear(&x->block);
}
