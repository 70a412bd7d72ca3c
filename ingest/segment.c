#include "ingest/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/crypto.h"

#define MAGIC UINT64_C(0x31474f4c43434153)	/* "SACCLOG1" */
#define DONE_MAGIC UINT64_C(0x31454e4f44434153) /* "SACDONE1" */
#define DONE_START 64
#define DONE_SIZE (DONE_START + SEGMENT_BITS / 8)
#define MODE 0600

struct file_head {
	uint64_t magic, epoch, base_seq;
	uint32_t size;
	uint32_t crc; /* of what stands before */
};

struct done_head {
	uint64_t magic, epoch;
};

void
segment_name(
    const struct segment *s, const char *suffix, char name[SEGMENT_NAME_SIZE])
{
	snprintf(name, SEGMENT_NAME_SIZE, "%016" PRIx64 "-%016" PRIx64 "%s",
	    s->base_seq, s->epoch, suffix);
}

bool
segment_is_name(const char *name, const char *suffix)
{
	return strlen(name) == 33 + strlen(suffix) &&
	       strspn(name, "0123456789abcdef") == 16 && name[16] == '-' &&
	       strspn(name + 17, "0123456789abcdef") == 16 &&
	       strcmp(name + 33, suffix) == 0;
}

static struct segment *
new_segment(void)
{
	struct segment *s = calloc(1, sizeof(*s));

	if (s != NULL) {
		s->fd = -1;
		s->read_at = s->write_at = s->end = SEGMENT_START;
	}
	return s;
}

void
segment_free(struct segment *s)
{
	if (s == NULL)
		return;
	if (s->done != NULL)
		munmap(s->done, DONE_SIZE);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static int
write_all(int fd, const void *data, size_t len, off_t at)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

/* Zeros that are really written: syncs into space that is merely promised
 * cost a journal commit each, and can still find the disk full. */
static int
fill(int fd, uint32_t size)
{
	static const uint8_t zeros[64 * 1024];
	int r = 0;

	for (uint32_t at = 0; r == 0 && at < size;) {
		uint32_t len = size - at;

		if (len > sizeof(zeros))
			len = sizeof(zeros);
		r = write_all(fd, zeros, len, at);
		at += len;
	}
	return r;
}

/* A file of the full size under a name of its own, still nameless as a
 * segment. */
static int
make_file(int folder, const char *name, uint32_t size, int *ret_fd)
{
	int fd =
	    openat(folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, MODE);
	int r;

	if (fd < 0)
		return -errno;
	r = fill(fd, size);
	if (r < 0) {
		close(fd);
		unlinkat(folder, name, 0);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int
write_head(const struct segment *s)
{
	struct file_head head = {
		.magic = MAGIC,
		.epoch = s->epoch,
		.base_seq = s->base_seq,
		.size = s->size,
	};
	int r;

	head.crc = crc32c(0, &head, offsetof(struct file_head, crc));
	r = write_all(s->fd, &head, sizeof(head), 0);
	if (r == 0 && fsync(s->fd) < 0)
		r = -errno;
	return r;
}

static int
give_name(int folder, const struct segment *s, const char *from)
{
	char name[SEGMENT_NAME_SIZE];

	segment_name(s, ".seg", name);
	if (renameat(folder, from, folder, name) < 0)
		return -errno;
	return fsync(folder) < 0 ? -errno : 0;
}

int
segment_create(int folder, uint64_t base_seq, uint32_t size, const char *spare,
    struct segment **ret)
{
	struct segment *s = new_segment();
	int r = 0;

	if (s == NULL)
		return -ENOMEM;
	crypto_random(&s->epoch, sizeof(s->epoch));
	s->base_seq = base_seq;
	s->size = size;
	if (spare != NULL)
		s->fd = openat(folder, spare, O_RDWR | O_CLOEXEC);
	if (s->fd < 0) {
		spare = "new.tmp";
		r = make_file(folder, spare, size, &s->fd);
	}
	if (r == 0)
		r = write_head(s);
	/* Before the segment has its name: a name without bits is legal, but
	 * a full disk is better met here. */
	if (r == 0)
		r = segment_map_done(folder, s);
	if (r == 0)
		r = give_name(folder, s, spare);
	if (r < 0) {
		segment_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int
segment_open(int folder, const char *name, struct segment **ret)
{
	struct segment *s = new_segment();
	struct file_head head;
	struct stat st;
	int r = -EBADMSG;

	if (s == NULL)
		return -ENOMEM;
	s->fd = openat(folder, name, O_RDWR | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &st) < 0) {
		r = -errno;
		goto out;
	}
	if (pread(s->fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    head.magic != MAGIC ||
	    head.crc != crc32c(0, &head, offsetof(struct file_head, crc)))
		goto out;
	s->epoch = head.epoch;
	s->base_seq = head.base_seq;
	s->size = st.st_size < head.size ? (uint32_t)st.st_size : head.size;
	if (s->size < SEGMENT_START)
		s->size = SEGMENT_START;
	s->end = s->size;
	s->sealed = s->recovered = true;
	close(s->fd);
	s->fd = -1;
	*ret = s;
	return 0;
out:
	segment_free(s);
	return r;
}

static int
make_done(int folder, const char *name, const struct segment *s, int *ret_fd)
{
	struct done_head head = { DONE_MAGIC, s->epoch };
	int fd = -1, r;

	/* Never written over: after a power cut old bits must not meet a new
	 * header. */
	if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
		return -errno;
	r = make_file(folder, name, DONE_SIZE, &fd);
	if (r < 0)
		return r;
	r = write_all(fd, &head, sizeof(head), 0);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static bool
done_fits(int fd, const struct segment *s)
{
	struct done_head head;
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == DONE_SIZE &&
	       pread(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	       head.magic == DONE_MAGIC && head.epoch == s->epoch;
}

int
segment_map_done(int folder, struct segment *s)
{
	char name[SEGMENT_NAME_SIZE];
	void *map;
	int fd = -1, r;

	if (s->done != NULL)
		return 0;
	segment_name(s, ".done", name);
	fd = openat(folder, name, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && !done_fits(fd, s)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0) {
		r = make_done(folder, name, s, &fd);
		if (r < 0)
			return r;
	}
	map = mmap(NULL, DONE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	r = map == MAP_FAILED ? -errno : 0;
	close(fd);
	if (r == 0)
		s->done = map;
	return r;
}

static uint32_t
record_crc(const struct segment *s, const struct segment_record_head *head)
{
	uint64_t about[] = { s->epoch, head->seq, head->accepted_ms,
		(uint64_t)head->len << 32 | head->remaining,
		(uint64_t)head->key << 32 | head->zero };
	uint32_t crc = crc32c(0, about, sizeof(about));

	return crc32c(crc, head + 1, head->len);
}

void
segment_seal_record(
    const struct segment *s, uint64_t seq, struct segment_record_head *head)
{
	head->tag = (uint32_t)s->epoch;
	head->seq = seq;
	head->crc = record_crc(s, head);
}

uint32_t
segment_record_size(uint32_t len)
{
	return (uint32_t)sizeof(struct segment_record_head) + ((len + 7) & ~7u);
}

bool
segment_is_read(const struct segment *s)
{
	return s->read_at >= s->end;
}

bool
segment_is_done(const struct segment *s, uint64_t seq)
{
	uint64_t bit = seq - s->base_seq;
	const uint8_t *byte = s->done + DONE_START + bit / 8;

	return __atomic_load_n(byte, __ATOMIC_RELAXED) >> (bit % 8) & 1;
}

void
segment_mark(struct segment *s, uint64_t seq)
{
	uint64_t bit = seq - s->base_seq;

	__atomic_fetch_or(s->done + DONE_START + bit / 8,
	    (uint8_t)(1u << (bit % 8)), __ATOMIC_RELAXED);
	s->completed++;
}

static bool
is_record(const struct segment *s, const struct segment_cursor *c, uint32_t at)
{
	const struct segment_record_head *head;
	uint32_t left = c->end - at;

	if (left < sizeof(*head))
		return false;
	head = (const void *)(c->data + at);
	return head->tag == (uint32_t)s->epoch && head->len > 0 &&
	       head->len <= left - sizeof(*head) &&
	       head->seq - s->base_seq < SEGMENT_BITS &&
	       head->crc == record_crc(s, head);
}

bool
segment_next(const struct segment *s, struct segment_cursor *c,
    const struct segment_record_head **ret_head)
{
	uint32_t at = c->at, size;

	if (!is_record(s, c, at)) {
		if (!c->search)
			return false;
		while (
		    c->end - at >= sizeof(**ret_head) && !is_record(s, c, at))
			at += 8;
		if (c->end - at < sizeof(**ret_head))
			return false;
		c->damaged = true;
	}
	*ret_head = (const void *)(c->data + at);
	size = segment_record_size((*ret_head)->len);
	c->at = size > c->end - at ? c->end : at + size;
	return true;
}
