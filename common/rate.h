/*
 * Who may call how often: a bucket of tokens per key (an application's number),
 * filled at a rate a second up to one second's worth.
 *
 * The table is of fixed size. A key that another one has pushed out of its
 * place starts with a full bucket: limits are lenient then, never strict.
 * Embedded by value; one owner, one thread.
 */
#ifndef SLUICE_RATE_H
#define SLUICE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_PLACES 1024

struct rate {
	struct {
		uint32_t key;
		uint64_t at_ms;
		uint64_t thousandths; /* of tokens */
	} places[RATE_PLACES];
};

void rate_init(struct rate *r);
/* Takes one token, if there is one. per_second 0: always. */
bool rate_take(
    struct rate *r, uint32_t key, uint64_t per_second, uint64_t now_ms);

#endif
