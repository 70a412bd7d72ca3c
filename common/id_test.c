#include "common/id.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"

#define MANY 1000000

/* Strictly growing, so never the same twice; and never a bit out of place. */
static void
a_million_differ(void **state)
{
	struct id_maker m;
	struct id last, id;

	(void)state;
	id_maker_init(&m);
	last = id_make(&m);
	for (int i = 0; i < MANY; i++) {
		id = id_make(&m);
		assert_true(memcmp(last.bytes, id.bytes, ID_SIZE) < 0);
		assert_int_equal(id.bytes[6] >> 4, 7);
		assert_int_equal(id.bytes[8] >> 6, 2);
		assert_int_equal(id_subscription(id), 0);
		last = id;
	}
}

static void
survives_a_clock_that_goes_back(void **state)
{
	struct id_maker m;
	struct id last, id;

	(void)state;
	id_maker_init(&m);
	/* as if the clock had been an hour ahead until now */
	m.last_ms = clock_wall_ms() + 3600000;
	m.counter = 0;
	last = id_make(&m);
	for (int i = 0; i < 10000; i++) {
		id = id_make(&m);
		assert_true(memcmp(last.bytes, id.bytes, ID_SIZE) < 0);
		last = id;
	}
}

static void
makers_differ(void **state)
{
	enum { MAKERS = 64 };
	struct id ids[MAKERS];

	(void)state;
	for (int i = 0; i < MAKERS; i++) {
		struct id_maker m;

		id_maker_init(&m);
		assert_int_equal(m.instance >> 30, 0);
		ids[i] = id_make(&m);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(
			    ids[i].bytes + 8, ids[k].bytes + 8, 4);
	}
}

static void
begins_with_the_time(void **state)
{
	struct id_maker m;
	uint64_t before = clock_wall_ms(), ms;
	struct id id;

	(void)state;
	id_maker_init(&m);
	id = id_make(&m);
	ms = id_wall_ms(id);
	assert_true(id_wall_ms(id_delivery(id, 7)) == ms);
	assert_true(ms >= before && ms <= clock_wall_ms());
}

static void
delivery_and_custody_give_each_other(void **state)
{
	static const uint32_t numbers[] = { 1, 2, 255, 256, 65536, 0x01020304,
		0x7fffffff, 0x80000000, UINT32_MAX };
	struct id_maker m;
	struct id custody, delivery;

	(void)state;
	id_maker_init(&m);
	custody = id_make(&m);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		delivery = id_delivery(custody, numbers[i]);
		assert_int_equal(id_subscription(delivery), numbers[i]);
		assert_true(id_same(id_custody(delivery), custody));
		assert_false(id_same(delivery, custody));
		/* the number replaces one that is there */
		assert_true(id_same(
		    id_delivery(delivery, 77), id_delivery(custody, 77)));
	}
}

static void
text_round_trip(void **state)
{
	static const char sample[] = "0190a5c3-7e2f-7abc-8def-0123456789ab";
	char text[ID_TEXT_SIZE], upper[ID_TEXT_SIZE];
	struct id id, again;

	(void)state;
	assert_int_equal(id_parse(slice_text(sample), &id), 0);
	id_text(id, text);
	assert_string_equal(text, sample);
	for (size_t i = 0; i < sizeof(upper); i++)
		upper[i] =
		    (char)(text[i] >= 'a' && text[i] <= 'f' ? text[i] - 32
							    : text[i]);
	assert_int_equal(id_parse(slice_text(upper), &again), 0);
	assert_true(id_same(id, again));
	assert_int_equal(id_from(id_slice(&id), &again), 0);
	assert_true(id_same(id, again));
}

/* Any one character made wrong, and any other length, is refused. */
static void
refuses_what_is_no_uuid(void **state)
{
	static const char sample[] = "0190a5c3-7e2f-7abc-8def-0123456789ab";
	struct id id, before;
	char text[40];

	(void)state;
	memset(&id, 0x5a, sizeof(id));
	before = id;
	for (size_t i = 0; i < sizeof(sample) - 1; i++) {
		static const char wrong[] = { 'g', 'G', ' ', '\0', '/', ':',
			'@', '`', '_', (char)0xff };

		for (size_t k = 0; k < sizeof(wrong); k++) {
			memcpy(text, sample, sizeof(sample));
			text[i] = wrong[k];
			assert_int_equal(
			    id_parse(
				(struct slice){ (uint8_t *)text, 36 }, &id),
			    -EINVAL);
		}
		memcpy(text, sample, sizeof(sample));
		text[i] = text[i] == '-' ? '0' : '-';
		assert_int_equal(
		    id_parse((struct slice){ (uint8_t *)text, 36 }, &id),
		    -EINVAL);
	}
	for (size_t len = 0; len < 36; len++)
		assert_int_equal(
		    id_parse(
			(struct slice){ (const uint8_t *)sample, len }, &id),
		    -EINVAL);
	assert_int_equal(id_parse(slice_text("0190a5c3-7e2f-7abc-8def-"
					     "0123456789ab0"),
			     &id),
	    -EINVAL);
	assert_int_equal(id_parse((struct slice){ NULL, 0 }, &id), -EINVAL);
	assert_int_equal(id_from((struct slice){ NULL, 0 }, &id), -EINVAL);
	assert_int_equal(
	    id_from((struct slice){ (const uint8_t *)sample, 15 }, &id),
	    -EINVAL);
	assert_int_equal(
	    id_from((struct slice){ (const uint8_t *)sample, 17 }, &id),
	    -EINVAL);
	assert_true(id_same(id, before));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_differ),
		cmocka_unit_test(survives_a_clock_that_goes_back),
		cmocka_unit_test(makers_differ),
		cmocka_unit_test(begins_with_the_time),
		cmocka_unit_test(delivery_and_custody_give_each_other),
		cmocka_unit_test(text_round_trip),
		cmocka_unit_test(refuses_what_is_no_uuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
