/*
 * The filter of GET /webhook/logs: `filter[...]` parameters as a QUERY.
 */
#ifndef SLUICE_API_LOG_FILTER_H
#define SLUICE_API_LOG_FILTER_H

#include "common/http.h"
#include "common/limits.h"
#include "common/msg.h"

#define LOG_FILTER_STATUSES_MAX 50 /* as published */

struct log_filter {
	struct msg query; /* type and filter fields; slices point in here */
	char statuses[512];
	char exclude_apis[512];
	char event_type[LIMIT_TYPE_TEXT + 1];
	struct id custody;
	uint64_t status_code; /* alone, plus 1; 0: none */
	unsigned status_count;
	/* What was wrong, for people; "" when nothing. */
	char name[64];
	const char *why;
};

/* False: name and why say what is wrong. Values are borrowed from the
 * request. */
bool log_filter_read(struct log_filter *f, const struct http_request *request);

/* The same for one parameter; others than filters are let pass. */
bool log_filter_add(struct log_filter *f, const char *name, const char *value);
/* A date, both ends included: as an end, a bare one is that day to its end.
 * -EINVAL. */
int log_filter_date(
    struct slice value, bool is_end, uint64_t *ret_ms) SL_MUST_CHECK;
void log_filter_init(struct log_filter *f);
bool log_filter_end(struct log_filter *f);

#endif
