#include "logger/log_feed.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/msg.h"
#include "logger/sql.h"

#define BUSY_MS 5000

enum feed_sql {
	FEED_NEWEST,
	FEED_FIRST,
	FEED_EVENTS,
	FEED_WALK,
	FEED_DELIVERY,
	FEED_CHANGES,
	FEED_MAX
};

struct log_feed {
	sqlite3 *db;
	uint64_t seed;
	uint64_t recent;
	sqlite3_stmt *statements[FEED_MAX];
};

static const char *const texts[] = {
	[FEED_NEWEST] = "SELECT (SELECT max(seq) FROM events),"
			" (SELECT max(id) FROM changed)",
	[FEED_FIRST] =
	    "SELECT min(seq) FROM events WHERE seq >= ?1 AND seq <= ?2",
	[FEED_EVENTS] =
	    "SELECT seq, app, planned_ms, event_type, unified_api, service_id,"
	    " consumer_id, entity_type FROM events"
	    " WHERE seq >= ?1 AND seq <= ?2 ORDER BY seq",
	[FEED_WALK] =
	    "SELECT event, subscription, state, token, status, attempts"
	    " FROM deliveries WHERE event >= ?1 AND event <= ?2"
	    " ORDER BY event, subscription",
	[FEED_DELIVERY] =
	    "SELECT event, subscription, state, token, status, attempts"
	    " FROM deliveries WHERE event = ?1 AND subscription = ?2",
	[FEED_CHANGES] = "SELECT id, event, subscription FROM changed"
			 " WHERE id > ?1 ORDER BY id LIMIT ?2",
};

static sqlite3_stmt *
use(struct log_feed *f, enum feed_sql id)
{
	sqlite3_reset(f->statements[id]);
	return f->statements[id];
}

static int
step(struct log_feed *f, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		log_warn("log index reads error=\"%s\"", sqlite3_errmsg(f->db));
	return sql_errno(rc);
}

static int
prepare(struct log_feed *f)
{
	int rc = sqlite3_exec(f->db,
	    "PRAGMA query_only = 1; PRAGMA cache_size = -1024", NULL, NULL,
	    NULL);

	for (unsigned i = 0; rc == SQLITE_OK && i < FEED_MAX; i++)
		rc = sqlite3_prepare_v3(f->db, texts[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &f->statements[i], NULL);
	if (rc != SQLITE_OK)
		log_error("log index error=\"%s\"", sqlite3_errmsg(f->db));
	return sql_errno(rc);
}

int
log_feed_open(const char *store_path, struct log_feed **ret)
{
	struct log_feed *f = calloc(1, sizeof(*f));
	int r;

	if (f == NULL)
		return -ENOMEM;
	r = sql_errno(sqlite3_open_v2(store_path, &f->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
	if (r == 0) {
		sqlite3_busy_timeout(f->db, BUSY_MS);
		r = prepare(f);
	}
	if (r < 0) {
		log_feed_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

void
log_feed_close(struct log_feed *f)
{
	if (f == NULL)
		return;
	for (unsigned i = 0; i < FEED_MAX; i++)
		sqlite3_finalize(f->statements[i]);
	sqlite3_close(f->db);
	free(f);
}

void
log_feed_set_seed(struct log_feed *f, uint64_t seed)
{
	f->seed = seed;
}

int
log_feed_begin(struct log_feed *f, uint64_t recent)
{
	f->recent = recent;
	return sql_errno(sqlite3_exec(f->db, "BEGIN", NULL, NULL, NULL));
}

void
log_feed_end(struct log_feed *f)
{
	for (unsigned i = 0; i < FEED_MAX; i++)
		sqlite3_reset(f->statements[i]);
	if (!sqlite3_get_autocommit(f->db))
		(void)sqlite3_exec(f->db, "COMMIT", NULL, NULL, NULL);
}

int
log_feed_newest(struct log_feed *f, uint64_t *ret_event, uint64_t *ret_change)
{
	sqlite3_stmt *st = use(f, FEED_NEWEST);
	int r = step(f, st);

	if (r > 0) {
		*ret_event = sql_get(st, 0);
		*ret_change = sql_get(st, 1);
	}
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int
log_feed_first(struct log_feed *f, uint64_t from, uint64_t to, uint64_t *ret)
{
	sqlite3_stmt *st = use(f, FEED_FIRST);
	int r;

	sql_u64(st, 1, from);
	sql_u64(st, 2, to);
	r = step(f, st);
	if (r > 0)
		*ret = sql_get(st, 0);
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int
log_feed_events(struct log_feed *f, uint64_t from, uint64_t to,
    struct log_event *events, size_t *ret_count)
{
	sqlite3_stmt *st = use(f, FEED_EVENTS);
	size_t count = 0;
	int r;

	sql_u64(st, 1, from);
	sql_u64(st, 2, to);
	while ((r = step(f, st)) > 0) {
		struct log_event *e = &events[count++];
		const struct log_event_texts texts_of = {
			.event_type = sql_slice(st, 3),
			.unified_api = sql_slice(st, 4),
			.service_id = sql_slice(st, 5),
			.consumer_id = sql_slice(st, 6),
			.entity_type = sql_slice(st, 7),
		};

		e->seq = sql_get(st, 0);
		e->app = (uint32_t)sql_get(st, 1);
		e->planned_ms = sql_get(st, 2);
		log_event_file(e, f->seed, &texts_of);
	}
	sqlite3_reset(st);
	*ret_count = count;
	return r;
}

void
log_feed_walk(struct log_feed *f, uint64_t from, uint64_t to)
{
	sqlite3_stmt *st = use(f, FEED_WALK);

	sql_u64(st, 1, from);
	sql_u64(st, 2, to);
}

/* One that is leased since its commit, or recent and without an attempt, is
 * delivered without a word about it (store_sqlite_change.c): it has to be
 * looked at again. */
static void
read_delivery(
    const struct log_feed *f, sqlite3_stmt *st, struct log_delivery *ret)
{
	uint64_t state = sql_get(st, 2), attempts = sql_get(st, 5);

	ret->at.event = sql_get(st, 0);
	ret->at.subscription = (uint32_t)sql_get(st, 1);
	if ((state == MSG_STATE_LEASED && sql_get(st, 3) == 1) ||
	    (attempts == 0 && ret->at.event > f->recent))
		ret->state = LOG_STATE_PENDING;
	else
		ret->state = log_state(state == MSG_STATE_DELIVERED,
		    (uint32_t)sql_get(st, 4), (uint32_t)attempts);
}

int
log_feed_next(struct log_feed *f, struct log_delivery *ret)
{
	sqlite3_stmt *st = f->statements[FEED_WALK];
	int r = step(f, st);

	if (r > 0)
		read_delivery(f, st, ret);
	else
		sqlite3_reset(st);
	return r;
}

int
log_feed_delivery(
    struct log_feed *f, const struct log_position *at, struct log_delivery *ret)
{
	sqlite3_stmt *st = use(f, FEED_DELIVERY);
	int r;

	sql_u64(st, 1, at->event);
	sql_u64(st, 2, at->subscription);
	r = step(f, st);
	if (r > 0)
		read_delivery(f, st, ret);
	sqlite3_reset(st);
	return r;
}

int
log_feed_changes(struct log_feed *f, uint64_t after, struct log_change *changes,
    size_t max, size_t *ret_count)
{
	sqlite3_stmt *st = use(f, FEED_CHANGES);
	size_t count = 0;
	int r;

	sql_u64(st, 1, after);
	sql_u64(st, 2, max);
	while ((r = step(f, st)) > 0)
		changes[count++] = (struct log_change){
			.id = sql_get(st, 0),
			.at = { sql_get(st, 1), (uint32_t)sql_get(st, 2) },
		};
	sqlite3_reset(st);
	*ret_count = count;
	return r;
}
