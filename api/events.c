#include "api/events.h"

#include <string.h>

#include "api/log_row.h"
#include "api/store_page.h"

static void
set_text(json_t *object, const char *name, struct slice text)
{
	json_object_set_new(
	    object, name, text.len > 0 ? call_text(text) : json_null());
}

static json_t *
show_id(struct slice bytes)
{
	char text[ID_TEXT_SIZE];
	struct id id;

	if (id_from(bytes, &id) < 0)
		return json_null();
	id_text(id, text);
	return json_string(text);
}

static const char *
state_text(uint64_t state)
{
	static const char *const names[MSG_STATE_MAX] = {
		[MSG_STATE_NONE] = "none",
		[MSG_STATE_DUE] = "due",
		[MSG_STATE_LEASED] = "leased",
		[MSG_STATE_DELIVERED] = "delivered",
		[MSG_STATE_FAILED] = "failed",
		[MSG_STATE_HELD] = "held",
	};

	return names[state < MSG_STATE_MAX ? state : MSG_STATE_NONE];
}

static json_t *
show_event(struct call *c, struct id custody, const struct msg *row)
{
	json_t *event = json_object(), *service = log_row_service(c->api, row);

	json_object_set_new(event, "id", show_id(id_slice(&custody)));
	json_object_set_new(event, "application_id", json_string(c->app.id));
	set_text(event, "event_type", row->event_type);
	set_text(event, "unified_api", row->unified_api);
	json_object_set_new(
	    event, "service", service != NULL ? service : json_null());
	set_text(event, "consumer_id", row->consumer_id);
	set_text(event, "entity_id", row->entity_id);
	set_text(event, "entity_type", row->entity_type);
	json_object_set_new(event, "request_id", show_id(row->request_id));
	/* Not planned_ms: everything behind ingest may have been away. */
	json_object_set_new(
	    event, "accepted_at", call_time(id_wall_ms(custody)));
	/* As a first attempt sends it. */
	json_object_set_new(event, "request_body", log_row_body(row, 1));
	json_object_set_new(event, "deliveries", json_array());
	return event;
}

/* A log, and what only this route shows. */
static json_t *
show_delivery(struct call *c, const struct msg *row)
{
	json_t *log = log_row_show(c->api, c->app.id, row);
	struct directory_hook hook;
	int r;

	r = directory_hook_find(
	    c->api->directory, c->app.app, (uint32_t)row->subscription, &hook);
	json_object_set_new(
	    log, "webhook_id", r == 0 ? json_string(hook.id) : json_null());
	json_object_set_new(log, "state", json_string(state_text(row->state)));
	if (row->error.len > 0)
		set_text(log, "error", row->error);
	return log;
}

/* Rows of one event stand together. */
static json_t *
gather(struct call *c, struct msg_list rows)
{
	json_t *data = json_array(), *event = NULL;
	struct id custody = { { 0 } };
	struct msg row;

	while (msg_next(&rows, MSG_ROW, &row)) {
		struct id id;

		if (id_from(row.delivery, &id) < 0)
			continue;
		if (event == NULL || !id_same(custody, id_custody(id))) {
			custody = id_custody(id);
			event = show_event(c, custody, &row);
			if (json_array_append_new(data, event) < 0)
				break;
		}
		if (row.subscription != 0)
			(void)json_array_append_new(
			    json_object_get(event, "deliveries"),
			    show_delivery(c, &row));
	}
	return data;
}

/* The one event; what is paged are its deliveries. */
static json_t *
show_one(struct call *c, struct msg_list rows)
{
	json_t *data = gather(c, rows);
	json_t *event = json_incref(json_array_get(data, 0));

	json_decref(data);
	if (event == NULL)
		call_not_found(c, "event", c->id);
	return event;
}

void
events_get(struct call *c)
{
	struct msg query = { .type = MSG_QUERY, .what = MSG_QUERY_EVENT };
	struct id custody;

	if (id_parse(slice_text(c->id), &custody) < 0) {
		call_not_found(c, "event", c->id);
		return;
	}
	/* A delivery's id finds its event. */
	custody = id_custody(custody);
	query.custody = id_slice(&custody);
	store_page_ask(c, &query, show_one);
}

static json_t *
show_all(struct call *c, struct msg_list rows)
{
	json_t *data = gather(c, rows);

	if (data == NULL)
		call_fail(c, HTTP_E_INTERNAL, NULL, NULL);
	return data;
}

void
events_find(struct call *c)
{
	const char *text = http_query(c->request, "request_id");
	struct msg query = { .type = MSG_QUERY, .what = MSG_QUERY_EVENT };
	struct id request;

	if (text == NULL || id_parse(slice_text(text), &request) < 0) {
		call_fail(c, HTTP_E_VALIDATION, NULL,
		    json_pack("{s:[{s:s}]}",
			text == NULL ? "missing" : "invalid", "request_id",
			text == NULL ? "required" : "must be a request id"));
		return;
	}
	query.request_id = id_slice(&request);
	store_page_ask(c, &query, show_all);
}
