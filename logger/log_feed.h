/*
 * What the log index reads of the store, through a connection of its own that
 * never writes. Between log_feed_begin() and log_feed_end() everything is of
 * one moment; keep that short, since the WAL cannot be reset meanwhile. One
 * thread.
 */
#ifndef SLUICE_LOGGER_LOG_FEED_H
#define SLUICE_LOGGER_LOG_FEED_H

#include "logger/log_segment.h"

struct log_delivery {
	struct log_position at;
	uint32_t state; /* log_state(), or LOG_STATE_PENDING */
};

struct log_change {
	uint64_t id;
	struct log_position at;
};

struct log_feed;

int log_feed_open(const char *store_path, struct log_feed **ret) SL_MUST_CHECK;
void log_feed_close(struct log_feed *f);
/* Events get their keys from this. */
void log_feed_set_seed(struct log_feed *f, uint64_t seed);
/* Deliveries without an attempt are PENDING when their event is behind
 * `recent`, which the store gave out before. */
int log_feed_begin(struct log_feed *f, uint64_t recent) SL_MUST_CHECK;
void log_feed_end(struct log_feed *f);

/* Newest event and newest change; 0: none. */
int log_feed_newest(struct log_feed *f, uint64_t *ret_event,
    uint64_t *ret_change) SL_MUST_CHECK;
/* The first event in [from, to]; 0: none. */
int log_feed_first(struct log_feed *f, uint64_t from, uint64_t to,
    uint64_t *ret) SL_MUST_CHECK;
/* Those in [from, to]. */
int log_feed_events(struct log_feed *f, uint64_t from, uint64_t to,
    struct log_event *events, size_t *ret_count) SL_MUST_CHECK;
/* Begins to give the deliveries of [from, to], in the order of the log. */
void log_feed_walk(struct log_feed *f, uint64_t from, uint64_t to);
/* 1: the next one, 0: no more. */
int log_feed_next(struct log_feed *f, struct log_delivery *ret) SL_MUST_CHECK;
/* 1: there is such a delivery; 0: not any more. */
int log_feed_delivery(struct log_feed *f, const struct log_position *at,
    struct log_delivery *ret) SL_MUST_CHECK;
/* Changes noted after `after`, oldest first. */
int log_feed_changes(struct log_feed *f, uint64_t after,
    struct log_change *changes, size_t max, size_t *ret_count) SL_MUST_CHECK;

#endif
