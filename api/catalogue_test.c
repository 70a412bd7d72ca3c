#include "api/catalogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

static void
test_events(void **state)
{
	static const struct {
		const char *heard, *kept; /* NULL: refused */
	} rows[] = {
		{ "*", "*" },
		{ "crm.contact.created", "crm.contact.created" },
		{ "crm.*", "crm.*" },
		{ "crm.contact.*", "crm.contact.*" },
		{ "pos.modifier_group.created", "pos.modifier-group.created" },
		{ "pos.modifier_group.*", "pos.modifier-group.*" },
		{ "crm.notes.updated", "crm.note.updated" },
		{ "vault.connection.token_refresh.*",
		    "vault.connection.token_refresh.*" },
		{ "ecommerce.order.refunded", "ecommerce.order.refunded" },
		{ "", NULL },
		{ ".", NULL },
		{ ".*", NULL },
		{ "**", NULL },
		{ "crm", NULL },
		{ "crm.", NULL },
		{ "crm*", NULL },
		{ "cr.*", NULL },
		{ "calendar.*", NULL }, /* an API without events */
		{ "crm.contact", NULL },
		{ "crm.contact.created.*", NULL },
		{ "crm.contact.made", NULL },
		{ "CRM.contact.created", NULL },
		{ "crm.notes", NULL },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int r = catalogue_event(
		    slice_text(rows[i].heard), text, sizeof(text));

		assert_int_equal(r, rows[i].kept != NULL ? 0 : -ENOENT);
		if (r == 0)
			assert_string_equal(text, rows[i].kept);
	}
	assert_int_equal(
	    catalogue_event(slice_text("crm.contact.created"), text, 8),
	    -ENOENT);
}

static void
count(void *arg, const char *name)
{
	(void)name;
	++*(unsigned *)arg;
}

static unsigned
count_of(const char *kept)
{
	unsigned n = 0;

	catalogue_expand(slice_text(kept), count, &n);
	return n;
}

/* The numbers of names that the published enum has. */
static void
test_counts(void **state)
{
	(void)state;
	assert_int_equal(count_of("*"), 1);
	assert_int_equal(count_of("crm.*"), 18);
	assert_int_equal(count_of("lead.*"), 3);
	assert_int_equal(count_of("vault.*"), 12);
	assert_int_equal(count_of("ats.*"), 9);
	assert_int_equal(count_of("accounting.*"), 45);
	assert_int_equal(count_of("pos.*"), 24);
	assert_int_equal(count_of("hris.*"), 10);
	assert_int_equal(count_of("file-storage.*"), 4);
	assert_int_equal(count_of("issue-tracking.*"), 3);
	assert_int_equal(count_of("ecommerce.*"), 13);
	assert_int_equal(count_of("crm.contact.created"), 1);
	assert_int_equal(count_of("crm.contact.*"), 3);
}

static void
test_names(void **state)
{
	char text[16];

	(void)state;
	assert_true(catalogue_has_api(slice_text("subscription-analytics")));
	assert_true(catalogue_has_api(slice_text("vault")));
	assert_false(catalogue_has_api(slice_text("proxy")));
	assert_false(catalogue_has_api(slice_text("")));
	catalogue_service_name(slice_text("hubspot"), text, sizeof(text));
	assert_string_equal(text, "HubSpot");
	catalogue_service_name(
	    slice_text("file-maker_pro"), text, sizeof(text));
	assert_string_equal(text, "File Maker Pro");
	catalogue_service_name(
	    slice_text("a-very-long-service-name"), text, sizeof(text));
	assert_string_equal(text, "A Very Long Ser");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
