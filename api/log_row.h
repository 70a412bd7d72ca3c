/*
 * A row of the event store as the published WebhookEventLog.
 */
#ifndef SLUICE_API_LOG_ROW_H
#define SLUICE_API_LOG_ROW_H

#include <jansson.h>

#include "api/api.h"

/* application_id is the public id. NULL when memory is out. */
json_t *log_row_show(
    struct api *api, const char *application_id, const struct msg *row);
/* {"id", "name"} of the row's service; NULL when it has none. */
json_t *log_row_service(struct api *api, const struct msg *row);
/* The body as it was sent with that attempt number. */
json_t *log_row_body(const struct msg *row, uint64_t attempt);

/* Bodies that one answer repeats, an attempt each, at most. */
#define LOG_ROW_RAW_BYTES ((size_t)8 * 1024 * 1024)

/* The requests and answers of its attempts, as far as they are kept, secrets
 * masked. The webhook's own headers, like its URL, are those it has now. room
 * is what is left of LOG_ROW_RAW_BYTES; a body that exceeds it is null. */
json_t *log_row_raw(struct api *api, const struct msg *row, size_t *room);

#endif
