#include "router/credit.h"

#include "common/link.h"

static uint64_t
share(const struct credit *c)
{
	uint64_t bytes = CREDIT_TOTAL_BYTES / (c->sources ? c->sources : 1);

	if (bytes > CREDIT_BYTES)
		return CREDIT_BYTES;
	return bytes < LINK_WINDOW_MIN_BYTES ? LINK_WINDOW_MIN_BYTES : bytes;
}

uint64_t
credit_bytes(struct credit *c)
{
	if (c->outlet)
		c->misses = 0;
	if (c->draining || !c->whole || c->loggers == 0)
		return 0;
	if (c->outlet)
		return share(c);
	return c->granted_bytes > 0 && c->misses < CREDIT_MISSES ? share(c) : 0;
}

void
credit_tick(struct credit *c)
{
	if (!c->outlet)
		c->misses++;
}
