/* The table and the keyset: both find by 64-bit keys. */
#include "logger/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "logger/keyset.h"

#define NODES 1000

static void
test_table(void **state)
{
	static struct table_node nodes[NODES];
	struct table t;
	size_t seen = 0;

	(void)state;
	assert_int_equal(table_init(&t), 0);
	for (uint64_t i = 0; i < NODES; i++)
		table_add(&t, &nodes[i], i / 2); /* each key twice */
	for (uint64_t i = 0; i < NODES / 2; i++) {
		struct table_node *node = table_find(&t, i);

		assert_non_null(node);
		assert_int_equal(node->key, i);
		node = table_again(node);
		assert_non_null(node);
		assert_int_equal(node->key, i);
		assert_null(table_again(node));
	}
	assert_null(table_find(&t, NODES));
	for (struct table_node *n = table_next(&t, NULL); n != NULL;
	    n = table_next(&t, n))
		seen++;
	assert_int_equal(seen, NODES);
	for (size_t i = 0; i < NODES; i++)
		table_remove(&t, &nodes[i]);
	assert_null(table_next(&t, NULL));
	assert_int_equal(t.count, 0);
	table_done(&t);
}

static void
test_keyset(void **state)
{
	struct keyset k = { 0 };
	struct keyset_entry *entries;
	uint64_t before;
	size_t count;

	(void)state;
	assert_int_equal(keyset_get(&k, 5), 0);
	for (uint64_t i = 1; i <= NODES; i++) {
		assert_int_equal(
		    keyset_put(&k, (NODES + 1 - i) << 10, i, &before), 0);
		assert_int_equal(before, 0);
	}
	assert_int_equal(keyset_get(&k, 1 << 10), NODES);
	assert_int_equal(keyset_put(&k, 1 << 10, 0, &before), 0);
	assert_int_equal(before, NODES);
	assert_int_equal(keyset_get(&k, 1 << 10), 0);
	entries = keyset_sort(&k, &count);
	assert_int_equal(count, NODES - 1);
	for (size_t i = 1; i < count; i++)
		assert_true(entries[i - 1].key < entries[i].key);
	assert_int_equal(keyset_get(&k, 2 << 10), 0);
	free(entries);
	keyset_done(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_keyset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
