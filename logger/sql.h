/*
 * The statements of the SQLite engine, prepared once, and short calls to use
 * them. sql_use() hands out a statement reset and unbound-by-convention: bind
 * every parameter anew. Texts and blobs are bound without a copy, so they
 * must live until the statement has run. Not thread-safe.
 */
#ifndef SLUICE_LOGGER_SQL_H
#define SLUICE_LOGGER_SQL_H

#include <stdint.h>

#include <sqlite3.h>

#include "common/attributes.h"
#include "common/buf.h"

/* clang-format off */
#define SQL_STATEMENTS(S)                                                      \
	S(BEGIN, "BEGIN IMMEDIATE")                                            \
	S(COMMIT, "COMMIT")                                                    \
	S(ROLLBACK, "ROLLBACK")                                                \
	S(SAVEPOINT, "SAVEPOINT op")                                           \
	S(RELEASE, "RELEASE op")                                               \
	S(ROLLBACK_TO, "ROLLBACK TO op")                                       \
	S(MARK_GET, "SELECT value FROM marks WHERE name = ?1")                 \
	S(MARK_SET,                                                            \
	    "INSERT INTO marks (name, value) VALUES (?1, ?2)"                  \
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value")        \
	S(USAGE_ADD,                                                           \
	    "INSERT INTO usage (app, month, events) VALUES (?1, ?2, ?3)"       \
	    " ON CONFLICT (app, month) DO UPDATE"                              \
	    " SET events = events + excluded.events")                          \
	S(EVENT_ADD,                                                           \
	    "INSERT INTO events (seq, custody, app, planned_ms, event_type,"   \
	    " unified_api, service_id, consumer_id, entity_id, entity_type,"   \
	    " request_id, hole, flags, dedupe_key, body, event_id)"            \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13," \
	    " ?14, ?15, ?16) ON CONFLICT (custody) DO NOTHING")                \
	S(USAGE_GET,                                                           \
	    "SELECT (SELECT quota FROM apps WHERE app = ?1),"                  \
	    " (SELECT events FROM usage WHERE app = ?1 AND month = ?2)")       \
	S(EVENT_FIND, "SELECT seq, flags FROM events WHERE custody = ?1")      \
	S(EVENT_LAST, "SELECT max(seq) FROM events")                           \
	S(EVENT_HOLDER,                                                        \
	    "SELECT custody, planned_ms, dedupe_key FROM events"               \
	    " WHERE seq = ?1")                                                 \
	S(EVENT_BEHIND,                                                        \
	    "SELECT planned_ms FROM events WHERE seq > ?1"                     \
	    " ORDER BY seq LIMIT 1")                                           \
	S(DEDUPE_PUT,                                                          \
	    "INSERT INTO dedupe (key, event) VALUES (?1, ?2)"                  \
	    " ON CONFLICT (key) DO UPDATE SET event = excluded.event")         \
	S(DEDUPE_GET, "SELECT event FROM dedupe WHERE key = ?1")               \
	S(DEDUPE_DROP, "DELETE FROM dedupe WHERE key = ?1")                    \
	S(DEDUPE_ALL, "SELECT key FROM dedupe")                                \
	S(DEDUPE_WALK,                                                         \
	    "SELECT key, event FROM dedupe WHERE key > ?1 ORDER BY key"        \
	    " LIMIT ?2")                                                       \
	S(DEDUPE_UNMERGED,                                                     \
	    "SELECT seq, dedupe_key FROM events WHERE seq > ?1"                \
	    " AND dedupe_key IS NOT NULL")                                     \
	S(DELIVERY_ADD,                                                        \
	    "INSERT INTO deliveries (event, subscription, state, token,"       \
	    " due_ms, session, attempts, cycle, cycle_ms, lost, status)"       \
	    " VALUES (?1, ?2, ?3, 1, ?4, ?5, 0, 0, ?6, 0, 0)"                  \
	    " ON CONFLICT (event, subscription) DO NOTHING")                   \
	S(DELIVERY_GET,                                                        \
	    "SELECT state, token, due_ms, session, attempts, cycle, cycle_ms," \
	    " lost, status, first_token FROM deliveries"                       \
	    " WHERE event = ?1 AND subscription = ?2")                         \
	S(DELIVERY_SAVE,                                                       \
	    "UPDATE deliveries SET state = ?5, token = ?6, due_ms = ?7,"       \
	    " session = ?8, attempts = ?9, cycle = ?10, lost = ?11,"           \
	    " status = ?12"                                                    \
	    " WHERE event = ?1 AND subscription = ?2 AND state = ?3"           \
	    " AND token = ?4")                                                 \
	S(DELIVERY_SAVE_FIRST,                                                 \
	    "UPDATE deliveries SET state = ?5, token = ?6, due_ms = ?7,"       \
	    " session = ?8, attempts = ?9, cycle = ?10, lost = ?11,"           \
	    " status = ?12, first_token = ?13, first_attempt = ?14,"           \
	    " first_status = ?15, first_verdict = ?16, first_ms = ?17,"        \
	    " first_took_ms = ?18, first_error = ?19, first_response = ?20"    \
	    " WHERE event = ?1 AND subscription = ?2 AND state = ?3"           \
	    " AND token = ?4 AND first_token IS NULL")                         \
	S(DELIVERY_LIVE,                                                       \
	    "SELECT 1 FROM deliveries WHERE event = ?1 AND state IN (1, 2)"    \
	    " LIMIT 1")                                                        \
	S(DELIVERIES_HELD,                                                     \
	    "UPDATE endpoints SET held = held - 1 WHERE subscription IN"       \
	    " (SELECT subscription FROM deliveries"                            \
	    " WHERE event = ?1 AND state IN (5, 6))")                          \
	S(ATTEMPT_ADD,                                                         \
	    "INSERT INTO attempts (event, subscription, token, attempt,"       \
	    " status, verdict, at_ms, took_ms, error, response)"               \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"                \
	    " ON CONFLICT (event, subscription, token) DO NOTHING")            \
	S(TAKE,                                                                \
	    "SELECT d.event, d.token, d.attempts, d.cycle, d.cycle_ms,"        \
	    " d.lost, d.status, d.first_token, d.due_ms, e.custody,"           \
	    " e.event_type, e.hole, e.flags, e.body"                           \
	    " FROM deliveries d INDEXED BY deliveries_waiting"                 \
	    " CROSS JOIN events e ON e.seq = d.event"                          \
	    " WHERE d.subscription = ?1 AND d.state = 1 AND d.due_ms <= ?2"    \
	    " ORDER BY d.due_ms LIMIT ?3")                                     \
	S(TAKE_FIRST,                                                          \
	    "SELECT d.event, d.token, d.attempts, d.cycle, d.cycle_ms,"        \
	    " d.lost, d.status, d.first_token, d.due_ms, e.custody,"           \
	    " e.event_type, e.hole, e.flags, e.body"                           \
	    " FROM deliveries d INDEXED BY deliveries_order"                   \
	    " CROSS JOIN events e ON e.seq = d.event"                          \
	    " WHERE d.subscription = ?1 AND d.state = 1"                       \
	    " AND d.due_ms IS NOT NULL ORDER BY d.event LIMIT 1")              \
	S(FIRST_DUE,                                                           \
	    "SELECT due_ms FROM deliveries INDEXED BY deliveries_order"        \
	    " WHERE subscription = ?1 AND state = 1 AND due_ms IS NOT NULL"    \
	    " ORDER BY event LIMIT 1")                                         \
	S(NEXT_DUE,                                                            \
	    "SELECT due_ms FROM deliveries INDEXED BY deliveries_waiting"      \
	    " WHERE subscription = ?1 AND state = ?2 AND due_ms >= 0"          \
	    " ORDER BY due_ms LIMIT 1")                                        \
	S(SHIFT_FIND,                                                          \
	    "SELECT event FROM deliveries INDEXED BY deliveries_waiting"       \
	    " WHERE subscription = ?1 AND state = ?2 AND due_ms <= ?3"         \
	    " ORDER BY due_ms LIMIT ?4")                                       \
	S(CYCLE_BEGIN,                                                         \
	    "UPDATE deliveries SET cycle = attempts, cycle_ms = ?3, lost = 0"  \
	    " WHERE event = ?1 AND subscription = ?2")                         \
	S(REPLAY_KNOWN,                                                        \
	    "SELECT app, count, done FROM replays WHERE job = ?1")             \
	S(REPLAY_OPEN,                                                         \
	    "SELECT count(*), total(app = ?1) FROM replays WHERE done = 0")    \
	S(REPLAY_ADD,                                                          \
	    "INSERT INTO replays (job, app, subscription, state, from_ms,"     \
	    " to_ms, made_ms, after_event, last_event, count, done)"           \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")          \
	S(REPLAY_FORGET,                                                       \
	    "DELETE FROM replays WHERE made_ms < ?1 AND seq IN (SELECT seq"    \
	    " FROM replays WHERE done = 1 ORDER BY seq LIMIT 4)")              \
	S(REPLAY_EVENT,                                                        \
	    "SELECT seq, app, planned_ms, flags FROM events"                   \
	    " WHERE custody = ?1")                                             \
	S(REPLAY_NEXT,                                                         \
	    "SELECT r.seq, r.job, r.app, r.subscription, r.state, r.from_ms,"  \
	    " r.to_ms, r.after_event, r.last_event, r.count,"                  \
	    " ifnull(p.deleted, 1) FROM replays r LEFT JOIN endpoints p"       \
	    " ON p.subscription = r.subscription"                              \
	    " WHERE r.done = 0 AND r.seq > ?1 ORDER BY r.seq LIMIT 1")         \
	/* Where a run of ?4 events of the application ends. */                \
	S(REPLAY_RUN,                                                          \
	    "SELECT seq FROM events INDEXED BY events_app WHERE app = ?1"      \
	    " AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT 1 OFFSET ?4 - 1")  \
	/* Of the wide table: only of those that match. */                     \
	S(REPLAY_FIND,                                                         \
	    "SELECT e.seq, e.planned_ms, e.flags, d.state, d.token"            \
	    " FROM events e INDEXED BY events_app"                             \
	    " CROSS JOIN deliveries d ON d.event = e.seq"                      \
	    " WHERE e.app = ?1 AND e.seq > ?2 AND e.seq <= ?3"                 \
	    " AND d.subscription = ?4"                                         \
	    " AND (d.state = ?5 OR (?5 = 0 AND d.state IN (3, 4, 5)))"         \
	    " ORDER BY e.seq")                                                 \
	S(REPLAY_AHEAD,                                                        \
	    "SELECT 1 FROM deliveries INDEXED BY deliveries_waiting"           \
	    " WHERE subscription = ?1 AND state = 1 AND due_ms <= ?2"          \
	    " LIMIT 1 OFFSET ?3 - 1")                                          \
	S(REPLAY_SAVE,                                                         \
	    "UPDATE replays SET after_event = ?2, count = ?3, done = ?4"       \
	    " WHERE seq = ?1")                                                 \
	S(APP_PUT,                                                             \
	    "INSERT INTO apps (app, number, deleted, id, secret, quota)"       \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (app) DO UPDATE SET" \
	    " number = excluded.number, deleted = excluded.deleted,"           \
	    " id = excluded.id, secret = excluded.secret,"                     \
	    " quota = excluded.quota WHERE excluded.number >= number")         \
	S(ENDPOINT_PUT,                                                        \
	    "INSERT INTO endpoints (subscription, app, number, deleted, id,"   \
	    " url, secret, timeout_ms, schedule, rate, enabled, headers,"      \
	    " http2, ordered)"                                                 \
	    " VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"   \
	    " ?13)"                                                            \
	    " ON CONFLICT (subscription) DO UPDATE SET app = excluded.app,"    \
	    " number = excluded.number, deleted = 0, id = excluded.id,"        \
	    " url = excluded.url, secret = excluded.secret,"                   \
	    " timeout_ms = excluded.timeout_ms,"                               \
	    " schedule = excluded.schedule, rate = excluded.rate,"             \
	    " enabled = excluded.enabled, headers = excluded.headers,"         \
	    " http2 = excluded.http2, ordered = excluded.ordered,"             \
	    " hold = CASE WHEN hold_number <"                                  \
	    " excluded.number THEN NULL ELSE hold END"                         \
	    " WHERE excluded.number >= number")                                \
	S(ENDPOINT_DELETE,                                                     \
	    "UPDATE endpoints SET deleted = 1, hold = NULL,"                   \
	    " number = max(number, ?2) WHERE subscription = ?1")               \
	S(ENDPOINT_HOLD,                                                       \
	    "UPDATE endpoints SET hold = ?2, hold_delivery = ?3, hold_ms = ?4," \
	    " hold_number = number WHERE subscription = ?1 AND hold IS NULL"   \
	    " AND deleted = 0")                                                \
	S(ENDPOINT_HELD,                                                       \
	    "UPDATE endpoints SET held = held + ?2 WHERE subscription = ?1"    \
	    " RETURNING held")                                                 \
	S(ENDPOINT_SUCCESS,                                                    \
	    "UPDATE endpoints SET success_ms = ?2 WHERE subscription = ?1"     \
	    " AND success_ms + 60000 < ?2")                                    \
	S(LOAD_APPS,                                                           \
	    "SELECT a.app, a.number, a.id, a.secret, a.quota, u.month,"        \
	    " u.events FROM apps a LEFT JOIN usage u ON u.app = a.app"         \
	    " AND u.month = (SELECT max(month) FROM usage WHERE app = a.app)"  \
	    " WHERE a.deleted = 0")                                            \
	S(LOAD_ENDPOINTS,                                                      \
	    "SELECT subscription, app, number, deleted, enabled, url, secret," \
	    " schedule, timeout_ms, rate, success_ms, hold, hold_delivery,"    \
	    " hold_ms, hold_number, headers, http2, ordered FROM endpoints")   \
	S(LOAD_LEASES,                                                         \
	    "SELECT d.event, d.subscription, d.token, d.session, e.custody"    \
	    " FROM deliveries d INDEXED BY deliveries_leased"                  \
	    " CROSS JOIN events e ON e.seq = d.event"                          \
	    " WHERE d.state = 2 AND d.token > 1")                              \
	S(LOAD_FRESH,                                                          \
	    "SELECT d.event, d.subscription, d.token, d.session, e.custody"    \
	    " FROM deliveries d CROSS JOIN events e ON e.seq = d.event"        \
	    " WHERE d.event >= ?1 AND +d.state = 2 AND +d.token = 1")          \
	S(CHANGE_ADD,                                                          \
	    "INSERT INTO changed (id, event, subscription)"                    \
	    " VALUES (?1, ?2, ?3)")                                            \
	S(CHANGE_LAST, "SELECT max(id) FROM changed")                          \
	S(CHANGES_DROP, "DELETE FROM changed WHERE id <= ?1")                  \
	S(OLD_EVENTS,                                                          \
	    "SELECT seq, planned_ms FROM events WHERE seq > ?1"                \
	    " ORDER BY seq LIMIT ?2")                                          \
	S(EVENT_DELETE, "DELETE FROM events WHERE seq = ?1")                   \
	S(DELIVERIES_DELETE, "DELETE FROM deliveries WHERE event = ?1")        \
	S(ATTEMPTS_DELETE, "DELETE FROM attempts WHERE event = ?1")
/* clang-format on */

#define SQL_ENUM(name, text) SQL_##name,
enum sql_id { SQL_STATEMENTS(SQL_ENUM) SQL_MAX };

struct sql {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_MAX];
};

int sql_init(struct sql *q, sqlite3 *db) SL_MUST_CHECK;
void sql_done(struct sql *q);
sqlite3_stmt *sql_use(struct sql *q, enum sql_id id);

void sql_u64(sqlite3_stmt *st, int at, uint64_t value);
/* NULL when value is `none`. */
void sql_u64_or(sqlite3_stmt *st, int at, uint64_t value, uint64_t none);
/* NULL when absent; `text` is stored as it is, UTF-8 or not. */
void sql_text(sqlite3_stmt *st, int at, struct slice text);
void sql_blob(sqlite3_stmt *st, int at, struct slice blob);
uint64_t sql_get(sqlite3_stmt *st, int column);
uint64_t sql_get_or(sqlite3_stmt *st, int column, uint64_t none);
/* NULL when the column is; else valid until the next step. */
struct slice sql_slice(sqlite3_stmt *st, int column);

/* Runs a statement that gives no rows. *ret_changed: rows changed, or NULL. */
int sql_run(struct sql *q, sqlite3_stmt *st, int *ret_changed) SL_MUST_CHECK;
/* 1: a row; 0: no more; negative: failed. */
int sql_row(struct sql *q, sqlite3_stmt *st) SL_MUST_CHECK;
/* What a result code means: -ENOSPC, -ENOMEM, -EBUSY, -EINVAL (constraint, too
 * big), else -EIO. */
int sql_errno(int code);

#endif
