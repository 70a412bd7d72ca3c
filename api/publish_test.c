/*
 * The directory over a real link: the bound side of the api, and followers as
 * the other stages have them, in one loop.
 */
#include "api/publish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/replica.h"

#define HOOKS_MAX 4096
#define PATIENCE_MS 20000
#define TICK_MS 10

struct follower {
	struct world *world;
	struct link *link;
	struct link_peer *peer;
	struct replica replica;
	bool hold;   /* completes nothing */
	bool refuse; /* refuses the next message */
	uint64_t held[64];
	unsigned holding;
	unsigned snapshots; /* completed */
	unsigned messages;
	uint64_t seen[HOOKS_MAX]; /* generation of a hook's last entry */
	char url[HOOKS_MAX][32];
	uint64_t apps[8]; /* their last change */
};

/* A test is a list of these: as soon as `when` holds, `then` is done. */
struct step {
	bool (*when)(struct world *w); /* NULL ends the list */
	void (*then)(struct world *w); /* may be NULL */
};

struct world {
	char folder[64];
	char address[96];
	struct seal seal;
	struct loop *loop;
	struct directory *directory;
	struct publish *publish;
	struct link *bound;
	struct publish_wait wait;
	int waited; /* -1: not yet; else what done() said */
	const struct step *at;
	uint64_t give_up_ms;
	unsigned hooks; /* made so far */
	unsigned rounds;
	uint64_t began_ms;
	struct follower *logger, *ingest, *router;
};

/* ---- the api's side --------------------------------------------------- */

static void
on_up(void *arg, struct link_peer *peer)
{
	struct world *w = arg;

	publish_up(w->publish, peer);
}

static void
on_down(void *arg, struct link_peer *peer, const char *why)
{
	struct world *w = arg;

	(void)why;
	publish_down(w->publish, peer);
}

static void
on_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	struct world *w = arg;

	(void)lane;
	publish_room(w->publish, peer);
}

static void
on_completed(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct world *w = arg;

	publish_completed(w->publish, peer, cookie);
}

static void
on_refused(
    void *arg, struct link_peer *peer, uint64_t cookie, struct slice reason)
{
	struct world *w = arg;

	publish_refused(w->publish, peer, cookie, reason);
}

static const struct link_ops api_ops = {
	.on_up = on_up,
	.on_down = on_down,
	.on_room = on_room,
	.on_completed = on_completed,
	.on_refused = on_refused,
};

static void
on_tick(void *arg)
{
	struct world *w = arg;

	assert_int_equal(directory_refresh(w->directory), 0);
	publish_tick(w->publish);
	assert_int_equal(publish_error(w->publish), 0);
	while (w->at->when != NULL && w->at->when(w)) {
		void (*then)(struct world *) = w->at->then;

		w->at++;
		if (then != NULL)
			then(w);
	}
	link_flush(w->bound);
	if (w->at->when == NULL || clock_mono_ms() > w->give_up_ms)
		loop_stop(w->loop);
}

static void
run(struct world *w, const struct step *steps)
{
	w->at = steps;
	w->give_up_ms = clock_mono_ms() + PATIENCE_MS;
	assert_int_equal(loop_run(w->loop), 0);
	if (w->at->when != NULL)
		fail_msg("step %u was never done", (unsigned)(w->at - steps));
}

/* ---- a follower ------------------------------------------------------- */

static void
on_entry(void *arg, const struct msg *entry, uint64_t generation)
{
	struct follower *f = arg;

	if (entry->kind == MSG_ENTRY_APP) {
		assert_true(entry->app < 8);
		f->apps[entry->app] = entry->number;
	}
	if (entry->kind != MSG_ENTRY_SUBSCRIPTION)
		return;
	assert_true(entry->subscription < HOOKS_MAX);
	/* Its application came first. */
	assert_true(f->apps[entry->app] >= entry->number);
	f->seen[entry->subscription] = entry->deleted ? 0 : generation;
	if (!entry->deleted)
		assert_int_equal(
		    slice_copy(entry->url, f->url[entry->subscription], 32), 0);
}

static void
on_complete(void *arg, uint64_t number, uint64_t generation)
{
	struct follower *f = arg;

	assert_true(number > 0);
	f->snapshots++;
	for (unsigned i = 0; i < HOOKS_MAX; i++)
		if (f->seen[i] < generation)
			f->seen[i] = 0;
}

static const struct replica_ops replica_ops = {
	.on_entry = on_entry,
	.on_complete = on_complete,
};

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct follower *f = arg;
	struct msg m;

	assert_int_equal(type, MSG_DIRECTORY);
	assert_int_equal(msg_unpack(message, &m), 0);
	f->messages++;
	if (f->refuse) {
		f->refuse = false;
		f->replica.state = REPLICA_BROKEN;
		link_refuse(peer, seq, REPLICA_RESYNC);
		return;
	}
	if (replica_message(&f->replica, link_peer_session(peer), &m) < 0) {
		link_refuse(peer, seq, REPLICA_RESYNC);
		return;
	}
	if (f->hold) {
		assert_true(f->holding < 64);
		f->held[f->holding++] = seq;
		return;
	}
	link_complete(peer, seq);
}

static void
on_follower_up(void *arg, struct link_peer *peer)
{
	struct follower *f = arg;

	f->peer = peer;
}

static const struct link_ops follower_ops = {
	.on_up = on_follower_up,
	.on_message = on_message,
};

static void
release(struct follower *f)
{
	f->hold = false;
	while (f->holding > 0)
		link_complete(f->peer, f->held[--f->holding]);
	link_flush(f->link);
}

static struct follower *
follow(struct world *w, enum stage stage, uint64_t window)
{
	struct follower *f = calloc(1, sizeof(*f));
	const struct link_config config = {
		.stage = stage,
		.instance = stage_name(stage),
	};

	assert_non_null(f);
	f->world = w;
	replica_init(&f->replica, &replica_ops, f);
	assert_int_equal(
	    link_new(w->loop, &config, &follower_ops, f, &f->link), 0);
	link_set_window(
	    f->link, MSG_LANE_CONTROL, window, LINK_WINDOW_MIN_BYTES);
	assert_int_equal(link_connect(f->link, STAGE_API, w->address), 0);
	return f;
}

static void
leave(struct follower *f)
{
	if (f != NULL)
		link_free(f->link);
	free(f);
}

/* What the follower has is what the directory has. */
static void
compare(void *arg, const struct directory_hook *hook)
{
	struct follower *f = arg;

	assert_true(f->seen[hook->subscription] > 0);
	assert_string_equal(f->url[hook->subscription], hook->url);
	f->seen[hook->subscription] = 0;
}

static void
check_same(struct world *w, struct follower *f)
{
	struct directory_page page = { .app = 1, .limit = HOOKS_MAX };

	assert_int_equal(
	    replica_number(&f->replica), directory_number(w->directory));
	assert_int_equal(
	    directory_hook_page(w->directory, &page, compare, f), 0);
	for (unsigned i = 0; i < HOOKS_MAX; i++)
		assert_int_equal(f->seen[i], 0);
}

/* ---- set-up ----------------------------------------------------------- */

static int
set_up(void **state)
{
	const struct link_config config = {
		.stage = STAGE_API,
		.instance = "api",
	};
	struct world *w = calloc(1, sizeof(*w));
	char path[96];
	struct buf key;

	assert_non_null(w);
	zsys_handler_set(NULL);
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/sl_publish_XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	(void)snprintf(path, sizeof(path), "%s/directory.db", w->folder);
	(void)snprintf(
	    w->address, sizeof(w->address), "ipc://%s/api.sock", w->folder);
	crypto_random(w->seal.key, sizeof(w->seal.key));
	assert_int_equal(
	    directory_open(path, &w->seal, true, &w->directory), 0);
	buf_init(&key, 256);
	assert_int_equal(directory_app_create(w->directory, "demo", "Demo",
			     slice_text(NULL), &key),
	    0);
	buf_done(&key);
	w->loop = loop_new();
	assert_non_null(w->loop);
	w->waited = -1;
	assert_int_equal(publish_new(w->loop, w->directory, &w->publish), 0);
	assert_int_equal(link_new(w->loop, &config, &api_ops, w, &w->bound), 0);
	assert_int_equal(link_bind(w->bound, w->address), 0);
	assert_true(loop_add_timer(w->loop, TICK_MS, on_tick, w) >= 0);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	static const char *const names[] = { "directory.db", "directory.db-wal",
		"directory.db-shm", "directory.db.lock", "api.sock" };
	char path[128];

	leave(w->logger);
	leave(w->ingest);
	leave(w->router);
	link_free(w->bound);
	publish_free(w->publish);
	loop_free(w->loop);
	directory_close(w->directory);
	for (size_t i = 0; i < 5; i++) {
		(void)snprintf(
		    path, sizeof(path), "%s/%s", w->folder, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(w->folder);
	free(w);
	return 0;
}

static uint64_t
add_hook(struct world *w)
{
	struct directory_hook h = { .app = 1, .enabled = true };

	(void)snprintf(h.unified_api, sizeof(h.unified_api), "crm");
	(void)snprintf(h.url, sizeof(h.url), "http://a.test/%u", w->hooks++);
	(void)snprintf(h.events, sizeof(h.events), "*");
	(void)snprintf(h.reason, sizeof(h.reason), "none");
	assert_int_equal(directory_hook_add(w->directory, &h), 0);
	return h.number;
}

static void
on_waited(struct publish_wait *wait, bool confirmed)
{
	struct world *w =
	    (struct world *)((char *)wait - offsetof(struct world, wait));

	assert_int_equal(w->waited, -1);
	w->waited = confirmed;
}

static void
start_wait(struct world *w, uint64_t number, bool ingests)
{
	w->waited = -1;
	w->wait.number = number;
	w->wait.ingests = ingests;
	w->wait.done = on_waited;
	publish_wait(w->publish, &w->wait);
	publish_changed(w->publish);
	link_flush(w->bound);
}

/* ---- conditions ------------------------------------------------------- */

static bool
always(struct world *w)
{
	(void)w;
	return true;
}

static bool
is_whole(struct world *w, const struct follower *f)
{
	return replica_live(&f->replica) &&
	       replica_number(&f->replica) == directory_number(w->directory);
}

static bool
logger_is_whole(struct world *w)
{
	return is_whole(w, w->logger);
}

static bool
all_are_whole(struct world *w)
{
	return is_whole(w, w->logger) && is_whole(w, w->ingest) &&
	       is_whole(w, w->router);
}

static bool
is_confirmed(struct world *w)
{
	return w->waited == 1;
}

static bool
is_unconfirmed(struct world *w)
{
	return w->waited == 0;
}

static bool
logger_holds(struct world *w)
{
	return w->logger->holding > 0;
}

static bool
logger_has_two_snapshots(struct world *w)
{
	return w->logger->snapshots == 2 && logger_is_whole(w);
}

static bool
no_logger(struct world *w)
{
	return !publish_has_logger(w->publish);
}

/* ---- actions ---------------------------------------------------------- */

static void
follow_all(struct world *w)
{
	assert_false(publish_has_logger(w->publish));
	w->logger = follow(w, STAGE_LOGGER, 64);
	w->ingest = follow(w, STAGE_INGEST, 64);
	w->router = follow(w, STAGE_ROUTER, 64);
}

static void
follow_logger(struct world *w)
{
	w->logger = follow(w, STAGE_LOGGER, 64);
}

static void
write_one(struct world *w)
{
	start_wait(w, add_hook(w), false);
}

static void
write_token(struct world *w)
{
	start_wait(w, add_hook(w), true);
}

static void
hold_and_write(struct world *w)
{
	w->logger->hold = true;
	write_one(w);
}

static void
check_logger(struct world *w)
{
	check_same(w, w->logger);
}

/* ---- tests ------------------------------------------------------------ */

static void
check_first_snapshot(struct world *w)
{
	assert_true(publish_has_logger(w->publish));
	assert_int_equal(w->logger->messages, 2); /* part 0, COMPLETE */
	write_token(w);
}

static void
check_change(struct world *w)
{
	assert_int_equal(w->logger->messages, 3);
	check_same(w, w->logger);
	check_same(w, w->ingest);
	check_same(w, w->router);
}

static void
test_snapshot_then_changes(void **state)
{
	static const struct step steps[] = {
		{ always, follow_all },
		{ all_are_whole, check_first_snapshot },
		{ is_confirmed, NULL },
		{ all_are_whole, check_change },
		{ NULL, NULL },
	};
	struct world *w = *state;

	while (w->hooks < 20)
		(void)add_hook(w);
	run(w, steps);
}

/* Adds, changes or removes one, then lets one message through. */
static void
disturb(struct world *w)
{
	struct directory_hook h;

	(void)add_hook(w);
	assert_int_equal(
	    directory_hook_find(w->directory, 1, 1 + w->rounds * 200, &h), 0);
	if (w->rounds % 2 == 0) {
		(void)snprintf(h.url, sizeof(h.url), "http://b.test/");
		assert_int_equal(directory_hook_set(w->directory, &h, true), 0);
	} else {
		assert_int_equal(directory_hook_remove(w->directory, &h), 0);
	}
	release(w->logger);
	w->logger->hold = true;
	if (++w->rounds < 12)
		w->at--; /* once more */
	else
		release(w->logger);
}

static void
follow_slowly(struct world *w)
{
	w->logger = follow(w, STAGE_LOGGER, 1);
	w->logger->hold = true;
}

static void
check_slow_one(struct world *w)
{
	assert_int_equal(w->logger->snapshots, 1);
	check_same(w, w->logger);
}

/* Enough for several parts, a window of one message, and changes meanwhile. */
static void
test_changes_inside_a_snapshot(void **state)
{
	static const struct step steps[] = {
		{ always, follow_slowly },
		{ logger_holds, disturb },
		{ logger_is_whole, check_slow_one },
		{ NULL, NULL },
	};
	struct world *w = *state;

	while (w->hooks < 2500)
		(void)add_hook(w);
	run(w, steps);
}

static void
check_still_waiting(struct world *w)
{
	assert_int_equal(w->waited, -1);
	release(w->logger);
}

static void
wait_for_nothing(struct world *w)
{
	/* Everything is there: over at once. */
	start_wait(w, directory_number(w->directory), false);
	assert_int_equal(w->waited, 1);
	hold_and_write(w);
	w->wait.until_ms = 0;
}

static void
cancel(struct world *w)
{
	write_one(w);
	publish_cancel(w->publish, &w->wait);
	release(w->logger);
}

static void
check_never_over(struct world *w)
{
	assert_int_equal(w->waited, -1);
}

static void
test_wait_needs_the_logger(void **state)
{
	static const struct step steps[] = {
		{ always, follow_logger },
		{ logger_is_whole, hold_and_write },
		{ logger_holds, check_still_waiting },
		{ is_confirmed, wait_for_nothing },
		{ is_unconfirmed, cancel },
		{ logger_is_whole, check_never_over },
		{ NULL, NULL },
	};

	run(*state, steps);
}

static void
hold_others_and_write(struct world *w)
{
	w->ingest->hold = true;
	w->router->hold = true; /* nobody waits for it */
	w->began_ms = clock_mono_ms();
	write_token(w);
}

static void
check_time_and_write(struct world *w)
{
	assert_true(
	    clock_mono_ms() - w->began_ms >= PUBLISH_INGEST_MS - TICK_MS);
	w->began_ms = clock_mono_ms();
	write_one(w);
}

static void
check_no_time(struct world *w)
{
	assert_true(clock_mono_ms() - w->began_ms < PUBLISH_INGEST_MS);
}

static void
test_wait_for_ingest_is_short(void **state)
{
	static const struct step steps[] = {
		{ always, follow_all },
		{ all_are_whole, hold_others_and_write },
		{ is_confirmed, check_time_and_write },
		{ is_confirmed, check_no_time },
		{ NULL, NULL },
	};

	run(*state, steps);
}

static void
refuse_and_write(struct world *w)
{
	w->logger->refuse = true;
	(void)add_hook(w);
	(void)add_hook(w);
	write_one(w);
}

static void
test_refusal_brings_a_new_snapshot(void **state)
{
	static const struct step steps[] = {
		{ always, follow_logger },
		{ logger_is_whole, refuse_and_write },
		{ is_confirmed, NULL },
		{ logger_has_two_snapshots, write_one },
		{ is_confirmed, check_logger },
		{ NULL, NULL },
	};

	run(*state, steps);
}

static void
leave_logger(struct world *w)
{
	leave(w->logger);
	w->logger = NULL;
}

static void
follow_again(struct world *w)
{
	assert_int_equal(w->waited, -1);
	follow_logger(w);
}

static void
test_logger_leaves_and_returns(void **state)
{
	static const struct step steps[] = {
		{ always, follow_logger },
		{ logger_is_whole, hold_and_write },
		{ logger_holds, leave_logger },
		{ no_logger, follow_again },
		{ is_confirmed, check_logger },
		{ NULL, NULL },
	};

	run(*state, steps);
}

static void
write_beside(struct world *w)
{
	struct directory *other = NULL;
	char path[96];
	struct buf key;

	(void)snprintf(path, sizeof(path), "%s/directory.db", w->folder);
	buf_init(&key, 256);
	assert_int_equal(directory_open(path, &w->seal, false, &other), 0);
	assert_int_equal(
	    directory_app_create(other, "two", "Two", slice_text(NULL), &key),
	    0);
	directory_close(other);
	buf_done(&key);
}

static bool
logger_has_two_apps(struct world *w)
{
	return w->logger->apps[2] > 0 && logger_is_whole(w);
}

/* What a command writes goes out too. */
static void
test_write_of_another_process(void **state)
{
	static const struct step steps[] = {
		{ always, follow_logger },
		{ logger_is_whole, write_beside },
		{ logger_has_two_apps, check_logger },
		{ NULL, NULL },
	};

	run(*state, steps);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_snapshot_then_changes),
		TEST(test_changes_inside_a_snapshot),
		TEST(test_wait_needs_the_logger),
		TEST(test_wait_for_ingest_is_short),
		TEST(test_refusal_brings_a_new_snapshot),
		TEST(test_logger_leaves_and_returns),
		TEST(test_write_of_another_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
