#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* stderr, turned into something that can be read. A packet pipe gives each
 * write(2) back as one read(2). */
struct catcher {
	int saved, ends[2];
};

static void catch (struct catcher *c, int flags)
{
	c->saved = dup(STDERR_FILENO);
	assert_true(c->saved >= 0);
	assert_int_equal(pipe2(c->ends, flags | O_NONBLOCK), 0);
	assert_int_equal(dup2(c->ends[1], STDERR_FILENO), STDERR_FILENO);
}

static void
release(struct catcher *c)
{
	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	close(c->ends[0]);
	close(c->ends[1]);
}

/* One write's worth; "" when there is none. */
static void
next(struct catcher *c, char *text, size_t size)
{
	ssize_t len = read(c->ends[0], text, size - 1);

	text[len > 0 ? len : 0] = '\0';
}

static void
a_line_says_when_who_and_what(void **state)
{
	struct catcher c;
	char line[4096];
	int year;

	(void)state;
	log_init("tester", LOG_AT_INFO);
	catch (&c, O_DIRECT);
	log_info("event=%d url=%s", 7, "x");
	next(&c, line, sizeof(line));
	release(&c);
	year = line[0] - '0';
	assert_int_equal(year, 2);
	assert_string_equal(line + 24, " info tester: event=7 url=x\n");
	assert_int_equal(line[23], 'Z');
}

static void
levels_are_kept(void **state)
{
	struct catcher c;
	char line[4096];

	(void)state;
	log_init("tester", LOG_AT_WARN);
	assert_false(log_enabled(LOG_AT_DEBUG));
	assert_false(log_enabled(LOG_AT_INFO));
	assert_true(log_enabled(LOG_AT_WARN));
	assert_true(log_enabled(LOG_AT_ERROR));
	catch (&c, O_DIRECT);
	log_debug("no");
	log_info("no");
	log_warn("yes");
	log_error("too");
	next(&c, line, sizeof(line));
	assert_non_null(strstr(line, " warn tester: yes\n"));
	next(&c, line, sizeof(line));
	assert_non_null(strstr(line, " error tester: too\n"));
	next(&c, line, sizeof(line));
	assert_string_equal(line, "");
	release(&c);
	log_init("tester", LOG_AT_INFO);
}

/* Around and far beyond the end of a line. */
static void
long_lines_are_cut(void **state)
{
	static char text[3 * LOG_LINE_MAX];
	struct catcher c;
	char line[2 * LOG_LINE_MAX];
	size_t head = 24 + strlen(" info tester: ");

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	catch (&c, O_DIRECT);
	for (size_t len = LOG_LINE_MAX - head - 4; len < sizeof(text);
	    len += len < LOG_LINE_MAX ? 1 : 997) {
		size_t got;

		log_info("%.*s", (int)len, text);
		next(&c, line, sizeof(line));
		got = strlen(line);
		assert_true(got <= LOG_LINE_MAX);
		assert_int_equal(line[got - 1], '\n');
		if (head + len + 1 < LOG_LINE_MAX) {
			assert_int_equal(got, head + len + 1);
			assert_int_equal(line[got - 2], 'x');
		} else {
			assert_string_equal(line + got - 4, "...\n");
		}
		next(&c, line, sizeof(line));
		assert_string_equal(line, ""); /* one write */
	}
	release(&c);
}

/* What a peer sent must not look like a line of ours. */
static void
no_text_makes_a_second_line(void **state)
{
	struct catcher c;
	char line[4096];

	(void)state;
	catch (&c, O_DIRECT);
	log_info(
	    "reason=%s", "bad\n2030-01-01 info api: all is well\r\x1b[2J\t");
	next(&c, line, sizeof(line));
	release(&c);
	assert_non_null(strstr(
	    line, "reason=bad?2030-01-01 info api: all is well??[2J?\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void
errno_is_kept(void **state)
{
	struct catcher c;
	char line[4096];

	(void)state;
	catch (&c, O_DIRECT);
	errno = ENOENT;
	log_info("%s: %s", "file", strerror(errno));
	assert_int_equal(errno, ENOENT);
	next(&c, line, sizeof(line));
	release(&c);
	assert_non_null(strstr(line, "file: No such file or directory\n"));
}

/* A reader that does not keep up loses lines; we lose no time. */
static void
a_full_pipe_drops_lines(void **state)
{
	struct catcher c;
	char line[LOG_LINE_MAX];
	unsigned long before = log_dropped();
	unsigned lines = 0;

	(void)state;
	catch (&c, O_DIRECT);
	for (int i = 0; i < 1000; i++)
		log_info("%01000d", i);
	assert_true(log_dropped() > before);
	for (next(&c, line, sizeof(line)); line[0];
	    next(&c, line, sizeof(line)))
		lines++;
	assert_int_equal(lines + (log_dropped() - before), 1000);
	release(&c);
}

static void *
chatter(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_info("%s%s", (const char *)arg, (const char *)arg);
	return NULL;
}

/* Lines of many threads do not mix. */
static void
threads_do_not_mix(void **state)
{
	static char texts[4][200];
	struct catcher c;
	pthread_t threads[4];
	char line[4096];
	int flags, lines = 0;

	(void)state;
	catch (&c, 0);
	fcntl(c.ends[1], F_SETPIPE_SZ, 1024 * 1024);
	flags = fcntl(c.ends[1], F_GETFL);
	fcntl(c.ends[1], F_SETFL, flags & ~O_NONBLOCK);
	for (int i = 0; i < 4; i++) {
		memset(texts[i], 'a' + i, sizeof(texts[i]) - 1);
		assert_int_equal(
		    pthread_create(&threads[i], NULL, chatter, texts[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	while (lines < 800) {
		size_t len = 0;
		const char *text;

		while (len < sizeof(line) - 1 &&
		       read(c.ends[0], line + len, 1) == 1 && line[len] != '\n')
			len++;
		line[len] = '\0';
		text = strstr(line, "tester: ");
		assert_non_null(text);
		text += strlen("tester: ");
		assert_int_equal(strlen(text), 398);
		assert_int_equal(strspn(text, (char[]){ *text, '\0' }), 398);
		lines++;
	}
	release(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_says_when_who_and_what),
		cmocka_unit_test(levels_are_kept),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(no_text_makes_a_second_line),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(a_full_pipe_drops_lines),
		cmocka_unit_test(threads_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
