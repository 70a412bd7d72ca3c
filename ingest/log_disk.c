#include "ingest/log_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/log.h"

#define RUN_RECORDS 512 /* in one pwritev(2); below IOV_MAX */
#define ZERO_CHUNK (256u * 1024)
#define SPARE "spare.tmp"

static const uint8_t zeros[ZERO_CHUNK];

/* What the disk holds is unknown now: nobody may be told anything. */
static void
die(const char *what, int error)
{
	log_error("accept log: %s failed: %s; exiting, the next start reads "
		  "what is on disk",
	    what, strerror(-error));
	_exit(1);
}

static bool
is_full(int r)
{
	return r == -ENOSPC || r == -EDQUOT;
}

/* ---- spare segment -------------------------------------------------- */

static void
spare_begin(struct disk *d)
{
	if (d->spare || d->spare_fd >= 0 || d->files >= d->max_files)
		return;
	d->spare_fd = openat(d->slot.folder, SPARE,
	    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (d->spare_fd < 0)
		return;
	d->spare_at = 0;
	d->files++;
}

static void
spare_cancel(struct disk *d)
{
	if (d->spare_fd < 0)
		return;
	close(d->spare_fd);
	d->spare_fd = -1;
	unlinkat(d->slot.folder, SPARE, 0);
	d->files--;
}

/* A chunk at a time, between batches, so that nobody waits for all of it. */
static void
spare_continue(struct disk *d)
{
	uint32_t left = d->segment_bytes - d->spare_at;
	uint32_t len = left < ZERO_CHUNK ? left : ZERO_CHUNK;

	if (d->spare_fd < 0)
		return;
	if (len > 0) {
		ssize_t n = pwrite(d->spare_fd, zeros, len, d->spare_at);

		if (n <= 0) {
			spare_cancel(d);
			return;
		}
		(void)sync_file_range(
		    d->spare_fd, d->spare_at, n, SYNC_FILE_RANGE_WRITE);
		d->spare_at += (uint32_t)n;
		return;
	}
	if (fdatasync(d->spare_fd) < 0)
		die("fdatasync of a new segment", -errno);
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
		spare_begin(d);
	spare_continue(d);
}

/* ---- append --------------------------------------------------------- */

static int
rotate(struct disk *d)
{
	struct segment *s;
	int r;

	if (!d->spare)
		spare_cancel(d);
	if (!d->spare && d->files >= d->max_files)
		return -ENOSPC;
	r = segment_create(d->slot.folder, d->next_seq, d->segment_bytes,
	    d->spare ? SPARE : NULL, &s);
	if (is_full(r))
		return r;
	if (r < 0)
		die("making a segment", r);
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

static void
take_back(
    struct disk *d, struct accept_record *first, uint32_t written, uint64_t seq)
{
	struct segment *s = d->active;

	/* What was written of them must not be found by a later start; the
	 * next batch is written over it in any case. */
	(void)!pwrite(
	    s->fd, zeros, sizeof(struct segment_record_head), s->write_at);
	s->written = written;
	d->next_seq = seq;
	for (; first != NULL; first = first->next)
		first->segment = NULL;
}

static int
write_and_sync(struct disk *d, struct disk_job *job,
    struct accept_record *first, const struct accept_record *end)
{
	uint32_t written = d->active->written;
	uint64_t seq = d->next_seq, start = clock_mono_us();
	int r;

	if (first == end)
		return 0;
	r = write_records(d, first, end);
	if (is_full(r)) {
		take_back(d, first, written, seq);
		return r;
	}
	if (r < 0)
		die("write", r);
	fail_point("ingest.written");
	if (fdatasync(d->active->fd) < 0)
		die("fdatasync", -errno);
	job->sync_us += clock_mono_us() - start;
	fail_point("ingest.synced");
	return 0;
}

static void
append(struct disk *d, struct disk_job *job)
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

/* ---- the other jobs ------------------------------------------------- */

static struct accept_record *
copy_record(struct segment *s, const struct segment_record_head *head)
{
	struct accept_record *record = accept_record_new(
	    (struct slice){ (const uint8_t *)(head + 1), head->len },
	    head->key);

	if (record == NULL)
		return NULL;
	record->head = *head;
	record->segment = s;
	return record;
}

/* A group at the end that is not whole was never acknowledged. */
static void
drop_torn(
    struct disk_job *job, struct accept_record **group, uint32_t group_records)
{
	struct accept_record *record = *group;

	*group = NULL;
	job->count -= group_records;
	while (record != NULL) {
		struct accept_record *next = record->next;

		job->bytes -= record->head.len;
		accept_record_free(record);
		record = next;
	}
}

static int
read_records(struct disk_job *job, struct segment_cursor *c)
{
	struct segment *s = job->segment;
	struct accept_record **end = &job->records, **group = end;
	const struct segment_record_head *head;
	uint32_t group_records = 0, remaining = 0;

	while (remaining > 0 ||
	       (job->count < job->max_records && job->bytes < job->max_bytes)) {
		if (!segment_next(s, c, &head)) {
			job->ended = true;
			if (remaining > 0)
				drop_torn(job, group, group_records);
			return 0;
		}
		remaining = head->remaining;
		if (segment_is_done(s, head->seq)) {
			job->skipped++;
		} else {
			*end = copy_record(s, head);
			if (*end == NULL)
				return -ENOMEM;
			end = &(*end)->next;
			job->count++;
			job->bytes += head->len;
			group_records++;
		}
		if (remaining == 0) {
			group = end;
			group_records = 0;
		}
	}
	return 0;
}

static void
read_back(struct disk *d, struct disk_job *job)
{
	struct segment *s = job->segment;
	struct segment_cursor c = { .at = job->at, .end = job->end };
	char name[SEGMENT_NAME_SIZE];
	void *map;
	int fd;

	segment_name(s, ".seg", name);
	job->result = segment_map_done(d->slot.folder, s);
	if (job->result < 0)
		return;
	fd = openat(d->slot.folder, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("opening a segment", -errno);
	map = mmap(NULL, s->size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED) {
		job->result = -errno;
		return;
	}
	c.data = map;
	/* What we wrote ourselves is read only as far as it was synced. */
	c.search = true;
	job->result = read_records(job, &c);
	job->at = c.at;
	job->damaged = c.damaged;
	munmap(map, s->size);
}

static void
drop(struct disk *d, struct disk_job *job)
{
	struct segment *s = job->segment;
	char name[SEGMENT_NAME_SIZE], done[SEGMENT_NAME_SIZE];
	int folder = d->slot.folder;

	segment_name(s, ".seg", name);
	segment_name(s, ".done", done);
	if (s == d->active)
		d->active = NULL;
	if (s->damaged) {
		log_error("accept log: %s had bad bytes in it; kept in "
			  "quarantine",
		    name);
		if (renameat(folder, name, d->slot.quarantine, name) < 0)
			log_error("accept log: %s: %s", name, strerror(errno));
		d->files--;
	} else if (!d->spare && d->spare_fd < 0 &&
		   s->size == d->segment_bytes && d->files <= d->max_files &&
		   renameat(folder, name, folder, SPARE) == 0) {
		d->spare = true;
	} else {
		(void)unlinkat(folder, name, 0);
		d->files--;
	}
	(void)unlinkat(folder, done, 0);
	segment_free(s);
	job->segment = NULL;
}

static void
adopt(struct disk *d, struct disk_job *job)
{
	job->result = slot_adopt(&d->slot, &job->segment, &job->bad);
	for (const struct segment *s = job->segment; s != NULL; s = s->next)
		d->files++;
}

/* Room for one more segment: a spare that is there, or can be begun. */
static void
probe(struct disk *d, struct disk_job *job)
{
	if (!d->spare && d->spare_fd < 0)
		spare_begin(d);
	while (d->spare_fd >= 0)
		spare_continue(d);
	job->result = d->spare ? 0 : -ENOSPC;
}

static int
write_bytes(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.data, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes.data += n;
		bytes.len -= (size_t)n;
	}
	return 0;
}

static int
keep_file(int folder, const char *name, const struct slice *parts, int count)
{
	char tmp[SEGMENT_NAME_SIZE + 8];
	int fd, r = 0;

	snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	fd =
	    openat(folder, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (int i = 0; r == 0 && i < count; i++)
		r = write_bytes(fd, parts[i]);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (r == 0 && renameat(folder, tmp, folder, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(folder, tmp, 0);
	return r;
}

/* EPOCH-SEQ.event: a line that says why, then the message as it was. */
static void
quarantine(struct disk *d, struct disk_job *job)
{
	struct accept_record *record = job->records;
	const struct slice parts[] = {
		slice_text(job->reason),
		slice_text("\n"),
		accept_record_payload(record),
	};
	char name[SEGMENT_NAME_SIZE];
	int r = 0;

	if (d->quarantined >= ACCEPT_QUARANTINE_MAX)
		r = -ENOSPC;
	snprintf(name, sizeof(name), "%016" PRIx64 "-%016" PRIx64 ".event",
	    record->segment->epoch, record->head.seq);
	for (char *c = job->reason; *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	if (r == 0)
		r = keep_file(d->slot.quarantine, name, parts, 3);
	if (r == 0 && fsync(d->slot.quarantine) < 0)
		r = -errno;
	if (r == 0)
		d->quarantined++;
	job->result = r;
}

static void
work(struct disk *d, struct disk_job *job)
{
	switch (job->kind) {
	case DISK_APPEND:
		append(d, job);
		break;
	case DISK_READ:
		read_back(d, job);
		break;
	case DISK_DROP:
		drop(d, job);
		break;
	case DISK_ADOPT:
		adopt(d, job);
		break;
	case DISK_PROBE:
		probe(d, job);
		break;
	case DISK_QUARANTINE:
		quarantine(d, job);
		break;
	case DISK_STOP:
		break;
	}
}

static void *
run(void *arg)
{
	struct disk *d = arg;
	struct mail *mail, *next;
	bool stop = false;

	while (!stop) {
		for (mail = mailbox_wait(&d->jobs, -1); mail != NULL;
		     mail = next) {
			struct disk_job *job = (struct disk_job *)mail;

			next = mail->next;
			stop |= job->kind == DISK_STOP;
			work(d, job);
			if (job->kind != DISK_STOP)
				mailbox_post(d->done, &job->mail);
		}
	}
	return NULL;
}

static uint32_t
count_quarantined(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	uint32_t count = 0;
	DIR *dir;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((entry = readdir(dir)) != NULL)
		count += strstr(entry->d_name, ".event") != NULL;
	closedir(dir);
	return count;
}

int
disk_start(struct disk *d)
{
	sigset_t all, before; /* signals are the loop's */
	int r;

	d->spare_fd = -1;
	d->quarantined = count_quarantined(d->slot.quarantine);
	r = mailbox_init(&d->jobs);
	if (r < 0)
		return r;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&d->thread, NULL, run, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		mailbox_done(&d->jobs);
		return r;
	}
	d->started = true;
	return 0;
}

void
disk_post(struct disk *d, struct disk_job *job)
{
	mailbox_post(&d->jobs, &job->mail);
}

void
disk_stop(struct disk *d)
{
	struct disk_job stop = { .kind = DISK_STOP };

	if (!d->started)
		return;
	disk_post(d, &stop);
	pthread_join(d->thread, NULL);
	d->started = false;
	spare_cancel(d);
	mailbox_done(&d->jobs);
	slot_release(&d->slot);
}
