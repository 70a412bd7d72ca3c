/* The directory's file: who may have it, opening and closing it. */
#include "api/directory_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"

/* The owner must not stand still; a command may wait for it. */
#define OWNER_BUSY_MS 250
#define COMMAND_BUSY_MS 10000

/* Its folder, of which only we read. */
static int
make_folder(const char *path)
{
	char folder[PATH_MAX];
	char *slash;

	if (slice_copy(slice_text(path), folder, sizeof(folder)) < 0)
		return -ENAMETOOLONG;
	for (slash = strchr(folder + 1, '/'); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(folder, 0700) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* SQLite lets several processes write; that there is one owner is ours to
 * see to, with a lock that ends with the process. */
static int
claim(struct directory *d, const char *path)
{
	char lock[PATH_MAX];

	if (snprintf(lock, sizeof(lock), "%s.lock", path) >= (int)sizeof(lock))
		return -ENAMETOOLONG;
	d->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0)
		return -errno;
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

static int
drop_old_marks(struct directory *d)
{
	static const char *const marks[] = {
		"DELETE FROM keys WHERE deleted_ms > 0 AND deleted_ms < ?1",
		"DELETE FROM subscriptions"
		" WHERE deleted_ms > 0 AND deleted_ms < ?1",
		"DELETE FROM connections"
		" WHERE deleted_ms > 0 AND deleted_ms < ?1",
	};
	uint64_t before = clock_wall_ms() - DIRECTORY_MARK_MS;
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(marks) / sizeof(*marks); i++) {
		sqlite3_stmt *s = NULL;

		r = sql_prepare(d, marks[i], &s);
		if (r == 0) {
			sql_bind_number(s, 1, before);
			r = sql_run(d, s);
		}
	}
	return r;
}

static int
see(struct directory *d, int64_t *ret)
{
	uint64_t version = 0;
	int r = sql_number(d, "PRAGMA data_version", 0, 0, &version);

	*ret = (int64_t)version;
	return r;
}

/* Secrets that cannot be opened would make deliveries that nobody can check:
 * better not to start. */
static int
check_seal(struct directory *d)
{
	struct buf secret;
	sqlite3_stmt *s = NULL;
	char what[32];
	int r;

	r = sql_prepare(d,
	    "SELECT app, sealed FROM keys WHERE deleted_ms = 0"
	    " ORDER BY key LIMIT 1",
	    &s);
	if (r < 0)
		return r;
	buf_init(&secret, SEAL_SECRET_MAX);
	r = sql_step(d, s);
	if (r > 0) {
		(void)snprintf(what, sizeof(what), "secret:%u",
		    (unsigned)sql_column_number(s, 0));
		r = seal_open(d->seal, what, sql_column(s, 1), &secret);
		if (r == -EBADMSG)
			r = -EKEYREJECTED;
	}
	sqlite3_reset(s);
	buf_done(&secret);
	return r;
}

static int
open_database(struct directory *d, const char *path, bool owner)
{
	int flags =
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int r;

	r = sql_errno(d, sqlite3_open_v2(path, &d->db, flags, NULL));
	if (r < 0)
		return r;
	(void)sqlite3_extended_result_codes(d->db, 1);
	(void)sqlite3_busy_timeout(d->db, COMMAND_BUSY_MS);
	r = sql_exec(d, "PRAGMA journal_mode = WAL;"
			"PRAGMA synchronous = FULL;"
			"PRAGMA foreign_keys = ON;"
			"PRAGMA secure_delete = ON;"
			"PRAGMA temp_store = MEMORY");
	if (r == 0)
		r = sql_make_schema(d);
	if (r == 0)
		r = check_seal(d);
	if (r == 0 && owner)
		r = drop_old_marks(d);
	if (r == 0)
		r = see(d, &d->seen);
	if (r == 0)
		r = sql_read_number(d);
	if (owner)
		(void)sqlite3_busy_timeout(d->db, OWNER_BUSY_MS);
	return r;
}

int
directory_open(const char *path, const struct seal *seal, bool owner,
    struct directory **ret)
{
	struct directory *d = calloc(1, sizeof(*d));
	int r;

	if (d == NULL)
		return -ENOMEM;
	d->seal = seal;
	d->lock_fd = -1;
	r = make_folder(path);
	if (r == 0 && owner)
		r = claim(d, path);
	if (r == 0) {
		mode_t mask = umask(0077);

		r = open_database(d, path, owner);
		(void)umask(mask);
	}
	if (r < 0) {
		directory_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

void
directory_close(struct directory *d)
{
	if (d == NULL)
		return;
	for (unsigned i = 0; i < d->prepared; i++)
		sqlite3_finalize(d->statements[i].statement);
	sqlite3_close(d->db);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	free(d);
}

uint64_t
directory_number(const struct directory *d)
{
	return d->number;
}

int
directory_refresh(struct directory *d)
{
	int64_t seen;
	int r;

	r = see(d, &seen);
	if (r < 0 || seen == d->seen)
		return r;
	/* In this order: a change after the look is seen at the next one. */
	d->seen = seen;
	return sql_read_number(d);
}

void
directory_random_text(char *text, size_t size)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t n = 0;

	while (n + 1 < size) {
		uint8_t bytes[64];

		crypto_random(bytes, sizeof(bytes));
		/* 6 bits each; 62 and 63 are thrown away, so none is likelier.
		 */
		for (size_t i = 0; i < sizeof(bytes) && n + 1 < size; i++)
			if ((bytes[i] & 63) < sizeof(letters) - 1)
				text[n++] = letters[bytes[i] & 63];
	}
	text[n] = '\0';
}
