#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"

#define TEXT_MAX (256 * 1024)

/* The environment of one test, and what was logged meanwhile. */
static char *bare[] = { NULL };

static int
set_up(void **state)
{
	(void)state;
	environ = bare;
	return 0;
}

/* config_load() with its log in text. */
static int
load(struct config *c, char *text, size_t size)
{
	int saved = dup(STDERR_FILENO), ends[2], r;
	ssize_t len;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	r = config_load(c);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	len = read(ends[0], text, size - 1);
	text[len > 0 ? len : 0] = '\0';
	close(ends[0]);
	return r;
}

static void
expect(const char *key, const char *value, bool ok)
{
	struct config c;
	char log[8192];
	int r;

	assert_int_equal(setenv(key, value, 1), 0);
	r = load(&c, log, sizeof(log));
	if (r != (ok ? 0 : -EINVAL))
		fail_msg("%s=%s gives %d", key, value, r);
	if (ok)
		assert_string_equal(log, "");
	else
		assert_non_null(strstr(log, key));
	assert_int_equal(unsetenv(key), 0);
}

static void
defaults_are_valid(void **state)
{
	struct config c;

	(void)state;
	memset(&c, 0x5a, sizeof(c));
	assert_int_equal(config_load(&c), 0);
	assert_string_equal(c.data, "./var");
	assert_string_equal(c.instance, "");
	assert_int_equal(c.drain_ms, 25000);
	assert_int_equal(c.retention_ms, 30 * CONFIG_DAY);
	assert_int_equal(c.http_connections, 10000);
	assert_false(c.link_plain);
	assert_int_equal(c.accept_log_max, 0);
}

static void
values_come_from_the_environment(void **state)
{
	struct config c;

	(void)state;
	setenv("SLUICE_DATA", "/srv/sluice", 1);
	setenv("SLUICE_LINK_PLAIN", "1", 1);
	setenv("SLUICE_DRAIN", "250ms", 1);
	setenv("SLUICE_ACCEPT_LOG_MAX", "64k", 1);
	setenv("SLUICE_RETRY_JITTER", "50", 1);
	setenv("SLUICER", "no business of ours", 1);
	setenv("sluice_data", "neither", 1);
	assert_int_equal(config_load(&c), 0);
	assert_string_equal(c.data, "/srv/sluice");
	assert_true(c.link_plain);
	assert_int_equal(c.drain_ms, 250);
	assert_int_equal(c.accept_log_max, 65536);
	assert_int_equal(c.retry_jitter, 50);
}

static void
ranges_are_kept(void **state)
{
	(void)state;
	expect("SLUICE_RETRY_JITTER", "0", true);
	expect("SLUICE_RETRY_JITTER", "50", true);
	expect("SLUICE_RETRY_JITTER", "51", false);
	expect("SLUICE_DELIVERER_SLOTS", "15", false);
	expect("SLUICE_DELIVERER_SLOTS", "16", true);
	expect("SLUICE_DELIVERER_SLOTS", "16384", true);
	expect("SLUICE_DELIVERER_SLOTS", "16385", false);
	expect("SLUICE_DELIVERER_SLOTS", "18446744073709551632", false);
	expect("SLUICE_REQUEST_TIMEOUT", "999ms", false);
	expect("SLUICE_REQUEST_TIMEOUT", "1s", true);
	expect("SLUICE_REQUEST_TIMEOUT", "61m", false);
	expect("SLUICE_DRAIN", "0s", true);
	expect("SLUICE_ACCEPT_LOG_MAX", "1024g", true);
	expect("SLUICE_ACCEPT_LOG_MAX", "1025g", false);
	expect("SLUICE_LINK_PLAIN", "0", true);
	expect("SLUICE_LINK_PLAIN", "2", false);
}

static void
nonsense_is_refused(void **state)
{
	static const char *const numbers[] = { "", " ", "-1", "+1", "1 ", " 1",
		"1.5", "0x10", "1e3", "ten", "1,000", "16s" };
	static const char *const times[] = { "", "10", "s", "10 s", "10S",
		"1m30s", "-1s", "1.5h", "10sec", "1w", "99999999999999999999s",
		"9999999999999999999d" };
	static const char *const sizes[] = { "", "k", "10kb", "10K", "1t", "-1",
		"9999999999999999999g" };
	static const char *const bools[] = { "", "true", "yes", "on", "01x",
		"-0" };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		expect("SLUICE_DELIVERER_SLOTS", numbers[i], false);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		expect("SLUICE_DRAIN", times[i], false);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		expect("SLUICE_ACCEPT_LOG_MAX", sizes[i], false);
	for (size_t i = 0; i < sizeof(bools) / sizeof(bools[0]); i++)
		expect("SLUICE_LINK_PLAIN", bools[i], false);
}

static void
unknown_keys_are_errors(void **state)
{
	(void)state;
	expect("SLUICE_DATAA", "x", false);
	expect("SLUICE_DAT", "x", false);
	expect("SLUICE_", "x", false);
	expect("SLUICE_data", "x", false);
}

/* All that is wrong is said at once, each with what would be right. */
static void
every_error_is_told(void **state)
{
	struct config c;
	char log[8192];

	(void)state;
	setenv("SLUICE_DRAIN", "soon", 1);
	setenv("SLUICE_DELIVERER_SLOTS", "3", 1);
	setenv("SLUICE_COLOUR", "blue", 1);
	assert_int_equal(load(&c, log, sizeof(log)), -EINVAL);
	assert_non_null(strstr(log, "SLUICE_DRAIN=soon"));
	assert_non_null(strstr(log, "30s"));
	assert_non_null(strstr(log, "SLUICE_DELIVERER_SLOTS=3"));
	assert_non_null(strstr(log, "from 16 to 16384"));
	assert_non_null(strstr(log, "SLUICE_COLOUR"));
}

static void
parsers_leave_the_result_alone(void **state)
{
	uint64_t value = 77;

	(void)state;
	assert_int_equal(config_parse_ms(slice_text("10"), &value), -EINVAL);
	assert_int_equal(
	    config_parse_number(slice_text("10s"), &value), -EINVAL);
	assert_int_equal(
	    config_parse_number((struct slice){ NULL, 0 }, &value), -EINVAL);
	assert_int_equal(
	    config_parse_ms((struct slice){ NULL, 0 }, &value), -EINVAL);
	assert_int_equal(value, 77);
	assert_int_equal(
	    config_parse_number(slice_text("9999999999999999999"), &value), 0);
	assert_true(value == UINT64_C(9999999999999999999));
	assert_int_equal(config_parse_ms(slice_text("30d"), &value), 0);
	assert_true(value == 30 * CONFIG_DAY);
	assert_int_equal(config_parse_ms(slice_text("24h"), &value), 0);
	assert_true(value == CONFIG_DAY);
	assert_int_equal(config_parse_ms(slice_text("3m"), &value), 0);
	assert_true(value == 180000);
	assert_int_equal(config_parse_ms(slice_text("007ms"), &value), 0);
	assert_true(value == 7);
}

static char *
text_of(struct buf *out)
{
	assert_int_equal(buf_add(out, "", 1), 0);
	return (char *)out->data;
}

/* Every stage's help names exactly its keys; the document names all. */
static void
help_and_document_name_the_keys(void **state)
{
#define NAME(field, key, kind, def, min, max, who, help) { key, who },
	static const struct {
		const char *key, *who;
	} keys[] = { CONFIG_KEYS(NAME) };
#undef NAME
	static const char letters[STAGE_MAX] = { ' ', 'i', 'r', 'l', 'd', 'a' };
	struct buf out;
	char wanted[128];

	(void)state;
	buf_init(&out, TEXT_MAX);
	for (unsigned s = STAGE_NONE + 1; s < STAGE_MAX; s++) {
		buf_clear(&out);
		assert_int_equal(config_help((enum stage)s, &out), 0);
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			(void)snprintf(
			    wanted, sizeof(wanted), "  %s (", keys[i].key);
			assert_true((strstr(text_of(&out), wanted) != NULL) ==
				    (strchr(keys[i].who, letters[s]) != NULL));
			out.len--;
		}
	}
	buf_clear(&out);
	assert_int_equal(config_document(&out), 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		(void)snprintf(wanted, sizeof(wanted), "| `%s` |", keys[i].key);
		assert_non_null(strstr(text_of(&out), wanted));
		out.len--;
	}
	buf_done(&out);
	buf_init(&out, 100);
	assert_int_equal(config_document(&out), -ENOBUFS);
	assert_int_equal(config_help(STAGE_API, &out), -ENOBUFS);
	buf_done(&out);
}

/* What --show-config prints, put into the environment, is the same again. */
static void
show_can_be_read_back(void **state)
{
	struct config c, again;
	struct buf out, twice;

	(void)state;
	setenv("SLUICE_RETENTION", "1d", 1);
	setenv("SLUICE_ACCEPT_LOG_MAX", "2g", 1);
	setenv("SLUICE_ACCEPT_LOG_ANY_FS", "1", 1);
	assert_int_equal(config_load(&c), 0);
	buf_init(&out, TEXT_MAX);
	buf_init(&twice, TEXT_MAX);
	for (unsigned s = STAGE_NONE + 1; s < STAGE_MAX; s++) {
		char *text, *line, *rest;

		buf_clear(&out);
		buf_clear(&twice);
		assert_int_equal(config_show(&c, (enum stage)s, &out), 0);
		text = strdup(text_of(&out));
		assert_non_null(text);
		for (line = text; *line != '\0'; line = rest) {
			char *equals = strchr(line, '=');

			rest = strchr(line, '\n');
			assert_non_null(rest);
			*rest++ = '\0';
			*equals = '\0';
			setenv(line, equals + 1, 1);
		}
		free(text);
		assert_int_equal(config_load(&again), 0);
		assert_int_equal(config_show(&again, (enum stage)s, &twice), 0);
		assert_string_equal(text_of(&out), text_of(&twice));
	}
	buf_done(&out);
	buf_done(&twice);
}

static void
expect_url(const char *set, const char *bound, const char *want)
{
	char *url = config_url(set, bound);

	assert_string_equal(url, want);
	free(url);
}

static void
paths_and_addresses(void **state)
{
	static char longest[PATH_MAX + 1];
	struct config c;
	char path[PATH_MAX];

	(void)state;
	setenv("SLUICE_DATA", "/data", 1);
	setenv("SLUICE_LOGGER_LINK", "tcp://*:5557", 1);
	setenv("SLUICE_API_PEERS", "api-1:5554,api-2:5554", 1);
	assert_int_equal(config_load(&c), 0);
	assert_int_equal(config_path(&c, "", "a/b", path), 0);
	assert_string_equal(path, "/data/a/b");
	assert_int_equal(config_path(&c, "/else", "a/b", path), 0);
	assert_string_equal(path, "/else");
	assert_int_equal(config_link(&c, STAGE_INGEST, path), 0);
	assert_string_equal(path, "ipc:///data/run/ingest.sock");
	assert_int_equal(config_link(&c, STAGE_LOGGER, path), 0);
	assert_string_equal(path, "tcp://*:5557");
	assert_int_equal(config_peers(&c, STAGE_API, path), 0);
	assert_string_equal(path, "api-1:5554,api-2:5554");
	assert_int_equal(config_peers(&c, STAGE_INGEST, path), 0);
	assert_string_equal(path, "ipc:///data/run/ingest.sock");
	expect_url("", "host:80", "http://host:80");
	expect_url("https://h/p//", "host:80", "https://h/p");
	memset(longest, 'x', sizeof(longest) - 1);
	assert_int_equal(config_path(&c, longest, "", path), -ENAMETOOLONG);
	c.data = longest;
	assert_int_equal(config_path(&c, "", "x", path), -ENAMETOOLONG);
	assert_int_equal(config_link(&c, STAGE_API, path), -ENAMETOOLONG);
	assert_int_equal(config_peers(&c, STAGE_INGEST, path), -ENAMETOOLONG);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_are_valid),
		TEST(values_come_from_the_environment),
		TEST(ranges_are_kept),
		TEST(nonsense_is_refused),
		TEST(unknown_keys_are_errors),
		TEST(every_error_is_told),
		TEST(parsers_leave_the_result_alone),
		TEST(help_and_document_name_the_keys),
		TEST(show_can_be_read_back),
		TEST(paths_and_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
