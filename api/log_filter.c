#include "api/log_filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/catalogue.h"
#include "common/clock.h"
#include "common/config.h"

#define DAY_MS UINT64_C(86400000)
/* A status that no answer has: finds nothing. */
#define NO_STATUS "999"

typedef const char *set_fn(struct log_filter *f, struct slice value);

static const char *
set_service(struct log_filter *f, struct slice value)
{
	f->query.service_id = value;
	return NULL;
}

static const char *
set_consumer(struct log_filter *f, struct slice value)
{
	f->query.consumer_id = value;
	return NULL;
}

static const char *
set_entity_type(struct log_filter *f, struct slice value)
{
	f->query.entity_type = value;
	return NULL;
}

static const char *
set_event_type(struct log_filter *f, struct slice value)
{
	/* In the spelling that events have, whichever a client knows. */
	f->query.event_type = value;
	if (catalogue_event(value, f->event_type, sizeof(f->event_type)) == 0)
		f->query.event_type = slice_text(f->event_type);
	return NULL;
}

/* Blanks around the commas do not count. */
static const char *
set_exclude_apis(struct log_filter *f, struct slice value)
{
	size_t n = 0;

	if (value.len >= sizeof(f->exclude_apis))
		return "is too long";
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] != ' ')
			f->exclude_apis[n++] = (char)value.data[i];
	f->exclude_apis[n] = '\0';
	f->query.exclude_apis = slice_text(f->exclude_apis);
	return NULL;
}

static const char *
set_success(struct log_filter *f, struct slice value)
{
	if (slice_is(value, "true"))
		f->query.success = MSG_TRUE;
	else if (slice_is(value, "false"))
		f->query.success = MSG_FALSE;
	else
		return "must be true or false";
	return NULL;
}

/* Some clients' least date is 0001-01-01: what is before 1970 is as good as
 * its beginning. */
static int
parse_date(struct slice value, uint64_t *ret_ms)
{
	static const char leap[] = "1972"; /* has the days of any year */
	char text[64];
	uint64_t ignored;

	if (clock_parse(value, ret_ms) == 0)
		return 0;
	if (slice_copy(value, text, sizeof(text)) < 0 || value.len < 4 ||
	    strspn(text, "0123456789") != 4 || strncmp(text, "1970", 4) >= 0)
		return -EINVAL;
	memcpy(text, leap, strlen(leap));
	if (clock_parse(slice_text(text), &ignored) < 0)
		return -EINVAL;
	*ret_ms = 0;
	return 0;
}

int
log_filter_date(struct slice value, bool is_end, uint64_t *ret_ms)
{
	int r = parse_date(value, ret_ms);

	/* A bare date means that day to its end. */
	if (r == 0 && is_end && memchr(value.data, ':', value.len) == NULL)
		*ret_ms += DAY_MS - 1;
	/* 0 would be no filter. */
	if (r == 0 && is_end && *ret_ms == 0)
		*ret_ms = 1;
	return r;
}

static const char *
set_start(struct log_filter *f, struct slice value)
{
	/* From 0 on is no filter; nothing is that old. */
	return log_filter_date(value, false, &f->query.from_ms) < 0
		   ? "must be an ISO 8601 date"
		   : NULL;
}

static const char *
set_end(struct log_filter *f, struct slice value)
{
	return log_filter_date(value, true, &f->query.to_ms) < 0
		   ? "must be an ISO 8601 date"
		   : NULL;
}

/* Apideck calls these numbers, and its Python SDK sends them as floats:
 * "200.0". */
static int
parse_whole(struct slice text, uint64_t *ret)
{
	const uint8_t *dot = memchr(text.data, '.', text.len);

	if (dot != NULL && dot + 2 == text.data + text.len && dot[1] == '0')
		text.len -= 2;
	return config_parse_number(text, ret);
}

static const char *
set_status(struct log_filter *f, struct slice value)
{
	uint64_t status;

	/* 0 is an attempt without an answer. */
	if (parse_whole(value, &status) < 0 ||
	    (status != 0 && (status < 100 || status > 599)))
		return "must be 0 or from 100 to 599";
	f->status_code = status + 1;
	return NULL;
}

/* Repeats of the parameter and commas both make a list. */
static const char *
set_statuses(struct log_filter *f, struct slice value)
{
	size_t len = strlen(f->statuses);
	size_t from = 0;

	for (size_t i = 0; i <= value.len; i++) {
		struct slice part = { value.data + from, i - from };
		uint64_t status;

		if (i < value.len && value.data[i] != ',')
			continue;
		from = i + 1;
		if (parse_whole(part, &status) < 0 || status < 100 ||
		    status > 599)
			return "must be statuses from 100 to 599";
		if (++f->status_count > LOG_FILTER_STATUSES_MAX)
			return "must be 50 statuses at most";
		len += (size_t)snprintf(f->statuses + len,
		    sizeof(f->statuses) - len, "%s%u", len > 0 ? "," : "",
		    (unsigned)status);
	}
	return NULL;
}

/* The id that the payload has: its publisher's own, or else ours; the one that
 * publishing was answered, too. */
static const char *
set_event(struct log_filter *f, struct slice value)
{
	f->query.event_id = value;
	if (id_parse(value, &f->custody) == 0)
		f->query.custody = id_slice(&f->custody);
	return NULL;
}

static const char *
set_attempt(struct log_filter *f, struct slice value)
{
	if (parse_whole(value, &f->query.attempt) < 0 || f->query.attempt < 1 ||
	    f->query.attempt > UINT32_MAX)
		return "must be a number from 1";
	return NULL;
}

static const struct {
	const char *name;
	set_fn *set;
} filters[] = {
	{ "filter[exclude_apis]", set_exclude_apis },
	{ "filter[service][id]", set_service },
	{ "filter[consumer_id]", set_consumer },
	{ "filter[entity_type]", set_entity_type },
	{ "filter[event_type]", set_event_type },
	{ "filter[start_date]", set_start },
	{ "filter[end_date]", set_end },
	{ "filter[success]", set_success },
	{ "filter[status_code]", set_status },
	{ "filter[status_codes]", set_statuses },
	{ "filter[status_codes][]", set_statuses },
	{ "filter[event_id]", set_event },
	{ "filter[execution_attempt]", set_attempt },
};

void
log_filter_init(struct log_filter *f)
{
	memset(f, 0, sizeof(*f));
	f->query.type = MSG_QUERY;
	f->query.what = MSG_QUERY_LOGS;
}

static bool
complain(struct log_filter *f, const char *name, const char *why)
{
	(void)snprintf(f->name, sizeof(f->name), "%.60s", name);
	f->why = why;
	return false;
}

bool
log_filter_add(struct log_filter *f, const char *name, const char *value)
{
	const char *why = NULL;

	if (strncmp(name, "filter", 6) != 0 ||
	    (name[6] != '[' && name[6] != '\0'))
		return true;
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
		if (strcmp(name, filters[i].name) != 0)
			continue;
		if (value[0] == '\0')
			return true; /* as if it were not there */
		if (strlen(value) > LIMIT_CONSUMER_TEXT &&
		    filters[i].set != set_exclude_apis &&
		    filters[i].set != set_statuses)
			why = "is too long";
		else
			why = filters[i].set(f, slice_text(value));
		return why == NULL ? true : complain(f, name, why);
	}
	return complain(f, name, "is not a filter");
}

/* Both status filters together: the one must be among the others. */
static void
join_statuses(struct log_filter *f)
{
	struct slice list = slice_text(f->statuses);
	char one[8];
	size_t from = 0;
	bool found = false;

	if (f->status_code > 0) {
		(void)snprintf(
		    one, sizeof(one), "%u", (unsigned)f->status_code - 1);
		for (size_t i = 0; i <= list.len; i++) {
			if (i < list.len && list.data[i] != ',')
				continue;
			found =
			    found || slice_is((struct slice){ list.data + from,
						  i - from },
					 one);
			from = i + 1;
		}
		(void)snprintf(f->statuses, sizeof(f->statuses), "%s",
		    found || f->status_count == 0 ? one : NO_STATUS);
	}
	if (f->statuses[0] != '\0')
		f->query.statuses = slice_text(f->statuses);
}

bool
log_filter_end(struct log_filter *f)
{
	join_statuses(f);
	if (f->query.from_ms > 0 && f->query.to_ms > 0 &&
	    f->query.to_ms < f->query.from_ms)
		return complain(
		    f, "filter[end_date]", "must be on or after start_date");
	if (f->query.service_id.len > LIMIT_SERVICE_TEXT)
		return complain(f, "filter[service][id]", "is too long");
	if (f->query.entity_type.len > LIMIT_API_TEXT)
		return complain(f, "filter[entity_type]", "is too long");
	if (f->query.event_type.len > LIMIT_TYPE_TEXT)
		return complain(f, "filter[event_type]", "is too long");
	return true;
}

static bool
add(void *arg, const char *name, const char *value)
{
	return log_filter_add(arg, name, value);
}

bool
log_filter_read(struct log_filter *f, const struct http_request *request)
{
	log_filter_init(f);
	http_each_query(request, add, f);
	return f->why == NULL && log_filter_end(f);
}
