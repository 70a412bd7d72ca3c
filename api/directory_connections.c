/* Connections: one consumer's link to one service. */
#include "api/directory_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define ID_LETTERS 24
#define LOOKUP_LETTERS 32

#define COLUMNS                                                              \
	"connection, app, id, lookup, consumer_id, unified_api, service_id," \
	" name, icon, logo, website, tag_line, auth_type, state, enabled,"   \
	" secret, born, number, created_ms, updated_ms FROM connections "

static int
read_connection(sqlite3_stmt *s, void *ret)
{
	struct directory_connection *c = ret;
	/* In the order of COLUMNS, from the third on. */
	const struct {
		char *text;
		size_t size;
	} texts[] = {
		{ c->id, sizeof(c->id) },
		{ c->lookup, sizeof(c->lookup) },
		{ c->consumer_id, sizeof(c->consumer_id) },
		{ c->unified_api, sizeof(c->unified_api) },
		{ c->service_id, sizeof(c->service_id) },
		{ c->name, sizeof(c->name) },
		{ c->icon, sizeof(c->icon) },
		{ c->logo, sizeof(c->logo) },
		{ c->website, sizeof(c->website) },
		{ c->tag_line, sizeof(c->tag_line) },
		{ c->auth_type, sizeof(c->auth_type) },
		{ c->state, sizeof(c->state) },
	};
	int n = (int)(sizeof(texts) / sizeof(*texts));
	int r = 0;

	for (int i = 0; r == 0 && i < n; i++)
		r = sql_column_copy(s, 2 + i, texts[i].text, texts[i].size);
	c->connection = (uint32_t)sql_column_number(s, 0);
	c->app = (uint32_t)sql_column_number(s, 1);
	c->enabled = sql_column_number(s, 14) != 0;
	c->has_secret = sql_column(s, 15).data != NULL;
	c->born = sql_column_number(s, 16);
	c->number = sql_column_number(s, 17);
	c->created_ms = sql_column_number(s, 18);
	c->updated_ms = sql_column_number(s, 19);
	return r;
}

int
directory_connection_get(struct directory *d, uint32_t app, const char *id,
    struct directory_connection *ret)
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d,
	    "SELECT " COLUMNS "WHERE id = ?1 AND app = ?2 AND deleted_ms = 0",
	    &s);
	if (r < 0)
		return r;
	sql_bind_text(s, 1, id);
	sql_bind_number(s, 2, app);
	return sql_one(d, s, read_connection, ret);
}

static int
read_name(sqlite3_stmt *s, void *ret)
{
	return sql_column_copy(s, 0, ret, LIMIT_NAME_TEXT + 1);
}

int
directory_connection_name(struct directory *d, uint32_t app,
    struct slice service_id, struct slice consumer_id,
    char name[LIMIT_NAME_TEXT + 1])
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d,
	    "SELECT name FROM connections"
	    " WHERE app = ?1 AND service_id = CAST(?2 AS TEXT)"
	    " AND (?3 IS NULL OR consumer_id = CAST(?3 AS TEXT))"
	    " AND deleted_ms = 0 ORDER BY connection LIMIT 1",
	    &s);
	if (r < 0)
		return r;
	sql_bind_number(s, 1, app);
	sql_bind_bytes(s, 2, service_id);
	sql_bind_bytes(
	    s, 3, consumer_id.len ? consumer_id : (struct slice){ NULL, 0 });
	return sql_one(d, s, read_name, name);
}

struct paging {
	void (*fn)(void *arg, const struct directory_connection *c);
	void *arg;
};

static int
page_row(void *arg, sqlite3_stmt *s)
{
	struct paging *p = arg;
	struct directory_connection c;
	int r = read_connection(s, &c);

	if (r == 0)
		p->fn(p->arg, &c);
	return r;
}

int
directory_connection_page(struct directory *d, struct directory_page *page,
    void (*fn)(void *arg, const struct directory_connection *c), void *arg)
{
	static const struct sql_list list = {
		"SELECT count(*) FROM connections WHERE app = ?1"
		" AND deleted_ms = 0",
		"SELECT connection FROM connections"
		" WHERE app = ?1 AND connection <= ?2 AND deleted_ms = 0"
		" ORDER BY connection DESC LIMIT 1 OFFSET ?3",
		"SELECT " COLUMNS
		"WHERE app = ?1 AND connection > ?2 AND deleted_ms = 0"
		" ORDER BY connection LIMIT ?3",
	};
	struct paging p = { fn, arg };

	return sql_page(d, &list, page, page_row, &p);
}

/* ---- writing ---------------------------------------------------------- */

/* What insert and update share: parameters 1 to 9. */
static void
bind_shown(sqlite3_stmt *s, const struct directory_connection *c)
{
	sql_bind_text(s, 1, c->name);
	sql_bind_text(s, 2, c->icon);
	sql_bind_text(s, 3, c->logo);
	sql_bind_text(s, 4, c->website);
	sql_bind_text(s, 5, c->tag_line);
	sql_bind_text(s, 6, c->auth_type);
	sql_bind_text(s, 7, c->state);
	sql_bind_number(s, 8, c->enabled);
	sql_bind_number(s, 9, c->number);
}

static int
insert(struct directory *d, struct directory_connection *c, struct slice sealed)
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d,
	    "INSERT INTO connections (name, icon, logo, website, tag_line,"
	    " auth_type, state, enabled, number, born, app, id, lookup,"
	    " consumer_id, unified_api, service_id, secret, created_ms,"
	    " updated_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12,"
	    " ?13, ?14, ?15, ?16, ?17, ?17)",
	    &s);
	if (r < 0)
		return r;
	bind_shown(s, c);
	sql_bind_number(s, 10, c->app);
	sql_bind_text(s, 11, c->id);
	sql_bind_text(s, 12, c->lookup);
	sql_bind_text(s, 13, c->consumer_id);
	sql_bind_text(s, 14, c->unified_api);
	sql_bind_text(s, 15, c->service_id);
	sql_bind_bytes(s, 16, sealed);
	sql_bind_number(s, 17, c->created_ms);
	r = sql_run(d, s);
	if (r == 0)
		c->connection = (uint32_t)sqlite3_last_insert_rowid(d->db);
	return r;
}

int
directory_connection_add(struct directory *d, struct directory_connection *c,
    struct slice secret, const struct directory_news *news)
{
	char text[LOOKUP_LETTERS + 1];
	struct buf sealed;
	int r;

	buf_init(&sealed, SEAL_SECRET_MAX + SEAL_OVERHEAD);
	directory_random_text(text, ID_LETTERS + 1);
	memcpy(c->id, text, ID_LETTERS + 1);
	directory_random_text(text, sizeof(text));
	memcpy(c->lookup, text, sizeof(text));
	c->created_ms = c->updated_ms = clock_wall_ms();
	c->has_secret = secret.data != NULL;
	r = sql_seal(d, c->app, secret, &sealed);
	if (r == 0)
		r = sql_begin(d);
	if (r == 0) {
		c->born = c->number = d->writing;
		r = insert(d, c, buf_slice(&sealed));
		if (r == 0)
			r = sql_touch_app(d, c->app);
		if (r == 0)
			r = sql_tell(d, c, news);
		r = sql_end(d, r);
	}
	buf_done(&sealed);
	return r;
}

/* keep: the secret is left as it is. */
static int
update(struct directory *d, const struct directory_connection *c, bool keep,
    struct slice sealed)
{
	sqlite3_stmt *s = NULL;
	int r;

	r = sql_prepare(d,
	    "UPDATE connections SET name = ?1, icon = ?2, logo = ?3,"
	    " website = ?4, tag_line = ?5, auth_type = ?6, state = ?7,"
	    " enabled = ?8, number = ?9, updated_ms = ?10,"
	    " secret = CASE WHEN ?11 THEN secret ELSE ?12 END, born = ?14"
	    " WHERE connection = ?13 AND deleted_ms = 0",
	    &s);
	if (r < 0)
		return r;
	bind_shown(s, c);
	sql_bind_number(s, 10, c->updated_ms);
	sql_bind_number(s, 11, keep);
	sql_bind_bytes(s, 12, sealed);
	sql_bind_number(s, 13, c->connection);
	sql_bind_number(s, 14, c->born);
	r = sql_run(d, s);
	if (r == 0 && sqlite3_changes(d->db) != 1)
		r = -ENOENT;
	return r;
}

int
directory_connection_set(struct directory *d, struct directory_connection *c,
    const struct slice *secret, const struct directory_news *news)
{
	struct buf sealed;
	int r = 0;

	buf_init(&sealed, SEAL_SECRET_MAX + SEAL_OVERHEAD);
	if (secret != NULL) {
		r = sql_seal(d, c->app, *secret, &sealed);
		c->has_secret = secret->data != NULL;
	}
	if (r == 0)
		r = sql_begin(d);
	if (r == 0) {
		c->number = d->writing;
		c->updated_ms = clock_wall_ms();
		if (news != NULL && news->revokes)
			c->born = d->writing;
		r = update(d, c, secret == NULL, buf_slice(&sealed));
		if (r == 0)
			r = sql_touch_app(d, c->app);
		if (r == 0)
			r = sql_tell(d, c, news);
		r = sql_end(d, r);
	}
	buf_done(&sealed);
	return r;
}

int
directory_connection_remove(struct directory *d, struct directory_connection *c,
    const struct directory_news *news)
{
	int r;

	r = sql_begin(d);
	if (r < 0)
		return r;
	c->number = d->writing;
	c->updated_ms = clock_wall_ms();
	r = sql_change(d,
	    "UPDATE connections SET number = ?1, deleted_ms = ?2,"
	    " secret = NULL WHERE connection = ?3 AND deleted_ms = 0",
	    c->connection, 0);
	if (r == 0)
		r = sql_touch_app(d, c->app);
	if (r == 0)
		r = sql_tell(d, c, news);
	return sql_end(d, r);
}
