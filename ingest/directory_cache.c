#include "ingest/directory_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

struct directory_cache {
	struct loop *loop;
	struct directory *directory;
	char path[PATH_MAX];
	bool dirty;
	int timer; /* -1: none */
	pthread_t thread;
	bool writing;	  /* the thread exists */
	int finished;	  /* it has done its work; atomic */
	int result;	  /* of the write; ours again after the join */
	struct buf bytes; /* the thread's while writing */
};

static int
read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0)
		r = buf_reserve(out, (size_t)st.st_size + 1);
	while (r == 0) {
		n = read(fd, out->data + out->len, out->cap - out->len);
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		out->len += (size_t)n;
		if (out->len == out->cap)
			break;
	}
	close(fd);
	return r;
}

static void
load(struct directory_cache *c)
{
	struct buf bytes;
	int r;

	buf_init(&bytes, DIRECTORY_CACHE_MAX);
	r = read_file(c->path, &bytes);
	if (r == 0)
		r = directory_load(c->directory, buf_slice(&bytes));
	buf_done(&bytes);
	if (r == 0)
		log_info("directory cache %s: entries=%llu number=%llu",
		    c->path, (unsigned long long)directory_count(c->directory),
		    (unsigned long long)directory_number(c->directory));
	else if (r != -ENOENT)
		log_warn("directory cache %s: %s; waiting for the api", c->path,
		    strerror(-r));
}

int
directory_cache_new(struct loop *loop, const char *path,
    struct directory *directory, struct directory_cache **ret)
{
	struct directory_cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	if (slice_copy(slice_text(path), c->path, sizeof(c->path) - 32) < 0) {
		free(c);
		return -ENAMETOOLONG;
	}
	c->loop = loop;
	c->directory = directory;
	c->timer = -1;
	buf_init(&c->bytes, DIRECTORY_CACHE_MAX);
	load(c);
	*ret = c;
	return 0;
}

/*
 * The file beside `path` that becomes it, empty and locked. Other ingests
 * share the folder, each of them process 1 of its container perhaps: the lock
 * tells them apart, and what a killed one left is used again. -EBUSY: another
 * one is writing.
 */
static int
open_new(const char *tmp)
{
	struct stat ours = { 0 }, there = { 0 };
	int fd = open(tmp, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &ours) < 0)
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	/* Renamed between our open and our lock: it is the cache by now. */
	if (r == 0 && (stat(tmp, &there) < 0 || there.st_ino != ours.st_ino))
		r = -EBUSY;
	if (r == 0 && ftruncate(fd, 0) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int
write_file(const char *path, struct slice bytes)
{
	char tmp[PATH_MAX];
	int fd, r = 0;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = open_new(tmp);
	if (fd < 0)
		return fd;
	while (r == 0 && bytes.len > 0) {
		ssize_t n = write(fd, bytes.data, bytes.len);

		if (n <= 0) {
			r = n < 0 ? -errno : -EIO;
			break;
		}
		bytes.data += n;
		bytes.len -= (size_t)n;
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(tmp);
	close(fd);
	return r;
}

static void *
write_in_thread(void *arg)
{
	struct directory_cache *c = arg;

	c->result = write_file(c->path, buf_slice(&c->bytes));
	if (c->result < 0 && c->result != -EBUSY)
		log_warn(
		    "directory cache %s: %s", c->path, strerror(-c->result));
	__atomic_store_n(&c->finished, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void
join(struct directory_cache *c)
{
	pthread_join(c->thread, NULL);
	c->writing = false;
	if (c->result == -EBUSY)
		c->dirty = true; /* ours may know more */
	buf_done(&c->bytes);
}

static void
start_writing(struct directory_cache *c)
{
	sigset_t all, before;
	int r;

	buf_clear(&c->bytes);
	r = directory_save(c->directory, &c->bytes);
	c->finished = 0;
	if (r == 0) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		r = -pthread_create(&c->thread, NULL, write_in_thread, c);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (r < 0) {
		log_warn("directory cache %s: %s", c->path, strerror(-r));
		buf_done(&c->bytes);
		return;
	}
	c->writing = true;
	c->dirty = false;
}

static void
on_timer(void *arg)
{
	struct directory_cache *c = arg;

	if (c->writing) {
		if (__atomic_load_n(&c->finished, __ATOMIC_ACQUIRE) == 0)
			return;
		join(c);
	}
	if (c->dirty) {
		start_writing(c);
		return; /* comes again, to join it */
	}
	loop_del_timer(c->loop, c->timer);
	c->timer = -1;
}

void
directory_cache_changed(struct directory_cache *c)
{
	c->dirty = true;
	if (c->timer < 0)
		c->timer = loop_add_timer(c->loop, CACHE_DELAY_MS, on_timer, c);
}

void
directory_cache_free(struct directory_cache *c)
{
	if (c == NULL)
		return;
	if (c->timer >= 0)
		loop_del_timer(c->loop, c->timer);
	if (c->writing)
		join(c);
	if (c->dirty) {
		start_writing(c);
		if (c->writing)
			join(c);
	}
	buf_done(&c->bytes);
	free(c);
}
