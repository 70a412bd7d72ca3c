#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "ingest/accept_log.h"

#define PATIENCE_MS 20000
#define SMALL_SEGMENT (64 * 1024)
#define TAKEN_MAX 20000

/* ---- a disk that fails on demand ------------------------------------ */

/* In place of the C library's, so with its names for the parameters. */

static volatile bool disk_full, no_new_segment, sync_fails;
static volatile size_t room; /* for pwritev, when disk_full */

ssize_t
pwritev(int __fd, const struct iovec *__iovec, int __count, off_t __offset)
{
	if (disk_full && room > 0) {
		size_t len = __iovec->iov_len < room ? __iovec->iov_len : room;

		room -= len;
		return syscall(
		    SYS_pwrite64, __fd, __iovec->iov_base, len, __offset);
	}
	if (disk_full) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwritev, __fd, __iovec, __count, __offset, 0);
}

ssize_t
pwrite(int __fd, const void *__buf, size_t __n, off_t __offset)
{
	if (no_new_segment && __n >= SMALL_SEGMENT) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, __fd, __buf, __n, __offset);
}

int
fdatasync(int __fildes)
{
	if (sync_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, __fildes);
}

/* ---- one log, and what it said -------------------------------------- */

struct fixture {
	char root[64];
	struct loop *loop;
	struct accept_log *log;
	struct accept_record *out[TAKEN_MAX];
	char text[TAKEN_MAX][16];
	uint32_t taken, durable, refused;
	uint32_t want_taken, want_answers; /* the loop runs until then */
	uint64_t deadline_ms;
	bool complete_at_once;
	uint64_t max_bytes;
};

static void
on_durable(void *arg, void *waiter, bool durable)
{
	struct fixture *f = arg;

	assert_ptr_equal(waiter, f);
	if (durable)
		f->durable++;
	else
		f->refused++;
}

static void
on_record(void *arg, struct accept_record *record)
{
	struct fixture *f = arg;
	struct slice payload = accept_record_payload(record);
	size_t len = payload.len < 15 ? payload.len : 15;

	assert_true(f->taken < TAKEN_MAX);
	memcpy(f->text[f->taken], payload.data, len);
	f->text[f->taken][len] = '\0';
	f->out[f->taken++] = f->complete_at_once ? NULL : record;
	if (f->complete_at_once)
		accept_log_complete(f->log, record);
}

static const struct accept_log_ops ops = { .on_durable = on_durable,
	.on_record = on_record };

static void
open_log(struct fixture *f)
{
	struct accept_log_config config = {
		.root = f->root,
		.max_bytes = f->max_bytes ? f->max_bytes : 4096 * SMALL_SEGMENT,
		.segment_bytes = SMALL_SEGMENT,
		.any_fs = true,
	};

	f->loop = loop_new();
	assert_non_null(f->loop);
	f->taken = f->durable = f->refused = 0;
	assert_int_equal(accept_log_new(f->loop, &config, &ops, f, &f->log), 0);
}

/* As a crash would: nothing is completed any more. */
static void
close_log(struct fixture *f)
{
	accept_log_free(f->log);
	for (uint32_t i = 0; i < f->taken; i++)
		accept_record_free(f->out[i]);
	loop_free(f->loop);
	f->taken = 0;
}

static void
check_wanted(void *arg)
{
	struct fixture *f = arg;

	if ((f->taken >= f->want_taken &&
		f->durable + f->refused >= f->want_answers) ||
	    clock_mono_ms() > f->deadline_ms)
		loop_stop(f->loop);
}

static void
run_until(struct fixture *f, uint32_t taken, uint32_t answers)
{
	int timer = loop_add_timer(f->loop, 1, check_wanted, f);

	assert_true(timer >= 0);
	f->want_taken = taken;
	f->want_answers = answers;
	f->deadline_ms = clock_mono_ms() + PATIENCE_MS;
	assert_int_equal(loop_run(f->loop), 0);
	loop_del_timer(f->loop, timer);
	assert_true(f->taken >= taken);
	assert_true(f->durable + f->refused >= answers);
}

struct pause {
	struct fixture *f;
	uint64_t until_ms;
};

static void
check_pause(void *arg)
{
	struct pause *p = arg;

	if (clock_mono_ms() >= p->until_ms)
		loop_stop(p->f->loop);
}

/* Gives what should not come the time to come. */
static void
run_a_little(struct fixture *f, uint64_t ms)
{
	struct pause p = { f, clock_mono_ms() + ms };
	int timer = loop_add_timer(f->loop, 1, check_pause, &p);

	assert_true(timer >= 0);
	assert_int_equal(loop_run(f->loop), 0);
	loop_del_timer(f->loop, timer);
}

static struct accept_record *
make(const char *text, size_t pad)
{
	char payload[4096];
	size_t len = strlen(text);

	assert_true(len + 1 + pad < sizeof(payload));
	memset(payload, '.', sizeof(payload));
	memcpy(payload, text, len + 1);
	return accept_record_new(
	    (struct slice){ (const uint8_t *)payload, len + 1 + pad }, 7);
}

static int
gather(struct fixture *f, const char *text, size_t pad)
{
	struct accept_record *record = make(text, pad);
	int r;

	assert_non_null(record);
	r = accept_log_append(f->log, record, 1, f);
	if (r < 0)
		accept_record_free(record);
	return r;
}

static int
append(struct fixture *f, const char *text, size_t pad)
{
	int r = gather(f, text, pad);

	accept_log_flush(f->log);
	return r;
}

static void
append_numbers(struct fixture *f, uint32_t from, uint32_t to, size_t pad)
{
	char text[16];

	for (uint32_t i = from; i < to; i++) {
		snprintf(text, sizeof(text), "r%u", i);
		assert_int_equal(append(f, text, pad), 0);
	}
}

static void
complete(struct fixture *f, uint32_t i)
{
	accept_log_complete(f->log, f->out[i]);
	f->out[i] = NULL;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	log_init("test", LOG_AT_ERROR);
	snprintf(f->root, sizeof(f->root), "/tmp/accept_log_test.XXXXXX");
	if (mkdtemp(f->root) == NULL)
		return -1;
	disk_full = no_new_segment = sync_fails = false;
	room = 0;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	int r;

	snprintf(command, sizeof(command), "rm -rf '%s'", f->root);
	r = system(command);
	free(f);
	return r;
}

static uint32_t
count_files(struct fixture *f, const char *folder, const char *suffix)
{
	char path[128];
	struct dirent *entry;
	uint32_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", f->root, folder);
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		count += strstr(entry->d_name, suffix) != NULL;
	closedir(dir);
	return count;
}

static void
find_file(struct fixture *f, const char *suffix, char path[512])
{
	char folder[128];
	struct dirent *entry;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/slot-0", f->root);
	dir = opendir(folder);
	path[0] = '\0';
	assert_non_null(dir);
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (strstr(entry->d_name, suffix) != NULL)
			snprintf(path, 512, "%s/%s", folder, entry->d_name);
	closedir(dir);
	assert_true(path[0] != '\0');
}

/* ---- the tests ------------------------------------------------------ */

static void
test_crc(void **state)
{
	(void)state;
	/* The check value of the catalogue of CRCs. */
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c_table(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void
test_durable_then_handed_over(void **state)
{
	struct fixture *f = *state;

	open_log(f);
	append_numbers(f, 0, 100, 10);
	assert_int_equal(f->durable, 0);
	run_until(f, 100, 100);
	assert_int_equal(f->durable, 100);
	assert_string_equal(f->text[0], "r0");
	assert_string_equal(f->text[99], "r99");
	for (uint32_t i = 0; i < 100; i++)
		complete(f, i);
	close_log(f);
	open_log(f);
	run_a_little(f, 50);
	assert_int_equal(f->taken, 0);
	close_log(f);
}

static void
test_replay_of_the_incomplete(void **state)
{
	struct fixture *f = *state;
	char text[16];

	open_log(f);
	/* Over several segments. */
	append_numbers(f, 0, 300, 900);
	run_until(f, 300, 300);
	for (uint32_t i = 0; i < 300; i++)
		if (i % 3 != 0)
			complete(f, i);
	close_log(f);
	for (int round = 0; round < 2; round++) {
		open_log(f);
		run_until(f, 100, 0);
		run_a_little(f, 30);
		assert_int_equal(f->taken, 100);
		for (uint32_t i = 0; i < 100; i++) {
			snprintf(text, sizeof(text), "r%u", 3 * i);
			assert_string_equal(f->text[i], text);
		}
		close_log(f);
	}
}

static void
test_cut_at_every_offset(void **state)
{
	struct fixture *f = *state;
	char path[512], copy[600], command[1300];
	uint32_t record = segment_record_size(20 + 3);
	uint32_t last = SEGMENT_START + 2 * record;

	open_log(f);
	append_numbers(f, 0, 3, 20);
	run_until(f, 3, 3);
	close_log(f);
	find_file(f, ".seg", path);
	snprintf(copy, sizeof(copy), "%s/copy", f->root);
	snprintf(command, sizeof(command), "cp '%s' '%s'", path, copy);
	assert_int_equal(system(command), 0);
	for (uint32_t cut = 0; cut <= record; cut++) {
		uint32_t want =
		    cut >= sizeof(struct segment_record_head) + 23 ? 3 : 2;

		snprintf(command, sizeof(command), "cp '%s' '%s'", copy, path);
		assert_int_equal(system(command), 0);
		assert_int_equal(truncate(path, last + cut), 0);
		open_log(f);
		run_until(f, want, 0);
		run_a_little(f, 2);
		assert_int_equal(f->taken, want);
		close_log(f);
	}
}

static void
test_appends_after_a_torn_tail(void **state)
{
	struct fixture *f = *state;
	char path[512];

	open_log(f);
	append_numbers(f, 0, 3, 20);
	run_until(f, 3, 3);
	close_log(f);
	find_file(f, ".seg", path);
	assert_int_equal(
	    truncate(path, SEGMENT_START + 3 * segment_record_size(23) - 12),
	    0);
	open_log(f);
	append_numbers(f, 10, 12, 20);
	run_until(f, 4, 2);
	assert_string_equal(f->text[1], "r1");
	assert_string_equal(f->text[2], "r10");
	close_log(f);
	open_log(f);
	run_until(f, 4, 0);
	assert_string_equal(f->text[0], "r0");
	assert_string_equal(f->text[3], "r11");
	close_log(f);
}

static void
test_group_is_whole_or_absent(void **state)
{
	struct fixture *f = *state;
	struct accept_record *a = make("a", 20), *b = make("b", 20);
	char path[512];

	open_log(f);
	append_numbers(f, 0, 1, 20);
	a->next = b;
	assert_int_equal(accept_log_append(f->log, a, 2, f), 0);
	accept_log_flush(f->log);
	run_until(f, 3, 2);
	assert_int_equal(f->durable, 2);
	close_log(f);
	find_file(f, ".seg", path);
	assert_int_equal(
	    truncate(path, SEGMENT_START + 3 * segment_record_size(22) - 20),
	    0);
	open_log(f);
	run_until(f, 1, 0);
	run_a_little(f, 20);
	assert_int_equal(f->taken, 1);
	close_log(f);
}

static void
flip(const char *path, off_t at, uint8_t mask)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= mask;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void
test_flipped_bit(void **state)
{
	struct fixture *f = *state;
	uint32_t record = segment_record_size(23);
	char path[512];

	open_log(f);
	append_numbers(f, 0, 3, 20);
	run_until(f, 3, 3);
	close_log(f);
	find_file(f, ".seg", path);
	/* Every byte of the middle record but its padding: the others come. */
	for (uint32_t i = 0; i < sizeof(struct segment_record_head) + 23; i++) {
		flip(path, SEGMENT_START + record + i, (uint8_t)(1 << i % 8));
		open_log(f);
		run_until(f, 2, 0);
		run_a_little(f, 2);
		assert_int_equal(f->taken, 2);
		assert_string_equal(f->text[0], "r0");
		assert_string_equal(f->text[1], "r2");
		close_log(f);
		flip(path, SEGMENT_START + record + i, (uint8_t)(1 << i % 8));
	}
	/* A damaged segment is kept when its other records are complete. */
	flip(path, SEGMENT_START + record + 40, 4);
	open_log(f);
	run_until(f, 2, 0);
	complete(f, 0);
	complete(f, 1);
	close_log(f);
	assert_int_equal(count_files(f, "quarantine", ".seg"), 1);
	assert_int_equal(count_files(f, "slot-0", ".seg"), 0);
}

static void
test_lost_bits_only_repeat(void **state)
{
	struct fixture *f = *state;
	char path[512];

	open_log(f);
	append_numbers(f, 0, 4, 0);
	run_until(f, 4, 4);
	complete(f, 0);
	complete(f, 1);
	close_log(f);
	find_file(f, ".done", path);
	assert_int_equal(unlink(path), 0);
	open_log(f);
	run_until(f, 4, 0);
	close_log(f);
}

static void
test_cap_and_room_again(void **state)
{
	struct fixture *f = *state;
	uint32_t accepted = 0, outcomes;
	int r;

	f->max_bytes = 2 * SMALL_SEGMENT;
	open_log(f);
	for (;;) {
		r = append(f, "x", 2000);
		if (r < 0)
			break;
		accepted++;
		run_until(f, 0, accepted);
		assert_true(accepted < 100);
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(f->refused, 1);
	assert_true(accept_log_is_full(f->log));
	assert_int_equal(f->durable, accepted - 1);
	run_until(f, accepted - 1, 0);
	for (uint32_t i = 0; i < accepted - 1; i++)
		complete(f, i);
	f->deadline_ms = clock_mono_ms() + PATIENCE_MS;
	while (accept_log_is_full(f->log) && clock_mono_ms() < f->deadline_ms)
		run_a_little(f, 20);
	outcomes = f->durable + f->refused;
	assert_int_equal(append(f, "y", 2000), 0);
	run_until(f, 0, outcomes + 1);
	assert_int_equal(f->durable, accepted);
	close_log(f);
}

static void
test_disk_full(void **state)
{
	struct fixture *f = *state;

	open_log(f);
	append_numbers(f, 0, 5, 100);
	run_until(f, 5, 5);
	disk_full = true;
	assert_int_equal(append(f, "lost", 100), 0);
	run_until(f, 5, 6);
	assert_int_equal(f->refused, 1);
	assert_int_equal(append(f, "no", 100), -ENOSPC);
	disk_full = false;
	f->deadline_ms = clock_mono_ms() + PATIENCE_MS;
	while (accept_log_is_full(f->log) && clock_mono_ms() < f->deadline_ms)
		run_a_little(f, 20);
	append_numbers(f, 5, 8, 100);
	run_until(f, 8, 9);
	close_log(f);
	open_log(f);
	run_until(f, 8, 0);
	run_a_little(f, 20);
	assert_int_equal(f->taken, 8);
	assert_string_equal(f->text[5], "r5");
	close_log(f);
}

/* Three of five records are on disk when it is full; none may come back, not
 * even behind those that were written over the first. */
static void
test_disk_full_halfway(void **state)
{
	struct fixture *f = *state;

	open_log(f);
	append_numbers(f, 0, 2, 100);
	run_until(f, 2, 2);
	room = 3 * segment_record_size(sizeof("lost") + 100);
	disk_full = true;
	for (int i = 0; i < 5; i++)
		assert_int_equal(gather(f, "lost", 100), 0);
	accept_log_flush(f->log);
	run_until(f, 2, 7);
	assert_int_equal(f->refused, 5);
	assert_int_equal(room, 0);
	disk_full = false;
	f->deadline_ms = clock_mono_ms() + PATIENCE_MS;
	while (accept_log_is_full(f->log) && clock_mono_ms() < f->deadline_ms)
		run_a_little(f, 20);
	append_numbers(f, 2, 3, 100);
	run_until(f, 3, 8);
	complete(f, 0);
	close_log(f);
	open_log(f);
	run_until(f, 2, 0);
	run_a_little(f, 20);
	assert_int_equal(f->taken, 2);
	assert_string_equal(f->text[0], "r1");
	assert_string_equal(f->text[1], "r2");
	close_log(f);
}

/* No second segment ever: the only one must be used again. */
static void
test_disk_of_one_segment(void **state)
{
	struct fixture *f = *state;
	uint32_t done = 0, outcomes = 1;

	open_log(f);
	assert_int_equal(append(f, "first", 100), 0);
	run_until(f, 1, 1);
	no_new_segment = true;
	for (int round = 0; round < 3; round++) {
		while (append(f, "x", 2000) == 0)
			run_until(f, 0, ++outcomes);
		run_until(f, f->durable, 0);
		for (; done < f->taken; done++)
			complete(f, done);
		f->deadline_ms = clock_mono_ms() + PATIENCE_MS;
		while (accept_log_is_full(f->log) &&
		       clock_mono_ms() < f->deadline_ms)
			run_a_little(f, 20);
		assert_false(accept_log_is_full(f->log));
	}
	assert_int_equal(append(f, "last", 100), 0);
	run_until(f, done + 1, 0);
	assert_string_equal(f->text[done], "last");
	assert_int_equal(count_files(f, "slot-0", ".seg"), 1);
	close_log(f);
}

static int
wait_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
test_failed_sync_ends_the_process(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		sync_fails = true;
		open_log(f);
		(void)append(f, "x", 0);
		run_until(f, 0, 1);
		_exit(77);
	}
	status = wait_status(pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void
test_slot_taken_over_after_a_crash(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();

	if (pid == 0) {
		open_log(f);
		append_numbers(f, 0, 6, 0);
		run_until(f, 6, 6);
		complete(f, 1);
		complete(f, 4);
		kill(getpid(), SIGKILL);
	}
	assert_true(WIFSIGNALED(wait_status(pid)));
	open_log(f);
	run_until(f, 4, 0);
	run_a_little(f, 20);
	assert_int_equal(f->taken, 4);
	assert_string_equal(f->text[0], "r0");
	assert_string_equal(f->text[1], "r2");
	assert_string_equal(f->text[2], "r3");
	assert_string_equal(f->text[3], "r5");
	close_log(f);
}

static void
test_orphans_are_adopted(void **state)
{
	struct fixture *f = *state, *second = calloc(1, sizeof(*second));

	assert_non_null(second);
	memcpy(second->root, f->root, sizeof(f->root));
	open_log(f);
	open_log(second);
	append_numbers(f, 0, 2, 0);
	append_numbers(second, 10, 14, 0);
	run_until(f, 2, 2);
	run_until(second, 4, 4);
	complete(second, 0);
	complete(f, 0);
	assert_int_equal(count_files(f, "slot-1", ".seg"), 1);
	/* Neither takes the other's while it is held. */
	close_log(f);
	open_log(f);
	run_until(f, 1, 0);
	run_a_little(f, 20);
	assert_int_equal(f->taken, 1);
	close_log(f);
	close_log(second);
	open_log(f);
	run_until(f, 4, 0);
	run_a_little(f, 20);
	assert_int_equal(f->taken, 4);
	assert_int_equal(count_files(f, "slot-1", ".seg"), 0);
	close_log(f);
	free(second);
}

static void
test_backlog_stays_on_disk(void **state)
{
	struct fixture *f = *state;
	uint32_t count = 3 * ACCEPT_AHEAD_RECORDS, done = 0;
	char text[16];

	open_log(f);
	append_numbers(f, 0, count, 40);
	run_until(f, ACCEPT_AHEAD_RECORDS, count);
	run_a_little(f, 50);
	assert_int_equal(f->taken, ACCEPT_AHEAD_RECORDS);
	while (done < count) {
		run_until(f, done + 1, 0);
		for (; done < f->taken; done++)
			complete(f, done);
	}
	for (uint32_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "r%u", i);
		assert_string_equal(f->text[i], text);
	}
	run_a_little(f, 50);
	assert_int_equal(f->taken, count);
	/* All but the active one are gone. */
	assert_true(count_files(f, "slot-0", ".seg") <= 1);
	close_log(f);
}

static void
test_quarantine(void **state)
{
	struct fixture *f = *state;

	open_log(f);
	append_numbers(f, 0, 2, 0);
	run_until(f, 2, 2);
	accept_log_quarantine(f->log, f->out[0], slice_text("bad: because"));
	f->out[0] = NULL;
	complete(f, 1);
	f->deadline_ms = clock_mono_ms() + PATIENCE_MS;
	while (count_files(f, "quarantine", ".event") == 0 &&
	       clock_mono_ms() < f->deadline_ms)
		run_a_little(f, 5);
	assert_int_equal(count_files(f, "quarantine", ".event"), 1);
	run_a_little(f, 20);
	close_log(f);
	open_log(f);
	run_a_little(f, 30);
	assert_int_equal(f->taken, 0);
	close_log(f);
}

static void
test_too_large_and_too_many(void **state)
{
	struct fixture *f = *state;
	struct accept_record *first = NULL;

	open_log(f);
	for (int i = 0; i < 40; i++) {
		struct accept_record *record = make("x", 2000);

		record->next = first;
		first = record;
	}
	assert_int_equal(accept_log_append(f->log, first, 40, f), -EMSGSIZE);
	while (first != NULL) {
		struct accept_record *next = first->next;

		accept_record_free(first);
		first = next;
	}
	close_log(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		/* Those that fork come first: no thread of ours then. */
		TEST(test_failed_sync_ends_the_process),
		TEST(test_slot_taken_over_after_a_crash),
		TEST(test_durable_then_handed_over),
		TEST(test_replay_of_the_incomplete),
		TEST(test_cut_at_every_offset),
		TEST(test_appends_after_a_torn_tail),
		TEST(test_group_is_whole_or_absent),
		TEST(test_flipped_bit),
		TEST(test_lost_bits_only_repeat),
		TEST(test_cap_and_room_again),
		TEST(test_disk_full),
		TEST(test_disk_full_halfway),
		TEST(test_disk_of_one_segment),
		TEST(test_orphans_are_adopted),
		TEST(test_backlog_stays_on_disk),
		TEST(test_quarantine),
		TEST(test_too_large_and_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
