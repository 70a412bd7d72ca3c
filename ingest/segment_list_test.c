#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ingest/segment_list.h"

static struct segment *
segment(uint64_t base_seq, bool sealed)
{
	struct segment *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->base_seq = base_seq;
	s->fd = -1;
	s->sealed = sealed;
	s->read_at = s->end = SEGMENT_START;
	return s;
}

static void
assert_order(const struct segment_list *l, size_t count, const uint64_t *base)
{
	const struct segment *s = l->first, *last = NULL;

	assert_int_equal(l->count, count);
	for (size_t i = 0; i < count; i++, last = s, s = s->next) {
		assert_non_null(s);
		assert_int_equal(s->base_seq, base[i]);
	}
	assert_null(s);
	assert_ptr_equal(l->last, last);
}

static void
orphans_stand_before_the_active_segment(void **state)
{
	struct segment_list l = { 0 };
	struct segment *orphans = segment(70, true);

	(void)state;
	segment_list_insert(&l, segment(10, true));
	segment_list_add(&l, segment(20, false));
	orphans->next = segment(80, true);
	segment_list_insert(&l, orphans);
	segment_list_insert(&l, segment(90, true));
	assert_order(&l, 5, (uint64_t[]){ 10, 70, 80, 90, 20 });
	segment_list_free(&l);
	assert_order(&l, 0, NULL);
}

static void
without_an_active_one_they_are_last(void **state)
{
	struct segment_list l = { 0 };

	(void)state;
	segment_list_insert(&l, NULL);
	segment_list_insert(&l, segment(1, true));
	segment_list_insert(&l, segment(2, true));
	segment_list_add(&l, segment(3, false));
	assert_order(&l, 3, (uint64_t[]){ 1, 2, 3 });
	segment_list_free(&l);
}

static void
any_can_be_removed(void **state)
{
	struct segment_list l = { 0 };
	struct segment *some[4];

	(void)state;
	for (uint64_t i = 0; i < 4; i++) {
		some[i] = segment(i, true);
		segment_list_add(&l, some[i]);
	}
	segment_list_remove(&l, some[1]);
	assert_order(&l, 3, (uint64_t[]){ 0, 2, 3 });
	segment_list_remove(&l, some[3]);
	assert_order(&l, 2, (uint64_t[]){ 0, 2 });
	segment_list_remove(&l, some[0]);
	segment_list_remove(&l, some[2]);
	assert_order(&l, 0, NULL);
	for (size_t i = 0; i < 4; i++)
		segment_free(some[i]);
}

static void
the_oldest_with_something_to_read(void **state)
{
	struct segment_list l = { 0 };
	struct segment *second = segment(2, true);

	(void)state;
	assert_null(segment_list_unread(&l));
	segment_list_add(&l, segment(1, true));
	segment_list_add(&l, second);
	segment_list_add(&l, segment(3, false));
	assert_null(segment_list_unread(&l));
	l.last->end++;
	assert_ptr_equal(segment_list_unread(&l), l.last);
	second->end++;
	assert_ptr_equal(segment_list_unread(&l), second);
	second->read_at = second->end;
	assert_ptr_equal(segment_list_unread(&l), l.last);
	segment_list_free(&l);
}

static void
sequence_numbers_go_on_above_all(void **state)
{
	struct segment_list l = { 0 };

	(void)state;
	assert_int_equal(segment_list_next_seq(&l), 1);
	segment_list_add(&l, segment(5000000, true));
	segment_list_add(&l, segment(7, true));
	assert_int_equal(segment_list_next_seq(&l), 5000000 + SEGMENT_BITS);
	segment_list_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orphans_stand_before_the_active_segment),
		cmocka_unit_test(without_an_active_one_they_are_last),
		cmocka_unit_test(any_can_be_removed),
		cmocka_unit_test(the_oldest_with_something_to_read),
		cmocka_unit_test(sequence_numbers_go_on_above_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
