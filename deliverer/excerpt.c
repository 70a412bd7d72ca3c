#include "deliverer/excerpt.h"

#include <string.h>

/* U+FFFD */
static const uint8_t replacement[3] = { 0xef, 0xbf, 0xbd };

void
excerpt_init(struct excerpt *e)
{
	buf_init(&e->kept, LIMIT_EXCERPT_BYTES);
	e->seen = 0;
}

void
excerpt_done(struct excerpt *e)
{
	buf_done(&e->kept);
	e->seen = 0;
}

void
excerpt_clear(struct excerpt *e)
{
	buf_clear(&e->kept);
	e->seen = 0;
}

bool
excerpt_add(struct excerpt *e, unsigned status, struct slice bytes)
{
	size_t cap = status >= 200 && status < 300 ? LIMIT_EXCERPT_OK_BYTES
						   : LIMIT_EXCERPT_BYTES;
	size_t room = e->kept.len < cap ? cap - e->kept.len : 0;
	size_t take = bytes.len < room ? bytes.len : room;

	if (take > 0 && buf_add(&e->kept, bytes.data, take) < 0)
		return false;
	e->seen += bytes.len;
	return e->seen <= EXCERPT_READ_MAX;
}

static bool
follows(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Length of the well-formed sequence at the start (Unicode 15 table 3-7);
 * 0 when there is none. */
static size_t
sequence(struct slice s)
{
	uint8_t a = s.data[0], low = 0x80, high = 0xbf;
	size_t len;

	if (a < 0x80)
		return 1;
	if (a < 0xc2 || a > 0xf4)
		return 0;
	len = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
	if (a == 0xe0)
		low = 0xa0; /* overlong */
	else if (a == 0xed)
		high = 0x9f; /* surrogates */
	else if (a == 0xf0)
		low = 0x90; /* overlong */
	else if (a == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */
	if (s.len < len || s.data[1] < low || s.data[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (!follows(s.data[i]))
			return 0;
	return len;
}

int
excerpt_text(const struct excerpt *e, struct buf *out)
{
	struct slice s = buf_slice(&e->kept);
	size_t start = out->len;

	while (s.len > 0) {
		size_t len = sequence(s);
		size_t add = len > 0 ? len : sizeof(replacement);
		int r;

		if (out->len - start + add > LIMIT_EXCERPT_BYTES)
			break;
		r = buf_add(out, len > 0 ? s.data : replacement, add);
		if (r < 0)
			return r;
		len = len > 0 ? len : 1;
		s.data += len;
		s.len -= len;
	}
	return 0;
}
