#include "api/vault_event.h"

#include <stdio.h>

#include "common/canonical.h"
#include "common/clock.h"
#include "common/msg.h"

#define BODY_MAX (64u * 1024)
#define SERVICE "apideck-vault"
#define ENTITY_TYPE "Connection"

/* Members stand in canonical order (canonical.h): alphabetically. Those whose
 * value is absent are null. */
struct member {
	const char *name;
	struct slice value;
};

static int
write_member(struct buf *out, const struct member *m)
{
	int r = buf_addf(out, "\"%s\":", m->name);

	if (r < 0)
		return r;
	if (m->value.data == NULL)
		return buf_add_text(out, "null");
	return canonical_string(m->value, out);
}

static int
write_members(struct buf *out, const struct member *members, size_t count)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (i > 0)
			r = buf_add(out, ",", 1);
		if (r == 0)
			r = write_member(out, &members[i]);
	}
	return r;
}

static struct slice
text_or_none(const char *text)
{
	return slice_text(text[0] == '\0' ? NULL : text);
}

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int
write_entity(
    const struct directory_connection *c, const char *id, struct buf *out)
{
	char created[CLOCK_TEXT_SIZE], updated[CLOCK_TEXT_SIZE];
	int r;

	clock_text(c->created_ms, created);
	clock_text(c->updated_ms, updated);
	const struct member before[] = {
		{ "auth_type", text_or_none(c->auth_type) },
		{ "consumer_id", slice_text(c->consumer_id) },
		{ "created_at", slice_text(created) },
	};
	const struct member after[] = {
		{ "icon", text_or_none(c->icon) },
		{ "id", slice_text(id) },
		{ "logo", text_or_none(c->logo) },
		{ "name", slice_text(c->name) },
		{ "service_id", slice_text(c->service_id) },
		{ "state", slice_text(c->state) },
		{ "tag_line", text_or_none(c->tag_line) },
		{ "unified_api", slice_text(c->unified_api) },
		{ "updated_at", slice_text(updated) },
		{ "website", text_or_none(c->website) },
	};

	r = write_members(out, before, COUNT(before));
	if (r == 0)
		r = buf_addf(
		    out, ",\"enabled\":%s,", c->enabled ? "true" : "false");
	return r < 0 ? r : write_members(out, after, COUNT(after));
}

static int
write_body(const struct directory_news *news, const char *entity_id,
    const struct directory_connection *c, struct buf *out, size_t *ret_hole)
{
	char custody[ID_TEXT_SIZE], now[CLOCK_TEXT_SIZE];
	int r;

	id_text(news->custody, custody);
	clock_text(c->updated_ms, now);
	const struct member before[] = {
		{ "entity_id", slice_text(entity_id) },
		{ "entity_type", slice_text(ENTITY_TYPE) },
		{ "event_id", slice_text(custody) },
		{ "event_type", slice_text(news->type) },
	};
	const struct member after[] = {
		{ "occurred_at", slice_text(now) },
		{ "service_id", slice_text(SERVICE) },
	};

	r = buf_add_text(out, "{\"payload\":{\"entity\":{");
	if (r == 0)
		r = write_entity(c, entity_id, out);
	if (r == 0)
		r = buf_add_text(out, "},");
	if (r == 0)
		r = write_members(out, before, COUNT(before));
	if (r == 0)
		r = buf_add_text(out, ",\"execution_attempt\":");
	*ret_hole = out->len;
	if (r == 0)
		r = buf_add_text(out, ",");
	if (r == 0)
		r = write_members(out, after, COUNT(after));
	return r < 0 ? r : buf_add_text(out, "}}");
}

int
vault_event_pack(const struct directory_news *news, const char *app_id,
    const struct directory_connection *c, struct buf *out)
{
	char entity_id[LIMIT_ID_TEXT + 1 + LIMIT_CONSUMER_TEXT + 1];
	struct msg m = {
		.type = MSG_EVENT,
		.custody = id_slice(&news->custody),
		.app = c->app,
		.event_type = slice_text(news->type),
		.unified_api = slice_text(c->unified_api),
		.service_id = slice_text(SERVICE),
		.consumer_id = slice_text(c->consumer_id),
		.entity_type = slice_text(ENTITY_TYPE),
		.request_id = id_slice(&news->request_id),
		.number = c->number,
	};
	struct buf body;
	size_t hole = 0;
	int r;

	(void)snprintf(
	    entity_id, sizeof(entity_id), "%s+%s", app_id, c->consumer_id);
	buf_init(&body, BODY_MAX);
	r = write_body(news, entity_id, c, &body, &hole);
	m.entity_id = slice_text(entity_id);
	/* What the index holds of it is shorter than what the body may say. */
	if (m.entity_id.len > LIMIT_ENTITY_TEXT)
		m.entity_id.len = 0;
	m.body = buf_slice(&body);
	m.hole = hole;
	if (r == 0)
		r = msg_pack(&m, out);
	buf_done(&body);
	return r;
}
