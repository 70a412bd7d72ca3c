/*
 * The one table of what travels on the link: every field, and (in
 * msg_fields.c) which message carries which. The struct, the packer, the
 * unpacker, the dump, docs/messages.md and the tests are all made from it.
 *
 * F(key, name, kind, max, text): key is the number on the wire and never
 * changes or comes back; max is the largest value of an U64, else bytes (of
 * TEXT, BYTES) or records (of a LIST).
 */
#ifndef SLUICE_MSG_FIELDS_H
#define SLUICE_MSG_FIELDS_H

#include "common/limits.h"

#define MSG_FIELDS(F)                                                          \
	/* the conversation itself */                                          \
	F(1, proto_min, U64, 255, "lowest protocol version spoken")            \
	F(2, proto_max, U64, 255, "highest protocol version spoken")           \
	F(3, role, TEXT, 16, "stage of the sender: ingest, router, ...")       \
	F(4, instance, TEXT, 64, "one process at one place; kept over starts") \
	F(5, session, U64, UINT64_MAX, "random, new at each start")            \
	F(6, peer_session, U64, UINT64_MAX, "session the frame is meant for")  \
	F(7, seq, U64, UINT64_MAX, "number of a message in its session")       \
	F(8, batch, BYTES, LIMIT_MESSAGE_BYTES + 64 * 1024,                    \
	    "messages, each as msgpack bin")                                   \
	F(9, ranges, LIST, 1024, "completed numbers above seq")                \
	F(10, refused, LIST, 1024, "messages that were refused")               \
	F(11, reason, TEXT, 256, "why, for people; starts with a fixed word")  \
	F(12, lane, U64, 7, "traffic class the credit is for")                 \
	F(13, max_messages, U64, UINT64_MAX, "may be sent, since the start")   \
	F(14, max_bytes, U64, UINT64_MAX, "bytes that may be sent, likewise")  \
	F(15, count, U64, UINT32_MAX, "how many")                              \
	F(16, stamp, U64, UINT64_MAX, "sender's clock, sent back as it is")    \
	F(17, credit, LIST, 8, "credit of each lane")                          \
	/* event */                                                            \
	F(20, custody, BYTES, 16, "custody id of the event")                   \
	F(21, app, U64, UINT32_MAX, "application number")                      \
	F(22, event_type, TEXT, LIMIT_TYPE_TEXT, "crm.contact.created")        \
	F(23, unified_api, TEXT, LIMIT_API_TEXT,                               \
	    "API of the event; of a vault event, its connection's")            \
	F(24, service_id, TEXT, LIMIT_SERVICE_TEXT, "connector")               \
	F(25, consumer_id, TEXT, LIMIT_CONSUMER_TEXT, "customer")              \
	F(26, entity_id, TEXT, LIMIT_ENTITY_TEXT, "what it happened to")       \
	F(27, entity_type, TEXT, LIMIT_API_TEXT, "contact, Connection, ...")   \
	F(28, request_id, BYTES, 16, "HTTP call that brought the event")       \
	F(29, body, BYTES, LIMIT_TEMPLATE_BYTES,                               \
	    "body template: canonical JSON without the attempt number")        \
	F(30, hole, U64, LIMIT_TEMPLATE_BYTES,                                 \
	    "where the attempt number goes in; 0: nowhere")                    \
	F(31, dedupe_key, BYTES, 32, "SHA-256(application, source, key)")      \
	F(32, number, U64, UINT64_MAX, "directory number")                     \
	F(33, age_ms, U64, UINT64_MAX, "how long ago, when sent")              \
	F(34, flags, U64, UINT32_MAX, "enum msg_flag")                         \
	F(35, event_id, TEXT, LIMIT_EVENT_ID_TEXT,                             \
	    "its publisher's own id of it; absent: the custody id")            \
	/* plan, delivery, outcome */                                          \
	F(40, deliveries, LIST, LIMIT_PLAN_PART, "planned or leased")          \
	F(41, subscription, U64, UINT32_MAX, "subscription number")            \
	F(42, part, U64, UINT32_MAX, "part of the whole, from 0")              \
	F(43, parts, U64, UINT32_MAX, "how many parts the whole has")          \
	F(44, delivery, BYTES, 16, "delivery id")                              \
	F(45, token, U64, UINT64_MAX, "lease token")                           \
	F(46, attempt, U64, UINT32_MAX, "execution attempt, from 1")           \
	F(47, cycle_attempt, U64, UINT32_MAX, "attempt in its cycle, from 1")  \
	F(48, url, TEXT, LIMIT_URL_TEXT, "where to POST")                      \
	F(49, secret, BYTES, 4096 + 64, "sealed for \"secret:APP\"")           \
	F(50, timeout_ms, U64, 3600000, "of one attempt; 0: the default")      \
	F(51, schedule, TEXT, LIMIT_SCHEDULE_TEXT, "gaps; absent: default")    \
	F(52, status, U64, 999, "HTTP status; 0: no answer")                   \
	F(53, verdict, U64, 15, "enum msg_verdict")                            \
	F(54, delay_ms, U64, UINT64_MAX, "next attempt after this")            \
	F(55, started_ms, U64, UINT64_MAX, "how long ago it began, when sent") \
	F(56, duration_ms, U64, UINT64_MAX, "how long it took")                \
	F(57, error, TEXT, 512, "what went wrong, for people")                 \
	F(58, response, BYTES, LIMIT_EXCERPT_BYTES, "excerpt of the answer")   \
	F(59, leases, LIST, 4096, "delivery and token pairs")                  \
	/* directory */                                                        \
	F(60, phase, U64, 15, "enum msg_phase")                                \
	F(61, entries, LIST, 4096, "records, each whole")                      \
	F(62, kind, U64, 15, "enum msg_entry_kind")                            \
	F(63, deleted, BOOL, 1, "the record is gone")                          \
	F(64, id, TEXT, LIMIT_ID_TEXT, "public id")                            \
	F(65, name, TEXT, LIMIT_NAME_TEXT, "for people")                       \
	F(66, key_hash, BYTES, 32, "SHA-256 of an API key")                    \
	F(67, events, TEXT, LIMIT_EVENTS_TEXT,                                 \
	    "event types, comma between; * and crm.* too")                     \
	F(68, scopes, TEXT, LIMIT_SCOPES_TEXT,                                 \
	    "JSON: attribute to the values it may have")                       \
	F(69, enabled, BOOL, 1, "switched on")                                 \
	F(70, lookup, TEXT, LIMIT_API_TEXT, "lookup id of a connection")       \
	F(71, quota, U64, UINT64_MAX, "events a month; 0: no limit")           \
	F(72, rate, U64, UINT32_MAX, "attempts a second; 0: no limit")         \
	/* questions and answers */                                            \
	F(80, query, U64, UINT64_MAX, "asker's number, sent back")             \
	F(81, what, U64, 15, "enum msg_query")                                 \
	F(82, limit, U64, 1000, "rows at most")                                \
	F(83, cursor, BYTES, 64, "where a page goes on; opaque")               \
	F(84, from_ms, U64, UINT64_MAX, "wall ms, inclusive")                  \
	F(85, to_ms, U64, UINT64_MAX, "wall ms, inclusive")                    \
	F(86, success, U64, 2, "enum msg_tristate")                            \
	F(87, statuses, TEXT, 512, "HTTP statuses, comma between")             \
	F(88, exclude_apis, TEXT, 512, "APIs, comma between")                  \
	F(89, rows, LIST, 1000, "what was found, newest first")                \
	F(90, state, U64, 15, "enum msg_state")                                \
	F(91, planned_ms, U64, UINT64_MAX, "wall ms of the plan's commit")     \
	F(92, at_ms, U64, UINT64_MAX, "wall ms")                               \
	F(93, attempts, LIST, 256, "attempts of a row, oldest first")          \
	F(94, born, U64, UINT64_MAX, "tokens minted before are void")          \
	F(95, used, U64, UINT64_MAX, "events of this month")                   \
	F(96, job, BYTES, 16, "id of a replay; made by who asks")              \
	/* what a webhook wants of its requests */                             \
	F(97, headers, BYTES, LIMIT_HEADERS_SEALED,                            \
	    "added to the request (headers.h), sealed for \"headers:APP\"")    \
	F(98, http2, BOOL, 1, "over HTTP/2 where TLS agrees on it")            \
	F(99, ordered, BOOL, 1, "in the order of commit, one at a time")

#define MSG_KEY_MAX 128 /* keys are below: one byte of msgpack */

#endif
