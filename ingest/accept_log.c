#include "ingest/accept_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "ingest/log_disk.h"
#include "ingest/segment_list.h"
#include "ingest/slot.h"

#define TIMER_MS ACCEPT_RETRY_MS
#define ADOPT_TICKS (ACCEPT_ADOPT_MS / TIMER_MS)
#define FILES_LEAST 2	  /* one being read, one being written */
#define READ_RECORDS 1024 /* in one job */
#define READ_BYTES (2u * 1024 * 1024)

struct accept_log {
	struct loop *loop;
	const struct accept_log_ops *ops;
	void *arg;
	struct disk disk;
	struct mailbox done;
	int timer;
	unsigned ticks;
	uint32_t segment_bytes;
	struct segment_list segments; /* the last one may be the active one */
	struct disk_job *gather;      /* being filled, NULL: nothing waits */
	struct accept_record *gather_last;
	struct disk_job *writing; /* on its way */
	bool reading, adopting, probing, full;
	/* out with the receiver, or at the quarantine */
	uint64_t out_records, out_bytes;
	/* counters */
	uint64_t appended, appended_bytes, batches, sync_us;
	uint64_t refused, completed, recovered, read_back, quarantined;
	uint64_t stuck, damaged;
};

/* ---- segments ------------------------------------------------------- */

static struct disk_job *
new_job(enum disk_job_kind kind)
{
	struct disk_job *job = calloc(1, sizeof(*job));

	if (job != NULL)
		job->kind = kind;
	return job;
}

static void
drop_if_complete(struct accept_log *log, struct segment *s)
{
	struct disk_job *job;

	if (!s->sealed || !segment_is_read(s) || s->completed < s->known)
		return;
	job = new_job(DISK_DROP);
	if (job == NULL)
		return; /* stays until the next start */
	segment_list_remove(&log->segments, s);
	job->segment = s;
	disk_post(&log->disk, job);
}

static void
add_active(struct accept_log *log, struct segment *s)
{
	struct segment *before = log->segments.last;

	segment_list_add(&log->segments, s);
	if (before != NULL && !before->sealed) {
		before->sealed = true;
		drop_if_complete(log, before);
	}
}

/* ---- reading back --------------------------------------------------- */

static bool
has_room(const struct accept_log *log)
{
	return log->out_records < ACCEPT_AHEAD_RECORDS &&
	       log->out_bytes < ACCEPT_AHEAD_BYTES;
}

static void
read_more(struct accept_log *log)
{
	uint64_t records = ACCEPT_AHEAD_RECORDS - log->out_records;
	struct segment *s;
	struct disk_job *job;

	/* A quarter at a time, not one by one. */
	if (log->reading || log->out_records > ACCEPT_AHEAD_RECORDS * 3 / 4 ||
	    log->out_bytes > ACCEPT_AHEAD_BYTES * 3 / 4)
		return;
	s = segment_list_unread(&log->segments);
	if (s == NULL)
		return;
	job = new_job(DISK_READ);
	if (job == NULL)
		return; /* the timer tries again */
	job->segment = s;
	job->at = s->read_at;
	job->end = s->end;
	job->max_records =
	    records < READ_RECORDS ? (uint32_t)records : READ_RECORDS;
	job->max_bytes = READ_BYTES;
	log->reading = true;
	disk_post(&log->disk, job);
}

static void
hand_over(struct accept_log *log, struct accept_record *record)
{
	log->out_records++;
	log->out_bytes += record->head.len;
	record->next = NULL;
	log->ops->on_record(log->arg, record);
}

static void
on_read(struct accept_log *log, struct disk_job *job)
{
	struct segment *s = job->segment;
	struct accept_record *record, *next;

	log->reading = false;
	if (job->result < 0) {
		log_warn("accept log: reading back: %s; trying again",
		    strerror(-job->result));
		accept_record_free_all(job->records);
		return;
	}
	s->read_at = job->ended ? job->end : job->at;
	if (job->damaged) {
		s->damaged = true;
		log->damaged++;
	}
	if (s->recovered) {
		s->known += job->count + job->skipped;
		s->completed += job->skipped;
		log->recovered += job->count;
	}
	log->read_back += job->count;
	for (record = job->records; record != NULL; record = next) {
		next = record->next;
		hand_over(log, record);
	}
	drop_if_complete(log, s);
	read_more(log);
}

/* ---- appending ------------------------------------------------------ */

int
accept_log_append(struct accept_log *log, struct accept_record *first,
    uint32_t count, void *waiter)
{
	struct accept_record *record = first, *last = NULL;
	uint64_t bytes = 0, size = 0;
	uint32_t remaining = count;

	if (log->full)
		return -ENOSPC;
	for (; record != NULL; record = record->next) {
		record->head.remaining = --remaining;
		bytes += record->head.len;
		size += segment_record_size(record->head.len);
		last = record;
	}
	if (last == NULL || count > ACCEPT_GROUP_RECORDS ||
	    size > log->segment_bytes - SEGMENT_START)
		return -EMSGSIZE;
	if (log->gather == NULL) {
		log->gather = new_job(DISK_APPEND);
		if (log->gather == NULL)
			return -ENOBUFS;
		log->gather->records = first;
	} else if (log->gather->bytes + bytes > ACCEPT_GATHER_BYTES) {
		return -ENOBUFS;
	} else {
		log->gather_last->next = first;
	}
	last->waiter = waiter;
	log->gather_last = last;
	log->gather->count += count;
	log->gather->bytes += bytes;
	return 0;
}

void
accept_log_flush(struct accept_log *log)
{
	if (log->gather == NULL || log->writing != NULL)
		return;
	log->writing = log->gather;
	log->gather = NULL;
	log->gather_last = NULL;
	disk_post(&log->disk, log->writing);
}

static void
forget_in(struct disk_job *job, const void *waiter)
{
	if (job == NULL)
		return;
	for (struct accept_record *r = job->records; r != NULL; r = r->next)
		if (r->waiter == waiter)
			r->waiter = NULL;
}

void
accept_log_forget(struct accept_log *log, const void *waiter)
{
	forget_in(log->gather, waiter);
	forget_in(log->writing, waiter);
}

/* A record is durable: to the receiver, or left on disk for later. */
static void
take_durable(struct accept_log *log, struct accept_record *record)
{
	struct segment *s = record->segment;
	uint32_t size = segment_record_size(record->head.len);
	bool direct;

	if (s != log->segments.last)
		add_active(log, s);
	direct = has_room(log) && segment_list_unread(&log->segments) == NULL;
	s->known++;
	s->end += size;
	if (direct) {
		s->read_at = s->end;
		hand_over(log, record);
	} else {
		accept_record_free(record);
	}
}

static void
on_appended(struct accept_log *log, struct disk_job *job)
{
	struct accept_record *record, *next;

	log->writing = NULL;
	log->batches++;
	log->sync_us += job->sync_us;
	if (job->result < 0 && !log->full) {
		log->full = true;
		log_error("accept log: no room for more: %s; refusing until "
			  "there is",
		    strerror(-job->result));
	}
	for (record = job->records; record != NULL; record = record->next)
		if (record->waiter != NULL)
			log->ops->on_durable(
			    log->arg, record->waiter, record->segment != NULL);
	for (record = job->records; record != NULL; record = next) {
		next = record->next;
		if (record->segment == NULL) {
			log->refused++;
			accept_record_free(record);
			continue;
		}
		log->appended++;
		log->appended_bytes += record->head.len;
		take_durable(log, record);
	}
	accept_log_flush(log);
}

/* ---- completing ----------------------------------------------------- */

static void
release(struct accept_log *log, struct accept_record *record)
{
	log->out_records--;
	log->out_bytes -= record->head.len;
	accept_record_free(record);
}

void
accept_log_complete(struct accept_log *log, struct accept_record *record)
{
	struct segment *s = record->segment;

	segment_mark(s, record->head.seq);
	log->completed++;
	release(log, record);
	drop_if_complete(log, s);
	read_more(log);
}

void
accept_log_quarantine(
    struct accept_log *log, struct accept_record *record, struct slice reason)
{
	struct disk_job *job = new_job(DISK_QUARANTINE);

	if (job == NULL) {
		log->stuck++;
		release(log, record);
		return;
	}
	if (reason.len >= sizeof(job->reason))
		reason.len = sizeof(job->reason) - 1;
	if (reason.len > 0)
		memcpy(job->reason, reason.data, reason.len);
	job->records = record;
	disk_post(&log->disk, job);
}

static void
on_quarantined(struct accept_log *log, struct disk_job *job)
{
	if (job->result == 0) {
		log->quarantined++;
		log_error("accept log: record %llu quarantined: %s",
		    (unsigned long long)job->records->head.seq, job->reason);
		accept_log_complete(log, job->records);
		return;
	}
	log->stuck++;
	log_error("accept log: record %llu was refused (%s) and cannot be "
		  "quarantined: %s; it comes again at the next start",
	    (unsigned long long)job->records->head.seq, job->reason,
	    strerror(-job->result));
	release(log, job->records);
}

/* ---- the thread's answers ------------------------------------------- */

static void
report_bad(struct accept_log *log, unsigned bad)
{
	log->damaged += bad;
	if (bad > 0)
		log_error("accept log: %u files are no segments any more; "
			  "kept in quarantine",
		    bad);
}

static void
on_adopted(struct accept_log *log, struct disk_job *job)
{
	unsigned count = 0;

	log->adopting = false;
	if (job->result < 0)
		log_warn("accept log: looking for orphans: %s",
		    strerror(-job->result));
	report_bad(log, job->bad);
	for (const struct segment *s = job->segment; s != NULL; s = s->next)
		count++;
	if (count > 0)
		log_info("accept log: adopted %u segments", count);
	segment_list_insert(&log->segments, job->segment);
	read_more(log);
}

static void
on_probed(struct accept_log *log, const struct disk_job *job)
{
	log->probing = false;
	if (job->result < 0 || !log->full)
		return;
	log->full = false;
	log_info("accept log: there is room again");
}

static void
on_done(void *arg)
{
	struct accept_log *log = arg;
	struct mail *mail, *next;

	for (mail = mailbox_take(&log->done); mail != NULL; mail = next) {
		struct disk_job *job = (struct disk_job *)mail;

		next = mail->next;
		switch (job->kind) {
		case DISK_APPEND:
			on_appended(log, job);
			break;
		case DISK_READ:
			on_read(log, job);
			break;
		case DISK_ADOPT:
			on_adopted(log, job);
			break;
		case DISK_PROBE:
			on_probed(log, job);
			break;
		case DISK_QUARANTINE:
			on_quarantined(log, job);
			break;
		case DISK_DROP:
		case DISK_STOP:
			break;
		}
		free(job);
	}
	if (log->ops->on_turn != NULL)
		log->ops->on_turn(log->arg);
}

/* The active segment is complete and the disk may have no room for another:
 * it must be given up to be used again. */
static void
give_up_active(struct accept_log *log)
{
	struct segment *s = log->segments.last;

	if (s == NULL || s->sealed || log->writing != NULL ||
	    s->completed < s->known || !segment_is_read(s))
		return;
	s->sealed = true;
	drop_if_complete(log, s);
}

static void
on_timer(void *arg)
{
	struct accept_log *log = arg;
	struct disk_job *job;

	if (log->full)
		give_up_active(log);
	if (log->full && !log->probing) {
		job = new_job(DISK_PROBE);
		log->probing = job != NULL;
		if (job != NULL)
			disk_post(&log->disk, job);
	}
	if (log->ticks++ % ADOPT_TICKS == 0 && !log->adopting) {
		job = new_job(DISK_ADOPT);
		log->adopting = job != NULL;
		if (job != NULL)
			disk_post(&log->disk, job);
	}
	read_more(log);
}

/* ---- start and end -------------------------------------------------- */

static uint64_t
choose_cap(const struct slot *slot, uint64_t max_bytes)
{
	uint64_t half = slot_free_bytes(slot) / 2;

	if (max_bytes != 0)
		return max_bytes;
	return half < ACCEPT_MAX_BYTES ? half : ACCEPT_MAX_BYTES;
}

static uint32_t
choose_segment(uint64_t cap, uint32_t segment_bytes)
{
	if (segment_bytes != 0)
		return segment_bytes;
	if (cap / 8 >= ACCEPT_SEGMENT_BYTES)
		return ACCEPT_SEGMENT_BYTES;
	return ACCEPT_SEGMENT_LEAST;
}

static int
recover(struct accept_log *log, const struct accept_log_config *config,
    const struct slot *slot)
{
	uint64_t cap = choose_cap(slot, config->max_bytes), files;
	const char *fs = slot_file_system(slot);
	struct segment *list;
	unsigned bad;
	int r;

	r = slot_segments(slot, &list, &bad);
	if (r < 0) {
		log_error("accept log %s: %s", config->root, strerror(-r));
		return r;
	}
	report_bad(log, bad);
	segment_list_insert(&log->segments, list);
	log->segment_bytes = choose_segment(cap, config->segment_bytes);
	files = cap / log->segment_bytes;
	log->disk = (struct disk){
		.slot = *slot,
		.done = &log->done,
		.segment_bytes = log->segment_bytes,
		.max_files = files < FILES_LEAST ? FILES_LEAST : files,
		.files = log->segments.count,
		.next_seq = segment_list_next_seq(&log->segments),
	};
	r = disk_start(&log->disk);
	if (r < 0)
		return r;
	log_info("accept log %s/slot-%u: file_system=%s cap=%llu "
		 "segment=%u recovered_segments=%llu",
	    config->root, slot->number, fs == NULL ? "other" : fs,
	    (unsigned long long)cap, log->segment_bytes,
	    (unsigned long long)log->segments.count);
	return 0;
}

static int
claim(const struct accept_log_config *config, struct slot *slot)
{
	int r = slot_claim(config->root, config->any_fs, slot);

	if (r == -EXDEV)
		log_error("accept log %s: this file system does not keep what "
			  "it was told (overlay, memory or network); choose "
			  "another folder with SLUICE_ACCEPT_LOG, or set "
			  "SLUICE_ACCEPT_LOG_ANY_FS=1",
		    config->root);
	else if (r < 0)
		log_error("accept log %s: %s", config->root, strerror(-r));
	return r;
}

int
accept_log_new(struct loop *loop, const struct accept_log_config *config,
    const struct accept_log_ops *ops, void *arg, struct accept_log **ret)
{
	struct accept_log *log = calloc(1, sizeof(*log));
	struct slot slot;
	int r;

	if (log == NULL)
		return -ENOMEM;
	log->loop = loop;
	log->ops = ops;
	log->arg = arg;
	log->timer = -1;
	r = mailbox_init(&log->done);
	if (r < 0) {
		free(log);
		return r;
	}
	r = claim(config, &slot);
	if (r == 0) {
		r = recover(log, config, &slot);
		if (r < 0)
			slot_release(&slot);
	}
	if (r == 0)
		r = loop_add_fd(loop, mailbox_fd(&log->done), on_done, log);
	if (r == 0) {
		log->timer = loop_add_timer(loop, TIMER_MS, on_timer, log);
		r = log->timer < 0 ? log->timer : 0;
	}
	if (r < 0) {
		accept_log_free(log);
		return r;
	}
	on_timer(log);
	*ret = log;
	return 0;
}

static void
discard_jobs(struct accept_log *log)
{
	struct mail *mail, *next;

	for (mail = mailbox_take(&log->done); mail != NULL; mail = next) {
		struct disk_job *job = (struct disk_job *)mail;

		next = mail->next;
		if (job->kind == DISK_ADOPT)
			segment_list_insert(&log->segments, job->segment);
		accept_record_free_all(job->records);
		free(job);
	}
}

void
accept_log_free(struct accept_log *log)
{
	if (log == NULL)
		return;
	if (log->timer >= 0)
		loop_del_timer(log->loop, log->timer);
	loop_del_fd(log->loop, mailbox_fd(&log->done));
	disk_stop(&log->disk);
	discard_jobs(log);
	if (log->gather != NULL)
		accept_record_free_all(log->gather->records);
	free(log->gather);
	segment_list_free(&log->segments);
	mailbox_done(&log->done);
	free(log);
}

/* ---- what it has to say --------------------------------------------- */

bool
accept_log_is_full(const struct accept_log *log)
{
	return log->full;
}

uint64_t
accept_log_waiting(const struct accept_log *log)
{
	return (log->gather == NULL ? 0 : log->gather->count) +
	       (log->writing == NULL ? 0 : log->writing->count);
}

int
accept_log_metrics(const struct accept_log *log, struct buf *out)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "records_total", log->appended },
		{ "bytes_total", log->appended_bytes },
		{ "batches_total", log->batches },
		{ "sync_microseconds_total", log->sync_us },
		{ "refused_total", log->refused },
		{ "completed_total", log->completed },
		{ "recovered_total", log->recovered },
		{ "read_back_total", log->read_back },
		{ "quarantined_total", log->quarantined },
		{ "stuck", log->stuck },
		{ "damaged", log->damaged },
		{ "segments", log->segments.count },
		{ "ahead_records", log->out_records },
		{ "ahead_bytes", log->out_bytes },
		{ "full", log->full },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		r = buf_addf(out, "sluice_accept_log_%s %llu\n", rows[i].name,
		    (unsigned long long)rows[i].value);
	return r;
}
