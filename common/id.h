/*
 * Ids of events and deliveries.
 *
 * A custody id is a UUIDv7 (RFC 9562 section 5.7): 48 bits of wall ms, 12 bits
 * of counter inside the ms, 30 random bits drawn once per process start, and
 * 32 low bits that are zero. A delivery id is the custody id with the
 * subscription's number in those low bits: every plan of an event names the
 * same deliveries, either id gives the other by masking, and both are UUIDs.
 * Ids are unique, not a clock: nothing compares them for time.
 */
#ifndef SLUICE_ID_H
#define SLUICE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

#define ID_SIZE 16
#define ID_TEXT_SIZE 37 /* 8-4-4-4-12 and the NUL */

struct id {
	uint8_t bytes[ID_SIZE];
};

/* One per process and thread; embedded by value. */
struct id_maker {
	uint64_t last_ms;
	uint32_t counter;
	uint32_t instance;
};

void id_maker_init(struct id_maker *m);
/* Never the same twice; runs ahead of the clock past 4,096 ids in one ms. */
struct id id_make(struct id_maker *m);

struct id id_delivery(struct id custody, uint32_t subscription);
struct id id_custody(struct id delivery);
uint32_t id_subscription(struct id delivery);

/* When it was made, by its maker's clock; some ms later when that made very
 * many at once. */
uint64_t id_wall_ms(struct id id);

bool id_same(struct id a, struct id b);
void id_text(struct id id, char text[ID_TEXT_SIZE]);
/* -EINVAL unless text is 36 characters of UUID, either case. */
int id_parse(struct slice text, struct id *ret_id) SL_MUST_CHECK;
/* -EINVAL unless bytes is exactly ID_SIZE long. */
int id_from(struct slice bytes, struct id *ret_id) SL_MUST_CHECK;
struct slice id_slice(const struct id *id);

#endif
