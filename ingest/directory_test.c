#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/directory.h"

static struct msg
connection(unsigned n, const char *lookup)
{
	static char ids[4][16];
	char *id = ids[n % 4];

	snprintf(id, sizeof(ids[0]), "con-%u", n);
	return (struct msg){ .type = MSG_ENTRY,
		.kind = MSG_ENTRY_CONNECTION,
		.number = n,
		.app = 1,
		.id = slice_text(id),
		.lookup = slice_text(lookup),
		.enabled = true };
}

static void
apply(struct directory *d, struct msg m, uint64_t generation)
{
	assert_int_equal(directory_apply(d, &m, generation), 0);
}

static void
test_replace_and_delete(void **state)
{
	struct directory *d = directory_new();
	struct msg m = connection(1, "one");

	(void)state;
	assert_non_null(d);
	assert_false(directory_known(d));
	apply(d, m, 1);
	assert_non_null(directory_connection(d, slice_text("one")));
	m.lookup = slice_text("two");
	apply(d, m, 1);
	assert_null(directory_connection(d, slice_text("one")));
	assert_non_null(directory_connection(d, slice_text("two")));
	assert_int_equal(directory_count(d), 1);
	m.deleted = true;
	apply(d, m, 1);
	apply(d, m, 1); /* again is no harm */
	assert_null(directory_connection(d, slice_text("two")));
	assert_null(directory_connection(d, slice_text("")));
	assert_int_equal(directory_count(d), 0);
	directory_free(d);
}

static void
test_kinds(void **state)
{
	struct directory *d = directory_new();
	uint8_t hash[32] = { 1, 2, 3 };

	(void)state;
	assert_non_null(d);
	apply(d,
	    (struct msg){
		.kind = MSG_ENTRY_APP, .app = 7, .id = slice_text("seven") },
	    1);
	apply(d,
	    (struct msg){ .kind = MSG_ENTRY_KEY,
		.app = 7,
		.id = slice_text("key"),
		.key_hash = { hash, sizeof(hash) } },
	    1);
	apply(d,
	    (struct msg){ .kind = MSG_ENTRY_SUBSCRIPTION,
		.app = 7,
		.subscription = 7,
		.id = slice_text("sub") },
	    1);
	assert_true(slice_is(directory_app(d, 7)->id, "seven"));
	assert_int_equal(directory_key(d, hash)->app, 7);
	hash[31] = 1;
	assert_null(directory_key(d, hash));
	assert_int_equal(directory_subscription(d, 7)->app, 7);
	assert_ptr_equal(directory_subscription(d, 7),
	    directory_subscription_by_id(d, slice_text("sub")));
	/* What signs its deliveries is not for us. */
	apply(d,
	    (struct msg){ .kind = MSG_ENTRY_SUBSCRIPTION,
		.app = 7,
		.subscription = 7,
		.id = slice_text("sub"),
		.secret = slice_text("sealed") },
	    1);
	assert_null(directory_subscription(d, 7)->secret.data);
	/* Of a newer api: let pass. */
	apply(d, (struct msg){ .kind = MSG_ENTRY_MAX, .app = 7 }, 1);
	assert_int_equal(directory_count(d), 3);
	directory_free(d);
}

static void
test_sweep(void **state)
{
	struct directory *d = directory_new();
	char lookup[16];

	(void)state;
	assert_non_null(d);
	/* Enough to make the tables grow. */
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(lookup, sizeof(lookup), "l%u", i);
		apply(d, connection(i, lookup), i % 2 ? 2 : 1);
	}
	assert_int_equal(directory_count(d), 2000);
	directory_sweep(d, 2);
	assert_int_equal(directory_count(d), 1000);
	assert_null(directory_connection(d, slice_text("l10")));
	assert_non_null(directory_connection(d, slice_text("l11")));
	directory_free(d);
}

static void
test_save_and_load(void **state)
{
	struct directory *d = directory_new(), *copy = directory_new();
	struct msg with_secret = connection(1, "one");
	struct buf bytes;

	(void)state;
	assert_non_null(d);
	assert_non_null(copy);
	buf_init(&bytes, 65536);
	with_secret.secret = slice_text("sealed");
	apply(d, with_secret, 5);
	apply(d, connection(2, "two"), 5);
	directory_set_number(d, 99);
	assert_int_equal(directory_save(d, &bytes), 0);
	for (size_t len = 0; len < bytes.len; len++) {
		struct slice cut = { bytes.data, len };

		assert_int_equal(directory_load(copy, cut), -EBADMSG);
		assert_false(directory_known(copy));
		assert_int_equal(directory_count(copy), 0);
	}
	assert_int_equal(directory_load(copy, buf_slice(&bytes)), 0);
	assert_true(directory_known(copy));
	assert_int_equal(directory_number(copy), 99);
	assert_true(directory_connection(copy, slice_text("two"))->enabled);
	assert_null(directory_connection(copy, slice_text("two"))->secret.data);
	assert_true(slice_is(
	    directory_connection(copy, slice_text("one"))->secret, "sealed"));
	/* What was cached is older than any snapshot. */
	directory_sweep(copy, 1);
	assert_int_equal(directory_count(copy), 0);
	bytes.data[bytes.len - 1] ^= 1;
	assert_int_equal(directory_load(copy, buf_slice(&bytes)), -EBADMSG);
	buf_done(&bytes);
	directory_free(d);
	directory_free(copy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replace_and_delete),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_save_and_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
