#include "api/cursor.h"

#include <errno.h>
#include <string.h>

#include "common/crypto.h"

#define VERSION 1

int
cursor_make(const struct seal *seal, const char *binding, struct slice place,
    struct buf *out)
{
	static const uint8_t version = VERSION;
	struct buf plain, sealed;
	int r;

	buf_init(&plain, CURSOR_PLACE_MAX + 1);
	buf_init(&sealed, CURSOR_PLACE_MAX + 1 + SEAL_OVERHEAD);
	r = buf_add(&plain, &version, 1);
	if (r == 0 && place.len > 0)
		r = buf_add(&plain, place.data, place.len);
	if (r == 0)
		r = seal_close(seal, binding, buf_slice(&plain), &sealed);
	if (r == 0)
		r = crypto_base64url(buf_slice(&sealed), out);
	buf_done(&plain);
	buf_done(&sealed);
	return r;
}

int
cursor_read(const struct seal *seal, const char *binding, const char *text,
    struct buf *place)
{
	struct buf plain, sealed;
	int r;

	if (strlen(text) > CURSOR_TEXT_MAX)
		return -EBADMSG;
	buf_init(&plain, CURSOR_PLACE_MAX + 1);
	buf_init(&sealed, CURSOR_TEXT_MAX);
	r = crypto_unbase64(slice_text(text), &sealed);
	if (r == 0)
		r = seal_open(seal, binding, buf_slice(&sealed), &plain);
	if (r == 0 && (plain.len == 0 || plain.data[0] != VERSION))
		r = -EBADMSG;
	if (r == 0 && plain.len > 1)
		r = buf_add(place, plain.data + 1, plain.len - 1);
	buf_done(&plain);
	buf_done(&sealed);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}
