#include "common/msg_fields.h"

#include <stddef.h>

#include "common/msg.h"
#include "common/msg_table.h"

#define ROW(key, field, kind, max, text)                                     \
	[key] = { #field, MSG_KIND_##kind, offsetof(struct msg, field), max, \
		text },

const struct msg_field msg_fields[MSG_KEY_MAX] = { MSG_FIELDS(ROW) };

#define KEY(key, field, kind, max, text) K_##field = (key),
enum { MSG_FIELDS(KEY) };

#define REQ(field) { K_##field, true, MSG_NONE }
#define OPT(field) { K_##field, false, MSG_NONE }
#define LIST(field, record) { K_##field, false, MSG_##record }

#define EVENT_FIELDS                                                 \
	REQ(custody), REQ(app), REQ(event_type), OPT(unified_api),   \
	    OPT(service_id), OPT(consumer_id), OPT(entity_id),       \
	    OPT(entity_type), OPT(request_id), REQ(body), OPT(hole), \
	    OPT(dedupe_key), OPT(number), OPT(age_ms), OPT(flags),   \
	    OPT(event_id)

const struct msg_shape msg_shapes[MSG_TYPE_MAX] = {
	[MSG_HELLO] = { "HELLO", MSG_LANE_CONTROL,
	    "connecting side -> binding side: who I am; after every reset",
	    { REQ(proto_min), REQ(proto_max), REQ(role), REQ(instance),
		REQ(session), OPT(peer_session), OPT(seq), OPT(stamp) } },
	[MSG_WELCOME] = { "WELCOME", MSG_LANE_CONTROL,
	    "answer to HELLO: version spoken, and what was received",
	    { REQ(proto_max), REQ(role), REQ(instance), REQ(session),
		REQ(peer_session), OPT(seq), OPT(flags), OPT(stamp) } },
	[MSG_REFUSE] = { "REFUSE", MSG_LANE_CONTROL,
	    "answer to HELLO: no conversation, and why",
	    { REQ(reason), OPT(proto_min), OPT(proto_max), OPT(stamp) } },
	[MSG_RESET] = { "RESET", MSG_LANE_CONTROL,
	    "answer to a frame from an unknown sender: say HELLO",
	    { REQ(session) } },
	[MSG_BYE] = { "BYE", MSG_LANE_CONTROL,
	    "the session ends; nothing of it will come back",
	    { REQ(session), OPT(reason) } },
	[MSG_DATA] = { "DATA", MSG_LANE_CONTROL,
	    "messages numbered seq, seq + 1, ...",
	    { REQ(session), REQ(seq), REQ(count), REQ(batch) } },
	[MSG_ACK] = { "ACK", MSG_LANE_CONTROL,
	    "all up to seq are completed, and those of ranges and refused",
	    { REQ(peer_session), OPT(seq), LIST(ranges, RANGE),
		LIST(refused, REFUSED) } },
	[MSG_CREDIT] = { "CREDIT", MSG_LANE_CONTROL,
	    "what may be sent on each lane, counted from the session's start",
	    { REQ(peer_session), LIST(credit, LANE_CREDIT) } },
	[MSG_PING] = { "PING", MSG_LANE_CONTROL, "is your loop running?",
	    { REQ(session), REQ(stamp) } },
	[MSG_PONG] = { "PONG", MSG_LANE_CONTROL, "it is",
	    { REQ(peer_session), REQ(stamp) } },

	[MSG_EVENT] = { "EVENT", MSG_LANE_WORK,
	    "ingest, api -> router: an accepted event; with a subscription, "
	    "for "
	    "that one alone, whatever it matches",
	    { EVENT_FIELDS, OPT(subscription) } },
	[MSG_PLAN] = { "PLAN", MSG_LANE_WORK,
	    "router -> logger: an event and whom it goes to; parts after the "
	    "first carry the event without its body",
	    { REQ(custody), REQ(app), OPT(event_type), OPT(unified_api),
		OPT(service_id), OPT(consumer_id), OPT(entity_id),
		OPT(entity_type), OPT(request_id), OPT(body), OPT(hole),
		OPT(dedupe_key), REQ(number), OPT(age_ms), OPT(flags),
		LIST(deliveries, PLANNED), OPT(part), REQ(parts),
		OPT(event_id) } },
	[MSG_DELIVER] = { "DELIVER", MSG_LANE_WORK,
	    "logger -> deliverer: leases that share one body",
	    { REQ(custody), REQ(event_type), REQ(body), OPT(hole),
		LIST(deliveries, LEASE) } },
	[MSG_OUTCOME] = { "OUTCOME", MSG_LANE_RESULT,
	    "deliverer -> logger: what one attempt came to",
	    { REQ(delivery), REQ(token), REQ(attempt), OPT(status),
		REQ(verdict), OPT(delay_ms), OPT(started_ms), OPT(duration_ms),
		OPT(error), OPT(response) } },
	[MSG_RELEASE] = { "RELEASE", MSG_LANE_RESULT,
	    "deliverer -> logger: leases given back without an attempt",
	    { LIST(leases, LEASE_ID), OPT(reason) } },
	[MSG_HELD] = { "HELD", MSG_LANE_RESULT,
	    "deliverer -> a new logger session: all the leases I have",
	    { LIST(leases, LEASE_ID), OPT(part), REQ(parts) } },
	[MSG_PROBE] = { "PROBE", MSG_LANE_CONTROL,
	    "api -> logger -> deliverer: POST this once, now",
	    { REQ(query), REQ(app), REQ(url), REQ(event_type), REQ(body),
		OPT(secret), OPT(timeout_ms), OPT(headers), OPT(http2) } },
	[MSG_PROBED] = { "PROBED", MSG_LANE_RESULT,
	    "deliverer -> logger -> api: what the probe came to",
	    { REQ(query), OPT(status), REQ(verdict), OPT(error),
		OPT(duration_ms), OPT(response) } },
	[MSG_DIRECTORY] = { "DIRECTORY", MSG_LANE_CONTROL,
	    "api -> router, ingest, logger: a snapshot, then its changes",
	    { OPT(phase), REQ(number), OPT(part), LIST(entries, ENTRY) } },
	[MSG_QUERY] = { "QUERY", MSG_LANE_CONTROL, "api -> logger",
	    { REQ(query), REQ(what), REQ(app), OPT(limit), OPT(cursor),
		OPT(delivery), OPT(custody), OPT(request_id), OPT(from_ms),
		OPT(to_ms), OPT(success), OPT(statuses), OPT(exclude_apis),
		OPT(event_type), OPT(entity_type), OPT(service_id),
		OPT(consumer_id), OPT(attempt), OPT(subscription),
		OPT(event_id), OPT(flags) } },
	[MSG_PAGE] = { "PAGE", MSG_LANE_CONTROL, "logger -> api",
	    { REQ(query), LIST(rows, ROW), OPT(cursor), OPT(error), OPT(count),
		OPT(used) } },
	[MSG_NOTICE] = { "NOTICE", MSG_LANE_CONTROL,
	    "logger -> api: a subscription was held, or (subscription 0) a "
	    "whole "
	    "application, usage_limit; until a change answers",
	    { REQ(subscription), REQ(app), REQ(number), REQ(reason),
		OPT(delivery), OPT(at_ms) } },
	[MSG_REPLAY] = { "REPLAY", MSG_LANE_CONTROL,
	    "api -> logger: make deliveries due again, one or those of a "
	    "subscription; answered by a PAGE: count, or an error that starts "
	    "with unknown, live, held, gone or many",
	    { REQ(query), REQ(app), OPT(delivery), OPT(subscription),
		OPT(from_ms), OPT(to_ms), OPT(job), OPT(state) } },

	[MSG_RANGE] = { "range", MSG_LANE_CONTROL, "record of ranges",
	    { REQ(seq), REQ(count) } },
	[MSG_REFUSED] = { "refused", MSG_LANE_CONTROL, "record of refused",
	    { REQ(seq), REQ(reason) } },
	[MSG_LANE_CREDIT] = { "lane credit", MSG_LANE_CONTROL,
	    "record of credit",
	    { OPT(lane), OPT(max_messages), OPT(max_bytes) } },
	[MSG_PLANNED] = { "planned", MSG_LANE_CONTROL,
	    "record of a plan's deliveries", { REQ(subscription) } },
	[MSG_LEASE] = { "lease", MSG_LANE_CONTROL,
	    "record of a DELIVER's deliveries",
	    { REQ(delivery), REQ(token), REQ(attempt), REQ(cycle_attempt),
		OPT(age_ms), REQ(app), REQ(subscription), REQ(url), OPT(secret),
		OPT(timeout_ms), OPT(schedule), OPT(flags), OPT(headers),
		OPT(http2) } },
	[MSG_LEASE_ID] = { "lease id", MSG_LANE_CONTROL, "record of leases",
	    { REQ(delivery), REQ(token) } },
	[MSG_ENTRY] = { "entry", MSG_LANE_CONTROL,
	    "record of the directory; app entries carry their last change",
	    { REQ(kind), OPT(deleted), REQ(number), REQ(app), REQ(id),
		OPT(name), OPT(key_hash), OPT(subscription), OPT(url),
		OPT(events), OPT(scopes), OPT(enabled), OPT(unified_api),
		OPT(secret), OPT(timeout_ms), OPT(schedule), OPT(rate),
		OPT(quota), OPT(reason), OPT(lookup), OPT(consumer_id),
		OPT(service_id), OPT(born), OPT(headers), OPT(http2),
		OPT(ordered) } },
	[MSG_ROW] = { "row", MSG_LANE_CONTROL, "record of a page",
	    { REQ(delivery), REQ(app), REQ(subscription), REQ(event_type),
		OPT(unified_api), OPT(service_id), OPT(consumer_id),
		OPT(entity_id), OPT(entity_type), OPT(request_id), OPT(body),
		OPT(hole), OPT(url), REQ(state), OPT(status), OPT(attempt),
		REQ(planned_ms), OPT(error), OPT(response),
		LIST(attempts, ATTEMPT) } },
	[MSG_ATTEMPT] = { "attempt", MSG_LANE_CONTROL, "record of a row",
	    { REQ(attempt), OPT(status), OPT(verdict), REQ(at_ms),
		OPT(duration_ms), OPT(error), OPT(response) } },
};
