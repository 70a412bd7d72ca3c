/*
 * A growable run of bytes that knows its cap, and a view of bytes that
 * somebody else owns.
 *
 * A struct buf is embedded by value: buf_init() names the cap, buf_done()
 * frees. No call ever lets it grow past the cap; the caller sees -ENOBUFS and
 * the content is unchanged. -ENOMEM when memory is out, content unchanged too.
 * Not thread-safe; one owner.
 */
#ifndef SLUICE_BUF_H
#define SLUICE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"

struct buf {
	uint8_t *data; /* NULL until the first byte */
	size_t len;
	size_t cap;	  /* allocated */
	size_t max_bytes; /* never more than this */
};

/* A view: never owned, never freed through it. data NULL means absent. */
struct slice {
	const uint8_t *data;
	size_t len;
};

void buf_init(struct buf *b, size_t max_bytes);
/* Frees and leaves b initialised and empty, with the same cap. */
void buf_done(struct buf *b);
/* Drops the content, keeps the memory. */
void buf_clear(struct buf *b);
/* Room for len more bytes. */
int buf_reserve(struct buf *b, size_t len) SL_MUST_CHECK;
int buf_add(struct buf *b, const void *data, size_t len) SL_MUST_CHECK;
int buf_add_text(struct buf *b, const char *text) SL_MUST_CHECK;
/* The character as UTF-8; any number below 0x110000. */
int buf_add_rune(struct buf *b, uint32_t rune) SL_MUST_CHECK;
int buf_addf(struct buf *b, const char *format, ...)
    SL_PRINTF(2, 3) SL_MUST_CHECK;
/* Removes the first len bytes. */
void buf_shift(struct buf *b, size_t len);

struct slice buf_slice(const struct buf *b);
struct slice slice_text(const char *text); /* NULL gives an absent slice */
bool slice_is(struct slice s, const char *text);
bool slice_same(struct slice a, struct slice b);
/* A NUL-terminated copy, freed by the caller; NULL when memory is out. */
char *slice_dup(struct slice s);
/* Copies into text[size] with a NUL; -ENOBUFS when it does not fit. */
int slice_copy(struct slice s, char *text, size_t size) SL_MUST_CHECK;

#endif
