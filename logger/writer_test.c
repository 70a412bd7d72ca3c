/* The writer over a store that does what the test says. */
#include "logger/writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

#define JOBS 3000
#define PATIENCE_MS 20000

/* Engine that counts, and fails as often as it is told to. */
struct fake {
	struct store store;
	_Atomic int failures; /* left */
	int error;
	_Atomic unsigned batches, operations;
	_Atomic size_t largest;
};

static int
fake_apply(
    struct store *s, struct store_op *const *ops, size_t count, uint64_t now_ms)
{
	struct fake *f = (struct fake *)s;

	(void)now_ms;
	if (atomic_load(&f->failures) > 0) {
		atomic_fetch_sub(&f->failures, 1);
		return f->error;
	}
	for (size_t i = 0; i < count; i++)
		ops[i]->u.sweep.deleted = 1;
	atomic_fetch_add(&f->batches, 1);
	atomic_fetch_add(&f->operations, (unsigned)count);
	if (count > atomic_load(&f->largest))
		atomic_store(&f->largest, count);
	return 0;
}

static const struct store_engine engine = { .apply = fake_apply };

struct fixture {
	struct fake fake;
	struct loop *loop;
	struct timekeeper time;
	struct writer *writer;
	struct job jobs[JOBS];
	unsigned done, turns;
	bool in_order, was_stuck;
	uint64_t until_ms;
};

static void
on_done(struct job *job)
{
	struct fixture *f = job->owner;

	f->in_order = f->in_order && job == &f->jobs[f->done];
	f->done++;
}

static void
after(void *arg)
{
	((struct fixture *)arg)->turns++;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct writer_config config;

	assert_non_null(f);
	log_init("test", LOG_AT_ERROR);
	f->fake.store.engine = &engine;
	f->loop = loop_new();
	assert_non_null(f->loop);
	f->in_order = true;
	timekeeper_init(&f->time, clock_wall_ms(), clock_mono_ms());
	config = (struct writer_config){ .loop = f->loop,
		.store = &f->fake.store,
		.time = &f->time,
		.after = after,
		.arg = f };
	assert_int_equal(writer_new(&config, &f->writer), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	writer_free(f->writer);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void
post(struct fixture *f, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		f->jobs[i].op.type = STORE_SWEEP;
		f->jobs[i].done = on_done;
		f->jobs[i].owner = f;
		writer_post(f->writer, &f->jobs[i]);
	}
	writer_flush(f->writer);
}

static unsigned expected;

static void
look(void *arg)
{
	struct fixture *f = arg;

	f->was_stuck = f->was_stuck || writer_stuck(f->writer);
	if (f->done >= expected || clock_mono_ms() > f->until_ms)
		loop_stop(f->loop);
}

static void
until_done(struct fixture *f, unsigned count)
{
	int timer;

	expected = count;
	f->until_ms = clock_mono_ms() + PATIENCE_MS;
	timer = loop_add_timer(f->loop, 2, look, f);
	assert_true(timer >= 0);
	assert_int_equal(loop_run(f->loop), 0);
	loop_del_timer(f->loop, timer);
	assert_int_equal(f->done, count);
}

static void
test_order_and_batches(void **state)
{
	struct fixture *f = *state;
	struct writer_stats stats;

	post(f, 0, JOBS);
	until_done(f, JOBS);
	assert_true(f->in_order);
	assert_int_equal(atomic_load(&f->fake.operations), JOBS);
	/* No transaction is larger, and there are few. */
	assert_true(atomic_load(&f->fake.largest) <= STORE_BATCH_MAX);
	assert_true(atomic_load(&f->fake.batches) <= 10);
	assert_true(f->turns > 0);
	writer_stats(f->writer, &stats);
	assert_int_equal(stats.queued, 0);
	assert_int_equal(stats.operations, JOBS);
}

/* A full disk: nothing is lost, nothing is answered, then all is. */
static void
test_full(void **state)
{
	struct fixture *f = *state;

	f->fake.error = -ENOSPC;
	atomic_store(&f->fake.failures, 2);
	post(f, 0, 5);
	until_done(f, 5);
	assert_true(f->was_stuck);
	assert_false(writer_stuck(f->writer));
	post(f, 5, 6);
	until_done(f, 6);
	assert_true(f->in_order);
}

static void
look_stuck(void *arg)
{
	struct fixture *f = arg;

	if (writer_stuck(f->writer) || clock_mono_ms() > f->until_ms)
		loop_stop(f->loop);
}

/* What comes while the disk is full is not taken for committed with it. */
static void
test_more_while_full(void **state)
{
	struct fixture *f = *state;
	int timer;

	f->fake.error = -ENOSPC;
	atomic_store(&f->fake.failures, 2);
	post(f, 0, 5);
	f->until_ms = clock_mono_ms() + PATIENCE_MS;
	timer = loop_add_timer(f->loop, 2, look_stuck, f);
	assert_true(timer >= 0);
	assert_int_equal(loop_run(f->loop), 0);
	loop_del_timer(f->loop, timer);
	assert_true(writer_stuck(f->writer));
	post(f, 5, 12);
	until_done(f, 12);
	assert_true(f->in_order);
	assert_int_equal(atomic_load(&f->fake.operations), 12);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(f->jobs[i].op.u.sweep.deleted, 1);
}

/* What was posted is committed before it ends. */
static void
test_end(void **state)
{
	struct fixture *f = *state;

	post(f, 0, 100);
	writer_free(f->writer);
	f->writer = NULL;
	assert_int_equal(f->done, 100);
	assert_int_equal(atomic_load(&f->fake.operations), 100);
}

/* Unless the disk stays full: then it ends all the same, unanswered. */
static void
test_end_while_full(void **state)
{
	struct fixture *f = *state;

	f->fake.error = -ENOSPC;
	atomic_store(&f->fake.failures, 1000000);
	post(f, 0, 10);
	writer_free(f->writer);
	f->writer = NULL;
	assert_int_equal(f->done, 10);
	assert_int_equal(f->jobs[0].op.result, -ECANCELED);
	assert_int_equal(atomic_load(&f->fake.operations), 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_order_and_batches),
		CASE(test_full),
		CASE(test_more_while_full),
		CASE(test_end),
		CASE(test_end_while_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
