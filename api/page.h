/*
 * One page of a list: its limit and cursor as asked for, and the meta and
 * links of its answer. Links are absolute (SLUICE_API_PUBLIC_URL) and keep
 * every parameter of the request but the cursor.
 */
#ifndef SLUICE_API_PAGE_H
#define SLUICE_API_PAGE_H

#include "api/call.h"
#include "api/cursor.h"

#define PAGE_LIMIT_DEFAULT 20
#define PAGE_LIMIT_MAX 200

struct page {
	unsigned limit;
	char binding[192];
	struct buf place; /* where it starts; empty: at the beginning */
};

/* False after the call was answered: bad limit or cursor, a sort, a filter of a
 * list that has none. narrowed: what the list was narrowed by, in any stable
 * form. has_filters: `filter[...]` is the caller's matter. page_done() in both
 * cases. */
bool page_read(
    struct page *p, struct call *c, struct slice narrowed, bool has_filters);
void page_done(struct page *p);

struct page_ends {
	bool has_previous, has_next;
	struct slice previous, next; /* places */
	size_t items;		     /* on the page */
	bool has_total;
	uint64_t total;
};
/* Answers the call with data (taken). */
void page_answer(
    struct page *p, struct call *c, json_t *data, const struct page_ends *ends);

/*
 * A whole list of the directory, where a place is a record's number: reads what
 * was asked for, lets fill put the records of that page into data, answers.
 */
typedef int page_fill_fn(
    struct call *c, struct directory_page *found, json_t *data);
void page_list(struct call *c, page_fill_fn *fill, bool tells_total);

#endif
