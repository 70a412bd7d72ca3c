/*
 * What the log index files a delivery under: one key for each field that a
 * filter can name, together with the application.
 *
 * A key is a hash. Two values that share one only make the index name rows
 * which the row itself then rules out. Where the index says what is *not*
 * wanted (exclude_apis) that would lose rows, so there the value is kept beside
 * the key and compared: the check. The hash starts from a number of the index,
 * so that nobody can look for values that collide.
 */
#ifndef SLUICE_LOGGER_LOG_KEY_H
#define SLUICE_LOGGER_LOG_KEY_H

#include <stdint.h>

#include "common/buf.h"

enum log_field {
	LOG_FIELD_APP,
	LOG_FIELD_TYPE,
	LOG_FIELD_API,	  /* unified_api, as exclude_apis tests it */
	LOG_FIELD_PREFIX, /* of the type, likewise */
	LOG_FIELD_ENTITY,
	LOG_FIELD_SERVICE,
	LOG_FIELD_CONSUMER,
	LOG_FIELD_SUBSCRIPTION, /* of the delivery; those above are its event's
				 */
	LOG_FIELD_MAX
};

#define LOG_CHECK_MAX 60 /* bytes of a check; longer values have none */

struct log_check {
	uint8_t len; /* 0: none */
	uint8_t bytes[LOG_CHECK_MAX];
};

/* An event as the index sees it. */
struct log_event {
	uint64_t seq;
	uint64_t planned_ms;
	uint32_t app;
	uint64_t keys[LOG_FIELD_SUBSCRIPTION]; /* 0: it has no such value */
	struct log_check api, prefix;
};

/* Texts as they stand in the store; data NULL: none. */
struct log_event_texts {
	struct slice event_type, unified_api, entity_type, service_id,
	    consumer_id;
};

/* Never 0. */
uint64_t log_key(
    uint64_t seed, uint32_t app, enum log_field field, struct slice value);
uint64_t log_key_subscription(
    uint64_t seed, uint32_t app, uint32_t subscription);
struct log_check log_check(uint32_t app, struct slice value);
/* Up to the first NUL, as SQL functions see a text. */
struct slice log_word(struct slice text);
/* crm.contact.created: crm */
struct slice log_prefix(struct slice event_type);
/* Sets keys and checks of e, whose app is set. */
void log_event_file(
    struct log_event *e, uint64_t seed, const struct log_event_texts *texts);

#endif
