#include "common/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void
reads_what_it_should(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{ "1970-01-01", 0 },
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01T00:00:00.001Z", 1 },
		{ "2019-11-14T00:55:31.820Z", UINT64_C(1573692931820) },
		{ "2019-11-14t00:55:31.820z", UINT64_C(1573692931820) },
		{ "2019-11-14 00:55:31.820", UINT64_C(1573692931820) },
		{ "2019-11-14T00:55:31.82012345678Z", UINT64_C(1573692931820) },
		{ "2019-11-14T00:55:31.8Z", UINT64_C(1573692931800) },
		{ "2019-11-14T02:55:31.820+02:00", UINT64_C(1573692931820) },
		{ "2019-11-13T19:25:31.820-0530", UINT64_C(1573692931820) },
		{ "2019-11-14T00:55Z", UINT64_C(1573692900000) },
		{ "2016-12-31T23:59:60Z", UINT64_C(1483228800000) },
		{ "2000-02-29", UINT64_C(951782400000) },
		{ "2024-02-29T12:00:00Z", UINT64_C(1709208000000) },
		{ "9999-12-31T23:59:59.999Z", UINT64_C(253402300799999) },
		{ "1970-01-01T01:00:00+01:00", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t ms = 42;

		if (clock_parse(slice_text(good[i].text), &ms) < 0 ||
		    ms != good[i].ms)
			fail_msg("%s gives %llu", good[i].text,
			    (unsigned long long)ms);
	}
}

static void
refuses_the_rest(void **state)
{
	static const char *const bad[] = {
		"",
		"now",
		"1573692931",
		"2019",
		"2019-11",
		"2019-1-14",
		"2019-13-01",
		"2019-00-01",
		"2019-01-00",
		"2019-01-32",
		"2019-02-29", /* no leap year */
		"2100-02-29",
		"2019-02-31",
		"2019-04-31T00:00:00Z",
		"1969-12-31T23:59:59Z",
		"1970-01-01T00:00:00+01:00",
		"2019-11-14T",
		"2019-11-14T00",
		"2019-11-14T24:00:00Z",
		"2019-11-14T00:60:00Z",
		"2019-11-14T00:00:61Z",
		"2019-11-14T00:00:00.Z",
		"2019-11-14T00:00.5Z",
		"2019-11-14T00:00:00Zx",
		"2019-11-14T00:00:00+",
		"2019-11-14T00:00:00+1",
		"2019-11-14T00:00:00+24:00",
		"2019-11-14T00:00:00 +01:00",
		"2019-11-14T00:00:00.820ZZ",
		" 2019-11-14",
		"2019-11-14 ",
		"2019/11/14",
		"+019-11-14",
		"99999-11-14",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t ms = 42;

		if (clock_parse(slice_text(bad[i]), &ms) != -EINVAL)
			fail_msg("\"%s\" was read", bad[i]);
		assert_int_equal(ms, 42);
	}
	assert_int_equal(
	    clock_parse((struct slice){ NULL, 0 }, &(uint64_t){ 0 }), -EINVAL);
	/* it stops at the slice's end, not at a NUL */
	assert_int_equal(
	    clock_parse((struct slice){ (const uint8_t *)"2019-11-14T", 10 },
		&(uint64_t){ 0 }),
	    0);
}

static void
text_comes_back(void **state)
{
	char text[CLOCK_TEXT_SIZE];
	uint64_t ms, back;

	(void)state;
	clock_text(UINT64_C(1573692931820), text);
	assert_string_equal(text, "2019-11-14T00:55:31.820Z");
	clock_text(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	/* steps of 31 days and a bit, to the end of the four-digit years */
	for (ms = 999; ms < UINT64_C(253402300799999);
	    ms += UINT64_C(2678400007)) {
		clock_text(ms, text);
		assert_int_equal(clock_parse(slice_text(text), &back), 0);
		assert_true(back == ms);
	}
	clock_text(UINT64_MAX, text); /* whatever it says, it fits */
}

static void
clocks_go_forward(void **state)
{
	uint64_t mono = clock_mono_us();
	uint64_t wall = clock_wall_ms();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t now = clock_mono_us();

		assert_true(now >= mono);
		mono = now;
	}
	assert_true(clock_mono_ms() >= mono / 1000);
	assert_true(wall > UINT64_C(1700000000000));
	assert_true(clock_wall_us() / 1000 >= wall);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_should),
		cmocka_unit_test(refuses_the_rest),
		cmocka_unit_test(text_comes_back),
		cmocka_unit_test(clocks_go_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
