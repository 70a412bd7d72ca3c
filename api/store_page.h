/*
 * Pages that the event store answers: the question goes to a logger, the
 * answer comes later and is shown as a list.
 */
#ifndef SLUICE_API_STORE_PAGE_H
#define SLUICE_API_STORE_PAGE_H

#include "api/call.h"

/* Makes the data of the answer from the page's rows; or answers the call
 * itself and returns NULL. */
typedef json_t *store_page_fn(struct call *c, struct msg_list rows);

/*
 * Reads limit and cursor, completes and sends the query, and later answers the
 * call with what show makes of the rows. The query's slices may go after the
 * call. Takes c->kept.
 */
void store_page_ask(struct call *c, struct msg *query, store_page_fn *show);

#endif
