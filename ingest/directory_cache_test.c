#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingest/directory_cache.h"

struct fixture {
	char folder[32];
	char path[64], tmp[64];
	struct loop *loop;
	struct directory *directory;
	struct directory_cache *cache;
	unsigned turns;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	snprintf(f->folder, sizeof(f->folder), "/tmp/cache_test.XXXXXX");
	if (mkdtemp(f->folder) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/cache", f->folder);
	snprintf(f->tmp, sizeof(f->tmp), "%s/cache.tmp", f->folder);
	f->loop = loop_new();
	f->directory = directory_new();
	*state = f;
	return directory_cache_new(f->loop, f->path, f->directory, &f->cache);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	directory_cache_free(f->cache);
	directory_free(f->directory);
	loop_free(f->loop);
	(void)unlink(f->path);
	(void)unlink(f->tmp);
	rmdir(f->folder);
	free(f);
	return 0;
}

/* Of the file that is there; 0 when there is none. */
static ino_t
inode(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void
on_tick(void *arg)
{
	struct fixture *f = arg;

	if (inode(f->path) != 0 || --f->turns == 0)
		loop_stop(f->loop);
}

/* Until the cache is written, or so many ticks are over. */
static void
run(struct fixture *f, unsigned turns)
{
	int timer = loop_add_timer(f->loop, 50, on_tick, f);

	assert_true(timer >= 0);
	f->turns = turns;
	assert_int_equal(loop_run(f->loop), 0);
	loop_del_timer(f->loop, timer);
}

static void
test_written(void **state)
{
	struct fixture *f = *state;

	directory_cache_changed(f->cache);
	run(f, 200);
	assert_int_not_equal(inode(f->path), 0);
	assert_int_equal(inode(f->tmp), 0);
}

/* What one that was killed left is no obstacle. */
static void
test_left_over(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->tmp, O_WRONLY | O_CREAT, 0600);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	directory_cache_changed(f->cache);
	run(f, 200);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(st.st_size < 1 << 20);
	assert_int_equal(inode(f->tmp), 0);
}

/* Another ingest writes: it is left alone, and ours comes after it. */
static void
test_another_writes(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->tmp, O_WRONLY | O_CREAT, 0600);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(write(fd, "theirs", 6), 6);
	directory_cache_changed(f->cache);
	run(f, 30); /* 1.5 s: three tries */
	assert_int_equal(inode(f->path), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 6);
	assert_int_equal(inode(f->tmp), st.st_ino);
	close(fd);
	run(f, 200);
	assert_int_not_equal(inode(f->path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_left_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_another_writes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
