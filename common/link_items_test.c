#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/link_private.h"

static struct link_item *
item(uint64_t seq)
{
	struct link_item *i = calloc(1, sizeof(*i));

	assert_non_null(i);
	i->seq = seq;
	return i;
}

/* Numbers that stay while thousands come and go, as messages that wait. */
static void
test_sparse_numbers(void **state)
{
	struct link_items items;
	uint64_t before = 0;
	size_t count = 0;

	(void)state;
	assert_int_equal(link_items_init(&items), 0);
	for (uint64_t seq = 1; seq <= 100000; seq++) {
		assert_int_equal(link_items_add(&items, item(seq)), 0);
		if (seq % 997 != 0) {
			struct link_item *i = link_items_find(&items, seq);

			assert_non_null(i);
			link_items_remove(&items, i);
			free(i);
		}
	}
	assert_int_equal(items.count, 100000 / 997);
	for (struct link_item *i = items.first; i != NULL; i = i->next) {
		assert_int_equal(i->seq, before + 997);
		assert_ptr_equal(link_items_find(&items, i->seq), i);
		before = i->seq;
		count++;
	}
	assert_int_equal(count, items.count);
	assert_int_equal(items.last->seq, before);
	assert_null(link_items_find(&items, 1));
	link_items_done(&items);
}

static void
test_removal_keeps_order(void **state)
{
	struct link_items items;
	struct link_item *i;

	(void)state;
	assert_int_equal(link_items_init(&items), 0);
	for (uint64_t seq = 1; seq <= 1000; seq++)
		assert_int_equal(link_items_add(&items, item(seq)), 0);
	for (uint64_t seq = 1; seq <= 1000; seq += 3) {
		i = link_items_find(&items, seq);
		link_items_remove(&items, i);
		free(i);
	}
	assert_int_equal(items.first->seq, 2);
	assert_int_equal(items.last->seq, 999);
	for (i = items.first; i->next != NULL; i = i->next) {
		assert_true(i->seq < i->next->seq);
		assert_ptr_equal(i->next->prev, i);
	}
	while (items.first != NULL) {
		i = items.first;
		link_items_remove(&items, i);
		free(i);
	}
	assert_null(items.last);
	assert_int_equal(items.count, 0);
	link_items_done(&items);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse_numbers),
		cmocka_unit_test(test_removal_keeps_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
