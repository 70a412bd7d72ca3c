/* What dispatching gives the writer, over a store that does as it is told. */
#include "logger/logger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

#define ENDPOINTS 300
#define PATIENCE_MS 20000
#define AT_ONCE_MAX 8 /* of what changes 500 rows each */

struct fake {
	struct store store;
	_Atomic unsigned suspended, resumed;
};

/* Each has a full operation's worth, and then some more. */
static int
fake_apply(
    struct store *s, struct store_op *const *ops, size_t count, uint64_t now_ms)
{
	struct fake *f = (struct fake *)s;

	(void)now_ms;
	for (size_t i = 0; i < count; i++) {
		bool resume = ops[i]->type == STORE_RESUME;
		unsigned before =
		    atomic_fetch_add(resume ? &f->resumed : &f->suspended, 1);

		ops[i]->u.shift.changed =
		    before < ENDPOINTS ? STORE_SWEEP_ROWS : 1;
		ops[i]->u.shift.next_due_ms =
		    !resume && before < ENDPOINTS ? 0 : STORE_NEVER;
	}
	return 0;
}

static const struct store_engine engine = { .apply = fake_apply };

struct fixture {
	struct fake fake;
	struct logger logger;
	uint64_t most; /* with the writer at once */
	bool late;
};

static void
turn(void *arg)
{
	struct fixture *f = arg;
	struct writer_stats stats;

	dispatch_run(&f->logger);
	writer_stats(f->logger.writer, &stats);
	if (stats.queued > f->most)
		f->most = stats.queued;
	writer_flush(f->logger.writer);
	if (stats.queued == 0)
		loop_stop(f->logger.loop);
}

static void
on_late(void *arg)
{
	struct fixture *f = arg;

	f->late = true;
	loop_stop(f->logger.loop);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct logger *l = &f->logger;
	struct writer_config config = {
		.store = &f->fake.store, .after = turn, .arg = f
	};

	assert_non_null(f);
	log_init("test", LOG_AT_ERROR);
	f->fake.store.engine = &engine;
	l->loop = config.loop = loop_new();
	assert_non_null(l->loop);
	l->alarm_ms = STORE_NEVER;
	timekeeper_init(&l->time, clock_wall_ms(), clock_mono_ms());
	config.time = &l->time;
	assert_int_equal(schedules_init(&l->schedules, "1s,2s"), 0);
	assert_int_equal(endpoints_init(&l->endpoints, &l->schedules), 0);
	assert_int_equal(fleet_init(&l->fleet), 0);
	config.time = &l->time;
	config.arg = f;
	assert_int_equal(writer_new(&config, &l->writer), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	writer_free(f->logger.writer);
	fleet_done(&f->logger.fleet);
	endpoints_done(&f->logger.endpoints);
	schedules_done(&f->logger.schedules);
	loop_free(f->logger.loop);
	free(f);
	return 0;
}

static struct endpoint *
put(struct fixture *f, uint32_t subscription, bool enabled)
{
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.number = 1,
		.app = 1,
		.subscription = subscription,
		.url = slice_text("http://x/"),
		.enabled = enabled };
	struct endpoint *p;

	assert_int_equal(endpoints_put(&f->logger.endpoints, &e, 1, &p), 0);
	return p;
}

/* Many are switched on, others off, at the same moment: the writer gets few of
 * these at once, and all of them. */
static void
test_shifts_are_few_at_once(void **state)
{
	struct fixture *f = *state;
	struct logger *l = &f->logger;

	for (uint32_t s = 1; s <= ENDPOINTS; s++) {
		struct endpoint *on = put(f, s, true);
		struct endpoint *off = put(f, ENDPOINTS + s, false);

		on->held = true;
		dispatch_resume(l, on);
		dispatch_resume(l, on); /* twice is once */
		endpoint_due(off, logger_now(l));
		endpoints_touch(&l->endpoints, off, logger_now(l));
	}
	/* One is deleted while it waits. */
	endpoint_delete(&l->endpoints, endpoints_find(&l->endpoints, 7));
	assert_true(loop_add_timer(l->loop, PATIENCE_MS, on_late, f) > 0);
	turn(f);
	assert_int_equal(loop_run(l->loop), 0);
	assert_false(f->late);
	assert_in_range(f->most, 1, AT_ONCE_MAX);
	assert_int_equal(atomic_load(&f->fake.resumed), 2 * ENDPOINTS - 1);
	assert_int_equal(atomic_load(&f->fake.suspended), 2 * ENDPOINTS);
	for (uint32_t s = 1; s <= ENDPOINTS; s++)
		if (s != 7)
			assert_false(endpoints_find(&l->endpoints, s)->held);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_shifts_are_few_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
