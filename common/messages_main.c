/*
 * sluice-messages: prints the pages of docs/ that are made from tables:
 * docs/messages.md, or docs/config.md when called with the word `config`.
 */
#include <stdio.h>
#include <string.h>

#include "common/config.h"
#include "common/msg.h"

#define DOCUMENT_MAX (1024 * 1024)

int
main(int argc, char **argv)
{
	bool config = argc == 2 && !strcmp(argv[1], "config");
	struct buf out;
	int r;

	buf_init(&out, DOCUMENT_MAX);
	r = config ? config_document(&out) : msg_document(&out);
	if (r == 0 && fwrite(out.data, 1, out.len, stdout) != out.len)
		r = -1;
	buf_done(&out);
	return r < 0 ? 1 : 0;
}
