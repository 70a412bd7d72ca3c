/*
 * Unsigned numbers of one to ten bytes, small ones short: seven bits a byte,
 * lowest first. Readers check every byte against the end of what they read.
 */
#ifndef SLUICE_LOGGER_VARINT_H
#define SLUICE_LOGGER_VARINT_H

#include <errno.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

#define VARINT_MAX_BYTES 10

/* Writes to at, which has room for VARINT_MAX_BYTES; the end of it. */
static inline uint8_t *
varint_put(uint8_t *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

/* Takes one off the front of *in. -EBADMSG: there is none. */
static inline int SL_MUST_CHECK
varint_get(struct slice *in, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < in->len && i < VARINT_MAX_BYTES; i++) {
		value |= (uint64_t)(in->data[i] & 0x7f) << (7 * i);
		if (in->data[i] < 0x80) {
			in->data += i + 1;
			in->len -= i + 1;
			*ret = value;
			return 0;
		}
	}
	return -EBADMSG;
}

/* Signed ones near zero stay short, too. */
static inline uint64_t
varint_zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t
varint_unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

#endif
