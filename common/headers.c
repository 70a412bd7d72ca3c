#include "common/headers.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What frames the message, describes its body, belongs to one hop, names its
 * receiver or its sender, or asks for an answer that would not be read. */
static const char *const owned[] = { "accept-encoding", "connection", "expect",
	"host", "http2-settings", "keep-alive", "te", "trailer",
	"transfer-encoding", "upgrade", "user-agent" };
static const char *const owned_prefixes[] = { "content-", "proxy-", "webhook-",
	"x-apideck-" };

void
headers_seal_name(uint32_t app, char name[HEADERS_SEAL_NAME_SIZE])
{
	(void)snprintf(
	    name, HEADERS_SEAL_NAME_SIZE, "headers:%u", (unsigned)app);
}

/* RFC 9110, 5.6.2 */
static bool
is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] >= 0x80 ||
		    (!isalnum(s.data[i]) &&
			(s.data[i] == '\0' ||
			    strchr("!#$%&'*+-.^_`|~", s.data[i]) == NULL)))
			return false;
	return s.len > 0 && s.len <= HEADERS_NAME_MAX;
}

bool
headers_may_set(struct slice name)
{
	const char *text = (const char *)name.data;

	if (!is_token(name))
		return false;
	for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++)
		if (name.len == strlen(owned[i]) &&
		    strncasecmp(text, owned[i], name.len) == 0)
			return false;
	for (size_t i = 0; i < sizeof(owned_prefixes) / sizeof(*owned_prefixes);
	    i++) {
		size_t len = strlen(owned_prefixes[i]);

		if (name.len >= len &&
		    strncasecmp(text, owned_prefixes[i], len) == 0)
			return false;
	}
	return true;
}

bool
headers_is_value(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] < ' ' || value.data[i] > '~')
			return false;
	return value.len > 0 && value.data[0] != ' ' &&
	       value.data[value.len - 1] != ' ';
}

int
headers_add(struct buf *block, struct slice name, struct slice value)
{
	size_t at = block->len;
	int r = buf_reserve(block, name.len + value.len + 3);

	if (r == 0)
		r = buf_add(block, name.data, name.len);
	for (size_t i = at; i < block->len; i++)
		block->data[i] = (uint8_t)tolower(block->data[i]);
	if (r == 0)
		r = buf_add(block, ": ", 2);
	if (r == 0)
		r = buf_add(block, value.data, value.len);
	return r == 0 ? buf_add(block, "", 1) : r;
}

bool
headers_next(
    struct slice *block, struct slice *ret_name, struct slice *ret_value)
{
	const uint8_t *colon;
	size_t len;

	if (block->len == 0)
		return false;
	len = strnlen((const char *)block->data, block->len);
	if (len == block->len)
		return false; /* no NUL behind the line */
	colon = memchr(block->data, ':', len);
	if (colon == NULL || colon + 2 > block->data + len || colon[1] != ' ')
		return false;
	*ret_name =
	    (struct slice){ block->data, (size_t)(colon - block->data) };
	*ret_value = (struct slice){ colon + 2,
		(size_t)(block->data + len - colon) - 2 };
	block->data += len + 1;
	block->len -= len + 1;
	return true;
}

bool
headers_are_right(struct slice block)
{
	struct slice name, value;
	unsigned count = 0;

	while (headers_next(&block, &name, &value))
		if (++count > HEADERS_MAX || !headers_may_set(name) ||
		    !headers_is_value(value))
			return false;
	return block.len == 0;
}
