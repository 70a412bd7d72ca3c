#include "common/http_query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"

/* Of len bytes; the text and a NUL are never longer than that and one. */
static char *
decode(char *to, const char *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int byte = hex_escape(
		    (struct slice){ (const uint8_t *)from + i, len - i });

		if (byte >= 0) {
			*to++ = (char)byte;
			i += HEX_ESCAPE_SIZE - 1;
		} else {
			*to++ = from[i] == '+' ? ' ' : from[i];
		}
	}
	*to++ = '\0';
	return to;
}

int
http_query_take(struct http_query *q, char *target)
{
	char *query = target == NULL ? NULL : strchr(target, '?'), *to;
	size_t size;

	*q = (struct http_query){ 0 };
	if (query == NULL || query[1] == '\0')
		return 0;
	/* A pair is at least a byte and its "&", and gets two NULs. */
	size = 2 * strlen(query) + 2;
	q->text = malloc(size);
	if (q->text == NULL)
		return -ENOMEM;
	to = q->text;
	for (const char *at = query + 1; *at != '\0';) {
		size_t len = strcspn(at, "&"), name = strcspn(at, "=&");
		size_t equals = name < len;

		if (len > 0) {
			to = decode(to, at, name);
			to =
			    decode(to, at + name + equals, len - name - equals);
			q->count++;
		}
		at += len + (at[len] == '&');
	}
	query[1] = '\0';
	return 0;
}

void
http_query_done(struct http_query *q)
{
	free(q->text);
	*q = (struct http_query){ 0 };
}

void
http_query_each(const struct http_query *q,
    bool (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	const char *name = q->text;

	for (size_t i = 0; i < q->count; i++) {
		const char *value = name + strlen(name) + 1;

		if (!fn(arg, name, value))
			return;
		name = value + strlen(value) + 1;
	}
}
