#include "ingest/log_append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fail_point.h"

#define RUN_RECORDS 512 /* in one pwritev(2); below IOV_MAX */
#define ZERO_CHUNK (256u * 1024)

static const uint8_t zeros[ZERO_CHUNK];

static bool
is_full(int r)
{
	return r == -ENOSPC || r == -EDQUOT;
}

/* ---- spare segment -------------------------------------------------- */

void
disk_spare_begin(struct disk *d)
{
	if (d->spare || d->spare_fd >= 0 || d->files >= d->max_files)
		return;
	d->spare_fd = openat(d->slot.folder, DISK_SPARE,
	    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (d->spare_fd < 0)
		return;
	d->spare_at = 0;
	d->files++;
}

void
disk_spare_cancel(struct disk *d)
{
	if (d->spare_fd < 0)
		return;
	close(d->spare_fd);
	d->spare_fd = -1;
	unlinkat(d->slot.folder, DISK_SPARE, 0);
	d->files--;
}

/* A chunk at a time, between batches, so that nobody waits for all of it. */
void
disk_spare_continue(struct disk *d)
{
	uint32_t left = d->segment_bytes - d->spare_at;
	uint32_t len = left < ZERO_CHUNK ? left : ZERO_CHUNK;

	if (d->spare_fd < 0)
		return;
	if (len > 0) {
		ssize_t n = pwrite(d->spare_fd, zeros, len, d->spare_at);

		if (n <= 0) {
			disk_spare_cancel(d);
			return;
		}
		(void)sync_file_range(
		    d->spare_fd, d->spare_at, n, SYNC_FILE_RANGE_WRITE);
		d->spare_at += (uint32_t)n;
		return;
	}
	if (fdatasync(d->spare_fd) < 0)
		disk_die("fdatasync of a new segment", -errno);
	close(d->spare_fd);
	d->spare_fd = -1;
	d->spare = true;
}

static void
spare_tend(struct disk *d)
{
	if (d->active == NULL)
		return;
	if (d->active->write_at > d->segment_bytes / 4)
		disk_spare_begin(d);
	disk_spare_continue(d);
}

/* ---- append --------------------------------------------------------- */

static int
rotate(struct disk *d)
{
	struct segment *s;
	int r;

	if (!d->spare)
		disk_spare_cancel(d);
	if (!d->spare && d->files >= d->max_files)
		return -ENOSPC;
	r = segment_create(d->slot.folder, d->next_seq, d->segment_bytes,
	    d->spare ? DISK_SPARE : NULL, &s);
	if (is_full(r))
		return r;
	if (r < 0)
		disk_die("making a segment", r);
	if (!d->spare)
		d->files++;
	d->spare = false;
	if (d->active != NULL) {
		close(d->active->fd);
		d->active->fd = -1;
	}
	d->active = s;
	return 0;
}

static uint32_t
group_size(const struct accept_record *first, uint32_t *ret_count)
{
	const struct accept_record *record = first;
	uint32_t size = 0, count = 0;

	for (;; record = record->next) {
		size += segment_record_size(record->head.len);
		count++;
		if (record->head.remaining == 0)
			break;
	}
	*ret_count = count;
	return size;
}

static bool
fits(const struct segment *s, uint32_t size, uint32_t count)
{
	return s != NULL && size <= s->size - s->write_at &&
	       count <= SEGMENT_BITS - s->written;
}

/* Writes all of iov. */
static int
write_run(int fd, struct iovec *iov, int count, off_t at)
{
	while (count > 0) {
		ssize_t n = pwritev(fd, iov, count, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		for (; count > 0 && (size_t)n >= iov->iov_len; count--, iov++)
			n -= (ssize_t)iov->iov_len;
		if (count > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Records from first to (not with) end, to the active segment. */
static int
write_records(struct disk *d, struct accept_record *first,
    const struct accept_record *end)
{
	struct iovec iov[RUN_RECORDS];
	struct segment *s = d->active;
	uint32_t at = s->write_at;
	struct accept_record *record = first;

	while (record != end) {
		uint32_t run_at = at;
		int n = 0, r;

		for (; record != end && n < RUN_RECORDS;
		    record = record->next) {
			uint32_t size = segment_record_size(record->head.len);

			segment_seal_record(s, d->next_seq++, &record->head);
			record->segment = s;
			iov[n++] = (struct iovec){ &record->head, size };
			at += size;
			s->written++;
		}
		r = write_run(s->fd, iov, n, run_at);
		if (r < 0)
			return r;
	}
	s->write_at = at;
	return 0;
}

/*
 * What was written of records that did not all find room must not be found by
 * a later start: each loses its head. Their numbers are not given again, so
 * one that keeps its head all the same is a record too many and never stands
 * in another's place.
 */
static void
take_back(const struct disk *d, struct accept_record *first,
    const struct accept_record *end)
{
	uint32_t at = d->active->write_at;

	for (struct accept_record *r = first; r != end; r = r->next) {
		(void)!pwrite(d->active->fd, zeros, sizeof(r->head), at);
		at += segment_record_size(r->head.len);
		r->segment = NULL;
	}
}

static int
write_and_sync(struct disk *d, struct disk_job *job,
    struct accept_record *first, const struct accept_record *end)
{
	uint64_t start = clock_mono_us();
	int r;

	if (first == end)
		return 0;
	r = write_records(d, first, end);
	if (is_full(r)) {
		take_back(d, first, end);
		return r;
	}
	if (r < 0)
		disk_die("write", r);
	fail_point("ingest.written");
	if (fdatasync(d->active->fd) < 0)
		disk_die("fdatasync", -errno);
	job->sync_us += clock_mono_us() - start;
	fail_point("ingest.synced");
	return 0;
}

void
disk_append(struct disk *d, struct disk_job *job)
{
	struct accept_record *first = job->records, *record = first;
	uint32_t planned = 0, planned_count = 0;
	int r = 0;

	while (r == 0 && record != NULL) {
		uint32_t count, size = group_size(record, &count);

		if (!fits(d->active, planned + size, planned_count + count)) {
			if (d->active != NULL)
				r = write_and_sync(d, job, first, record);
			if (r < 0)
				break;
			first = record;
			planned = planned_count = 0;
			if (!fits(d->active, size, count))
				r = rotate(d);
			if (r < 0)
				break;
		}
		planned += size;
		planned_count += count;
		for (; count > 0; count--)
			record = record->next;
	}
	if (r == 0)
		r = write_and_sync(d, job, first, NULL);
	job->result = r;
	spare_tend(d);
}
