/*
 * json_parse() and the canonical form on any bytes. What jansson reads we read
 * too (it is stricter than we are: no lone surrogates, no numbers beyond a
 * double; but it takes a NUL for the end); the canonical form is JSON, and its
 * own canonical form.
 */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/canonical.h"
#include "common/limits.h"
#include "tests/fuzz/fuzz.h"

#define OUT_MAX (64u * 1024 * 1024)

static bool
jansson_reads(struct slice text)
{
	json_t *json = json_loadb((const char *)text.data, text.len,
	    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	bool read = json != NULL && memchr(text.data, 0, text.len) == NULL;

	json_decref(json);
	return read;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { data, size };
	struct canonical c;
	struct json j;
	struct buf once, twice;
	int r;

	json_init(&j);
	canonical_init(&c);
	buf_init(&once, OUT_MAX);
	buf_init(&twice, OUT_MAX);
	r = canonical_document(&c, &j, text, &once);
	HOLDS(r == 0 || r == -EBADMSG || r == -E2BIG);
	if (r != -E2BIG && size > 0 && jansson_reads(text))
		HOLDS(r == 0);
	if (r == 0) {
		HOLDS(
		    canonical_document(&c, &j, buf_slice(&once), &twice) == 0);
		HOLDS(slice_same(buf_slice(&once), buf_slice(&twice)));
		HOLDS(c.count == 0);
	}
	buf_done(&once);
	buf_done(&twice);
	canonical_done(&c);
	json_done(&j);
	return 0;
}
