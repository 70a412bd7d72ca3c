/*
 * What the query of a route of the second face says: page[number], page[size],
 * sort, count, filter[...], fields[TYPE][] and included[].
 */
#ifndef SLUICE_API_JSONAPI_QUERY_H
#define SLUICE_API_JSONAPI_QUERY_H

#include "api/call.h"
#include "api/jsonapi_filter.h"

#define JSONAPI_PAGE_MAX 1000
#define JSONAPI_FIELDS_MAX 64

struct jsonapi_query {
	uint64_t number, size;
	bool count;
	struct directory_order order;
	struct jsonapi_filter filter;
	json_t *fields; /* names as keys; NULL: all */
};

/* False after the call was answered 422. jsonapi_query_done() in both cases.
 * is_list: only lists have pages, orders and filters; only one webhook has
 * included[]. */
bool jsonapi_query_read(struct jsonapi_query *q, struct call *c, bool is_list);
void jsonapi_query_done(struct jsonapi_query *q);

#endif
