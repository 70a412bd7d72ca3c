/* CURVE on tcp: who may speak, and as whom. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "common/link_testing.h"

static void
save(const struct world *w, const char *name, zcert_t *cert, bool secret)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", w->folder, name);
	if (secret)
		assert_int_equal(zcert_save_secret(cert, path), 0);
	else
		assert_int_equal(zcert_save_public(cert, path), 0);
}

static void
remove_keys(const struct world *w)
{
	static const char *const names[] = { "logger.pub", "logger.key",
		"router.pub", "router.key", "router.next.pub",
		"logger.next.pub", "api.pub" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[256];

		(void)snprintf(
		    path, sizeof(path), "%s/%s", w->folder, names[i]);
		(void)unlink(path);
	}
}

/* A port that is free now. */
static void
tcp_address(char *text, size_t size)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	(void)close(fd);
	(void)snprintf(
	    text, size, "tcp://127.0.0.1:%u", (unsigned)ntohs(in.sin_port));
}

/* Certificates are made for each test: logger, router, and one more. */
struct keys {
	zcert_t *logger, *router, *other;
};

static void
keys_new(struct keys *k)
{
	k->logger = zcert_new();
	k->router = zcert_new();
	k->other = zcert_new();
}

static void
keys_done(struct keys *k)
{
	zcert_destroy(&k->logger);
	zcert_destroy(&k->router);
	zcert_destroy(&k->other);
}

static void
open_both(struct world *w, char *address)
{
	end_open(w, &w->a, STAGE_LOGGER, "logger-1", w->folder);
	end_open(w, &w->b, STAGE_ROUTER, "router-1", w->folder);
	assert_int_equal(link_bind(w->a.link, address), 0);
	assert_int_equal(link_connect(w->b.link, STAGE_LOGGER, address), 0);
}

static bool
both_up(struct world *w)
{
	return w->a.ups > 0 && w->b.ups > 0;
}

static bool
refused(struct world *w)
{
	return world_lines(w, "link refused") > 0;
}

/* Heard by the one that was refused: the last of both to know. */
static bool
refused_by(struct world *w)
{
	return world_lines(w, "refused by=") > 0;
}

static void
test_right_keys(void **state)
{
	static world_step *const steps[] = { both_up, NULL };
	struct world *w = *state;
	char address[64];
	struct keys k;

	keys_new(&k);
	save(w, "logger.pub", k.logger, false);
	save(w, "logger.key", k.logger, true);
	save(w, "router.pub", k.router, false);
	save(w, "router.key", k.router, true);
	tcp_address(address, sizeof(address));
	open_both(w, address);
	world_run(w, steps);
	assert_int_equal(world_lines(w, "refused"), 0);
	remove_keys(w);
	keys_done(&k);
}

static void
test_unknown_key(void **state)
{
	static world_step *const steps[] = { refused, NULL };
	struct world *w = *state;
	char address[64];
	struct keys k;

	keys_new(&k);
	save(w, "logger.pub", k.logger, false);
	save(w, "logger.key", k.logger, true);
	save(w, "router.pub", k.router, false);
	save(w, "router.key", k.other, true);
	tcp_address(address, sizeof(address));
	open_both(w, address);
	world_run(w, steps);
	assert_int_equal(world_lines(w, "key: unknown"), 1);
	assert_int_equal(w->a.ups + w->b.ups, 0);
	remove_keys(w);
	keys_done(&k);
}

/* A good key, but of another stage than HELLO claims. */
static void
test_key_of_another_stage(void **state)
{
	static world_step *const steps[] = { refused_by, NULL };
	struct world *w = *state;
	char address[64];
	struct keys k;

	keys_new(&k);
	save(w, "logger.pub", k.logger, false);
	save(w, "logger.key", k.logger, true);
	save(w, "api.pub", k.router, false);
	save(w, "router.pub", k.other, false);
	save(w, "router.key", k.router, true);
	tcp_address(address, sizeof(address));
	open_both(w, address);
	world_run(w, steps);
	assert_int_equal(
	    world_lines(w, "refused peer=router-1 why=\"key: belongs to api"),
	    1);
	assert_int_equal(world_lines(w, "refused by="), 1);
	assert_int_equal(w->a.ups + w->b.ups, 0);
	remove_keys(w);
	keys_done(&k);
}

/* Half way through a rotation: the new keys are the next ones of the others. */
static void
test_next_keys(void **state)
{
	static world_step *const steps[] = { both_up, NULL };
	struct world *w = *state;
	char address[64];
	struct keys k;

	keys_new(&k);
	save(w, "logger.pub", k.other, false);
	save(w, "logger.next.pub", k.logger, false);
	save(w, "logger.key", k.logger, true);
	save(w, "router.pub", k.other, false);
	save(w, "router.next.pub", k.router, false);
	save(w, "router.key", k.router, true);
	tcp_address(address, sizeof(address));
	open_both(w, address);
	world_run(w, steps);
	remove_keys(w);
	keys_done(&k);
}

static void
test_no_own_key(void **state)
{
	struct world *w = *state;
	struct link_config config = { .stage = STAGE_LOGGER,
		.instance = "logger-1",
		.keys_folder = w->folder };
	struct link_ops none = { .on_up = NULL };
	struct link *l = NULL;

	assert_int_equal(link_new(w->loop, &config, &none, NULL, &l), -EACCES);
	assert_null(l);
	config.keys_folder = NULL;
	assert_int_equal(link_new(w->loop, &config, &none, NULL, &l), 0);
	assert_int_equal(link_bind(l, "tcp://127.0.0.1:1"), -EACCES);
	assert_int_equal(link_bind(l, "inproc://x"), -EINVAL);
	link_free(l);
}

int
main(void)
{
#define TEST(t) \
	cmocka_unit_test_setup_teardown(t, world_setup_alone, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_right_keys),
		TEST(test_unknown_key),
		TEST(test_key_of_another_stage),
		TEST(test_next_keys),
		TEST(test_no_own_key),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	zsys_shutdown();
	return r;
}
