#include "api/logs.h"

#include "api/log_filter.h"
#include "api/log_row.h"
#include "api/store_page.h"

static json_t *
show(struct call *c, struct msg_list rows)
{
	json_t *data = json_array(), *raw = NULL;
	size_t room = LOG_ROW_RAW_BYTES;
	struct msg row;

	if (call_wants_raw(c))
		raw = json_array();
	while (msg_next(&rows, MSG_ROW, &row)) {
		(void)json_array_append_new(
		    data, log_row_show(c->api, c->app.id, &row));
		if (raw != NULL)
			(void)json_array_append_new(
			    raw, log_row_raw(c->api, &row, &room));
	}
	if (raw != NULL)
		c->raw = json_pack("{s:o}", "logs", raw);
	if (data == NULL)
		call_fail(c, HTTP_E_INTERNAL, NULL, NULL);
	return data;
}

void
logs_list(struct call *c)
{
	struct log_filter filter;

	if (!log_filter_read(&filter, c->request)) {
		call_fail(c, HTTP_E_FILTERS, NULL,
		    json_pack(
			"{s:[{s:s}]}", "invalid", filter.name, filter.why));
		return;
	}
	if (call_wants_raw(c))
		filter.query.flags = MSG_FLAG_WHOLE;
	store_page_ask(c, &filter.query, show);
}
