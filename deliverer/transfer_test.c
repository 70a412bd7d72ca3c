#include "deliverer/transfer.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "deliverer/test_receiver.h"

#define MANY (2 * TRANSFER_YOUNG + 50)
#define WAIT_MS 20000

struct world {
	struct receiver *receiver;
	struct transfers *transfers;
	struct ssrf *ssrf;
	struct seal seal;
	struct buf secret;
	struct body *body;
	struct fence fence;
	struct transfer all[MANY];
	char url[128];
	unsigned back;
};

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct transfers_config config = { .threads = 2,
		.slots = MANY,
		.timeout_ms = WAIT_MS,
		.connect_timeout_ms = WAIT_MS };

	assert_non_null(w);
	w->receiver = receiver_new();
	crypto_random(w->seal.key, sizeof(w->seal.key));
	buf_init(&w->secret, 256);
	assert_int_equal(
	    seal_close(&w->seal, "secret:1", slice_text("s"), &w->secret), 0);
	assert_int_equal(ssrf_new("127.0.0.0/8", &w->ssrf), 0);
	assert_int_equal(body_make(slice_text("{}"), 0, 1, &w->body), 0);
	config.ssrf = w->ssrf;
	config.seal = &w->seal;
	assert_int_equal(transfers_new(&config, &w->transfers), 0);
	atomic_store(&w->fence.heard_ms, clock_mono_ms());
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	transfers_stop(w->transfers);
	(void)transfers_take(w->transfers);
	transfers_free(w->transfers);
	for (size_t i = 0; i < MANY; i++)
		buf_done(&w->all[i].response);
	receiver_free(w->receiver);
	ssrf_free(w->ssrf);
	buf_done(&w->secret);
	body_unref(w->body);
	free(w);
	return 0;
}

static void
send_(struct world *w, unsigned i, bool alone)
{
	w->all[i] = (struct transfer){ .app = 1,
		.pin = i,
		.alone = alone,
		.url = w->url,
		.event_type = "x",
		.secret = buf_slice(&w->secret),
		.body = w->body,
		.fence = &w->fence };
	transfers_post(w->transfers, &w->all[i]);
}

static void
aim(struct world *w, const char *path)
{
	(void)snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u%s",
	    receiver_port(w->receiver), path);
}

/* Until `count` are back in all; each is handed to check. */
static void
wait_back(struct world *w, unsigned count, void (*check)(struct transfer *t))
{
	while (w->back < count) {
		struct pollfd fd = { transfers_fd(w->transfers), POLLIN, 0 };
		struct mail *mail;

		assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
		mail = transfers_take(w->transfers);
		while (mail != NULL) {
			struct transfer *t = (struct transfer *)mail;

			mail = mail->next;
			check(t);
			w->back++;
		}
	}
	assert_int_equal(w->back, count);
}

static void
is_delivered(struct transfer *t)
{
	assert_int_equal(t->unsent, UNSENT_NOT);
	assert_int_equal(t->status, 200);
	assert_int_equal(t->verdict, MSG_VERDICT_DELIVERED);
	assert_string_equal(t->error, "");
}

static void
is_fenced(struct transfer *t)
{
	assert_int_equal(t->unsent, UNSENT_FENCED);
}

static void
is_drained(struct transfer *t)
{
	assert_int_equal(t->unsent, UNSENT_DRAINED);
}

static void
is_aborted(struct transfer *t)
{
	assert_int_equal(t->unsent, UNSENT_NOT);
	assert_int_equal(t->status, 0);
	assert_int_equal(t->verdict, MSG_VERDICT_RETRY);
	assert_memory_equal(t->error, "aborted", 7);
}

static void
test_many(void **state)
{
	struct world *w = *state;

	aim(w, "/status/200");
	for (unsigned i = 0; i < MANY; i++)
		send_(w, i, false);
	wait_back(w, MANY, is_delivered);
	assert_int_equal(receiver_count(w->receiver), MANY);
	assert_int_equal(transfers_in_flight(w->transfers), 0);
}

/* The cap of young ones holds nobody back for long. */
static void
test_all_slots_hang(void **state)
{
	struct world *w = *state;

	aim(w, "/hang");
	for (unsigned i = 0; i < MANY; i++)
		send_(w, i, false);
	assert_true(receiver_wait(w->receiver, MANY));
	assert_int_equal(transfers_in_flight(w->transfers), MANY);
	receiver_release(w->receiver);
	wait_back(w, MANY, is_delivered);
}

static void
test_fence_never_heard(void **state)
{
	struct world *w = *state;

	aim(w, "/status/200");
	atomic_store(&w->fence.heard_ms, 0);
	send_(w, 0, false);
	wait_back(w, 1, is_fenced);
	atomic_store(&w->fence.heard_ms, clock_mono_ms() - FENCE_MS);
	send_(w, 0, false);
	wait_back(w, 2, is_fenced);
	atomic_store(&w->fence.heard_ms, clock_mono_ms());
	atomic_store(&w->fence.ended, true);
	send_(w, 0, true);
	wait_back(w, 3, is_fenced);
	assert_int_equal(receiver_count(w->receiver), 0);
}

/* One goes alone; those behind it are given back when the session ends. */
static void
test_alone_and_fenced(void **state)
{
	struct world *w = *state;

	aim(w, "/hang");
	for (unsigned i = 0; i < 3; i++)
		send_(w, i, true);
	assert_true(receiver_wait(w->receiver, 1));
	assert_int_equal(transfers_in_flight(w->transfers), 1);
	atomic_store(&w->fence.ended, true);
	wait_back(w, 2, is_fenced);
	receiver_release(w->receiver);
	wait_back(w, 3, is_delivered);
	assert_int_equal(receiver_count(w->receiver), 1);
}

static void
test_drain_and_abort(void **state)
{
	struct world *w = *state;

	aim(w, "/hang");
	for (unsigned i = 0; i < 3; i++)
		send_(w, i, true);
	assert_true(receiver_wait(w->receiver, 1));
	transfers_drain(w->transfers);
	wait_back(w, 2, is_drained);
	send_(w, 3, false);
	wait_back(w, 3, is_drained);
	transfers_abort(w->transfers);
	wait_back(w, 4, is_aborted);
}

/* What is posted when the threads are gone comes back as well. */
static void
test_stop(void **state)
{
	struct world *w = *state;

	aim(w, "/hang");
	send_(w, 0, false);
	assert_true(receiver_wait(w->receiver, 1));
	transfers_stop(w->transfers);
	wait_back(w, 1, is_aborted);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_many),
		TEST(test_all_slots_hang),
		TEST(test_fence_never_heard),
		TEST(test_alone_and_fenced),
		TEST(test_drain_and_abort),
		TEST(test_stop),
	};
	int failed;

	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
