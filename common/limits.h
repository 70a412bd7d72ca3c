/*
 * Every cap that more than one module must agree on, with its reason.
 * A module's private caps stand in its own header.
 */
#ifndef SLUICE_LIMITS_H
#define SLUICE_LIMITS_H

/* Request body of an HTTP call; larger answers 413 (design: 1 MiB). */
#define LIMIT_BODY_BYTES (1024 * 1024)
/* Body template of one event: a request body in canonical form plus its
 * envelope. Escapes can grow it, so a quarter of headroom. */
#define LIMIT_TEMPLATE_BYTES (LIMIT_BODY_BYTES + LIMIT_BODY_BYTES / 4)
/* One message on the link, its largest template included. */
#define LIMIT_MESSAGE_BYTES (2 * 1024 * 1024)
/* Depth of a JSON document; deeper answers 400. */
#define LIMIT_JSON_DEPTH 64
/* Deliveries in one part of a plan, so a large fan-out blocks nobody. */
#define LIMIT_PLAN_PART 500
/* Leases in one DELIVER: they share one body. */
#define LIMIT_DELIVER_PART 64
/* Response excerpt kept of an attempt: of a 2xx, and of anything else. */
#define LIMIT_EXCERPT_OK_BYTES 1024
#define LIMIT_EXCERPT_BYTES (16 * 1024)
/* A page of a query answer. */
#define LIMIT_PAGE_BYTES (1024 * 1024)

/* Texts of an event and of the directory, in bytes. */
#define LIMIT_ID_TEXT 128
#define LIMIT_TYPE_TEXT 128
#define LIMIT_API_TEXT 64
#define LIMIT_SERVICE_TEXT 64
#define LIMIT_CONSUMER_TEXT 256
#define LIMIT_ENTITY_TEXT 256
#define LIMIT_EVENT_ID_TEXT 256
#define LIMIT_URL_TEXT 2048
#define LIMIT_NAME_TEXT 256
#define LIMIT_EVENTS_TEXT (16 * 1024)
#define LIMIT_SCOPES_TEXT (16 * 1024)
#define LIMIT_SCHEDULE_TEXT 512
/* A webhook's own request headers (headers.h), sealed. */
#define LIMIT_HEADERS_SEALED (4096 + 64)

#endif
