#include "api/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/msg.h"

struct world {
	char folder[64];
	char path[96];
	struct seal seal;
	struct directory *d;
};

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct buf key;

	assert_non_null(w);
	snprintf(w->folder, sizeof(w->folder), "/tmp/sl_directory_XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	snprintf(w->path, sizeof(w->path), "%s/d/directory.db", w->folder);
	crypto_random(w->seal.key, sizeof(w->seal.key));
	assert_int_equal(directory_open(w->path, &w->seal, true, &w->d), 0);
	buf_init(&key, 256);
	assert_int_equal(directory_app_create(w->d, "demo", "Demo",
			     slice_text("sk_live_one"), &key),
	    0);
	assert_true(slice_is(buf_slice(&key), "sk_live_one"));
	buf_done(&key);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	char path[160];
	static const char *const ends[] = { "", "-wal", "-shm", ".lock" };

	directory_close(w->d);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", w->path, ends[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/d", w->folder);
	rmdir(path);
	rmdir(w->folder);
	free(w);
	return 0;
}

static struct directory_hook
hook_of(const char *url)
{
	struct directory_hook h = { .app = 1, .enabled = true };

	snprintf(h.unified_api, sizeof(h.unified_api), "crm");
	snprintf(h.url, sizeof(h.url), "%s", url);
	snprintf(h.events, sizeof(h.events), "*");
	snprintf(h.reason, sizeof(h.reason), "none");
	return h;
}

static void
test_key_finds_application(void **state)
{
	struct world *w = *state;
	uint8_t hash[CRYPTO_HASH_SIZE];
	struct directory_app app;
	struct buf key;

	crypto_sha256(slice_text("sk_live_one"), hash);
	assert_int_equal(directory_app_of_key(w->d, hash, &app), 0);
	assert_string_equal(app.id, "demo");
	assert_int_equal(app.app, 1);
	crypto_sha256(slice_text("sk_live_two"), hash);
	assert_int_equal(directory_app_of_key(w->d, hash, &app), -ENOENT);

	buf_init(&key, 256);
	assert_int_equal(
	    directory_app_create(w->d, "demo", "Again", slice_text(NULL), &key),
	    -EEXIST);
	assert_int_equal(key.len, 0);
	assert_int_equal(
	    directory_app_create(w->d, "b", "B", slice_text(NULL), &key), 0);
	assert_int_equal(key.len, strlen("sk_live_") + 43);
	crypto_sha256(buf_slice(&key), hash);
	assert_int_equal(directory_app_of_key(w->d, hash, &app), 0);
	assert_string_equal(app.id, "b");
	buf_done(&key);
}

static void
test_hook_lives(void **state)
{
	struct world *w = *state;
	struct directory_hook h = hook_of("http://a.test/"), got;
	uint64_t born;

	assert_int_equal(directory_hook_add(w->d, &h), 0);
	assert_int_equal(strlen(h.id), 24);
	assert_int_equal(h.number, directory_number(w->d));
	born = h.number;
	assert_int_equal(directory_hook_get(w->d, 1, h.id, &got), 0);
	assert_false(got.has_description);
	assert_string_equal(got.url, "http://a.test/");
	assert_int_equal(directory_hook_get(w->d, 2, h.id, &got), -ENOENT);

	assert_int_equal(directory_hook_get(w->d, 1, h.id, &got), 0);
	got.has_description = true;
	got.enabled = false;
	assert_int_equal(directory_hook_set(w->d, &got, false), 0);
	assert_int_equal(directory_hook_find(w->d, 1, h.subscription, &got), 0);
	assert_true(got.has_description);
	assert_string_equal(got.description, "");
	assert_int_equal(got.touched, born);
	assert_int_equal(got.born, born);
	assert_true(got.number > born);
	assert_int_equal(directory_hook_set(w->d, &got, true), 0);
	assert_int_equal(directory_hook_find(w->d, 1, h.subscription, &got), 0);
	assert_int_equal(got.touched, got.number);

	assert_int_equal(directory_hook_remove(w->d, &got), 0);
	assert_int_equal(directory_hook_remove(w->d, &got), -ENOENT);
	assert_int_equal(directory_hook_set(w->d, &got, true), -ENOENT);
	assert_int_equal(directory_hook_get(w->d, 1, h.id, &got), -ENOENT);
	h = hook_of("http://b.test/");
	assert_int_equal(directory_hook_add(w->d, &h), 0);
	assert_int_equal(h.subscription, 2);
}

static void
count_hook(void *arg, const struct directory_hook *hook)
{
	unsigned *n = arg;

	assert_true(hook->subscription > *n);
	*n = hook->subscription;
}

/* url and description, in the order of a list, until there are enough. */
struct listed {
	char text[256];
	unsigned left;
};

static bool
note(void *arg, const struct directory_hook *h)
{
	struct listed *l = arg;
	size_t len = strlen(l->text);

	snprintf(l->text + len, sizeof(l->text) - len, "%s%s ", h->url,
	    h->has_description ? h->description : "-");
	return --l->left > 0;
}

static void
test_hook_list(void **state)
{
	static const char *const urls[] = { "b", "a", "b", "a" };
	static const char *const texts[] = { "1", "1", NULL, "2" };
	struct directory_order order = { .count = 2,
		.by = { { DIRECTORY_BY_URL, true },
		    { DIRECTORY_BY_DESCRIPTION, false } } };
	struct listed l = { .left = 9 };
	struct world *w = *state;

	for (int i = 0; i < 4; i++) {
		struct directory_hook h = hook_of(urls[i]);

		h.has_description = texts[i] != NULL;
		snprintf(h.description, sizeof(h.description), "%s",
		    texts[i] != NULL ? texts[i] : "");
		assert_int_equal(directory_hook_add(w->d, &h), 0);
	}
	assert_int_equal(directory_hook_list(w->d, 1, &order, note, &l), 0);
	assert_string_equal(l.text, "b1 b- a1 a2 ");
	l = (struct listed){ .left = 2 };
	order.by[1].descending = true;
	assert_int_equal(directory_hook_list(w->d, 1, &order, note, &l), 0);
	assert_string_equal(l.text, "b- b1 ");
	l = (struct listed){ .left = 9 };
	order.count = 0;
	assert_int_equal(directory_hook_list(w->d, 1, &order, note, &l), 0);
	assert_string_equal(l.text, "b1 a1 b- a2 ");
	l = (struct listed){ .left = 9 };
	assert_int_equal(directory_hook_list(w->d, 2, &order, note, &l), 0);
	assert_string_equal(l.text, "");
}

static void
test_hook_secret_and_scopes(void **state)
{
	struct world *w = *state;
	struct directory_hook h = hook_of("http://a.test/"), got;
	struct buf secret;

	buf_init(&secret, 256);
	snprintf(h.scopes, sizeof(h.scopes), "{\"consumer_id\":\"a\"}");
	assert_int_equal(
	    directory_hook_add_secret(w->d, &h, slice_text("mine")), 0);
	assert_int_equal(directory_hook_find(w->d, 1, h.subscription, &got), 0);
	assert_true(got.has_secret);
	assert_string_equal(got.scopes, h.scopes);
	assert_int_equal(directory_hook_secret(w->d, &got, &secret), 0);
	assert_true(slice_is(buf_slice(&secret), "mine"));

	got.scopes[0] = '\0';
	assert_int_equal(directory_hook_set(w->d, &got, false), 0);
	buf_clear(&secret);
	assert_int_equal(directory_hook_find(w->d, 1, h.subscription, &got), 0);
	assert_string_equal(got.scopes, "");
	assert_int_equal(directory_hook_secret(w->d, &got, &secret), 0);
	assert_true(slice_is(buf_slice(&secret), "mine"));
	assert_int_equal(
	    directory_hook_set_secret(w->d, &got, false, slice_text("other")),
	    0);
	buf_clear(&secret);
	assert_int_equal(directory_hook_secret(w->d, &got, &secret), 0);
	assert_true(slice_is(buf_slice(&secret), "other"));

	h = hook_of("http://b.test/");
	assert_int_equal(directory_hook_add(w->d, &h), 0);
	assert_int_equal(directory_hook_secret(w->d, &h, &secret), -ENOENT);
	h.app = 2;
	assert_int_equal(directory_hook_secret(w->d, &h, &secret), -ENOENT);
	buf_done(&secret);
}

/* They stay when something else is written, and go with the hook. */
static void
test_hook_headers(void **state)
{
	struct world *w = *state;
	struct directory_hook h = hook_of("http://a.test/"), got;
	struct msg_list list = { 0 };
	struct msg entry;
	struct buf entries;
	uint64_t number;

	assert_int_equal(directory_hook_add(w->d, &h), 0);
	assert_int_equal(directory_hook_find(w->d, 1, h.subscription, &got), 0);
	assert_int_equal(got.headers_len, 0);
	memset(got.headers, 'h', sizeof(got.headers));
	got.headers_len = sizeof(got.headers);
	number = got.number;
	assert_int_equal(directory_hook_set(w->d, &got, false), 0);
	assert_int_equal(directory_hook_get(w->d, 1, h.id, &got), 0);
	assert_int_equal(got.headers_len, sizeof(got.headers));
	assert_int_equal(got.headers[sizeof(got.headers) - 1], 'h');

	buf_init(&entries, DIRECTORY_PART_BYTES);
	assert_int_equal(
	    directory_change(w->d, number, &number, &entries, &list.count), 0);
	list.packed = buf_slice(&entries);
	assert_true(msg_next(&list, MSG_ENTRY, &entry));
	assert_true(msg_next(&list, MSG_ENTRY, &entry));
	assert_int_equal(entry.subscription, h.subscription);
	assert_int_equal(entry.headers.len, sizeof(got.headers));
	buf_done(&entries);

	got.headers_len = 3;
	got.ordered = true;
	assert_int_equal(
	    directory_hook_set_secret(w->d, &got, true, slice_text("secret")),
	    0);
	assert_int_equal(directory_hook_get(w->d, 1, h.id, &got), 0);
	assert_int_equal(got.headers_len, 3);
	assert_true(got.ordered);
	got.headers_len = 0;
	assert_int_equal(directory_hook_set(w->d, &got, false), 0);
	assert_int_equal(directory_hook_get(w->d, 1, h.id, &got), 0);
	assert_int_equal(got.headers_len, 0);
	assert_true(got.has_secret);
}

/* What was added to the tables since, and is nothing in an older file. */
static void
test_older_file(void **state)
{
	struct world *w = *state;
	struct directory_hook h = hook_of("http://a.test/"), got;
	sqlite3 *db = NULL;

	assert_int_equal(
	    directory_hook_add_secret(w->d, &h, slice_text("mine")), 0);
	directory_close(w->d);
	w->d = NULL;
	assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db,
		"ALTER TABLE subscriptions DROP COLUMN headers;"
		"ALTER TABLE subscriptions DROP COLUMN http2;"
		"ALTER TABLE subscriptions DROP COLUMN secret_back;"
		"ALTER TABLE subscriptions DROP COLUMN ordered;"
		"PRAGMA user_version = 3",
		NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(directory_open(w->path, &w->seal, true, &w->d), 0);
	assert_int_equal(directory_hook_get(w->d, 1, h.id, &got), 0);
	assert_true(got.has_secret);
	assert_int_equal(got.headers_len, 0);
	assert_false(got.http2 || got.secret_back || got.ordered);
	got.http2 = true;
	assert_int_equal(directory_hook_set(w->d, &got, false), 0);
	assert_int_equal(directory_hook_get(w->d, 1, h.id, &got), 0);
	assert_true(got.http2 && got.has_secret);
}

static void
test_key_ids(void **state)
{
	struct world *w = *state;
	uint8_t hash[CRYPTO_HASH_SIZE];
	char id[LIMIT_ID_TEXT + 1];
	struct directory_app app;

	crypto_sha256(slice_text("sk_live_one"), hash);
	assert_int_equal(directory_key_id(w->d, hash, id, sizeof(id)), 0);
	assert_int_equal(directory_app_of_key_id(w->d, id, &app), 0);
	assert_string_equal(app.id, "demo");
	assert_int_equal(directory_app_of_key_id(w->d, "x", &app), -ENOENT);
	hash[0] ^= 1;
	assert_int_equal(directory_key_id(w->d, hash, id, sizeof(id)), -ENOENT);
}

static void
test_pages(void **state)
{
	struct world *w = *state;
	struct directory_page page = { .app = 1, .limit = 2 };
	struct directory_hook h;
	unsigned n = 0;

	for (int i = 0; i < 5; i++) {
		h = hook_of("http://a.test/");
		assert_int_equal(directory_hook_add(w->d, &h), 0);
	}
	assert_int_equal(directory_hook_page(w->d, &page, count_hook, &n), 0);
	assert_int_equal(n, 2);
	assert_true(page.more);
	assert_int_equal(page.total, 5);
	assert_int_equal(page.previous, 0);
	page.after = 4;
	assert_int_equal(directory_hook_page(w->d, &page, count_hook, &n), 0);
	assert_int_equal(n, 5);
	assert_false(page.more);
	assert_int_equal(page.last, 5);
	assert_int_equal(page.previous, 2);
	page.limit = 200;
	page.after = 0;
	n = 0;
	assert_int_equal(directory_hook_page(w->d, &page, count_hook, &n), 0);
	assert_int_equal(n, 5);
	assert_false(page.more);
}

static void
test_numbers_only_grow(void **state)
{
	struct world *w = *state;
	uint64_t last = directory_number(w->d);

	assert_true(last + 60000000 > clock_wall_us());
	for (int i = 0; i < 20; i++) {
		struct directory_hook h = hook_of("http://a.test/");

		assert_int_equal(directory_hook_add(w->d, &h), 0);
		assert_true(h.number > last);
		last = h.number;
	}
	directory_close(w->d);
	assert_int_equal(directory_open(w->path, &w->seal, true, &w->d), 0);
	assert_int_equal(directory_number(w->d), last);
}

static void
test_one_owner_and_a_command_beside(void **state)
{
	struct world *w = *state;
	struct directory *other = NULL;
	uint64_t before = directory_number(w->d);
	struct buf key;

	buf_init(&key, 256);
	assert_int_equal(
	    directory_open(w->path, &w->seal, true, &other), -EBUSY);
	assert_int_equal(directory_open(w->path, &w->seal, false, &other), 0);
	assert_int_equal(directory_refresh(w->d), 0);
	assert_int_equal(directory_number(w->d), before);
	assert_int_equal(
	    directory_app_create(other, "b", "B", slice_text(NULL), &key), 0);
	assert_int_equal(directory_refresh(w->d), 0);
	assert_int_equal(directory_number(w->d), directory_number(other));
	assert_true(directory_number(w->d) > before);
	directory_close(other);
	buf_done(&key);
}

static void
test_other_master_key(void **state)
{
	struct world *w = *state;
	struct directory *other = NULL;
	struct seal seal;

	crypto_random(seal.key, sizeof(seal.key));
	assert_int_equal(
	    directory_open(w->path, &seal, false, &other), -EKEYREJECTED);
	assert_null(other);
}

/* Unpacks entries as a receiver would. */
static unsigned
entries_of(
    const struct buf *packed, uint32_t count, struct msg *out, unsigned max)
{
	struct msg_list list = { buf_slice(packed), count };
	unsigned n = 0;

	while (n < max && msg_next(&list, MSG_ENTRY, &out[n]))
		n++;
	assert_int_equal(n, count);
	return n;
}

static void
test_change_carries_application_first(void **state)
{
	struct world *w = *state;
	struct directory_hook h = hook_of("http://a.test/");
	struct directory_hook h2 = hook_of("http://b.test/");
	uint64_t start = directory_number(w->d), number;
	struct buf packed, secret;
	struct msg e[8];
	uint32_t count;

	buf_init(&packed, 1 << 20);
	buf_init(&secret, 256);
	assert_int_equal(
	    directory_change(w->d, start, &number, &packed, &count), -ENOENT);
	assert_int_equal(directory_hook_add(w->d, &h), 0);
	assert_int_equal(directory_hook_add(w->d, &h2), 0);
	assert_int_equal(
	    directory_change(w->d, start, &number, &packed, &count), 0);
	assert_int_equal(number, h.number);
	assert_int_equal(entries_of(&packed, count, e, 8), 2);
	assert_int_equal(e[0].kind, MSG_ENTRY_APP);
	assert_int_equal(e[0].number, h2.number);
	assert_int_equal(e[1].kind, MSG_ENTRY_SUBSCRIPTION);
	assert_int_equal(e[1].number, h.number);
	assert_true(slice_is(e[1].url, "http://a.test/"));
	assert_true(e[1].enabled);
	/* The signing key opens for its application alone. */
	assert_int_equal(
	    seal_open(&w->seal, "secret:1", e[0].secret, &secret), 0);
	assert_true(slice_is(buf_slice(&secret), "sk_live_one"));
	assert_int_equal(
	    seal_open(&w->seal, "secret:2", e[0].secret, &secret), -EBADMSG);

	buf_clear(&packed);
	start = number;
	assert_int_equal(
	    directory_change(w->d, start, &number, &packed, &count), 0);
	assert_int_equal(number, h2.number);
	assert_int_equal(entries_of(&packed, count, e, 8), 2);
	assert_int_equal(e[1].subscription, h2.subscription);

	buf_clear(&packed);
	start = number;
	assert_int_equal(directory_hook_remove(w->d, &h), 0);
	assert_int_equal(
	    directory_change(w->d, start, &number, &packed, &count), 0);
	assert_int_equal(entries_of(&packed, count, e, 8), 2);
	assert_true(e[1].deleted);
	assert_int_equal(e[1].subscription, h.subscription);
	buf_done(&packed);
	buf_done(&secret);
}

static void
test_snapshot_in_parts(void **state)
{
	struct world *w = *state;
	struct directory_place place = { 0 };
	struct directory_connection c = { .app = 1, .enabled = true };
	unsigned hooks = 0, others = 0, parts = 0;
	uint64_t last = 0;
	struct buf packed;

	for (int i = 0; i < 40; i++) {
		struct directory_hook h = hook_of("http://a.test/");

		memset(h.events, 'x', sizeof(h.events) - 1);
		assert_int_equal(directory_hook_add(w->d, &h), 0);
		if (i % 10 == 0)
			assert_int_equal(directory_hook_remove(w->d, &h), 0);
	}
	snprintf(c.consumer_id, sizeof(c.consumer_id), "u1");
	snprintf(c.service_id, sizeof(c.service_id), "hubspot");
	snprintf(c.unified_api, sizeof(c.unified_api), "crm");
	assert_int_equal(
	    directory_connection_add(w->d, &c, slice_text("inbound"), NULL), 0);
	buf_init(&packed, 1 << 20);
	do {
		static struct msg e[1024];
		uint32_t count = 0;
		unsigned n;

		buf_clear(&packed);
		assert_int_equal(
		    directory_snapshot(w->d, &place, &packed, &count), 0);
		assert_true(packed.len <
			    DIRECTORY_PART_BYTES + LIMIT_EVENTS_TEXT + 4096);
		n = entries_of(&packed, count, e, 1024);
		for (unsigned i = 0; i < n; i++) {
			assert_false(e[i].deleted);
			if (e[i].kind != MSG_ENTRY_SUBSCRIPTION) {
				others++;
				continue;
			}
			assert_true(e[i].subscription > last);
			last = e[i].subscription;
			hooks++;
		}
		assert_true(++parts < 10);
	} while (place.kind != 0);
	assert_int_equal(hooks, 36);
	assert_int_equal(others, 3); /* application, key, connection */
	assert_true(parts >= 2);
	buf_done(&packed);
}

static void
test_connection_lives(void **state)
{
	struct world *w = *state;
	struct directory_connection c = { .app = 1, .enabled = true }, got;
	struct directory_connection twin;
	char name[LIMIT_NAME_TEXT + 1];
	struct slice none = { NULL, 0 };

	snprintf(c.consumer_id, sizeof(c.consumer_id), "u1");
	snprintf(c.service_id, sizeof(c.service_id), "hubspot");
	snprintf(c.unified_api, sizeof(c.unified_api), "crm");
	snprintf(c.name, sizeof(c.name), "HubSpot");
	twin = c;
	assert_int_equal(directory_connection_add(w->d, &c, none, NULL), 0);
	assert_int_equal(
	    directory_connection_add(w->d, &twin, none, NULL), -EEXIST);
	assert_int_equal(directory_connection_get(w->d, 1, c.id, &got), 0);
	assert_false(got.has_secret);
	assert_string_equal(got.lookup, c.lookup);
	assert_int_equal(strlen(got.lookup), 32);
	assert_int_equal(directory_connection_name(w->d, 1,
			     slice_text("hubspot"), slice_text("u1"), name),
	    0);
	assert_string_equal(name, "HubSpot");
	assert_int_equal(directory_connection_name(w->d, 1,
			     slice_text("hubspot"), slice_text("u2"), name),
	    -ENOENT);
	assert_int_equal(directory_connection_name(
			     w->d, 1, slice_text("hubspot"), none, name),
	    0);

	got.enabled = false;
	assert_int_equal(directory_connection_set(w->d, &got,
			     &(struct slice){ (const uint8_t *)"s", 1 }, NULL),
	    0);
	assert_int_equal(directory_connection_get(w->d, 1, c.id, &got), 0);
	assert_true(got.has_secret);
	assert_int_equal(directory_connection_set(w->d, &got, NULL, NULL), 0);
	assert_int_equal(directory_connection_get(w->d, 1, c.id, &got), 0);
	assert_true(got.has_secret);
	assert_int_equal(directory_connection_remove(w->d, &got, NULL), 0);
	assert_int_equal(directory_connection_add(w->d, &twin, none, NULL), 0);
}

static void
an_outbox_keeps_order_until_removed(void **state)
{
	struct world *w = *state;
	struct id one = { { 1 } }, two = { { 2 } };
	struct directory_letter letter = { 0 };
	struct buf event;
	uint64_t first;

	buf_init(&event, 64);
	letter.event = &event;
	assert_int_equal(directory_outbox_next(w->d, 0, &letter), -ENOENT);
	assert_int_equal(
	    directory_outbox_add(w->d, 1, one, slice_text("a")), 0);
	assert_int_equal(
	    directory_outbox_add(w->d, 1, two, slice_text("b")), 0);
	/* One event has one row. */
	assert_int_equal(
	    directory_outbox_add(w->d, 1, one, slice_text("a")), -EEXIST);
	assert_int_equal(directory_outbox_next(w->d, 0, &letter), 0);
	assert_true(slice_is(buf_slice(&event), "a"));
	first = letter.seq;
	buf_clear(&event);
	assert_int_equal(directory_outbox_next(w->d, first, &letter), 0);
	assert_true(slice_is(buf_slice(&event), "b"));
	assert_int_equal(directory_outbox_remove(w->d, first), 0);
	assert_int_equal(
	    directory_outbox_refuse(w->d, letter.seq, slice_text("no")), 0);
	assert_int_equal(directory_outbox_next(w->d, 0, &letter), -ENOENT);
	buf_done(&event);
}

static void
limits_end_with_the_month_or_with_another_quota(void **state)
{
	struct world *w = *state;
	struct directory_app app;
	uint64_t november, december;

	november = directory_month(UINT64_C(1795513801000));
	december = directory_month(UINT64_C(1796083200000));
	assert_int_equal(november, 2026 * 12 + 10);
	assert_int_equal(december, november + 1);
	assert_int_equal(directory_app_get(w->d, "none", &app), -ENOENT);
	assert_int_equal(directory_app_get(w->d, "demo", &app), 0);
	app.quota = 10;
	assert_int_equal(directory_app_set(w->d, &app), 0);
	assert_int_equal(directory_app_limit(w->d, app.app, november), 0);
	assert_int_equal(directory_app_lift(w->d, november), -ENOENT);
	assert_int_equal(directory_app_set(w->d, &app), 0);
	assert_int_equal(directory_app_find(w->d, app.app, &app), 0);
	assert_int_equal(app.limited, november);
	assert_int_equal(directory_app_lift(w->d, december), 0);
	assert_int_equal(directory_app_lift(w->d, december), -ENOENT);
	assert_int_equal(directory_app_limit(w->d, app.app, december), 0);
	app.quota = 20;
	assert_int_equal(directory_app_set(w->d, &app), 0);
	assert_int_equal(directory_app_find(w->d, app.app, &app), 0);
	assert_int_equal(app.limited, 0);
	assert_int_equal(app.quota_number, app.number);
}

static void
a_rotation_ends_by_itself(void **state)
{
	struct world *w = *state;
	struct directory_hook hook = { .app = 1, .enabled = true };
	struct buf secret;

	(void)snprintf(hook.url, sizeof(hook.url), "http://h/");
	(void)snprintf(hook.reason, sizeof(hook.reason), "none");
	assert_int_equal(directory_hook_add(w->d, &hook), 0);
	assert_int_equal(
	    directory_hook_rotate(w->d, &hook, slice_text("fresh"), 1000), 0);
	assert_int_equal(directory_hook_settle(w->d, 999), -ENOENT);
	buf_init(&secret, 256);
	assert_int_equal(directory_hook_secret(w->d, &hook, &secret), 0);
	assert_true(slice_is(buf_slice(&secret), "fresh"));
	assert_int_equal(directory_hook_settle(w->d, 1000), 0);
	assert_int_equal(directory_hook_settle(w->d, 1000), -ENOENT);
	assert_int_equal(directory_hook_get(w->d, 1, hook.id, &hook), 0);
	assert_int_equal(hook.secret_until_ms, 0);
	buf_clear(&secret);
	assert_int_equal(directory_hook_secret(w->d, &hook, &secret), 0);
	assert_true(slice_is(buf_slice(&secret), "fresh"));
	buf_done(&secret);
}

/* The application's key signs, and the dropped one beside it for a while. */
static void
a_dropped_secret_signs_beside_the_key(void **state)
{
	static const char both[] = "sk_live_one\0mine";
	struct world *w = *state;
	struct directory_hook hook = hook_of("http://h/");
	struct buf sealed, secret;
	struct slice want = { (const uint8_t *)both, sizeof(both) - 1 };

	buf_init(&sealed, 512);
	buf_init(&secret, 512);
	assert_int_equal(directory_hook_add(w->d, &hook), 0);
	assert_int_equal(
	    directory_hook_drop_secret(w->d, &hook, 1000), -ENOENT);
	assert_int_equal(
	    directory_hook_rotate(w->d, &hook, slice_text("mine"), 2000), 0);
	assert_int_equal(directory_hook_drop_secret(w->d, &hook, 1000), 0);
	assert_int_equal(
	    directory_hook_drop_secret(w->d, &hook, 3000), -ENOENT);
	assert_int_equal(directory_hook_get(w->d, 1, hook.id, &hook), 0);
	assert_false(hook.has_secret);
	assert_int_equal(hook.secret_until_ms, 1000);
	assert_int_equal(directory_hook_secret(w->d, &hook, &secret), -ENOENT);
	assert_int_equal(
	    directory_signing_secret(w->d, 1, hook.subscription, &sealed), 0);
	assert_int_equal(
	    seal_open(&w->seal, "secret:1", buf_slice(&sealed), &secret), 0);
	assert_true(slice_same(buf_slice(&secret), want));
	/* Another write does not end it. */
	assert_int_equal(directory_hook_set(w->d, &hook, false), 0);
	assert_int_equal(directory_hook_settle(w->d, 999), -ENOENT);
	assert_int_equal(directory_hook_settle(w->d, 1000), 0);
	assert_int_equal(directory_hook_settle(w->d, 1000), -ENOENT);
	assert_int_equal(directory_hook_get(w->d, 1, hook.id, &hook), 0);
	assert_false(hook.has_secret || hook.secret_back);
	assert_int_equal(hook.secret_until_ms, 0);

	/* At once; and one of its own ends the overlap of a dropped one. */
	assert_int_equal(
	    directory_hook_rotate(w->d, &hook, slice_text("mine"), 0), 0);
	assert_int_equal(directory_hook_drop_secret(w->d, &hook, 1000), 0);
	assert_int_equal(
	    directory_hook_rotate(w->d, &hook, slice_text("next"), 0), 0);
	assert_true(hook.has_secret && !hook.secret_back);
	assert_int_equal(directory_hook_drop_secret(w->d, &hook, 0), 0);
	assert_int_equal(directory_hook_settle(w->d, 5000), -ENOENT);
	assert_int_equal(directory_hook_get(w->d, 1, hook.id, &hook), 0);
	assert_false(hook.has_secret || hook.secret_back);
	buf_done(&sealed);
	buf_done(&secret);
}

/* What signs beside the dropped secret is the key that signs for all. */
static void
moving_the_key_ends_the_overlap(void **state)
{
	struct world *w = *state;
	struct directory_hook hook = hook_of("http://h/");
	struct directory_key key;
	struct buf text;
	uint64_t number;

	buf_init(&text, 512);
	assert_int_equal(
	    directory_hook_add_secret(w->d, &hook, slice_text("its own")), 0);
	assert_int_equal(directory_key_add(w->d, 1, slice_text("sk_live_two"),
			     &text, &key, &number),
	    0);
	assert_int_equal(
	    directory_hook_drop_secret(w->d, &hook, UINT32_MAX), 0);
	assert_int_equal(directory_hook_settle(w->d, 1000), -ENOENT);
	assert_int_equal(directory_key_sign(w->d, 1, key.id, &number), 0);
	assert_int_equal(directory_hook_settle(w->d, 1000), 0);
	assert_int_equal(directory_hook_settle(w->d, 1000), -ENOENT);
	buf_done(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_key_finds_application, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_hook_lives, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_hook_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_hook_secret_and_scopes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_hook_headers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_older_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_key_ids, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_numbers_only_grow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_one_owner_and_a_command_beside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_other_master_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_change_carries_application_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_snapshot_in_parts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_connection_lives, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    an_outbox_keeps_order_until_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    limits_end_with_the_month_or_with_another_quota, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    a_rotation_ends_by_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_dropped_secret_signs_beside_the_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    moving_the_key_ends_the_overlap, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
