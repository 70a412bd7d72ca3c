/*
 * What the two files that answer queries share: store_sqlite_page.c (the
 * reader, rows, single events) and store_sqlite_logs.c (pages of the log).
 */
#ifndef SLUICE_LOGGER_STORE_SQLITE_READER_H
#define SLUICE_LOGGER_STORE_SQLITE_READER_H

#include "logger/store_sqlite.h"

#define PAGE_TIME_MS 5000 /* a query that takes longer is given up */
#define CURSOR_SIZE 12	  /* event, subscription */

#define ROW_COLUMNS                                                      \
	"e.seq, d.subscription, e.custody, e.app, e.event_type,"         \
	" e.unified_api, e.service_id, e.consumer_id, e.entity_id,"      \
	" e.entity_type, e.request_id, e.planned_ms, d.state, d.status," \
	" d.attempts, d.first_token, d.first_attempt, d.first_status,"   \
	" d.first_verdict, d.first_ms, d.first_took_ms, d.first_error,"  \
	" d.first_response, p.url, e.hole, e.body"

#define ROW_ENDPOINTS \
	" LEFT JOIN endpoints p ON p.subscription = d.subscription"

/* The statements of store_sqlite_logs.c; NULL until prepared. */
struct logs_sqlite {
	sqlite3_stmt *tail, *app, *named, *one, *changes, *first;
	struct log_view *view;
};

/* A page being filled. */
struct page_fill {
	uint64_t limit;
	bool whole; /* attempts with their responses */
	bool full;  /* there are more rows than fit */
	uint32_t count;
	uint8_t last[CURSOR_SIZE];
};

struct reader_sqlite {
	struct store_reader reader;
	sqlite3 *db;
	struct log_index *index;
	sqlite3_stmt *custody, *request, *attempts, *newest, *usage;
	struct logs_sqlite logs;
	uint64_t give_up_ms;
	struct buf rows;  /* packed, of the page */
	struct buf row;	  /* the one being made */
	struct buf tries; /* its attempts */
	uint8_t cursor[CURSOR_SIZE];
};

int page_prepare(struct reader_sqlite *r, const char *text,
    sqlite3_stmt **ret) SL_MUST_CHECK;
/* Adds the row that st stands on, or sets full. */
int page_add(struct reader_sqlite *r, sqlite3_stmt *st,
    struct page_fill *fill) SL_MUST_CHECK;
/* Adds all rows of st, until it is full. */
int page_add_all(struct reader_sqlite *r, sqlite3_stmt *st,
    struct page_fill *fill) SL_MUST_CHECK;

/* Pages of the log. */
int logs_open(struct reader_sqlite *r) SL_MUST_CHECK;
void logs_close(struct reader_sqlite *r);
int logs_page(struct reader_sqlite *r, const struct msg *q,
    const struct log_position *before, struct page_fill *fill) SL_MUST_CHECK;

#endif
