#include "logger/reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

/* A store whose pages of the log take until somebody lets them go. */
struct fixture {
	struct store store;
	struct store_reader readers[4];
	unsigned opened, closed;
	pthread_mutex_t lock;
	pthread_cond_t go;
	bool may_go, began;
	struct loop *loop;
	struct reader *reader;
	struct question page, one;
	unsigned done;
};

static struct fixture *fixture;

static int
fake_open(struct store *s, struct store_reader **ret)
{
	(void)s;
	*ret = &fixture->readers[fixture->opened++];
	(*ret)->engine = fixture->store.engine;
	return 0;
}

static int
fake_page(struct store_reader *r, const struct msg *query, struct buf *out)
{
	struct msg page = { .type = MSG_PAGE, .query = query->query };

	(void)r;
	pthread_mutex_lock(&fixture->lock);
	if (query->what == MSG_QUERY_LOGS) {
		fixture->began = true;
		while (!fixture->may_go)
			pthread_cond_wait(&fixture->go, &fixture->lock);
	}
	pthread_mutex_unlock(&fixture->lock);
	if (query->limit == 1000)
		return -ETIMEDOUT;
	return msg_pack(&page, out);
}

static void
fake_close(struct store_reader *r)
{
	(void)r;
	fixture->closed++;
}

static const struct store_engine engine = {
	.reader_open = fake_open, .page = fake_page, .reader_close = fake_close
};

static void
let_go(struct fixture *f)
{
	pthread_mutex_lock(&f->lock);
	f->may_go = true;
	pthread_cond_broadcast(&f->go);
	pthread_mutex_unlock(&f->lock);
}

static void
on_answer(struct question *q)
{
	(void)q;
	fixture->done++;
	loop_stop(fixture->loop);
}

static void
ask(struct fixture *f, struct question *q, enum msg_query what, uint64_t limit)
{
	*q = (struct question){ .done = on_answer };
	q->query = (struct msg){ .type = MSG_QUERY,
		.query = 7,
		.what = what,
		.app = 1,
		.limit = limit };
	buf_init(&q->page, LIMIT_MESSAGE_BYTES);
	reader_post(f->reader, q);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	log_init("test", LOG_AT_ERROR);
	fixture = f;
	f->store.engine = &engine;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->go, NULL);
	f->loop = loop_new();
	assert_non_null(f->loop);
	assert_int_equal(
	    reader_new(f->loop, &f->store, NULL, NULL, &f->reader), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	let_go(f);
	reader_free(f->reader);
	assert_int_equal(f->closed, f->opened);
	loop_free(f->loop);
	buf_done(&f->page.page);
	buf_done(&f->one.page);
	pthread_cond_destroy(&f->go);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return 0;
}

/* A page that takes long holds up no short question. */
static void
test_short_beside_long(void **state)
{
	struct fixture *f = *state;

	ask(f, &f->page, MSG_QUERY_LOGS, 20);
	ask(f, &f->one, MSG_QUERY_LOG, 1);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->done, 1);
	assert_true(f->one.page.len > 0);
	assert_int_equal(f->page.page.len, 0);
	let_go(f);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->done, 2);
	assert_true(f->page.page.len > 0);
}

static void
test_says_what_went_wrong(void **state)
{
	struct fixture *f = *state;
	struct msg page;

	let_go(f);
	ask(f, &f->page, MSG_QUERY_LOGS, 1000);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->page.result, 0);
	assert_int_equal(msg_unpack(buf_slice(&f->page.page), &page), 0);
	assert_int_equal(page.query, 7);
	assert_true(page.error.len > 0);
}

/* The end waits for what is being answered; the rest is given up. */
static void
test_end_gives_up(void **state)
{
	struct fixture *f = *state;
	struct question more = { .done = on_answer };
	bool began = false;

	ask(f, &f->page, MSG_QUERY_LOGS, 20);
	while (!began) {
		pthread_mutex_lock(&f->lock);
		began = f->began;
		pthread_mutex_unlock(&f->lock);
	}
	ask(f, &more, MSG_QUERY_LOGS, 20);
	let_go(f);
	reader_free(f->reader);
	f->reader = NULL;
	assert_int_equal(f->done, 2);
	assert_int_equal(f->page.result, 0);
	assert_true(more.result == 0 || more.result == -ECANCELED);
	buf_done(&more.page);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_short_beside_long),
		CASE(test_says_what_went_wrong),
		CASE(test_end_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
