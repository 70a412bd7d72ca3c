#include "common/fail_point.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PASSES 10

/* In a child: how many times it came through, or -1 when it was not killed
 * within PASSES. */
static int
passes(const char *text, const char *name)
{
	int ends[2], status, count = 0;
	pid_t pid;
	char c;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		fail_point_set(text);
		for (int i = 0; i < PASSES; i++) {
			fail_point("some.other");
			fail_point(name);
			if (write(ends[1], ".", 1) != 1)
				_exit(2);
		}
		_exit(0);
	}
	assert_true(pid > 0);
	close(ends[1]);
	while (read(ends[0], &c, 1) == 1)
		count++;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return -1;
	}
	assert_int_equal(WTERMSIG(status), SIGKILL);
	return count;
}

static void
dies_where_it_was_told(void **state)
{
	(void)state;
	assert_int_equal(passes("router.after_plan", "router.after_plan"), 0);
	assert_int_equal(passes("router.after_plan:1", "router.after_plan"), 0);
	assert_int_equal(passes("router.after_plan:3", "router.after_plan"), 2);
	assert_int_equal(passes("a:10", "a"), 9);
}

static void
lives_otherwise(void **state)
{
	(void)state;
	assert_int_equal(passes("", "a"), -1);
	assert_int_equal(passes("", ""), -1);
	assert_int_equal(passes("a", "ab"), -1);
	assert_int_equal(passes("ab", "a"), -1);
	assert_int_equal(passes("a:11", "a"), -1);
	assert_int_equal(passes(":1", "a"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dies_where_it_was_told),
		cmocka_unit_test(lives_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
