#include "logger/ordinals.h"

#include <errno.h>
#include <string.h>

#include "logger/varint.h"

enum form { FORM_RUNS, FORM_BITS };

void
ordinals_clear(struct ordinals *set)
{
	memset(set, 0, sizeof(*set));
}

/* The bits of word `at` that lie in [from, to). */
static uint64_t
mask(uint32_t at, uint32_t from, uint32_t to)
{
	uint64_t bits = UINT64_MAX;

	if (at == from / 64)
		bits &= UINT64_MAX << from % 64;
	if (at == to / 64)
		bits &= (UINT64_C(1) << to % 64) - 1;
	return bits;
}

static uint32_t
words_end(uint32_t to)
{
	return to / 64 + (to % 64 != 0);
}

void
ordinals_add(struct ordinals *set, uint32_t from, uint32_t to)
{
	for (uint32_t i = from / 64; from < to && i < words_end(to); i++)
		set->words[i] |= mask(i, from, to);
}

void
ordinals_cut(struct ordinals *set, uint32_t from, uint32_t to)
{
	for (uint32_t i = from / 64; from < to && i < words_end(to); i++)
		set->words[i] &= ~mask(i, from, to);
}

void
ordinals_and(struct ordinals *set, const struct ordinals *other)
{
	for (uint32_t i = 0; i < ORDINALS_WORDS; i++)
		set->words[i] &= other->words[i];
}

void
ordinals_and_not(struct ordinals *set, const struct ordinals *other)
{
	for (uint32_t i = 0; i < ORDINALS_WORDS; i++)
		set->words[i] &= ~other->words[i];
}

bool
ordinals_empty(const struct ordinals *set)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < ORDINALS_WORDS; i++)
		any |= set->words[i];
	return any == 0;
}

uint32_t
ordinals_next(const struct ordinals *set, uint32_t from, uint32_t to)
{
	for (uint32_t i = from / 64; from < to && i < words_end(to); i++) {
		uint64_t bits = set->words[i] & mask(i, from, to);

		if (bits != 0)
			return i * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return to;
}

/* ---- kept --------------------------------------------------------------- */

/* A gap is what lies between the end of one run and the next; doubled, with
 * one added when a length follows, because the run is longer than one. */
static int
encode_runs(const uint16_t *list, uint32_t count, struct buf *out)
{
	uint8_t bytes[2 * VARINT_MAX_BYTES];
	uint32_t end = 0;
	int r = 0;

	for (uint32_t i = 0, next; r == 0 && i < count; i = next) {
		uint8_t *at;
		uint32_t len;

		for (next = i + 1; next < count; next++)
			if (list[next] != list[next - 1] + 1)
				break;
		len = next - i;
		at = varint_put(
		    bytes, ((uint64_t)list[i] - end) << 1 | (len > 1));
		if (len > 1)
			at = varint_put(at, len - 2);
		end = list[i] + len;
		r = buf_add(out, bytes, (size_t)(at - bytes));
		if (out->len > sizeof(struct ordinals))
			break; /* the bits are shorter, whatever follows */
	}
	return r;
}

static int
encode_bits(const uint16_t *list, uint32_t count, struct buf *out)
{
	struct ordinals set;

	ordinals_clear(&set);
	for (uint32_t i = 0; i < count; i++)
		set.words[list[i] / 64] |= UINT64_C(1) << list[i] % 64;
	return buf_add(out, set.words, sizeof(set.words));
}

int
ordinals_encode(const uint16_t *list, uint32_t count, struct buf *out)
{
	struct buf runs;
	uint8_t form = FORM_RUNS;
	int r;

	buf_init(&runs, 2 * sizeof(struct ordinals));
	r = encode_runs(list, count, &runs);
	if (r == 0 && runs.len > sizeof(struct ordinals))
		form = FORM_BITS;
	if (r == 0)
		r = buf_add(out, &form, 1);
	if (r == 0 && form == FORM_BITS)
		r = encode_bits(list, count, out);
	else if (r == 0)
		r = buf_add(out, runs.data, runs.len);
	buf_done(&runs);
	return r;
}

static int
decode_runs(struct slice kept, struct ordinals *set)
{
	uint64_t end = 0;

	while (kept.len > 0) {
		uint64_t gap, len = 1;
		int r = varint_get(&kept, &gap);

		if (r == 0 && gap & 1) {
			r = varint_get(&kept, &len);
			len = len < ORDINALS_MAX ? len + 2 : ORDINALS_MAX + 1;
		}
		if (r < 0)
			return r;
		gap >>= 1;
		if (gap > ORDINALS_MAX || end + gap + len > ORDINALS_MAX)
			return -EBADMSG;
		end += gap;
		if (len == 1)
			set->words[end / 64] |= UINT64_C(1) << end % 64;
		else
			ordinals_add(set, (uint32_t)end, (uint32_t)(end + len));
		end += len;
	}
	return 0;
}

int
ordinals_decode(struct slice kept, struct ordinals *set)
{
	struct ordinals bits;

	if (kept.len == 0)
		return -EBADMSG;
	if (kept.data[0] == FORM_RUNS)
		return decode_runs(
		    (struct slice){ kept.data + 1, kept.len - 1 }, set);
	if (kept.data[0] != FORM_BITS || kept.len != 1 + sizeof(bits))
		return -EBADMSG;
	memcpy(&bits, kept.data + 1, sizeof(bits));
	for (uint32_t i = 0; i < ORDINALS_WORDS; i++)
		set->words[i] |= bits.words[i];
	return 0;
}
