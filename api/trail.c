#include "api/trail.h"

#include <errno.h>

/*
 * A byte that says whether the first cursor's predecessor is the beginning
 * (WHOLE) or was forgotten (CUT); then each cursor with its length before and
 * after it, so that it can be read from either end. The empty trail is the
 * beginning.
 */
#define WHOLE 1
#define CUT 2

static bool
last(struct slice trail, struct slice *cursor, struct slice *rest)
{
	size_t len;

	if (trail.len < 1 + 2)
		return false;
	len = trail.data[trail.len - 1];
	if (len > TRAIL_CURSOR_MAX || trail.len < 1 + 2 + len)
		return false;
	*cursor = (struct slice){ trail.data + trail.len - 1 - len, len };
	*rest = (struct slice){ trail.data, trail.len - 2 - len };
	return true;
}

int
trail_here(struct slice trail, struct slice *ret_cursor)
{
	struct slice rest;

	if (trail.len == 0) {
		*ret_cursor = (struct slice){ NULL, 0 };
		return 0;
	}
	return last(trail, ret_cursor, &rest) ? 0 : -EBADMSG;
}

static unsigned
count(struct slice trail)
{
	struct slice cursor;
	unsigned n = 0;

	while (last(trail, &cursor, &trail))
		n++;
	return n;
}

int
trail_next(struct slice trail, struct slice cursor, struct buf *out)
{
	uint8_t head = trail.len > 0 ? trail.data[0] : WHOLE;
	uint8_t len = (uint8_t)cursor.len;
	size_t from = 1;
	int r;

	if (cursor.len == 0 || cursor.len > TRAIL_CURSOR_MAX)
		return -EBADMSG;
	if (count(trail) >= TRAIL_MAX) {
		from += 2u + trail.data[1];
		head = CUT;
	}
	r = buf_add(out, &head, 1);
	if (r == 0 && trail.len > from)
		r = buf_add(out, trail.data + from, trail.len - from);
	if (r == 0)
		r = buf_add(out, &len, 1);
	if (r == 0)
		r = buf_add(out, cursor.data, cursor.len);
	if (r == 0)
		r = buf_add(out, &len, 1);
	return r;
}

bool
trail_previous(struct slice trail, struct slice *ret)
{
	struct slice cursor, rest;

	if (!last(trail, &cursor, &rest))
		return false;
	if (rest.len > 1) {
		*ret = rest;
		return true;
	}
	/* Only the head is left: the first page, if it was not forgotten. */
	*ret = (struct slice){ NULL, 0 };
	return rest.data[0] == WHOLE;
}
