#include "logger/log_kinds.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define APP 7

static struct slice
text(const char *s)
{
	return s != NULL ? slice_text(s) : (struct slice){ NULL, 0 };
}

static void
add(struct log_kinds *k, uint32_t app, const char *api, const char *type)
{
	struct log_event e = { .app = app };
	struct log_event_texts texts = { .unified_api = text(api),
		.event_type = text(type) };

	log_event_file(&e, 1, &texts);
	log_kinds_add(k, &e);
}

static bool
left(const struct log_kinds *k, const char *const words[], uint64_t *ret_words)
{
	struct log_excluded excluded[8] = { 0 };
	unsigned count = 0;

	for (; words[count] != NULL; count++)
		excluded[count].check = log_check(APP, text(words[count]));
	return log_kinds_left(k, APP, excluded, count, ret_words);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
test_left(void **state)
{
	struct log_kinds k = { 0 };
	uint64_t words;

	(void)state;
	assert_false(left(&k, WORDS(NULL), &words));
	add(&k, APP + 1, "crm", "crm.contact.created");
	assert_false(left(&k, WORDS(NULL), &words));
	for (int i = 0; i < 3; i++) {
		add(&k, APP, "crm", "crm.contact.created");
		add(&k, APP, "hris", "crm.contact.updated");
	}
	assert_int_equal(k.count, 3);
	assert_true(left(&k, WORDS(NULL), &words));
	assert_true(left(&k, WORDS("vault", "hris"), &words));
	assert_int_equal(words, 2);
	assert_false(left(&k, WORDS("crm"), &words));
	assert_int_equal(words, 1);
}

/* A value that is not there is not an empty one, and a long one is like none:
 * the row is asked. */
static void
test_no_value(void **state)
{
	struct log_kinds k = { 0 };
	char long_text[100];
	uint64_t words;

	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	add(&k, APP, NULL, NULL);
	add(&k, APP, long_text, NULL);
	assert_true(left(&k, WORDS("", long_text), &words));
	assert_int_equal(words, 0);
	k = (struct log_kinds){ 0 };
	add(&k, APP, "", NULL);
	assert_false(left(&k, WORDS(""), &words));
}

static void
test_many(void **state)
{
	struct log_kinds k = { 0 }, got;
	uint64_t words;

	(void)state;
	for (int i = 0; i < LOG_SEGMENT_KINDS_MAX; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "api-%d", i);
		add(&k, APP, name, "crm");
	}
	assert_int_equal(log_kinds_get(&got, log_kinds_kept(&k)), 0);
	assert_false(got.many);
	assert_false(left(&got, WORDS("crm"), &words));
	add(&k, APP, "another", "type");
	assert_int_equal(log_kinds_get(&got, log_kinds_kept(&k)), 0);
	assert_true(got.many);
	assert_true(left(&got, WORDS("crm"), &words));
	assert_true(words & 1);
}

static void
test_broken(void **state)
{
	struct log_kinds k = { 0 }, got;
	struct slice kept;

	(void)state;
	add(&k, APP, "crm", "crm");
	kept = log_kinds_kept(&k);
	kept.len--;
	assert_int_equal(log_kinds_get(&got, kept), -EBADMSG);
	k.list[0].api.len = LOG_CHECK_MAX + 1;
	assert_int_equal(log_kinds_get(&got, log_kinds_kept(&k)), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_no_value),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
