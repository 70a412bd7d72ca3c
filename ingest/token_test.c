#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "ingest/token.h"

struct fixture {
	struct seal seal;
	struct jwt_key key;
	struct directory *directory;
	struct token_checker *tokens;
	struct buf text;
	struct identity who;
};

static void
apply(struct fixture *f, struct msg m)
{
	assert_int_equal(directory_apply(f->directory, &m, 1), 0);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t hash[CRYPTO_HASH_SIZE];

	assert_non_null(f);
	jwt_key_init(&f->key, &f->seal);
	f->directory = directory_new();
	f->tokens = token_new(&f->key, f->directory);
	buf_init(&f->text, JWT_TEXT_MAX);
	crypto_sha256(slice_text("sk_1"), hash);
	apply(
	    f, (struct msg){
		   .kind = MSG_ENTRY_APP, .app = 1, .id = slice_text("app") });
	apply(f, (struct msg){ .kind = MSG_ENTRY_KEY,
		     .app = 1,
		     .id = slice_text("k"),
		     .key_hash = { hash, sizeof(hash) } });
	apply(f, (struct msg){ .kind = MSG_ENTRY_SUBSCRIPTION,
		     .app = 1,
		     .subscription = 5,
		     .id = slice_text("sub"),
		     .unified_api = slice_text("crm") });
	apply(f, (struct msg){ .kind = MSG_ENTRY_CONNECTION,
		     .app = 1,
		     .id = slice_text("con"),
		     .lookup = slice_text("look"),
		     .consumer_id = slice_text("joe"),
		     .enabled = true });
	apply(f, (struct msg){ .kind = MSG_ENTRY_CONNECTION,
		     .app = 2,
		     .id = slice_text("far"),
		     .lookup = slice_text("far"),
		     .enabled = true });
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	token_free(f->tokens);
	directory_free(f->directory);
	buf_done(&f->text);
	free(f);
	return 0;
}

static struct slice
mint(struct fixture *f, struct jwt claims)
{
	buf_clear(&f->text);
	assert_int_equal(jwt_mint(&f->key, &claims, &f->text), 0);
	return buf_slice(&f->text);
}

static enum token_result
connection(struct fixture *f, struct jwt claims)
{
	claims.kind = JWT_CONNECTION;
	return token_connection(f->tokens, mint(f, claims), &f->who);
}

static enum token_result
integration(struct fixture *f, struct jwt claims)
{
	claims.kind = JWT_INTEGRATION;
	return token_integration(
	    f->tokens, mint(f, claims), NULL, NULL, &f->who);
}

static void
test_connection(void **state)
{
	struct fixture *f = *state;
	struct jwt look = { .lookup = "look", .app = 1, .number = 10 };
	struct slice text;

	assert_int_equal(connection(f, look), TOKEN_UNKNOWABLE);
	directory_set_number(f->directory, 9);
	assert_int_equal(connection(f, look), TOKEN_BEHIND);
	directory_set_number(f->directory, 10);
	/* The second time from the cache. */
	assert_int_equal(connection(f, look), TOKEN_OK);
	assert_int_equal(connection(f, look), TOKEN_OK);
	assert_int_equal(f->who.app, 1);
	assert_true(slice_is(f->who.consumer_id, "joe"));
	look.app = 2;
	assert_int_equal(connection(f, look), TOKEN_NO_CONNECTION);
	look.app = 0;
	look.expires_s = clock_wall_ms() / 1000 - 1;
	assert_int_equal(connection(f, look), TOKEN_UNAUTHORIZED);
	text = mint(f, (struct jwt){ .kind = JWT_INTEGRATION, .app = 1 });
	assert_int_equal(
	    token_connection(f->tokens, text, &f->who), TOKEN_UNAUTHORIZED);
	f->text.data[f->text.len - 3] ^= 1;
	assert_int_equal(
	    token_integration(f->tokens, text, NULL, NULL, &f->who),
	    TOKEN_UNAUTHORIZED);
	apply(f, (struct msg){ .kind = MSG_ENTRY_CONNECTION,
		     .app = 1,
		     .id = slice_text("con"),
		     .lookup = slice_text("look") });
	look.expires_s = 0;
	assert_int_equal(connection(f, look), TOKEN_DISABLED);
}

static void
test_integration(void **state)
{
	struct fixture *f = *state;

	directory_set_number(f->directory, 1);
	assert_int_equal(
	    integration(f, (struct jwt){ .app = 1, .subscription = 5 }),
	    TOKEN_OK);
	assert_true(slice_is(f->who.unified_api, "crm"));
	assert_int_equal(
	    integration(f, (struct jwt){ .app = 1, .subscription = 6 }),
	    TOKEN_NO_INTEGRATION);
	assert_int_equal(
	    integration(f, (struct jwt){ .app = 3, .subscription = 5 }),
	    TOKEN_UNAUTHORIZED);
	assert_int_equal(integration(f, (struct jwt){ 0 }), TOKEN_UNAUTHORIZED);
	assert_int_equal(integration(f, (struct jwt){ .app = 1 }), TOKEN_OK);
	assert_int_equal(
	    token_lookup(f->tokens, slice_text("look"), &f->who), TOKEN_OK);
	assert_true(slice_is(f->who.source, "con"));
	assert_int_equal(token_lookup(f->tokens, slice_text("far"), &f->who),
	    TOKEN_NO_CONNECTION);
	assert_int_equal(token_lookup(f->tokens, slice_text("a.b.c"), &f->who),
	    TOKEN_NO_CONNECTION);
}

static enum token_result
bare(struct fixture *f, const char *id, const char *bearer, const char *app)
{
	return token_integration(
	    f->tokens, slice_text(id), bearer, app, &f->who);
}

static void
test_keys(void **state)
{
	struct fixture *f = *state;
	const char *good = "Bearer sk_1";

	directory_set_number(f->directory, 1);
	assert_int_equal(token_key(f->tokens, good, "app", &f->who), TOKEN_OK);
	assert_int_equal(
	    token_key(f->tokens, "bearer  sk_1", "app", &f->who), TOKEN_OK);
	assert_int_equal(
	    token_key(f->tokens, good, NULL, &f->who), TOKEN_NO_APP_HEADER);
	assert_int_equal(
	    token_key(f->tokens, good, "other", &f->who), TOKEN_UNAUTHORIZED);
	assert_int_equal(
	    token_key(f->tokens, "sk_1", "app", &f->who), TOKEN_UNAUTHORIZED);
	assert_int_equal(
	    token_key(f->tokens, NULL, "app", &f->who), TOKEN_UNAUTHORIZED);
	assert_int_equal(bare(f, "sub", good, "app"), TOKEN_OK);
	assert_int_equal(bare(f, "sub", good, NULL), TOKEN_UNAUTHORIZED);
	assert_int_equal(bare(f, "sub", NULL, NULL), TOKEN_UNAUTHORIZED);
	assert_int_equal(bare(f, "bus", good, "app"), TOKEN_NO_INTEGRATION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_connection),
		TEST(test_integration),
		TEST(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
