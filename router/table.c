#include "router/table.h"

#include <string.h>

#define PRIME UINT64_C(0x9e3779b97f4a7c15) /* 2^64 over the golden ratio */

static uint64_t
mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * PRIME;
	return h ^ h >> 29;
}

uint32_t
table_hash(const void *key, size_t len)
{
	static const char anchor;
	const uint8_t *at = key;
	uint64_t h = mix((uint64_t)(uintptr_t)&anchor, len), word;

	for (; len >= sizeof(word); len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		h = mix(h, word);
		at += sizeof(word);
	}
	word = 0;
	memcpy(&word, at, len);
	h = mix(h, word);
	return (uint32_t)(h ^ h >> 32);
}
