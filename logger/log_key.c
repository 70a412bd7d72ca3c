#include "logger/log_key.h"

#include <string.h>

#define PRIME UINT64_C(0x9e3779b97f4a7c15) /* 2^64 over the golden ratio */

static uint64_t
mix(uint64_t h, uint64_t word)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)(h ^ word) * PRIME;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t
log_key(uint64_t seed, uint32_t app, enum log_field field, struct slice value)
{
	const uint8_t *at = value.data;
	size_t len = value.len;
	uint64_t h = mix(seed, (uint64_t)app << 8 | (uint64_t)field), word;

	h = mix(h, len);
	for (; len >= sizeof(word); len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		h = mix(h, word);
		at += sizeof(word);
	}
	word = 0;
	if (len > 0)
		memcpy(&word, at, len);
	h = mix(mix(h, word), seed);
	return h != 0 ? h : 1;
}

uint64_t
log_key_subscription(uint64_t seed, uint32_t app, uint32_t subscription)
{
	uint8_t bytes[sizeof(subscription)];

	memcpy(bytes, &subscription, sizeof(bytes));
	return log_key(seed, app, LOG_FIELD_SUBSCRIPTION,
	    (struct slice){ bytes, sizeof(bytes) });
}

struct log_check
log_check(uint32_t app, struct slice value)
{
	struct log_check check = { 0 };

	if (value.len > LOG_CHECK_MAX - sizeof(app))
		return check;
	memcpy(check.bytes, &app, sizeof(app));
	if (value.len > 0)
		memcpy(check.bytes + sizeof(app), value.data, value.len);
	check.len = (uint8_t)(sizeof(app) + value.len);
	return check;
}

/* Up to the first such byte. */
static struct slice
cut(struct slice text, char byte)
{
	const uint8_t *at =
	    text.len > 0 ? memchr(text.data, byte, text.len) : NULL;

	if (at != NULL)
		text.len = (size_t)(at - text.data);
	return text;
}

struct slice
log_word(struct slice text)
{
	return cut(text, '\0');
}

struct slice
log_prefix(struct slice event_type)
{
	return cut(log_word(event_type), '.');
}

static void
file(struct log_event *e, uint64_t seed, enum log_field field,
    struct slice value)
{
	e->keys[field] =
	    value.data != NULL ? log_key(seed, e->app, field, value) : 0;
}

void
log_event_file(
    struct log_event *e, uint64_t seed, const struct log_event_texts *texts)
{
	struct slice api = log_word(texts->unified_api);
	struct slice prefix = log_prefix(texts->event_type);

	file(e, seed, LOG_FIELD_APP, slice_text(""));
	file(e, seed, LOG_FIELD_TYPE, texts->event_type);
	file(e, seed, LOG_FIELD_API, api);
	file(e, seed, LOG_FIELD_PREFIX, prefix);
	file(e, seed, LOG_FIELD_ENTITY, texts->entity_type);
	file(e, seed, LOG_FIELD_SERVICE, texts->service_id);
	file(e, seed, LOG_FIELD_CONSUMER, texts->consumer_id);
	e->api = log_check(e->app, api);
	e->prefix = log_check(e->app, prefix);
}
