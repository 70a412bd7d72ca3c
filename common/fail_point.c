#include "common/fail_point.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "common/buf.h"
#include "common/config.h"
#include "common/log.h"

static struct slice point; /* set once, before any thread */
static atomic_uint passes_left;

void
fail_point_set(const char *text)
{
	const char *colon = strchr(text, ':');
	uint64_t times = 1;

	point = slice_text(text);
	if (colon != NULL) {
		point.len = (size_t)(colon - text);
		if (config_parse_number(slice_text(colon + 1), &times) < 0)
			times = 1;
	}
	atomic_store(&passes_left, (unsigned)times);
}

void
fail_point(const char *name)
{
	if (point.len == 0 || !slice_is(point, name))
		return;
	if (atomic_fetch_sub(&passes_left, 1) != 1)
		return;
	log_warn("fail point %s: dying", name);
	(void)raise(SIGKILL);
}
