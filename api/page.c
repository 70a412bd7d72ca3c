#include "api/page.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINK_MAX (32u * 1024)

void
page_done(struct page *p)
{
	buf_done(&p->place);
}

static bool
read_limit(const char *text, unsigned *ret)
{
	uint64_t limit;

	if (text == NULL || text[0] == '\0') {
		*ret = PAGE_LIMIT_DEFAULT;
		return true;
	}
	if (config_parse_number(slice_text(text), &limit) < 0 || limit < 1 ||
	    limit > PAGE_LIMIT_MAX)
		return false;
	*ret = (unsigned)limit;
	return true;
}

/* A parameter of a list that changes which rows there are, or their order. */
struct unknown {
	bool filters; /* are not known either */
	const char *name;
	enum http_error error;
};

static bool
is_group(const char *name, const char *group)
{
	size_t len = strlen(group);

	return strncmp(name, group, len) == 0 &&
	       (name[len] == '[' || name[len] == '\0');
}

static bool
look_for_unknown(void *arg, const char *name, const char *value)
{
	struct unknown *u = arg;

	if (value[0] == '\0')
		return true; /* as if it were not there */
	if (is_group(name, "sort"))
		u->error = HTTP_E_SORT;
	else if (u->filters && is_group(name, "filter"))
		u->error = HTTP_E_FILTERS;
	else
		return true;
	u->name = name;
	return false;
}

/* To leave it out would be to answer another question. */
static bool
refuse_unknown(struct call *c, bool has_filters)
{
	struct unknown u = { .filters = !has_filters };
	char name[64];

	http_each_query(c->request, look_for_unknown, &u);
	if (u.name == NULL)
		return false;
	(void)snprintf(name, sizeof(name), "%.60s", u.name);
	call_fail(c, u.error, NULL,
	    json_pack("{s:[{s:s}]}", "invalid", name,
		"is not supported by this list"));
	return true;
}

bool
page_read(
    struct page *p, struct call *c, struct slice narrowed, bool has_filters)
{
	const char *cursor = http_query(c->request, "cursor");
	uint8_t hash[CRYPTO_HASH_SIZE];
	char hex[CRYPTO_HEX_SIZE];
	int r = 0;

	buf_init(&p->place, CURSOR_PLACE_MAX);
	if (refuse_unknown(c, has_filters))
		return false;
	crypto_sha256(narrowed, hash);
	crypto_hex((struct slice){ hash, 16 }, hex);
	(void)snprintf(p->binding, sizeof(p->binding), "cursor:%.60s:%u:%s",
	    http_path(c->request), (unsigned)c->app.app, hex);
	if (!read_limit(http_query(c->request, "limit"), &p->limit)) {
		call_fail(c, HTTP_E_VALIDATION, NULL,
		    json_pack("{s:[{s:s}]}", "invalid", "limit",
			"must be a number from 1 to 200"));
		return false;
	}
	if (cursor != NULL && cursor[0] != '\0')
		r = cursor_read(&c->api->seal, p->binding, cursor, &p->place);
	if (r == -EBADMSG)
		call_fail_text(c, HTTP_E_CURSOR,
		    "The cursor does not belong to this list.");
	else if (r < 0)
		call_error(c, r);
	return r == 0;
}

/* ---- links ------------------------------------------------------------ */

/* RFC 3986 section 2.3. */
static int
add_escaped(struct buf *out, const char *text)
{
	int r = 0;

	for (; r == 0 && *text != '\0'; text++) {
		unsigned char ch = (unsigned char)*text;

		if ((ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') ||
		    (ch >= 'a' && ch <= 'z') || strchr("-._~", ch) != NULL)
			r = buf_add(out, text, 1);
		else
			r = buf_addf(out, "%%%02X", (unsigned)ch);
	}
	return r;
}

struct link_text {
	struct buf text;
	char separator;
	int r;
};

static void
add_parameter(struct link_text *l, const char *name, const char *value)
{
	if (l->r == 0)
		l->r = buf_add(&l->text, &l->separator, 1);
	l->separator = '&';
	if (l->r == 0)
		l->r = add_escaped(&l->text, name);
	if (l->r == 0)
		l->r = buf_add(&l->text, "=", 1);
	if (l->r == 0)
		l->r = add_escaped(&l->text, value);
}

static bool
copy_parameter(void *arg, const char *name, const char *value)
{
	if (strcmp(name, "cursor") != 0 && strcmp(name, "_method") != 0)
		add_parameter(arg, name, value);
	return true;
}

static json_t *
make_link(const struct call *c, const char *cursor)
{
	struct link_text l = { .separator = '?' };
	json_t *json = NULL;

	buf_init(&l.text, LINK_MAX);
	l.r = buf_addf(
	    &l.text, "%s%s", c->api->public_url, http_path(c->request));
	http_each_query(c->request, copy_parameter, &l);
	add_parameter(&l, "cursor", cursor);
	if (l.r == 0)
		json = json_stringn((const char *)l.text.data, l.text.len);
	buf_done(&l.text);
	return json == NULL ? json_null() : json;
}

/* Adds one end to both objects. */
static int
add_end(const struct page *p, const struct call *c, const char *name,
    const struct slice *place, json_t *cursors, json_t *links)
{
	struct buf text;
	int r;

	if (place == NULL) {
		json_object_set_new(cursors, name, json_null());
		json_object_set_new(links, name, json_null());
		return 0;
	}
	buf_init(&text, CURSOR_TEXT_MAX);
	r = cursor_make(&c->api->seal, p->binding, *place, &text);
	if (r == 0)
		r = buf_add(&text, "", 1);
	if (r == 0) {
		json_object_set_new(
		    cursors, name, json_string((const char *)text.data));
		json_object_set_new(
		    links, name, make_link(c, (const char *)text.data));
	}
	buf_done(&text);
	return r;
}

void
page_answer(
    struct page *p, struct call *c, json_t *data, const struct page_ends *ends)
{
	json_t *cursors = json_object(), *links = json_object();
	struct slice here = buf_slice(&p->place);
	json_t *envelope = call_make_envelope(200, data);
	json_t *meta;
	int r;

	r = add_end(p, c, "previous",
	    ends->has_previous ? &ends->previous : NULL, cursors, links);
	if (r == 0)
		r = add_end(p, c, "current", &here, cursors, links);
	if (r == 0)
		r = add_end(p, c, "next", ends->has_next ? &ends->next : NULL,
		    cursors, links);
	meta = json_pack(
	    "{s:i,s:o}", "items_on_page", (int)ends->items, "cursors", cursors);
	if (ends->has_total)
		json_object_set_new(
		    meta, "total_count", json_integer((json_int_t)ends->total));
	json_object_set_new(envelope, "meta", meta);
	json_object_set_new(envelope, "links", links);
	if (r < 0) {
		json_decref(envelope);
		call_error(c, r);
		return;
	}
	call_envelope(c, 200, envelope);
}

/* ---- lists of the directory ------------------------------------------- */

static uint64_t
number_of(const struct page *p)
{
	uint64_t number = 0;

	if (p->place.len == sizeof(number))
		memcpy(&number, p->place.data, sizeof(number));
	return number;
}

static struct slice
place_of(const uint64_t *number)
{
	return (struct slice){ (const uint8_t *)number, sizeof(*number) };
}

static void
answer_list(struct page *p, struct call *c, const struct directory_page *found,
    json_t *data, bool tells_total)
{
	struct page_ends ends = {
		.has_previous = found->after > 0,
		.previous = place_of(&found->previous),
		.has_next = found->more,
		.next = place_of(&found->last),
		.items = json_array_size(data),
		.has_total = tells_total,
		.total = found->total,
	};

	page_answer(p, c, data, &ends);
}

void
page_list(struct call *c, page_fill_fn *fill, bool tells_total)
{
	struct directory_page found = { .app = c->app.app };
	struct page page;
	json_t *data;
	int r;

	if (page_read(&page, c, slice_text(NULL), false)) {
		found.after = number_of(&page);
		found.limit = page.limit;
		data = json_array();
		r = data == NULL ? -ENOMEM : fill(c, &found, data);
		if (r == 0) {
			answer_list(&page, c, &found, data, tells_total);
		} else {
			json_decref(data);
			call_error(c, r);
		}
	}
	page_done(&page);
}
