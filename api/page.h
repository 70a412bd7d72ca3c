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
 * list that has none. filter: what the list was narrowed by, in any stable
 * form; absent when it has no filters. page_done() in both cases. */
bool page_read(struct page *p, struct call *c, struct slice filter);
void page_done(struct page *p);

struct page_ends {
	bool has_previous, has_next;
	struct slice previous, next; /* places */
	size_t items;		     /* on the page */
	bool has_total;
	uint64_t total;
};
/* Lists of the directory: a place is a record's number. ends points into
 * found. */
uint64_t page_number(const struct page *p);
void page_ends_of(struct page_ends *ends, const struct directory_page *found);
/* Answers the call with data (taken). */
void page_answer(
    struct page *p, struct call *c, json_t *data, const struct page_ends *ends);

#endif
