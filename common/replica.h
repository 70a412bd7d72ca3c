/*
 * The receiving side of the directory: follows the DIRECTORY messages of an
 * api session and says when what was received is whole, and as of which
 * number.
 *
 * The owner keeps the content. It is told of every entry at once (an upsert,
 * or with entry->deleted a removal), each with the generation of the snapshot
 * it belongs to; when the snapshot is complete the owner drops every record
 * whose last entry had an older generation. So while a new snapshot comes in
 * after a reconnect the old content stays in force, and so do its number and
 * replica_complete(): they change only when the new snapshot is whole. Changes
 * that arrive inside a snapshot are applied at once and counted at its end.
 *
 * Several sessions: the one that began a snapshot last is followed; what the
 * one before it still sends is ignored. When the api is gone nothing happens
 * here: the content stays, as of its old number.
 *
 * After an error nothing of that message was applied and the session is
 * broken: every further message of it is -EPROTO until it begins a snapshot
 * again. The owner refuses such a message with REPLICA_RESYNC as the reason's
 * first word, which asks the api for a new snapshot.
 *
 * No sockets, no allocation; embedded by value; one thread.
 */
#ifndef SLUICE_REPLICA_H
#define SLUICE_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/msg.h"

#define REPLICA_RESYNC "resync"

struct replica_ops {
	/* A snapshot starts. */
	void (*on_begin)(void *arg, uint64_t generation);
	/* Apply this record; its slices live during the call only. */
	void (*on_entry)(
	    void *arg, const struct msg *entry, uint64_t generation);
	/* Drop what was not mentioned since generation began. */
	void (*on_complete)(void *arg, uint64_t number, uint64_t generation);
	/* After the entries of one change outside a snapshot. */
	void (*on_change)(void *arg, uint64_t number);
}; /* every member but on_entry may be NULL */

enum replica_state {
	REPLICA_IDLE,	  /* no session yet */
	REPLICA_SNAPSHOT, /* parts are coming in */
	REPLICA_LIVE,	  /* whole, following changes */
	REPLICA_BROKEN,	  /* after an error */
	REPLICA_STATE_MAX
};

struct replica {
	const struct replica_ops *ops;
	void *arg;
	enum replica_state state;
	bool complete;
	uint64_t number;      /* of the content in force */
	uint64_t generation;  /* of the newest snapshot, from 1 */
	uint64_t session;     /* followed */
	uint64_t before;      /* followed before that one */
	uint64_t last_change; /* number of the session's newest change */
	uint64_t next_part;
};

/* ops is kept by pointer. */
void replica_init(struct replica *r, const struct replica_ops *ops, void *arg);

/* An unpacked DIRECTORY message that came from that session of an api.
 * -EBADMSG: it holds what cannot be. -EPROTO: a part is missing, or a change
 * came before a snapshot or out of order. */
int replica_message(struct replica *r, uint64_t session,
    const struct msg *directory) SL_MUST_CHECK;

/* A whole snapshot is in force. Once true, always true. */
bool replica_complete(const struct replica *r);
/* Directory number of the content in force; 0 before the first is complete. */
uint64_t replica_number(const struct replica *r);
/* A whole snapshot and its changes are being followed: the number moves on.
 * False while the api is away or a new snapshot comes in. */
bool replica_live(const struct replica *r);
/* That session is gone. */
void replica_down(struct replica *r, uint64_t session);

#endif
