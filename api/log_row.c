#include "api/log_row.h"

#include "api/call.h"
#include "api/catalogue.h"
#include "api/headers_form.h"
#include "common/id.h"

static void
set_text(json_t *object, const char *name, struct slice text)
{
	if (text.len > 0)
		json_object_set_new(object, name, call_text(text));
}

json_t *
log_row_service(struct api *api, const struct msg *row)
{
	char name[LIMIT_NAME_TEXT + 1] = "";

	if (row->service_id.len == 0)
		return NULL;
	if (directory_connection_name(api->directory, (uint32_t)row->app,
		row->service_id, row->consumer_id, name) < 0 ||
	    name[0] == '\0')
		catalogue_service_name(row->service_id, name, sizeof(name));
	return json_pack(
	    "{s:o,s:s}", "id", call_text(row->service_id), "name", name);
}

json_t *
log_row_body(const struct msg *row, uint64_t attempt)
{
	json_t *json = NULL;
	struct buf body;
	int r;

	if (row->hole == 0 || row->hole > row->body.len)
		return call_text(row->body);
	buf_init(&body, row->body.len + 32);
	r = buf_add(&body, row->body.data, row->hole);
	if (r == 0)
		r = buf_addf(&body, "%llu", (unsigned long long)attempt);
	if (r == 0)
		r = buf_add(&body, row->body.data + row->hole,
		    row->body.len - row->hole);
	if (r == 0)
		json = call_text(buf_slice(&body));
	buf_done(&body);
	return json;
}

static json_t *
show_attempts(const struct msg *row)
{
	struct msg_list list = row->attempts;
	json_t *array = json_array();
	struct msg attempt;

	while (msg_next(&list, MSG_ATTEMPT, &attempt))
		(void)json_array_append_new(
		    array, json_pack("{s:o,s:I,s:I,s:b}", "timestamp",
			       call_time(attempt.at_ms), "execution_attempt",
			       (json_int_t)attempt.attempt, "status_code",
			       (json_int_t)attempt.status, "success",
			       attempt.verdict == MSG_VERDICT_DELIVERED));
	return array;
}

/* Another attempt is to come, and it is not the first. */
static bool
is_retry_scheduled(const struct msg *row)
{
	return row->attempt > 0 &&
	       (row->state == MSG_STATE_DUE || row->state == MSG_STATE_LEASED);
}

json_t *
log_row_show(struct api *api, const char *application_id, const struct msg *row)
{
	json_t *log = json_object(), *service = log_row_service(api, row);
	char text[ID_TEXT_SIZE] = "";
	struct id id;

	if (id_from(row->delivery, &id) == 0)
		id_text(id, text);
	json_object_set_new(log, "id", json_string(text));
	json_object_set_new(
	    log, "status_code", json_integer((json_int_t)row->status));
	json_object_set_new(
	    log, "success", json_boolean(row->state == MSG_STATE_DELIVERED));
	json_object_set_new(log, "application_id", json_string(application_id));
	set_text(log, "consumer_id", row->consumer_id);
	set_text(log, "unified_api", row->unified_api);
	if (service != NULL)
		json_object_set_new(log, "service", service);
	set_text(log, "endpoint", row->url);
	set_text(log, "event_type", row->event_type);
	json_object_set_new(
	    log, "execution_attempt", json_integer((json_int_t)row->attempt));
	json_object_set_new(log, "http_method", json_string("POST"));
	json_object_set_new(log, "timestamp", call_time(row->planned_ms));
	set_text(log, "entity_type", row->entity_type);
	/* Nothing was sent before the first attempt. */
	if (row->attempt > 0) {
		json_object_set_new(
		    log, "request_body", log_row_body(row, row->attempt));
		json_object_set_new(
		    log, "response_body", call_text(row->response));
	}
	json_object_set_new(
	    log, "retry_scheduled", json_boolean(is_retry_scheduled(row)));
	json_object_set_new(log, "attempts", show_attempts(row));
	return log;
}

/* As they go out; what is as good as a secret for who has the body is not
 * told, and neither is the timestamp, which only the subscriber knows. */
static json_t *
raw_headers(struct api *api, const struct msg *row, const char *id)
{
	json_t *headers = json_pack("{s:s,s:s,s:o,s:s,s:s,s:s,s:s}",
	    "content-type", "application/json", "user-agent",
	    "Sluice/" SLUICE_VERSION, "x-apideck-event-type",
	    call_text(row->event_type), "x-apideck-idempotency-key", id,
	    "x-apideck-signature", HEADERS_FORM_MASK, "webhook-id", id,
	    "webhook-signature", HEADERS_FORM_MASK);
	struct directory_hook hook;
	json_t *own = NULL;

	/* A deleted one is soon forgotten there. */
	if (directory_hook_find(api->directory, (uint32_t)row->app,
		(uint32_t)row->subscription, &hook) == 0)
		own = headers_form_show(&api->seal, &hook);
	(void)json_object_update(headers, own);
	json_decref(own);
	return headers;
}

static json_t *
raw_body(const struct msg *row, const struct msg *attempt, size_t *room)
{
	if (row->body.len > *room)
		return json_null();
	*room -= row->body.len;
	return log_row_body(row, attempt->attempt);
}

static json_t *
raw_attempt(const struct msg *row, const struct msg *attempt, json_t *headers,
    size_t *room)
{
	json_t *response = json_pack("{s:I,s:o}", "status_code",
	    (json_int_t)attempt->status, "body", call_text(attempt->response));

	set_text(response, "error", attempt->error);
	return json_pack("{s:I,s:o,s:{s:s,s:o,s:O,s:o},s:o}",
	    "execution_attempt", (json_int_t)attempt->attempt, "timestamp",
	    call_time(attempt->at_ms), "request", "method", "POST", "url",
	    call_text(row->url), "headers", headers, "body",
	    raw_body(row, attempt, room), "response", response);
}

json_t *
log_row_raw(struct api *api, const struct msg *row, size_t *room)
{
	struct msg_list list = row->attempts;
	json_t *array = json_array(), *headers;
	char text[ID_TEXT_SIZE] = "";
	struct msg attempt;
	struct id id;

	if (id_from(row->delivery, &id) == 0)
		id_text(id, text);
	headers = raw_headers(api, row, text);
	while (msg_next(&list, MSG_ATTEMPT, &attempt))
		(void)json_array_append_new(
		    array, raw_attempt(row, &attempt, headers, room));
	json_decref(headers);
	return json_pack("{s:s,s:o}", "id", text, "attempts", array);
}
