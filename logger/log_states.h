/*
 * What the log index knows of how deliveries stand: success, status and number
 * of attempts of each, which change while all else of a delivery stays.
 *
 * They are kept for LOG_STATES_MAX deliveries at a time, as a list of the
 * kinds that occur and runs of them, so that one change rewrites little.
 */
#ifndef SLUICE_LOGGER_LOG_STATES_H
#define SLUICE_LOGGER_LOG_STATES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "logger/ordinals.h"

#define LOG_STATES_MAX 8192
#define LOG_KINDS_MAX 256
/* Of these anything may be true. PENDING: leased when last looked at, and
 * looked at again; OTHER: too many kinds to keep. */
#define LOG_STATE_PENDING UINT32_C(0x80000000)
#define LOG_STATE_OTHER UINT32_C(0xc0000000)

#define LOG_STATUS_MAX 1023 /* this and more: not known exactly */

struct log_states {
	uint32_t count;
	uint32_t kind_count;
	uint32_t kinds[LOG_KINDS_MAX];
	uint8_t codes[LOG_STATES_MAX]; /* of each delivery its kind */
};

/* What is asked for; nothing is asked for when nothing is set. */
struct log_state_filter {
	bool by_success, success;
	bool by_status;
	uint64_t statuses[(LOG_STATUS_MAX + 1) / 64];
	uint64_t attempts; /* 0: any number */
};

uint32_t log_state(bool success, uint32_t status, uint32_t attempts);
/* No attempt has ended. */
bool log_state_untold(uint32_t state);
bool log_state_matches(const struct log_state_filter *f, uint32_t state);

/* The states of `count` deliveries; too many kinds become OTHER. */
void log_states_fill(
    struct log_states *s, const uint32_t *states, uint32_t count);
void log_states_set(struct log_states *s, uint32_t at, uint32_t state);
int log_states_encode(
    const struct log_states *s, struct buf *out) SL_MUST_CHECK;
/* -EBADMSG: that is not what was kept. */
int log_states_decode(struct slice kept, struct log_states *ret) SL_MUST_CHECK;
/* Adds those that match to the set, as ordinals from `base` on. */
int log_states_match(struct slice kept, const struct log_state_filter *f,
    uint32_t base, struct ordinals *set) SL_MUST_CHECK;

#endif
