#include "ingest/accept_record.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

struct accept_record *
accept_record_new(struct slice payload, uint32_t key)
{
	size_t padded = (payload.len + 7) & ~(size_t)7;
	struct accept_record *record;

	if (payload.len == 0 || payload.len > ACCEPT_PAYLOAD_MAX)
		return NULL;
	record = malloc(sizeof(*record) + padded);
	if (record == NULL)
		return NULL;
	memset(record, 0, sizeof(*record));
	record->head.len = (uint32_t)payload.len;
	record->head.key = key;
	record->head.accepted_ms = clock_wall_ms();
	memcpy(record + 1, payload.data, payload.len);
	memset((uint8_t *)(record + 1) + payload.len, 0, padded - payload.len);
	return record;
}

void
accept_record_free(struct accept_record *record)
{
	free(record);
}

struct slice
accept_record_payload(const struct accept_record *record)
{
	return (
	    struct slice){ (const uint8_t *)(record + 1), record->head.len };
}

uint32_t
accept_record_key(const struct accept_record *record)
{
	return record->head.key;
}

uint64_t
accept_record_time(const struct accept_record *record)
{
	return record->head.accepted_ms;
}

void
accept_record_free_all(struct accept_record *record)
{
	struct accept_record *next;

	for (; record != NULL; record = next) {
		next = record->next;
		accept_record_free(record);
	}
}
