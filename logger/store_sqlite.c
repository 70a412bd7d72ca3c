#include "logger/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

static struct store_sqlite *
self(struct store *s)
{
	return (struct store_sqlite *)s;
}

/* ---- checkpoints -------------------------------------------------------- */

static int
on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store_sqlite *s = arg;

	(void)db;
	(void)name;
	atomic_store(&s->wal_pages, (uint64_t)pages);
	return SQLITE_OK;
}

static void
checkpoint(struct store_sqlite *s, sqlite3 *db)
{
	int rc = sqlite3_wal_checkpoint_v2(
	    db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

	if (rc == SQLITE_OK)
		atomic_fetch_add(&s->checkpoints, 1);
	else if (rc != SQLITE_BUSY && rc != SQLITE_LOCKED)
		log_warn("checkpoint error=\"%s\"", sqlite3_errmsg(db));
}

static bool
checkpoint_sleep(struct store_sqlite *s)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += SQLITE_CHECKPOINT_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&s->lock);
	if (!atomic_load(&s->stopping))
		(void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
	pthread_mutex_unlock(&s->lock);
	return !atomic_load(&s->stopping);
}

/* A connection of its own. It cannot reset the WAL under load (the writer
 * does that), but keeps what is left for the writer short. */
static void *
checkpoint_run(void *arg)
{
	struct store_sqlite *s = arg;
	uint64_t done = 0;
	sqlite3 *db = NULL;

	(void)pthread_setname_np(pthread_self(), "checkpoint");
	if (sqlite3_open_v2(s->path, &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK) {
		log_error("checkpoint error=\"%s\"", sqlite3_errmsg(db));
		sqlite3_close(db);
		return NULL;
	}
	/* Until it has read once, it does not know that there is a WAL. */
	(void)sqlite3_exec(db, "SELECT 1 FROM marks", NULL, NULL, NULL);
	while (checkpoint_sleep(s)) {
		uint64_t pages = atomic_load(&s->wal_pages);

		if (pages < done) /* it began anew */
			done = 0;
		if (pages < done + SQLITE_CHECKPOINT_PAGES)
			continue;
		checkpoint(s, db);
		done = pages;
	}
	sqlite3_close(db);
	return NULL;
}

/* ---- transactions ------------------------------------------------------- */

static int
run_simple(struct store_sqlite *s, enum sql_id id)
{
	return sql_run(&s->sql, sql_use(&s->sql, id), NULL);
}

static int
apply_one(struct store_sqlite *s, struct store_op *op)
{
	op->result = 0;
	op->reason[0] = '\0';
	switch (op->type) {
	case STORE_PLAN:
		return sqlite_plan(s, op);
	case STORE_OUTCOME:
		return sqlite_outcome(s, op);
	case STORE_TAKE:
		return sqlite_take(s, &op->u.take);
	case STORE_GIVE_BACK:
		return sqlite_give_back(s, &op->u.give_back);
	case STORE_DIRECTORY:
		return sqlite_directory(s, &op->u.directory);
	case STORE_SUSPEND:
		return sqlite_shift(
		    s, &op->u.shift, MSG_STATE_DUE, MSG_STATE_HELD);
	case STORE_RESUME:
		return sqlite_shift(
		    s, &op->u.shift, MSG_STATE_HELD, MSG_STATE_DUE);
	case STORE_LIFT:
		return sqlite_lift(s, &op->u.shift);
	case STORE_SWEEP:
		return sqlite_sweep(s, &op->u.sweep);
	case STORE_REPLAY:
		return sqlite_replay(s, op);
	case STORE_REPLAY_STEP:
		return sqlite_replay_step(s, &op->u.step);
	case STORE_OP_MAX:
		break;
	}
	return -EINVAL;
}

static void
refuse(struct store_sqlite *s, struct store_op *op, int r)
{
	op->result = r;
	if (op->reason[0] == '\0')
		(void)snprintf(op->reason, sizeof(op->reason), "invalid: %s",
		    sqlite3_errmsg(s->db));
}

static int
undo_one(struct store_sqlite *s)
{
	usage_rollback(s);
	return run_simple(s, SQL_ROLLBACK_TO);
}

/*
 * With careful set each operation has a savepoint of its own. Without, an
 * operation that turns out impossible undoes the whole batch, which is then
 * given again carefully: savepoints cost two statements each and almost never
 * matter. An operation refused before it changed anything needs neither.
 */
static int
apply_batch(struct store_sqlite *s, struct store_op *const *ops, size_t count,
    bool careful)
{
	for (size_t i = 0; i < count; i++) {
		int before = sqlite3_total_changes(s->db);
		size_t undo = s->dedupe.undo_count;
		int r = careful ? run_simple(s, SQL_SAVEPOINT) : 0;

		if (r < 0)
			return r;
		r = apply_one(s, ops[i]);
		if (r < 0 && r != -EINVAL)
			return r;
		if (r < 0) {
			refuse(s, ops[i], r);
			dedupe_rollback_to(s, undo);
			if (!careful && sqlite3_total_changes(s->db) != before)
				return -EINVAL;
			r = careful ? undo_one(s) : 0;
		} else if (careful) {
			r = usage_flush(s);
		}
		if (r == 0 && careful)
			r = run_simple(s, SQL_RELEASE);
		if (r < 0)
			return r;
	}
	return usage_flush(s);
}

static int
run_transaction(struct store_sqlite *s, struct store_op *const *ops,
    size_t count, bool careful)
{
	int r;

	s->last_event = s->last_committed;
	r = run_simple(s, SQL_BEGIN);
	if (r < 0)
		return r;
	r = dedupe_begin(s);
	if (r == 0)
		r = apply_batch(s, ops, count, careful);
	if (r == 0)
		r = run_simple(s, SQL_COMMIT);
	if (r < 0) {
		if (r != -EINVAL)
			log_warn("commit error=\"%s\" code=%d",
			    sqlite3_errmsg(s->db),
			    sqlite3_extended_errcode(s->db));
		if (!sqlite3_get_autocommit(s->db))
			(void)run_simple(s, SQL_ROLLBACK);
		dedupe_rollback(s);
		usage_rollback(s);
		usage_end(s);
		s->floor_set = 0;
		s->last_event = s->last_committed;
		return r;
	}
	dedupe_commit(s);
	usage_end(s);
	s->last_committed = s->last_event;
	return 0;
}

static int
transaction(struct store_sqlite *s, struct store_op *const *ops, size_t count,
    bool careful)
{
	int r;

	sqlite_notes_begin(s);
	r = run_transaction(s, ops, count, careful);
	sqlite_notes_end(s, r == 0);
	return r;
}

static int
apply(struct store *store, struct store_op *const *ops, size_t count,
    uint64_t now)
{
	struct store_sqlite *s = self(store);
	int r;

	s->now_ms = now;
	r = transaction(s, ops, count, false);
	if (r == -EINVAL)
		r = transaction(s, ops, count, true);
	if (r == -EINVAL)
		r = -EIO; /* not one operation: the transaction itself */
	if (r == 0 && atomic_load(&s->wal_pages) > SQLITE_WAL_MAX_PAGES)
		checkpoint(s, s->db);
	return r;
}

/* ---- open and close ----------------------------------------------------- */

static void
stats(struct store *store, struct store_stats *ret)
{
	struct store_sqlite *s = self(store);
	struct log_index_stats log;

	log_index_stats(s->index, &log);
	ret->log_indexed = log.usable;
	ret->log_event = log.last_event;
	ret->last_event = log.store_event;
	ret->log_changes = log.store_change - log.last_change;
	ret->wal_bytes = atomic_load(&s->wal_pages) * SQLITE_PAGE_BYTES;
	ret->checkpoints = atomic_load(&s->checkpoints);
}

static void
close_store(struct store *store)
{
	struct store_sqlite *s = self(store);

	if (s->has_checkpointer) {
		pthread_mutex_lock(&s->lock);
		atomic_store(&s->stopping, true);
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->checkpointer, NULL);
	}
	log_index_close(s->index);
	dedupe_done(&s->dedupe);
	usage_done(&s->usage);
	sql_done(&s->sql);
	sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

static const struct store_engine engine = {
	.load = sqlite_load,
	.apply = apply,
	.stats = stats,
	.close = close_store,
	.reader_open = sqlite_reader_open,
	.page = sqlite_page,
	.reader_close = sqlite_reader_close,
};

/* SQLite's own locks let two processes in turns; there must be one writer. */
static int
take_lock(struct store_sqlite *s)
{
	char *path = sqlite3_mprintf("%s.lock", s->path);
	int r = 0;

	if (path == NULL)
		return -ENOMEM;
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0 || flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		r = -errno;
	sqlite3_free(path);
	if (r == -EWOULDBLOCK) {
		log_error("store=%s error=\"another process has it open; of "
			  "a SQLite file there is one logger, while ingest, "
			  "router and deliverer scale\"",
		    s->path);
		return -EBUSY;
	}
	if (r < 0)
		log_error("store=%s error=\"%s\"", s->path, strerror(-r));
	return r;
}

static int
open_database(struct store_sqlite *s)
{
	int rc = sqlite3_open_v2(s->path, &s->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		SQLITE_OPEN_EXRESCODE,
	    NULL);
	int r;

	if (rc != SQLITE_OK) {
		log_error("store=%s error=\"%s\"", s->path,
		    s->db != NULL ? sqlite3_errmsg(s->db) : "out of memory");
		return sql_errno(rc);
	}
	r = schema_prepare(s->db);
	if (r == 0)
		r = schema_migrate(s->db);
	if (r == 0)
		r = sql_init(&s->sql, s->db);
	if (r == 0)
		sqlite3_wal_hook(s->db, on_wal, s);
	return r;
}

static void
init_sleep(struct store_sqlite *s)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
}

int
store_sqlite_open(const char *path, struct store **ret)
{
	struct store_sqlite *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->store.engine = &engine;
	s->lock_fd = -1;
	/* Counting memory takes a lock that all threads share, at every
	 * allocation. Refused, harmlessly, once SQLite is in use. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	init_sleep(s);
	s->path = strdup(path);
	r = s->path == NULL ? -ENOMEM : take_lock(s);
	if (r == 0)
		r = usage_init(&s->usage);
	if (r == 0)
		r = open_database(s);
	if (r == 0)
		r = sqlite_index_open(s);
	if (r == 0) {
		r = -pthread_create(&s->checkpointer, NULL, checkpoint_run, s);
		s->has_checkpointer = r == 0;
	}
	if (r < 0) {
		close_store(&s->store);
		return r;
	}
	*ret = &s->store;
	return 0;
}
