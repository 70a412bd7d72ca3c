#include "deliverer/extra.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct seal seal = { "a key of our own" };

static void
close_block(const char *what, struct slice block, struct buf *out)
{
	buf_init(out, HEADERS_BYTES + SEAL_OVERHEAD);
	assert_int_equal(seal_close(&seal, what, block, out), 0);
}

static int
open_block(struct extra *x, uint32_t app, struct slice block,
    struct curl_slist **ret_list)
{
	struct buf sealed;
	int r;

	close_block("headers:7", block, &sealed);
	r = extra_open(x, &seal, app, buf_slice(&sealed), ret_list);
	buf_done(&sealed);
	return r;
}

static void
test_open(void **state)
{
	static const char block[] = "x-key: 1\0authorization: Bearer b";
	struct extra *x = extra_new();
	struct curl_slist *headers = NULL;

	(void)state;
	assert_non_null(x);
	for (unsigned again = 0; again < 2; again++) {
		assert_int_equal(
		    open_block(x, 7,
			(struct slice){ (const uint8_t *)block, sizeof(block) },
			&headers),
		    0);
		assert_string_equal(headers->data, "x-key: 1");
		assert_string_equal(
		    headers->next->data, "authorization: Bearer b");
		assert_null(headers->next->next);
		extra_wipe(x);
		assert_int_equal(x->nodes[0].data[0], '\0');
	}
	/* Fewer leave nothing of the ones before. */
	assert_int_equal(
	    open_block(
		x, 7, (struct slice){ (const uint8_t *)block, 9 }, &headers),
	    0);
	assert_null(headers->next);
	extra_free(x);
	extra_free(NULL);
}

static void
test_refused(void **state)
{
	static const char line[] = "a: b\r\nc: d";
	struct slice right = { (const uint8_t *)"a: b", 5 };
	struct extra *x = extra_new();
	struct curl_slist *headers = NULL;
	struct buf sealed;

	(void)state;
	assert_non_null(x);
	/* Another application's, a secret's, nobody's. */
	assert_int_equal(open_block(x, 8, right, &headers), -EBADMSG);
	close_block("secret:7", right, &sealed);
	assert_int_equal(
	    extra_open(x, &seal, 7, buf_slice(&sealed), &headers), -EBADMSG);
	buf_done(&sealed);
	assert_int_equal(
	    extra_open(x, &seal, 7, slice_text("??"), &headers), -EBADMSG);
	/* Sealed by us, and still not sent. */
	assert_int_equal(
	    open_block(x, 7,
		(struct slice){ (const uint8_t *)line, sizeof(line) },
		&headers),
	    -EBADMSG);
	assert_int_equal(
	    open_block(x, 7, (struct slice){ (const uint8_t *)"host: b", 8 },
		&headers),
	    -EBADMSG);
	assert_int_equal(open_block(x, 7, slice_text(""), &headers), -EBADMSG);
	assert_null(headers);
	extra_free(x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
