/* Events that wait for a router, each until it is planned. */
#include "api/directory_sqlite.h"

#include <errno.h>

#include "api/vault_event.h"
#include "common/clock.h"
#include "common/msg.h"

static int
insert(struct directory *d, uint32_t app, struct id custody, struct slice event)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "INSERT INTO outbox (app, custody, made_ms, event)"
	    " VALUES (?1, ?2, ?3, ?4)",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, app);
	sql_bind_bytes(s, 2, id_slice(&custody));
	sql_bind_number(s, 3, clock_wall_ms());
	sql_bind_bytes(s, 4, event);
	return sql_run(d, s);
}

static int
read_id(sqlite3_stmt *s, void *ret)
{
	return sql_column_copy(s, 0, ret, LIMIT_ID_TEXT + 1);
}

static int
app_id(struct directory *d, uint32_t app, char id[LIMIT_ID_TEXT + 1])
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d, "SELECT id FROM apps WHERE app = ?1", &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, app);
	return sql_one(d, s, read_id, id);
}

int
sql_tell(struct directory *d, const struct directory_connection *c,
    const struct directory_news *news)
{
	char id[LIMIT_ID_TEXT + 1];
	struct buf event;
	int r;

	if (news == NULL)
		return 0;
	buf_init(&event, LIMIT_MESSAGE_BYTES);
	r = app_id(d, c->app, id);
	if (r == 0)
		r = vault_event_pack(news, id, c, &event);
	if (r == 0)
		r = insert(d, c->app, news->custody, buf_slice(&event));
	buf_done(&event);
	return r;
}

int
directory_outbox_add(
    struct directory *d, uint32_t app, struct id custody, struct slice event)
{
	int r = sql_begin(d);

	return r < 0 ? r : sql_end(d, insert(d, app, custody, event));
}

static int
read_letter(sqlite3_stmt *s, void *ret)
{
	struct directory_letter *letter = ret;
	struct slice event = sql_column(s, 2);

	letter->seq = sql_column_number(s, 0);
	letter->made_ms = sql_column_number(s, 1);
	return buf_add(letter->event, event.data, event.len);
}

int
directory_outbox_next(
    struct directory *d, uint64_t after, struct directory_letter *ret)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "SELECT seq, made_ms, event FROM outbox"
	    " WHERE seq > ?1 AND refused IS NULL ORDER BY seq LIMIT 1",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, after);
	return sql_one(d, s, read_letter, ret);
}

int
directory_outbox_remove(struct directory *d, uint64_t seq)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d, "DELETE FROM outbox WHERE seq = ?1", &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, seq);
	return sql_run(d, s);
}

int
directory_outbox_refuse(struct directory *d, uint64_t seq, struct slice reason)
{
	sqlite3_stmt *s;
	int r;

	r = sql_prepare(d,
	    "UPDATE outbox SET refused = CAST(?2 AS TEXT) WHERE seq = ?1", &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, seq);
	sql_bind_bytes(s, 2, reason);
	return sql_run(d, s);
}
