/*
 * Messages: what they are and how they become bytes.
 *
 * A message is its type (an unsigned integer) followed by a msgpack map from
 * field keys to values; both tables (msg_fields.h, msg_fields.c) describe it
 * fully. An absent number is 0, an absent bool false, an absent slice NULL; so
 * zero values are not packed, unless the message requires the field. Unpacking
 * allocates nothing: slices point into the caller's bytes and live as long.
 *
 * msg_unpack() checks kind, cap, required fields, records of lists, depth and
 * trailing bytes, and answers -EBADMSG for anything else; keys it does not
 * know are skipped, so a newer peer may send more. Over-long text is refused,
 * never cut. Pure functions; any thread.
 */
#ifndef SLUICE_MSG_H
#define SLUICE_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/msg_fields.h"

enum msg_type {
	MSG_NONE,
	/* frames of the link itself */
	MSG_HELLO,
	MSG_WELCOME,
	MSG_REFUSE,
	MSG_RESET,
	MSG_BYE,
	MSG_DATA,
	MSG_ACK,
	MSG_CREDIT,
	MSG_PING,
	MSG_PONG,
	/* messages inside DATA */
	MSG_EVENT,
	MSG_PLAN,
	MSG_DELIVER,
	MSG_OUTCOME,
	MSG_RELEASE,
	MSG_HELD,
	MSG_PROBE,
	MSG_PROBED,
	MSG_DIRECTORY,
	MSG_QUERY,
	MSG_PAGE,
	MSG_NOTICE,
	MSG_REPLAY,
	/* records of lists */
	MSG_RANGE,
	MSG_REFUSED,
	MSG_LANE_CREDIT,
	MSG_PLANNED,
	MSG_LEASE,
	MSG_LEASE_ID,
	MSG_ENTRY,
	MSG_ROW,
	MSG_ATTEMPT,
	MSG_TYPE_MAX
};

/* Lanes: credit is counted apart, so that one cannot starve another. */
enum msg_lane {
	MSG_LANE_RESULT,
	MSG_LANE_WORK,
	MSG_LANE_CONTROL,
	MSG_LANE_MAX
};

enum msg_flag {
	MSG_FLAG_ONCE = 1,  /* one attempt only (test send) */
	MSG_FLAG_ALONE = 2, /* lost two leases: alone on its thread */
	MSG_FLAG_FREE = 4,  /* does not count against the quota */
	MSG_FLAG_TROUBLED =
	    8, /* its endpoint's last attempt failed or was slow */
	MSG_FLAG_WHOLE = 16, /* QUERY: attempts with their answers */
};
enum msg_verdict {
	MSG_VERDICT_NONE,
	MSG_VERDICT_DELIVERED,
	MSG_VERDICT_RETRY,   /* again after delay_ms */
	MSG_VERDICT_GIVE_UP, /* schedule or life at its end */
	MSG_VERDICT_DISABLE, /* the subscriber asked for no more (410) */
	MSG_VERDICT_MAX
};
enum msg_phase {
	MSG_PHASE_CHANGE,   /* numbered change */
	MSG_PHASE_SNAPSHOT, /* part of a snapshot; part 0 begins a new one */
	MSG_PHASE_COMPLETE, /* the snapshot is whole, as of number */
	MSG_PHASE_MAX
};
enum msg_entry_kind {
	MSG_ENTRY_NONE,
	MSG_ENTRY_APP,
	MSG_ENTRY_KEY,
	MSG_ENTRY_SUBSCRIPTION,
	MSG_ENTRY_CONNECTION,
	MSG_ENTRY_MAX
};
enum msg_query {
	MSG_QUERY_NONE,
	MSG_QUERY_LOGS,	 /* rows by application, filters and cursor */
	MSG_QUERY_LOG,	 /* the row of one delivery */
	MSG_QUERY_EVENT, /* rows of one event, by custody or request id */
	MSG_QUERY_USAGE, /* no rows: what the application used this month */
	MSG_QUERY_MAX
};
enum msg_tristate { MSG_ANY, MSG_TRUE, MSG_FALSE };
/* What a delivery is; also the column `state` of the store. OVER is HELD to
 * everybody but the store: held because its event came over the quota. */
enum msg_state {
	MSG_STATE_NONE,
	MSG_STATE_DUE,
	MSG_STATE_LEASED,
	MSG_STATE_DELIVERED,
	MSG_STATE_FAILED,
	MSG_STATE_HELD,
	MSG_STATE_OVER,
	MSG_STATE_MAX
};

/* A PAGE's count when counting would have taken too long. */
#define MSG_COUNT_UNKNOWN UINT32_MAX

/* Records of a list, still packed. */
struct msg_list {
	struct slice packed; /* the records one after the other */
	uint32_t count;
};

#define MSG_MEMBER_U64 uint64_t
#define MSG_MEMBER_BOOL bool
#define MSG_MEMBER_TEXT struct slice
#define MSG_MEMBER_BYTES struct slice
#define MSG_MEMBER_LIST struct msg_list
#define MSG_MEMBER(key, name, kind, max, text) MSG_MEMBER_##kind name;

struct msg {
	enum msg_type type;
	MSG_FIELDS(MSG_MEMBER)
};

/* "EVENT"; "?" for what is no type. */
const char *msg_name(enum msg_type type);
enum msg_lane msg_lane(enum msg_type type);

/* Appends the message. -EINVAL when a required field is missing or a value is
 * over its cap, else what buf says; out is unchanged on any error. */
int msg_pack(const struct msg *m, struct buf *out) SL_MUST_CHECK;
int msg_unpack(struct slice bytes, struct msg *ret_msg) SL_MUST_CHECK;
/* The type alone, for dispatch before unpacking; MSG_NONE when it is none. */
enum msg_type msg_peek(struct slice bytes);

/*
 * Lists. To build one, pack records into a buf and set {buf_slice(), count}.
 * To read one, call msg_next() until it says false; records of an unpacked
 * message were checked then and cannot fail.
 */
int msg_pack_record(const struct msg *record, struct buf *out) SL_MUST_CHECK;
bool msg_next(
    struct msg_list *list, enum msg_type type, struct msg *ret_record);

/* One line for logs and tests; bytes are shown by length only. */
int msg_dump(const struct msg *m, struct buf *out) SL_MUST_CHECK;
/* docs/messages.md */
int msg_document(struct buf *out) SL_MUST_CHECK;

#endif
