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
#include <unistd.h>

#include "common/log.h"
#include "ingest/log_append.h"

/* What the disk holds is unknown now: nobody may be told anything. */
void
disk_die(const char *what, int error)
{
	log_error("accept log: %s failed: %s; exiting, the next start reads "
		  "what is on disk",
	    what, strerror(-error));
	_exit(1);
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
		disk_die("opening a segment", -errno);
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
		   renameat(folder, name, folder, DISK_SPARE) == 0) {
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
		disk_spare_begin(d);
	while (d->spare_fd >= 0)
		disk_spare_continue(d);
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
		disk_append(d, job);
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
	disk_spare_cancel(d);
	mailbox_done(&d->jobs);
	slot_release(&d->slot);
}
