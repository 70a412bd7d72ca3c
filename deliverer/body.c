#include "deliverer/body.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_SIZE 11 /* 4294967295 and the NUL */

int
body_make(struct slice template, uint64_t hole, uint32_t attempt,
    struct body **ret_body)
{
	char digits[DIGITS_SIZE] = "";
	size_t len = 0, before = (size_t)hole;
	struct body *body;

	if (hole >= template.len && hole != 0)
		return -EBADMSG;
	if (hole != 0)
		len = (size_t)snprintf(
		    digits, sizeof(digits), "%" PRIu32, attempt);
	body = malloc(sizeof(*body) + template.len + len);
	if (body == NULL)
		return -ENOMEM;
	body->refs = 1;
	body->attempt = attempt;
	body->len = template.len + len;
	if (before > 0)
		memcpy(body->bytes, template.data, before);
	if (len > 0)
		memcpy(body->bytes + before, digits, len);
	if (template.len > before)
		memcpy(body->bytes + before + len, template.data + before,
		    template.len - before);
	*ret_body = body;
	return 0;
}

struct body *
body_ref(struct body *body)
{
	body->refs++;
	return body;
}

void
body_unref(struct body *body)
{
	if (body != NULL && --body->refs == 0)
		free(body);
}

struct slice
body_slice(const struct body *body)
{
	return (struct slice){ body->bytes, body->len };
}
