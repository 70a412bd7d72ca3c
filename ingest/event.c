#include "ingest/event.h"

#include <errno.h>
#include <string.h>

#include "common/crypto.h"
#include "common/limits.h"
#include "common/msg.h"
#include "ingest/event_type.h"

#define OPEN "{\"payload\":{"

/* Members of the payload that we write, in canonical order. */
enum member {
	M_CONSUMER_ID,
	M_ENTITY,
	M_ENTITY_ID,
	M_ENTITY_TYPE,
	M_ENTITY_URL,
	M_EVENT_ID,
	M_EVENT_TYPE,
	M_EXECUTION_ATTEMPT,
	M_OCCURRED_AT,
	M_SERVICE_ID,
	M_UNIFIED_API,
	M_MAX
};

static const char *const names[M_MAX] = { "consumer_id", "entity", "entity_id",
	"entity_type", "entity_url", "event_id", "event_type",
	"execution_attempt", "occurred_at", "service_id", "unified_api" };

struct writing {
	struct event_maker *maker;
	const struct event *event;
	struct slice event_id;
	struct buf *out;
	bool vault;
	bool first; /* no member is written yet */
	size_t hole;
};

void
event_maker_init(
    struct event_maker *m, struct id_maker *ids, const char *entity_base_url)
{
	*m = (struct event_maker){ .ids = ids,
		.entity_base_url = entity_base_url };
	canonical_init(&m->canonical);
	buf_init(&m->body, LIMIT_TEMPLATE_BYTES);
	buf_init(&m->message, LIMIT_MESSAGE_BYTES);
}

void
event_maker_done(struct event_maker *m)
{
	canonical_done(&m->canonical);
	buf_done(&m->body);
	buf_done(&m->message);
}

static int
write_name(struct writing *w, const char *name)
{
	int r = w->first ? 0 : buf_add(w->out, ",", 1);

	w->first = false;
	if (r == 0)
		r = buf_add(w->out, "\"", 1);
	if (r == 0)
		r = buf_add_text(w->out, name);
	return r < 0 ? r : buf_add(w->out, "\":", 2);
}

static int
write_text(struct writing *w, enum member member, struct slice value)
{
	int r;

	if (value.data == NULL)
		return 0;
	r = write_name(w, names[member]);
	return r < 0 ? r : canonical_string(value, w->out);
}

/* RFC 3986 section 2.3: what stands for itself in a path. */
static bool
is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

static int
write_escaped(struct slice text, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < text.len; i++) {
		if (is_unreserved(text.data[i]))
			r = buf_add(out, text.data + i, 1);
		else
			r = buf_addf(out, "%%%02X", text.data[i]);
	}
	return r;
}

/* BASE/crm/contacts/ID, in which nothing needs escaping in JSON, unless it was
 * said. */
static int
write_entity_url(struct writing *w)
{
	const struct event *e = w->event;
	struct slice entity = event_type_entity(e->type);
	uint32_t own =
	    e->members == JSON_NONE
		? JSON_NONE
		: json_member(e->json, e->members, names[M_ENTITY_URL]);
	int r;

	/* Who publishes may know better where it is. */
	if (own != JSON_NONE && json_kind(e->json, own) == JSON_KIND_STRING &&
	    json_raw(e->json, own).len > 0) {
		r = write_name(w, names[M_ENTITY_URL]);
		return r < 0 ? r
			     : canonical_write(
				   &w->maker->canonical, e->json, own, w->out);
	}
	if (e->entity_id.data == NULL || e->unified_api.data == NULL ||
	    entity.data == NULL)
		return 0;
	r = write_name(w, names[M_ENTITY_URL]);
	if (r == 0)
		r = buf_add(w->out, "\"", 1);
	if (r == 0)
		r = buf_add_text(w->out, w->maker->entity_base_url);
	if (r == 0)
		r = buf_add(w->out, "/", 1);
	if (r == 0)
		r = write_escaped(e->unified_api, w->out);
	if (r == 0)
		r = buf_add(w->out, "/", 1);
	if (r == 0)
		r = event_type_plural(entity, w->out);
	if (r == 0)
		r = buf_add(w->out, "/", 1);
	if (r == 0)
		r = write_escaped(e->entity_id, w->out);
	return r < 0 ? r : buf_add(w->out, "\"", 1);
}

static int
write_entity(struct writing *w)
{
	int r;

	if (w->event->json == NULL || w->event->entity == JSON_NONE)
		return 0;
	r = write_name(w, names[M_ENTITY]);
	return r < 0 ? r
		     : canonical_write(&w->maker->canonical, w->event->json,
			   w->event->entity, w->out);
}

static int
write_member(struct writing *w, enum member member)
{
	const struct event *e = w->event;
	int r;

	switch (member) {
	case M_CONSUMER_ID:
		return w->vault ? 0 : write_text(w, member, e->consumer_id);
	case M_ENTITY:
		return write_entity(w);
	case M_ENTITY_ID:
		return write_text(w, member, e->entity_id);
	case M_ENTITY_TYPE:
		return write_text(w, member, e->entity_type);
	case M_ENTITY_URL:
		return w->vault ? 0 : write_entity_url(w);
	case M_EVENT_ID:
		return write_text(w, member, w->event_id);
	case M_EVENT_TYPE:
		return write_text(w, member, e->type);
	case M_EXECUTION_ATTEMPT:
		r = write_name(w, names[member]);
		w->hole = w->out->len;
		return r;
	case M_OCCURRED_AT:
		return write_text(w, member, e->occurred_at);
	case M_SERVICE_ID:
		return write_text(w, member, e->service_id);
	case M_UNIFIED_API:
		return w->vault ? 0 : write_text(w, member, e->unified_api);
	case M_MAX:
		break;
	}
	return 0;
}

/* A member of the caller's own, before which all of ours that stand before it
 * are written. One of our names is ours. */
static int
write_foreign(struct writing *w, uint32_t key, unsigned *next)
{
	const struct json *j = w->event->json;
	int r = 0, order = 1;

	while (*next < M_MAX) {
		order = canonical_compare(j, key, names[*next]);
		if (order <= 0)
			break;
		r = write_member(w, (enum member)(*next)++);
		if (r < 0)
			return r;
	}
	if (order == 0)
		return 0;
	if (!w->first)
		r = buf_add(w->out, ",", 1);
	w->first = false;
	if (r == 0)
		r = canonical_write(&w->maker->canonical, j, key, w->out);
	if (r == 0)
		r = buf_add(w->out, ":", 1);
	return r < 0
		   ? r
		   : canonical_write(&w->maker->canonical, j, key + 1, w->out);
}

static int
write_members(struct writing *w)
{
	const struct event *e = w->event;
	struct canonical *c = &w->maker->canonical;
	uint32_t first = 0, count = 0;
	unsigned next = 0;
	bool foreign = !w->vault && e->json != NULL && e->members != JSON_NONE;
	int r = 0;

	if (foreign)
		r = canonical_keys(c, e->json, e->members, &first, &count);
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = write_foreign(w, c->keys[first + i], &next);
	while (r == 0 && next < M_MAX)
		r = write_member(w, (enum member)next++);
	if (foreign)
		canonical_release(c, first);
	return r;
}

static int
write_body(struct writing *w)
{
	int r;

	buf_clear(w->out);
	r = buf_add(w->out, OPEN, sizeof(OPEN) - 1);
	if (r == 0)
		r = write_members(w);
	return r < 0 ? r : buf_add(w->out, "}}", 2);
}

static void
fill_message(struct msg *m, const struct event *e, const struct id *custody,
    const struct writing *w)
{
	struct slice api = e->connection_api, consumer = e->connection_consumer;

	*m = (struct msg){
		.type = MSG_EVENT,
		.custody = id_slice(custody),
		.app = e->app,
		.event_type = e->type,
		.unified_api = api.data == NULL ? e->unified_api : api,
		.service_id = e->service_id,
		.consumer_id =
		    consumer.data == NULL ? e->consumer_id : consumer,
		.entity_id = e->entity_id,
		.entity_type = e->entity_type,
		.event_id = e->event_id,
		.request_id = id_slice(&e->request_id),
		.body = buf_slice(w->out),
		.hole = w->hole,
		.number = e->number,
	};
	if (e->dedupe_key != NULL)
		m->dedupe_key =
		    (struct slice){ e->dedupe_key, CRYPTO_HASH_SIZE };
}

int
event_make(struct event_maker *m, const struct event *event,
    struct accept_record **ret_record, struct id *ret_custody)
{
	struct id custody = id_make(m->ids);
	char custody_text[ID_TEXT_SIZE];
	struct writing w = {
		.maker = m,
		.event = event,
		.event_id = event->event_id,
		.out = &m->body,
		.vault = event_type_is_vault(event->type),
		.first = true,
	};
	struct msg message;
	int r;

	id_text(custody, custody_text);
	if (w.event_id.data == NULL)
		w.event_id = slice_text(custody_text);
	r = write_body(&w);
	if (r < 0)
		return r;
	fill_message(&message, event, &custody, &w);
	buf_clear(&m->message);
	r = msg_pack(&message, &m->message);
	if (r < 0)
		return r;
	*ret_record = accept_record_new(buf_slice(&m->message), event->app);
	if (*ret_record == NULL)
		return -ENOMEM;
	*ret_custody = custody;
	return 0;
}

void
event_dedupe_key(uint32_t app, struct slice source, struct slice key,
    uint32_t part, uint8_t hash[32])
{
	/* Lengths first, so that no two triples read the same. */
	uint64_t lengths[] = { app, part, source.len, key.len };
	struct slice parts[] = {
		{ (const uint8_t *)lengths, sizeof(lengths) },
		source,
		key,
	};

	crypto_hmac(slice_text("sluice dedupe v1"), parts, 3, hash);
}
