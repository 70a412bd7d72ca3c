#include "router/match.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
set_up(void **state)
{
	*state = match_new();
	return *state == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	match_free(*state);
	return 0;
}

/* What a subscription asks for, without its scopes. */
struct wish {
	uint64_t app, number;
	const char *api, *events;
};

static int
put_in(struct match *m, struct wish w, const char *scopes, uint64_t generation)
{
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.app = w.app,
		.subscription = w.number,
		.unified_api = slice_text(w.api),
		.events = slice_text(w.events),
		.scopes = slice_text(scopes) };

	return match_entry(m, &e, generation);
}

static void
put(struct match *m, uint64_t number, const char *api, const char *events)
{
	assert_int_equal(
	    put_in(m, (struct wish){ 1, number, api, events }, NULL, 1), 0);
}

static void
take_out(struct match *m, uint64_t number)
{
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.app = 1,
		.deleted = true,
		.subscription = number };

	assert_int_equal(match_entry(m, &e, 1), 0);
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* What event_type of that API finds in the application, as "1 2 3". */
static const char *
found(struct match *m, uint64_t app, const char *event_type, const char *api)
{
	static char text[256];
	struct msg event = { .type = MSG_EVENT,
		.app = app,
		.event_type = slice_text(event_type),
		.consumer_id = slice_text("a"),
		.unified_api = slice_text(api) };
	struct targets t = { NULL, 0, 0 };
	size_t len = 0;

	assert_int_equal(match_event(m, &event, &t), 0);
	if (t.count > 0)
		qsort(t.numbers, t.count, sizeof(*t.numbers), by_number);
	text[0] = '\0';
	for (size_t i = 0; i < t.count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    i == 0 ? "%u" : " %u", t.numbers[i]);
	targets_done(&t);
	return text;
}

static void
test_names(void **state)
{
	struct match *m = *state;

	put(m, 1, "crm", "crm.contact.created,crm.contact.updated");
	put(m, 2, "hris", " crm.contact.created , hris.employee.created");
	put(m, 3, "crm", "crm.contact");
	put(m, 4, "crm", "");
	put(m, 5, "crm", ",,");
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "1 2");
	assert_string_equal(found(m, 1, "crm.contact.updated", "crm"), "1");
	assert_string_equal(found(m, 1, "crm.contact.deleted", "crm"), "");
	assert_string_equal(found(m, 1, "hris.employee.created", "hris"), "2");
	assert_string_equal(found(m, 2, "crm.contact.created", "crm"), "");
	assert_int_equal(match_count(m), 5);
}

static void
test_below(void **state)
{
	struct match *m = *state;

	put(m, 1, "crm", "crm.contact.*");
	put(m, 2, "crm", "crm.*");
	put(m, 3, "crm", "vault.connection.*");
	put(m, 4, "crm", "vault.connection.token_refresh.*");
	put(m, 5, "crm", "cr.*");
	put(m, 6, "crm", ".*");
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "1 2");
	assert_string_equal(found(m, 1, "crm.lead.created", "crm"), "2");
	assert_string_equal(found(m, 1, "crm.contact", "crm"), "2");
	assert_string_equal(found(m, 1, "crm", "crm"), "");
	assert_string_equal(
	    found(m, 1, "vault.connection.token_refresh.failed", "crm"), "3 4");
	assert_string_equal(
	    found(m, 1, "vault.connection.created", "crm"), "3");
}

static void
test_all(void **state)
{
	struct match *m = *state;

	put(m, 1, "crm", "*");
	put(m, 2, "hris", "*");
	put(m, 3, "vault", "*");
	put(m, 4, NULL, "*");
	put(m, 5, "crm", "vault.connection.created");
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "1 4");
	assert_string_equal(found(m, 1, "crm.contact.created", NULL), "1 4");
	assert_string_equal(
	    found(m, 1, "hris.employee.created", "hris"), "2 4");
	assert_string_equal(
	    found(m, 1, "vault.connection.created", "crm"), "1 3 4 5");
	assert_string_equal(
	    found(m, 1, "vault.connection.deleted", "hris"), "2 3 4");
	assert_string_equal(
	    found(m, 1, "vault.connection.deleted", NULL), "3 4");
	assert_string_equal(
	    found(m, 1, "vault.connection.deleted", "vault"), "3 4");
	assert_string_equal(found(m, 2, "crm.contact.created", "crm"), "");
}

static void
test_once_however_many_ways(void **state)
{
	struct match *m = *state;

	put(m, 1, "crm",
	    "*,crm.*,crm.contact.*,crm.contact.created,crm.contact.created,*");
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "1");
	take_out(m, 1);
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "");
	assert_int_equal(match_count(m), 0);
}

static void
test_replacing_and_removing(void **state)
{
	struct match *m = *state;

	put(m, 1, "crm", "crm.contact.created,crm.lead.created");
	put(m, 2, "crm", "crm.contact.created,crm.lead.created");
	put(m, 3, "crm", "crm.lead.created,crm.contact.created");
	put(m, 1, "crm", "crm.lead.created");
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "2 3");
	assert_string_equal(found(m, 1, "crm.lead.created", "crm"), "1 2 3");
	take_out(m, 2);
	take_out(m, 2);
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "3");
	assert_string_equal(found(m, 1, "crm.lead.created", "crm"), "1 3");
	/* The same text under another API is another subscription. */
	put(m, 4, "crm", "*");
	put(m, 4, "hris", "*");
	assert_string_equal(found(m, 1, "crm.lead.created", "crm"), "1 3");
	assert_string_equal(found(m, 1, "hris.company.created", "hris"), "4");
}

static void
test_scopes(void **state)
{
	struct match *m = *state;

	assert_int_equal(put_in(m, (struct wish){ 1, 1, "crm", "*" },
			     "{\"consumer_id\":[\"a\",\"b\"]}", 1),
	    0);
	assert_int_equal(put_in(m, (struct wish){ 1, 2, "crm", "*" },
			     "{\"consumer_id\":[\"b\"]}", 1),
	    0);
	assert_int_equal(put_in(m, (struct wish){ 1, 3, "crm", "*" },
			     "{\"unified_api\":[\"crm\"]}", 1),
	    0);
	/* Nobody can say what this lets through: nothing. */
	assert_int_equal(put_in(m, (struct wish){ 1, 4, "crm", "*" },
			     "{\"colour\":[\"b\"]}", 1),
	    -EINVAL);
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "1 3");
	assert_string_equal(found(m, 1, "crm.contact.created", NULL), "1 3");
	assert_int_equal(match_count(m), 4);
	put(m, 4, "crm", "*");
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "1 3 4");
}

/* Scopes are part of how a subscription is found, not only a filter. */
static void
test_scoped_patterns(void **state)
{
	struct match *m = *state;
	const char *a = "{\"consumer_id\":[\"a\",\"x\",\"a\"]}";
	const char *none = "{\"consumer_id\":[]}";
	const char *both = "{\"consumer_id\":[\"a\"],\"service_id\":[\"s\"]}";
	const char *empty = "{\"service_id\":[\"\"]}";

	assert_int_equal(
	    put_in(m, (struct wish){ 1, 1, "crm", "*,crm.*,crm.a.b,crm.a.b" },
		a, 1),
	    0);
	assert_int_equal(
	    put_in(m, (struct wish){ 1, 2, "crm", "crm.a.*" }, a, 1), 0);
	assert_int_equal(
	    put_in(m, (struct wish){ 1, 3, "crm", "*" }, none, 1), 0);
	assert_int_equal(
	    put_in(m, (struct wish){ 1, 4, "crm", "*" }, both, 1), 0);
	assert_int_equal(
	    put_in(m, (struct wish){ 1, 5, "crm", "crm.a.b" }, empty, 1), 0);
	assert_string_equal(found(m, 1, "crm.a.b", "crm"), "1 2 5");
	assert_string_equal(found(m, 1, "crm.c.b", "crm"), "1");
	assert_int_equal(
	    put_in(m, (struct wish){ 1, 2, "crm", "crm.a.*" }, both, 2), 0);
	take_out(m, 1);
	assert_string_equal(found(m, 1, "crm.a.b", "crm"), "5");
	assert_int_equal(
	    put_in(m, (struct wish){ 1, 4, "crm", "*" }, NULL, 2), 0);
	assert_string_equal(found(m, 1, "crm.a.b", "crm"), "4 5");
	match_sweep(m, 3);
	assert_string_equal(found(m, 1, "crm.a.b", "crm"), "");
}

/* So many values and names that they are not spread over the index. */
static void
test_huge_scopes(void **state)
{
	enum { VALUES = 1000, NAMES = 10 };
	struct match *m = *state;
	struct buf scopes, events;

	buf_init(&scopes, LIMIT_SCOPES_TEXT);
	buf_init(&events, LIMIT_EVENTS_TEXT);
	assert_int_equal(buf_add_text(&scopes, "{\"consumer_id\":["), 0);
	for (unsigned i = 0; i < VALUES; i++)
		assert_int_equal(buf_addf(&scopes, "\"c%u\",", i), 0);
	assert_int_equal(buf_add(&scopes, "\"a\"]}", 6), 0);
	for (unsigned i = 0; i < NAMES; i++)
		assert_int_equal(buf_addf(&events, "crm.e%u.made,", i), 0);
	assert_int_equal(buf_add(&events, "", 1), 0);
	assert_int_equal(
	    put_in(m, (struct wish){ 1, 1, "crm", (char *)events.data },
		(char *)scopes.data, 1),
	    0);
	assert_string_equal(found(m, 1, "crm.e7.made", "crm"), "1");
	assert_string_equal(found(m, 1, "crm.e10.made", "crm"), "");
	take_out(m, 1);
	assert_string_equal(found(m, 1, "crm.e7.made", "crm"), "");
	buf_done(&scopes);
	buf_done(&events);
}

static void
test_sweep_and_applications(void **state)
{
	struct match *m = *state;
	struct msg app = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_APP,
		.app = 1,
		.deleted = true };

	assert_int_equal(
	    put_in(m, (struct wish){ 1, 1, "crm", "*" }, NULL, 1), 0);
	assert_int_equal(
	    put_in(m, (struct wish){ 1, 2, "crm", "*" }, NULL, 1), 0);
	assert_int_equal(
	    put_in(m, (struct wish){ 2, 3, "crm", "*" }, NULL, 1), 0);
	assert_int_equal(
	    put_in(m, (struct wish){ 1, 2, "crm", "*" }, NULL, 2), 0);
	assert_int_equal(
	    put_in(m, (struct wish){ 2, 3, "crm", "*" }, NULL, 2), 0);
	match_sweep(m, 2);
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "2");
	assert_string_equal(found(m, 2, "crm.contact.created", "crm"), "3");
	assert_int_equal(match_entry(m, &app, 2), 0);
	assert_string_equal(found(m, 1, "crm.contact.created", "crm"), "");
	assert_string_equal(found(m, 2, "crm.contact.created", "crm"), "3");
	app.deleted = false;
	app.app = 2;
	assert_int_equal(match_entry(m, &app, 2), 0);
	assert_int_equal(match_count(m), 1);
}

/* A hundred thousand that match, put in and taken out in another order. */
static void
test_a_hundred_thousand(void **state)
{
	enum { COUNT = 100000 };
	struct match *m = *state;
	struct targets t = { NULL, 0, 0 };
	struct msg event = { .type = MSG_EVENT,
		.app = 1,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm") };

	for (uint32_t i = 1; i <= COUNT; i++)
		put(m, i, "crm", i % 2 ? "crm.contact.created" : "*,crm.*");
	assert_int_equal(match_event(m, &event, &t), 0);
	assert_int_equal(t.count, COUNT);
	qsort(t.numbers, t.count, sizeof(*t.numbers), by_number);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(t.numbers[i], i + 1);
	for (uint32_t i = 1; i <= COUNT; i++)
		if (i % 10 != 0)
			take_out(m, i);
	assert_int_equal(match_event(m, &event, &t), 0);
	assert_int_equal(t.count, COUNT / 10);
	for (size_t i = 0; i < t.count; i++)
		assert_int_equal(t.numbers[i] % 10, 0);
	targets_done(&t);
}

/* Random edits against a list that is searched from end to end. */
static void
test_against_a_plain_list(void **state)
{
	enum { NUMBERS = 24, ROUNDS = 20000 };
	static const char *const texts[] = { "a.b.c", "a.b.c,a.b.d", "a.b.*",
		"a.*,a.b.c", "a.b.d", "x.y.z,a.b.*,a.b.c" };
	static const char *const scopes[] = { NULL, NULL,
		"{\"consumer_id\":[\"a\",\"b\"]}",
		"{\"consumer_id\":[\"b\"]}" };
	static const bool finds[] = { true, true, true, true, false, true };
	struct match *m = *state;
	int has[NUMBERS + 1];
	uint32_t random = 12345;

	memset(has, -1, sizeof(has));
	for (unsigned round = 0; round < ROUNDS; round++) {
		char expected[256] = "";
		uint32_t number, what, scope;
		size_t len = 0;

		random = random * 1664525u + 1013904223u;
		number = 1 + (random >> 8) % NUMBERS;
		what = (random >> 16) % 7;
		scope = (random >> 24) % 4;
		if (what == 6)
			take_out(m, number);
		else
			assert_int_equal(
			    put_in(m,
				(struct wish){ 1, number, "a", texts[what] },
				scopes[scope], 1),
			    0);
		has[number] = what == 6 || scope == 3 ? -1 : (int)what;
		if (round % 16 != 0)
			continue;
		for (uint32_t i = 1; i <= NUMBERS; i++)
			if (has[i] >= 0 && finds[has[i]])
				len += (size_t)snprintf(expected + len,
				    sizeof(expected) - len,
				    len == 0 ? "%u" : " %u", i);
		assert_string_equal(found(m, 1, "a.b.c", "a"), expected);
	}
}

/* Whatever it wants; but of its application, and there. */
static void
test_for_one_alone(void **state)
{
	struct match *m = *state;
	struct msg event = { .type = MSG_EVENT,
		.app = 1,
		.subscription = 7,
		.event_type = slice_text("hris.employee.created") };
	struct targets t = { NULL, 0, 0 };

	put(m, 7, "crm", "crm.lead.created");
	put(m, 8, "crm", "*");
	assert_int_equal(match_one(m, &event, &t), 0);
	assert_int_equal(t.count, 1);
	assert_int_equal(t.numbers[0], 7);
	event.app = 2;
	assert_int_equal(match_one(m, &event, &t), 0);
	assert_int_equal(t.count, 0);
	event.app = 1;
	take_out(m, 7);
	assert_int_equal(match_one(m, &event, &t), 0);
	assert_int_equal(t.count, 0);
	targets_done(&t);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_for_one_alone),
		TEST(test_names),
		TEST(test_below),
		TEST(test_all),
		TEST(test_once_however_many_ways),
		TEST(test_replacing_and_removing),
		TEST(test_scopes),
		TEST(test_scoped_patterns),
		TEST(test_huge_scopes),
		TEST(test_sweep_and_applications),
		TEST(test_a_hundred_thousand),
		TEST(test_against_a_plain_list),
	};

	return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
