#include "common/id.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/hex.h"

#define COUNTER_MAX 0xfff
#define INSTANCE_MASK 0x3fffffffu

void
id_maker_init(struct id_maker *m)
{
	*m = (struct id_maker){ 0 };
	crypto_random(&m->instance, sizeof(m->instance));
	m->instance &= INSTANCE_MASK;
}

struct id
id_make(struct id_maker *m)
{
	uint64_t ms = clock_wall_ms();
	struct id id = { 0 };

	if (ms > m->last_ms) {
		m->last_ms = ms;
		m->counter = 0;
	} else if (++m->counter > COUNTER_MAX) {
		m->last_ms++;
		m->counter = 0;
	}
	for (int i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(m->last_ms >> (40 - 8 * i));
	id.bytes[6] = (uint8_t)(0x70 | (m->counter >> 8));
	id.bytes[7] = (uint8_t)m->counter;
	id.bytes[8] = (uint8_t)(0x80 | (m->instance >> 24));
	id.bytes[9] = (uint8_t)(m->instance >> 16);
	id.bytes[10] = (uint8_t)(m->instance >> 8);
	id.bytes[11] = (uint8_t)m->instance;
	return id;
}

struct id
id_delivery(struct id custody, uint32_t subscription)
{
	custody.bytes[12] = (uint8_t)(subscription >> 24);
	custody.bytes[13] = (uint8_t)(subscription >> 16);
	custody.bytes[14] = (uint8_t)(subscription >> 8);
	custody.bytes[15] = (uint8_t)subscription;
	return custody;
}

struct id
id_custody(struct id delivery)
{
	return id_delivery(delivery, 0);
}

uint32_t
id_subscription(struct id delivery)
{
	const uint8_t *b = delivery.bytes;

	return (uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 |
	       (uint32_t)b[14] << 8 | b[15];
}

uint64_t
id_wall_ms(struct id id)
{
	uint64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id.bytes[i];
	return ms;
}

bool
id_same(struct id a, struct id b)
{
	return memcmp(a.bytes, b.bytes, ID_SIZE) == 0;
}

static bool
dash_at(unsigned i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

void
id_text(struct id id, char text[ID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned nibble = 0;

	for (unsigned i = 0; i < ID_TEXT_SIZE - 1; i++) {
		if (dash_at(i)) {
			text[i] = '-';
			continue;
		}
		text[i] =
		    digits[(id.bytes[nibble / 2] >> (nibble % 2 ? 0 : 4)) & 15];
		nibble++;
	}
	text[ID_TEXT_SIZE - 1] = '\0';
}

int
id_parse(struct slice text, struct id *ret_id)
{
	struct id id = { 0 };
	unsigned nibble = 0;

	if (text.len != ID_TEXT_SIZE - 1)
		return -EINVAL;
	for (unsigned i = 0; i < ID_TEXT_SIZE - 1; i++) {
		int value;

		if (dash_at(i)) {
			if (text.data[i] != '-')
				return -EINVAL;
			continue;
		}
		value = hex_digit(text.data[i]);
		if (value < 0)
			return -EINVAL;
		id.bytes[nibble / 2] |=
		    (uint8_t)(value << (nibble % 2 ? 0 : 4));
		nibble++;
	}
	*ret_id = id;
	return 0;
}

int
id_from(struct slice bytes, struct id *ret_id)
{
	if (bytes.len != ID_SIZE)
		return -EINVAL;
	memcpy(ret_id->bytes, bytes.data, ID_SIZE);
	return 0;
}

struct slice
id_slice(const struct id *id)
{
	return (struct slice){ id->bytes, ID_SIZE };
}
