/*
 * Which applications a segment of the log index has deliveries of, and with
 * which unified APIs and prefixes of types: the kinds. There are few, so a
 * search knows from them, without reading more of the segment, that it has
 * nothing, and which of the words of exclude_apis take anything away.
 *
 * A kind may be named of which no delivery is left; none is missing.
 */
#ifndef SLUICE_LOGGER_LOG_KINDS_H
#define SLUICE_LOGGER_LOG_KINDS_H

#include <stdbool.h>

#include "common/attributes.h"
#include "logger/log_key.h"

#define LOG_SEGMENT_KINDS_MAX 64 /* with more, none are kept */

/* Checks of length 0: no such value, or none that can be compared. */
struct log_kind {
	uint32_t app;
	struct log_check api, prefix;
};

struct log_kinds {
	bool many; /* more than can be kept */
	uint32_t count, last;
	struct log_kind list[LOG_SEGMENT_KINDS_MAX];
};

/* A word of exclude_apis. */
struct log_excluded {
	uint64_t api_key, prefix_key;
	struct log_check check;
};

#define LOG_EXCLUDED_MAX 64 /* words; more rule nothing out */

void log_kinds_add(struct log_kinds *k, const struct log_event *e);
/* What is kept of them; none when there were too many. */
struct slice log_kinds_kept(const struct log_kinds *k);
/* -EBADMSG: it cannot have been that. */
int log_kinds_get(struct log_kinds *k, struct slice kept) SL_MUST_CHECK;
/*
 * Is anything of the application left without the excluded? The bits of
 * *ret_words say which of these can take something away.
 */
bool log_kinds_left(const struct log_kinds *k, uint32_t app,
    const struct log_excluded *excluded, unsigned count, uint64_t *ret_words);

#endif
