#include "deliverer/lease.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 10000 /* more than twice the buckets */

static struct id
delivery_id(uint32_t n)
{
	struct id id = { { 1, 2, 3, 4, 5, 6, 0x70, 8, 0x80 } };

	memcpy(id.bytes + 10, &n, sizeof(n));
	return id;
}

static struct lease *
make(uint32_t n, uint64_t token, struct body *body)
{
	struct id id = delivery_id(n);
	struct msg record = { .type = MSG_LEASE,
		.delivery = id_slice(&id),
		.token = token,
		.attempt = 2,
		.cycle_attempt = 1,
		.app = 7,
		.subscription = 9,
		.url = slice_text("http://a/b"),
		.secret = slice_text("sealed"),
		.timeout_ms = 5,
		.schedule = slice_text("1m"),
		.headers = slice_text("sealed too"),
		.http2 = true,
		.flags = MSG_FLAG_ALONE };
	struct lease *l = lease_new(&record, slice_text("x.y"), body);

	assert_non_null(l);
	return l;
}

static void
test_copies(void **state)
{
	struct body *body;
	struct lease *l;

	(void)state;
	assert_int_equal(body_make(slice_text("{}"), 0, 2, &body), 0);
	l = make(1, 5, body);
	assert_string_equal(l->transfer.url, "http://a/b");
	assert_string_equal(l->transfer.event_type, "x.y");
	assert_true(slice_is(l->transfer.secret, "sealed"));
	assert_true(slice_is(l->schedule, "1m"));
	assert_true(slice_is(l->transfer.headers, "sealed too"));
	assert_true(l->transfer.http2);
	assert_int_equal(l->transfer.app, 7);
	assert_int_equal(l->transfer.pin, 9);
	assert_int_equal(l->transfer.timeout_ms, 5);
	assert_true(l->transfer.alone);
	assert_false(l->transfer.troubled);
	assert_int_equal(body->refs, 2);
	lease_free(l);
	assert_int_equal(body->refs, 1);
	body_unref(body);
	lease_free(NULL);
}

static void
test_bad_id(void **state)
{
	struct msg record = { .type = MSG_LEASE,
		.delivery = slice_text("x"),
		.url = slice_text("http://a/") };

	(void)state;
	assert_null(lease_new(&record, slice_text("x"), NULL));
}

static void
test_table(void **state)
{
	static struct lease_table t;
	static bool seen[COUNT];
	struct body *body;
	struct lease *l = NULL, *again;
	uint32_t left = COUNT;

	(void)state;
	assert_int_equal(body_make(slice_text("{}"), 0, 2, &body), 0);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(lease_table_add(&t, make(i, 1, body)), 0);
	assert_int_equal(t.count, COUNT);
	assert_int_equal(t.out, COUNT);
	assert_int_equal(t.body_bytes, 2 * COUNT);
	again = make(17, 1, body);
	assert_int_equal(lease_table_add(&t, again), -EEXIST);
	lease_free(again);
	assert_int_equal(lease_table_add(&t, make(17, 2, NULL)), 0);
	while ((l = lease_next(&t, l)) != NULL) {
		uint32_t n;

		memcpy(&n, l->transfer.id.bytes + 10, sizeof(n));
		assert_true(n < COUNT);
		if (l->token == 1) {
			assert_false(seen[n]);
			seen[n] = true;
			left--;
		}
	}
	assert_int_equal(left, 0);
	l = lease_next(&t, NULL);
	lease_finish(&t, l);
	lease_finish(&t, l);
	assert_int_equal(t.out, COUNT);
	assert_int_equal(t.count, COUNT + 1);
	lease_drop(&t, l);
	assert_int_equal(t.count, COUNT);
	while ((l = lease_next(&t, NULL)) != NULL)
		lease_drop(&t, l);
	assert_int_equal(t.count, 0);
	assert_int_equal(t.out, 0);
	assert_int_equal(t.body_bytes, 0);
	assert_int_equal(body->refs, 1);
	body_unref(body);
	lease_table_done(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_bad_id),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
