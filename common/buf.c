#include "common/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Smallest allocation: most small buffers fit at once. */
#define BUF_FIRST 256

void
buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){ .max_bytes = max_bytes };
}

void
buf_done(struct buf *b)
{
	free(b->data);
	buf_init(b, b->max_bytes);
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
}

int
buf_reserve(struct buf *b, size_t len)
{
	size_t want, cap;
	uint8_t *data;

	if (len > b->max_bytes || b->len > b->max_bytes - len)
		return -ENOBUFS;
	want = b->len + len;
	if (want <= b->cap && b->data != NULL)
		return 0;
	cap = b->cap ? b->cap : BUF_FIRST;
	while (cap < want)
		cap = cap > b->max_bytes / 2 ? b->max_bytes : cap * 2;
	if (cap > b->max_bytes)
		cap = b->max_bytes;
	if (cap == 0)
		cap = 1;
	data = realloc(b->data, cap);
	if (data == NULL)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

int
buf_add(struct buf *b, const void *data, size_t len)
{
	int r = buf_reserve(b, len);

	if (r < 0)
		return r;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

int
buf_add_text(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

int
buf_add_rune(struct buf *b, uint32_t rune)
{
	uint8_t text[4];

	if (rune < 0x80) {
		text[0] = (uint8_t)rune;
		return buf_add(b, text, 1);
	}
	if (rune < 0x800) {
		text[0] = (uint8_t)(0xc0 | rune >> 6);
		text[1] = (uint8_t)(0x80 | (rune & 0x3f));
		return buf_add(b, text, 2);
	}
	if (rune < 0x10000) {
		text[0] = (uint8_t)(0xe0 | rune >> 12);
		text[1] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
		text[2] = (uint8_t)(0x80 | (rune & 0x3f));
		return buf_add(b, text, 3);
	}
	text[0] = (uint8_t)(0xf0 | rune >> 18);
	text[1] = (uint8_t)(0x80 | (rune >> 12 & 0x3f));
	text[2] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
	text[3] = (uint8_t)(0x80 | (rune & 0x3f));
	return buf_add(b, text, 4);
}

int
buf_addf(struct buf *b, const char *format, ...)
{
	char small[512];
	char *text = small;
	va_list ap;
	int len, r;

	va_start(ap, format);
	len = vsnprintf(small, sizeof(small), format, ap);
	va_end(ap);
	if (len < 0)
		return -EINVAL;
	if ((size_t)len >= sizeof(small)) {
		va_start(ap, format);
		len = vasprintf(&text, format, ap);
		va_end(ap);
		if (len < 0)
			return -ENOMEM;
	}
	r = buf_add(b, text, (size_t)len);
	if (text != small)
		free(text);
	return r;
}

void
buf_shift(struct buf *b, size_t len)
{
	if (len >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){ b->data, b->len };
}

struct slice
slice_text(const char *text)
{
	if (text == NULL)
		return (struct slice){ NULL, 0 };
	return (struct slice){ (const uint8_t *)text, strlen(text) };
}

bool
slice_is(struct slice s, const char *text)
{
	return slice_same(s, slice_text(text));
}

bool
slice_same(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.data, b.data, a.len));
}

char *
slice_dup(struct slice s)
{
	char *text = malloc(s.len + 1);

	if (text == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	return text;
}

int
slice_copy(struct slice s, char *text, size_t size)
{
	if (s.len >= size)
		return -ENOBUFS;
	if (s.len > 0)
		memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	return 0;
}
