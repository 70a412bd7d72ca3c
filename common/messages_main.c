/* sluice-messages: prints docs/messages.md from the message table. */
#include <stdio.h>

#include "common/msg.h"

#define DOCUMENT_MAX (1024 * 1024)

int
main(void)
{
	struct buf out;
	int r;

	buf_init(&out, DOCUMENT_MAX);
	r = msg_document(&out);
	if (r == 0 && fwrite(out.data, 1, out.len, stdout) != out.len)
		r = -1;
	buf_done(&out);
	return r < 0 ? 1 : 0;
}
