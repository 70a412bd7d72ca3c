#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/event_type.h"

static void
test_forms(void **state)
{
	static const struct {
		const char *type;
		bool valid, known;
	} rows[] = {
		{ "crm.contact.created", true, true },
		{ "vault.connection.token_refresh.failed", true, true },
		{ "file-storage.drive.updated", true, true },
		{ "shop.order.created", true, false },
		{ "contact.created", true, false },
		{ "crm.contact", true, false },
		{ "contact", false, false },
		{ "", false, false },
		{ ".a.b", false, false },
		{ "a..b", false, false },
		{ "crm.contact.", false, false },
		{ "crm.Contact.created", false, false },
		{ "crm.*", false, false },
		{ "crm.contact.created\"", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice type = slice_text(rows[i].type);

		assert_int_equal(event_type_is_valid(type), rows[i].valid);
		assert_int_equal(event_type_is_known(type), rows[i].known);
	}
	assert_false(event_type_is_valid((struct slice){ 0 }));
}

static void
test_parts(void **state)
{
	struct slice type = slice_text("vault.connection.token_refresh.failed");

	(void)state;
	assert_true(slice_is(event_type_api(type), "vault"));
	assert_true(slice_is(event_type_entity(type), "connection"));
	assert_true(event_type_is_vault(type));
	assert_null(event_type_entity(slice_text("a.b")).data);
	assert_null(event_type_api(slice_text("a")).data);
}

static void
expect(int (*fn)(struct slice, struct buf *), const char *from, const char *to)
{
	struct buf out;

	buf_init(&out, 256);
	assert_int_equal(fn(slice_text(from), &out), 0);
	assert_true(slice_is(buf_slice(&out), to));
	buf_done(&out);
}

static void
test_spelling_and_plural(void **state)
{
	(void)state;
	expect(event_type_normalise, "pos.modifier_group.deleted",
	    "pos.modifier-group.deleted");
	expect(event_type_normalise, "crm.notes.updated", "crm.note.updated");
	expect(event_type_normalise, "crm.note.updated", "crm.note.updated");
	expect(event_type_plural, "contact", "contacts");
	expect(event_type_plural, "activity", "activities");
	expect(event_type_plural, "opportunity", "opportunities");
	expect(event_type_plural, "tax_rate", "tax-rates");
	expect(event_type_plural, "day", "days");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_spelling_and_plural),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
