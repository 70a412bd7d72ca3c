#include "common/discovery.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"

#define DEADLINE_MS 20000

struct seen {
	struct loop *loop;
	char text[4096]; /* "+address " and "-address " in order */
	const char *until;
	uint64_t deadline_ms;
};

static void
note(struct seen *s, char sign, const char *address)
{
	size_t len = strlen(s->text);

	(void)snprintf(
	    s->text + len, sizeof(s->text) - len, "%c%s ", sign, address);
}

static void
on_found(void *arg, const char *address)
{
	note(arg, '+', address);
}

static void
on_lost(void *arg, const char *address)
{
	note(arg, '-', address);
}

static void
on_step(void *arg)
{
	struct seen *s = arg;

	if (strstr(s->text, s->until) != NULL ||
	    clock_mono_ms() > s->deadline_ms)
		loop_stop(s->loop);
}

static void
test_numbers_are_reported_at_once(void **state)
{
	struct seen s = { .loop = loop_new() };
	struct discovery *d = NULL;

	(void)state;
	assert_int_equal(
	    discovery_new(s.loop,
		"10.0.0.7:5557, tcp://10.0.0.8:1 ,ipc:///tmp/x.sock,[::1]:5557,"
		",tcp://[2001:0db8::0001]:80,10.0.0.7:5557",
		on_found, on_lost, &s, &d),
	    0);
	assert_string_equal(s.text,
	    "+tcp://10.0.0.7:5557 +tcp://10.0.0.8:1 +ipc:///tmp/x.sock "
	    "+tcp://[::1]:5557 +tcp://[2001:db8::1]:80 ");
	discovery_free(d);
	loop_free(s.loop);
}

static void
test_bad_lists(void **state)
{
	static const char *const bad[] = { "logger", "logger:", "logger:0",
		"logger:65536", "logger:123456", ":5557", "ipc://", "::1:5557",
		"[::1:5557", "logger:5x", "http://logger:5557" };
	struct seen s = { .loop = loop_new() };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct discovery *d = NULL;

		assert_int_equal(
		    discovery_new(s.loop, bad[i], on_found, on_lost, &s, &d),
		    -EINVAL);
		assert_null(d);
	}
	assert_string_equal(s.text, "");
	loop_free(s.loop);
}

static void
test_a_name_is_resolved(void **state)
{
	struct seen s = { .loop = loop_new(),
		.until = "+tcp://127.0.0.1:5557",
		.deadline_ms = clock_mono_ms() + DEADLINE_MS };
	struct discovery *d = NULL;

	(void)state;
	assert_true(loop_add_timer(s.loop, 10, on_step, &s) > 0);
	assert_int_equal(
	    discovery_new(s.loop, "localhost:5557", on_found, on_lost, &s, &d),
	    0);
	assert_string_equal(s.text, ""); /* not in this thread */
	assert_int_equal(loop_run(s.loop), 0);
	assert_non_null(strstr(s.text, s.until));
	assert_null(strstr(s.text, "localhost"));
	discovery_free(d);
	loop_free(s.loop);
}

static void
test_free_while_looking_up(void **state)
{
	struct seen s = { .loop = loop_new() };

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct discovery *d = NULL;

		assert_int_equal(
		    discovery_new(s.loop, "localhost:1,localhost:2", on_found,
			on_lost, &s, &d),
		    0);
		discovery_free(d);
	}
	assert_string_equal(s.text, "");
	loop_free(s.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_reported_at_once),
		cmocka_unit_test(test_bad_lists),
		cmocka_unit_test(test_a_name_is_resolved),
		cmocka_unit_test(test_free_while_looking_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
