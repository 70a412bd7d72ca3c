/*
 * The newest segment of the log index, which is still in memory: up to
 * LOG_SEGMENT_MAX deliveries, each with an ordinal in the order in which they
 * came, and under each key the ordinals that have it. When it is full it is
 * sealed: written to the index's file (log_file.h), where only the states of
 * its deliveries may change.
 *
 * Deliveries come in the order of the log, but for those that were added to an
 * event later. Not thread-safe: see log_index.h.
 */
#ifndef SLUICE_LOGGER_LOG_SEGMENT_H
#define SLUICE_LOGGER_LOG_SEGMENT_H

#include "logger/log_kinds.h"
#include "logger/log_states.h"
#include "logger/ordinals.h"

#define LOG_SEGMENT_MAX ORDINALS_MAX
#define LOG_KEYS_MAX 131072 /* as many different ones make it full, too */
/* A part is what is read at once to turn ordinals into places. */
#define LOG_PART 1024
#define LOG_PARTS (LOG_SEGMENT_MAX / LOG_PART)
#define LOG_STATES_PARTS (LOG_SEGMENT_MAX / LOG_STATES_MAX)

/* Where a row stands in the log. */
struct log_position {
	uint64_t event; /* commit sequence */
	uint32_t subscription;
};

struct log_place {
	struct log_position at;
	uint64_t planned_ms;
};

struct log_part {
	uint64_t min_event, max_event;
	uint64_t min_ms, max_ms;
};

/* What a segment holds, in short. */
struct log_head {
	uint32_t count;
	bool late; /* some did not come in the order of the log */
	uint64_t min_event, max_event;
	struct log_part parts[LOG_PARTS]; /* as many as count says */
};

/* The ordinals under one key. */
struct log_list {
	uint64_t key;
	uint32_t count, cap;
	union {
		uint16_t few[4];
		uint16_t *many; /* when cap is not 0 */
	} u;
	struct log_check *check; /* NULL: none */
};

struct log_sorted {
	uint64_t key;
	const struct log_list *list;
};

struct log_segment {
	uint64_t id;
	struct log_head head;
	struct log_kinds kinds;
	struct log_list *lists;
	uint32_t list_count, list_cap;
	uint32_t *slots; /* number in lists, plus 1 */
	uint32_t slot_count;
	uint32_t states[LOG_SEGMENT_MAX];
	struct log_place places[LOG_SEGMENT_MAX];
};

/* -1, 0, 1: a is older, the same, newer. */
int log_position_compare(
    const struct log_position *a, const struct log_position *b);

struct log_segment *log_segment_new(uint64_t id);
void log_segment_free(struct log_segment *s);
bool log_segment_full(const struct log_segment *s);
/* The segment is not full. -ENOMEM: it is as before. */
int log_segment_add(struct log_segment *s, const struct log_event *e,
    uint64_t subscription_key, uint32_t subscription,
    uint32_t state) SL_MUST_CHECK;
/* Its ordinal; false: it is not in here. */
bool log_segment_find(const struct log_segment *s,
    const struct log_position *at, uint32_t *ret_ordinal);
/* Adds what is filed under the key; with a check as in postings_find(). */
void log_segment_posting(const struct log_segment *s, uint64_t key,
    const struct log_check *check, struct ordinals *set);
/* The list_count lists in the order of their keys, to be freed by the caller;
 * NULL: out of memory. */
struct log_sorted *log_segment_sorted(const struct log_segment *s);
const uint16_t *log_list_ordinals(const struct log_list *list);

#endif
