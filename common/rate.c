#include "common/rate.h"

#include <string.h>

#define TOKEN 1000 /* thousandths */
#define FULL_MS 1000

void
rate_init(struct rate *r)
{
	memset(r, 0, sizeof(*r));
}

bool
rate_take(struct rate *r, uint32_t key, uint64_t per_second, uint64_t now_ms)
{
	uint64_t full = per_second * TOKEN, passed_ms;
	unsigned i = key % RATE_PLACES;

	if (per_second == 0)
		return true;
	if (r->places[i].key != key) {
		r->places[i].key = key;
		r->places[i].thousandths = full;
		r->places[i].at_ms = now_ms;
	}
	passed_ms =
	    now_ms > r->places[i].at_ms ? now_ms - r->places[i].at_ms : 0;
	if (passed_ms > FULL_MS)
		passed_ms = FULL_MS;
	r->places[i].at_ms = now_ms;
	/* A thousandth of a token a ms for each token a second. */
	r->places[i].thousandths += passed_ms * per_second;
	if (r->places[i].thousandths > full)
		r->places[i].thousandths = full;
	if (r->places[i].thousandths < TOKEN)
		return false;
	r->places[i].thousandths -= TOKEN;
	return true;
}
