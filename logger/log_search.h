/*
 * A search of the log index: where the rows that a QUERY wants may stand,
 * newest first.
 *
 * What it finds are candidates. Every row that matched when the index looked
 * at it last is among them; the row itself has the last word. Segments are
 * read as the search gets to them, so a page costs what lies between its first
 * and its last row.
 *
 * The caller begins, adds what the file does not have (the segment in memory,
 * changes not drained yet), then takes one candidate after the other. The file
 * stays between log_file_begin() and log_file_end() meanwhile. One thread.
 */
#ifndef SLUICE_LOGGER_LOG_SEARCH_H
#define SLUICE_LOGGER_LOG_SEARCH_H

#include "common/msg.h"
#include "logger/log_sealed.h"

struct log_filter {
	uint32_t app;
	uint64_t keys[LOG_FIELD_MAX]; /* it has all of these */
	unsigned key_count;
	struct log_excluded excluded[LOG_EXCLUDED_MAX];
	unsigned excluded_count;
	bool by_state;
	struct log_state_filter state;
	uint64_t from_ms, to_ms;
	struct log_position before; /* only older ones */
	/* Events outside are not looked for: what is older is deleted, what is
	 * newer not whole in the index. */
	uint64_t first_event, last_event;
};

/* Of the query's filters; before and the events are the caller's. */
void log_filter_init(
    struct log_filter *f, uint64_t seed, const struct msg *query);

struct log_search;

struct log_search *log_search_new(void);
void log_search_free(struct log_search *s);
/* Both stay as they are while the search goes on. */
int log_search_begin(struct log_search *s, struct log_file *file,
    const struct log_filter *filter) SL_MUST_CHECK;
int log_search_segment(
    struct log_search *s, const struct log_segment *segment) SL_MUST_CHECK;
int log_search_add(
    struct log_search *s, const struct log_position *at) SL_MUST_CHECK;
/* 1: the next, each once; 0: no more. */
int log_search_next(
    struct log_search *s, struct log_position *ret) SL_MUST_CHECK;

#endif
