/*
 * One reliable conversation, used on every hop.
 *
 * A link is one process's end: it either binds one address (ROUTER) or
 * connects to any number (one DEALER each). A peer is one session of one
 * process at the other end; it exists from on_up to on_down. Inside one pair
 * of sessions every message sent is handed over exactly once and completed
 * exactly once, through TCP resets and reconnects; when either session ends,
 * what was not completed comes back through on_returned and is forgotten here.
 *
 * Receiving. on_message hands over each message with its number. The
 * application completes it with link_complete() or link_refuse(), in any
 * order, now or much later; that is what the sender's ack means. Nothing is
 * completed by itself. The slice is valid during the call only.
 *
 * Sending. link_send() takes a packed message and a cookie of the caller's,
 * and keeps a copy until exactly one of on_completed, on_refused, on_returned
 * is called with the cookie. -EAGAIN when the peer has granted no room: wait
 * for on_room. Messages leave in batches, at link_flush(): every handler that
 * sends, completes or refuses calls it once at its end. (The link also
 * flushes after it has handed over what one wake-up brought.)
 *
 * Credit. link_set_window() says how many messages and bytes of a lane may be
 * uncompleted at once from each peer (0 grants nothing more). Windows of bytes
 * are at least LINK_WINDOW_MIN_BYTES unless 0, and a peer with nothing
 * uncompleted on a lane of non-zero window may always send one message, so a
 * message as large as LIMIT_MESSAGE_BYTES always passes.
 *
 * Life. PING goes out every LINK_PING_MS, answered by the application's loop.
 * A peer from which no frame came for LINK_SILENT_MS of our own running time
 * (loop.h) is gone. Frames that cannot be understood are counted, logged once
 * per peer, and dropped.
 *
 * Everything is called, and calls back, in the thread of the loop. Callbacks
 * may send, complete and flush, but not free the link.
 */
#ifndef SLUICE_LINK_H
#define SLUICE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/loop.h"
#include "common/msg.h"
#include "common/wiring.h"

#define LINK_PROTO_MIN 1
#define LINK_PROTO_MAX 1
#define LINK_PING_MS 1000
#define LINK_SILENT_MS 10000
#define LINK_PEERS_MAX 256 /* sessions at once; more are refused */
#define LINK_WINDOW_MIN_BYTES (4u * 1024 * 1024)

struct link;
struct link_peer;

struct link_ops {
	/* Both sides know each other; sending is possible once there is room.
	 * The peer's data pointer is the application's. */
	void (*on_up)(void *arg, struct link_peer *peer);
	/* After all its unacked messages came back. The peer is freed after
	 * the call. */
	void (*on_down)(void *arg, struct link_peer *peer, const char *why);
	void (*on_message)(void *arg, struct link_peer *peer, uint64_t seq,
	    enum msg_type type, struct slice message);
	/* After the last on_message of one wake-up: the place to flush work. */
	void (*on_batch)(void *arg);
	/* The peer has room again on a lane that had none. */
	void (*on_room)(void *arg, struct link_peer *peer, enum msg_lane lane);
	void (*on_completed)(
	    void *arg, struct link_peer *peer, uint64_t cookie);
	void (*on_refused)(void *arg, struct link_peer *peer, uint64_t cookie,
	    struct slice reason);
	void (*on_returned)(void *arg, struct link_peer *peer, uint64_t cookie);
}; /* every member may be NULL: then the matter is ignored */

struct link_config {
	enum stage stage;     /* who we are */
	const char *instance; /* kept by pointer */
	/* CURVE certificates, keys/STAGE.pub and so on; NULL: none are used,
	 * and plain_tcp must be set for tcp addresses. */
	const char *keys_folder;
	bool plain_tcp;
};

/* -errno through ret_link only on success. A link that neither binds nor
 * connects is idle. One link per process is bound, one per stage connected. */
int link_new(struct loop *loop, const struct link_config *config,
    const struct link_ops *ops, void *arg,
    struct link **ret_link) SL_MUST_CHECK;
/* Says BYE to every peer, returns nothing, calls nothing. */
void link_free(struct link *l);

/* tcp://ADDRESS:PORT (numeric; * for all) or ipc://PATH, which PATH.lock keeps
 * from being taken over. -EADDRINUSE: another process has it; -EACCES: tcp
 * without keys and without plain_tcp; -EINVAL. */
int link_bind(struct link *l, const char *address) SL_MUST_CHECK;
/* Adds or removes a peer address (numeric), as discovery finds and loses it;
 * `to` is the stage expected there. Adding one twice is no error; what cannot
 * be reached yet (no key, no descriptor) is tried again and again. */
int link_connect(
    struct link *l, enum stage to, const char *address) SL_MUST_CHECK;
void link_disconnect(struct link *l, const char *address);

void link_set_window(
    struct link *l, enum msg_lane lane, uint64_t messages, uint64_t bytes);
/* The same for one peer: overrides the link's from now on. */
void link_set_peer_window(struct link_peer *peer, enum msg_lane lane,
    uint64_t messages, uint64_t bytes);

/* -EAGAIN: no room. -ENOMEM. -EPERM: wiring.h forbids it. -EMSGSIZE. */
int link_send(struct link_peer *peer, enum msg_type type, struct slice message,
    uint64_t cookie) SL_MUST_CHECK;
/* How many more messages of typical size the peer takes on the lane now. */
uint64_t link_room(const struct link_peer *peer, enum msg_lane lane);
void link_complete(struct link_peer *peer, uint64_t seq);
/* reason: a fixed word, then what people need ("stale", "full: ..."). */
void link_refuse(struct link_peer *peer, uint64_t seq, const char *reason);
void link_flush(struct link *l);
/* Uncompleted messages received, and unacked messages sent, of all peers. */
uint64_t link_open(const struct link *l);
uint64_t link_unacked(const struct link *l);

enum stage link_peer_stage(const struct link_peer *peer);
const char *link_peer_instance(const struct link_peer *peer);
uint64_t link_peer_session(const struct link_peer *peer);
/* Ours, as the peers see it. */
uint64_t link_session(const struct link *l);
/* Send time (clock_mono_ms) of the newest PING the peer has answered; 0: none
 * yet. The deliverer fences itself with it. */
uint64_t link_peer_heard_ms(const struct link_peer *peer);
/* True in on_up when the other side had declared our session dead. */
bool link_peer_was_dead(const struct link_peer *peer);
/* First peer, then the one after; for walking all that are up. */
struct link_peer *link_peer_next(struct link *l, struct link_peer *after);
void link_peer_set_data(struct link_peer *peer, void *data);
void *link_peer_data(const struct link_peer *peer);
/* sluice_link_* lines for /metrics. */
int link_metrics(const struct link *l, struct buf *out) SL_MUST_CHECK;

#endif
