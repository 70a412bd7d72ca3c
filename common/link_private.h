/*
 * What the modules of the link share. Nobody else includes it.
 *
 *   link.c          the link, its timers, what link.h asks about it
 *   link_conn.c     one address we connect to, and its socket
 *   link_frame.c    frames in and out of a socket
 *   link_hello.c    HELLO and strangers, at the bound socket
 *   link_welcome.c  what is answered to HELLO, at a connected one
 *   link_peer.c     a conversation from up to down: its frames, its life
 *   link_items.c    messages in flight, by number
 *   link_send.c     ours: outbox, credit received, ACK received
 *   link_receive.c  theirs: windows, CREDIT sent, DATA received
 *   link_ack.c      what became of them: completions, refusals, ACK sent
 *   link_metrics.c  its counters, for /metrics
 *   link_auth.c     CURVE keys and who may use them
 *
 * A conversation is named by the connecting side (`stamp` in HELLO): the
 * socket's number in the high half, a count in the low half. Numbers of
 * messages start at 1 in each conversation and arrive in order, so that
 * `received` alone tells what is a repetition. After every reconnect both
 * sides say how far they have received, repeat what they have completed, and
 * send again what lies above.
 */
#ifndef SLUICE_LINK_PRIVATE_H
#define SLUICE_LINK_PRIVATE_H

#include <czmq.h>

#include "common/link.h"

/* Silence is judged when all that came in was read; but a backlog that never
 * ends must not keep the dead alive: at so many times the limit it is judged
 * all the same. */
#define LINK_SILENT_FACTOR 3
#define LINK_TICK_MS 500       /* pings, retries and silence are judged */
#define LINK_HURRY_MS 50       /* HELLO is tried this often ... */
#define LINK_HURRY_FOR_MS 5000 /* ... for so long, then at every tick */
#define LINK_KEY_MS 5000       /* then the other server key is tried */
#define LINK_REFUSED_MS 5000   /* and this often after a REFUSE */
#define LINK_BATCH_BYTES (256u * 1024)
#define LINK_BATCH_MESSAGES 1024
#define LINK_DRAIN_FRAMES 256 /* frames read from a socket in one wake-up */
#define LINK_DRAIN_BYTES (4u * 1024 * 1024)
/* Frames: above every credit, because a full pipe would block a socket. */
#define LINK_SEND_HWM 200000
/* At this many unread frames TCP makes the sender wait; nothing is dropped. */
#define LINK_RECEIVE_HWM 4096
#define LINK_FRAME_BYTES (LIMIT_MESSAGE_BYTES + 128 * 1024)
#define LINK_WINDOW_MAX_MESSAGES 100000
#define LINK_RECORDS_MAX 1024  /* of one ACK: ranges, and refused */
#define LINK_REFUSED_MAX 10000 /* refused messages nobody knows of yet */
#define LINK_REASON_TEXT 256
#define LINK_ADDRESS_TEXT 256
#define LINK_ROUTE_SIZE 8 /* routing ids libzmq makes are 5 bytes */
#define LINK_NOTED_MAX 64 /* strangers and refusals logged once each */
/* libzmq's own, to be rid of connections nobody answers on, and of what was
 * queued for them; well after we have judged the peer ourselves. */
#define LINK_HEARTBEAT_MS 5000
#define LINK_HEARTBEAT_TIMEOUT_MS 15000
#define LINK_BYE_LINGER_MS 200

/* In WELCOME.flags. */
#define LINK_FLAG_DEAD 1 /* your session was declared dead here: begin anew */

/* A message in flight. The sender keeps its bytes, the receiver does not. */
struct link_item {
	struct link_item *prev, *next; /* in order of seq */
	struct link_item *chain;       /* in the hash */
	uint64_t seq;
	uint64_t cookie;  /* sender */
	uint64_t confirm; /* receiver: PING after the ACK that refused it */
	char *reason;	  /* receiver: refused, the sender may not know yet */
	uint32_t len;
	uint8_t lane;
	uint8_t data[]; /* sender */
};

struct link_items {
	struct link_item *first, *last;
	struct link_item **buckets;
	size_t mask; /* buckets - 1 */
	size_t count;
};

struct link_range {
	uint64_t seq, count;
};

struct link_lane_out {
	uint64_t sent_messages, sent_bytes; /* since the conversation began */
	uint64_t max_messages, max_bytes;   /* credit, counted likewise */
	uint32_t want;			    /* bytes that did not fit */
	bool starved; /* on_room is due when there is room */
};

struct link_out {
	uint64_t next_seq;
	struct link_items items;
	struct link_item *unsent; /* the first that is to go out */
	uint64_t highest_sent;
	struct link_lane_out lanes[MSG_LANE_MAX];
};

struct link_window {
	uint64_t messages, bytes;
};

struct link_lane_in {
	struct link_window window;
	uint64_t got_messages, got_bytes; /* since the conversation began */
	uint64_t open_messages, open_bytes;
	struct link_window told; /* newest CREDIT */
	struct link_window peak; /* the most ever told */
	bool changed;		 /* window, since told */
	bool own;		 /* set for this peer alone */
};

struct link_in {
	uint64_t received; /* every number up to it was handed over */
	struct link_items open;
	struct link_range *done; /* completed, not acked yet */
	size_t done_count, done_cap;
	size_t refused_new;  /* refused, not in an ACK yet */
	size_t refused_open; /* refused, not confirmed */
	bool ack_due;
	struct link_lane_in lanes[MSG_LANE_MAX];
};

struct link_conn;

struct link_peer {
	struct link_peer *next;
	struct link *link;
	struct link_conn *conn; /* NULL: at the bound socket, by route */
	uint8_t route[LINK_ROUTE_SIZE];
	size_t route_len;
	enum stage stage;
	char instance[64 + 1];
	uint64_t session;
	uint64_t conversation;
	uint64_t last_ms;  /* loop_now_ms() of its newest frame */
	uint64_t ping_us;  /* stamp of our newest PING */
	uint64_t heard_us; /* stamp of the newest answered one */
	bool resync;	   /* at the next tick */
	bool ready;	   /* on the current connection, both sides agree */
	bool blocked;	   /* the socket took no more; again at the next tick */
	bool was_dead;
	bool down;
	bool garbage_logged;
	struct link_out out;
	struct link_in in;
	void *data;
};

struct link_conn {
	struct link_conn *next;
	struct link *link;
	struct link_peer *peer; /* while there is a conversation */
	zsock_t *sock;
	char address[LINK_ADDRESS_TEXT];
	enum stage to;
	uint32_t number;
	uint32_t count;	     /* of conversations */
	uint64_t alone_ms;   /* without a conversation since */
	uint64_t since_ms;   /* not ready since */
	uint64_t hello_ms;   /* the newest HELLO went out; 0: none */
	uint64_t refused_ms; /* the newest REFUSE came; 0: none */
	unsigned key;	     /* which one */
	char refused[LINK_REASON_TEXT + 1]; /* logged */
	bool was_dead;
	bool leaving;
	bool garbage_logged;
	bool alone_logged;
};

struct link_stats {
	uint64_t frames_in, frames_out, frames_garbage;
	uint64_t messages_in, messages_out, repeated_in, repeated_out;
	uint64_t completed, refused, returned;
	uint64_t resets_in, resets_out, refusals, ups, downs;
	uint64_t resumed;
};

struct link_auth;

struct link {
	struct loop *loop;
	struct link_config config;
	struct link_ops ops;
	void *arg;
	uint64_t session;
	zsock_t *router;
	int lock_fd; /* of the bound ipc path; -1: none */
	struct link_conn *conns;
	uint32_t conn_number;
	struct link_peer *peers;
	size_t peer_count;
	struct link_window windows[MSG_LANE_MAX];
	int tick, hurry;		/* timers; 0: none */
	bool batch_due;			/* the application was told something */
	struct buf frame, list, list2;	/* scratch */
	uint64_t noted[LINK_NOTED_MAX]; /* hashes of what was logged */
	size_t noted_next;
	struct link_auth *auth;
	bool keyed; /* whoever is at the bound socket has a key */
	struct link_stats stats;
};

/* ---- link.c */
/* Everything that one wake-up brought has been handed over. */
void link_end_batch(struct link *l);
/* True the first time something of this text is to be logged. */
bool link_note(struct link *l, const char *text);
/* Retries come fast for a while. */
void link_hurry(struct link *l);
struct link_peer *link_find_route(
    struct link *l, const uint8_t *route, size_t len);

/* ---- link_conn.c */
int link_conn_new(struct link *l, enum stage to, const char *address,
    struct link_conn **ret) SL_MUST_CHECK;
void link_conn_free(struct link_conn *c);
/* Its conversation is over: the next one gets another name. */
void link_conn_alone(struct link_conn *c);
/* Says HELLO when it is time to. */
void link_conn_tick(struct link_conn *c);
/* True when it stopped before all was read. */
bool link_conn_read(struct link_conn *c);
/* A new socket at the same address: what the old one held is dropped. */
void link_conn_renew(struct link_conn *c);

/* ---- link_frame.c */
/* Where a frame goes: a DEALER, or a route of the ROUTER. */
struct link_path {
	zsock_t *sock;
	const uint8_t *route;
	size_t route_len;
};
/* -EAGAIN, -EHOSTUNREACH, -ENOMEM. What is said again anyhow may be ignored
 * with (void). */
int link_frame_send(struct link *l, struct link_path path, const struct msg *m);
int link_frame_send_bytes(
    struct link *l, struct link_path path, struct slice frame);
struct link_path link_peer_path(const struct link_peer *p);
/* To a peer; on failure it is marked blocked or not ready. */
int link_frame_to_peer(struct link_peer *p, const struct msg *m);
/* One frame from a socket: 0, or -EAGAIN when there is none, or -EBADMSG when
 * it is none of ours (then it is dropped whole). */
int link_frame_receive(
    zsock_t *sock, zmq_msg_t *route, zmq_msg_t *frame) SL_MUST_CHECK;
void *link_sock(zsock_t *sock);
void link_sock_options(zsock_t *sock);

/* ---- link_hello.c */
/* A frame at the bound socket. */
void link_hello_frame(struct link *l, zmq_msg_t *route, zmq_msg_t *frame);

/* ---- link_welcome.c */
/* A frame at a connected one. */
void link_welcome_frame(struct link_conn *c, zmq_msg_t *frame);
/* Says HELLO. */
void link_welcome_ask(struct link_conn *c);

/* ---- link_peer.c */
/* From a HELLO or WELCOME; in no list yet. NULL when memory is out. */
struct link_peer *link_peer_new(
    struct link *l, const struct msg *m, struct link_conn *c);
void link_peer_free(struct link_peer *p);
/* Into the list; tells the application. */
void link_peer_up(struct link_peer *p);
/* Returns everything, tells the application, frees it. */
void link_peer_down(struct link_peer *p, const char *why);
/* The other side has received up to seq; it goes on from there. */
void link_peer_resumed(struct link_peer *p, uint64_t seq);
/* Is it a frame of a conversation? */
bool link_peer_takes(enum msg_type type);
void link_peer_frame(struct link_peer *p, const struct msg *m);
/* Texts of peers are shown to people: printable ASCII without quotes. */
void link_copy_text(struct slice from, char *text, size_t size);
/* judge: all that came was read, so silence is silence. */
void link_peer_tick(struct link_peer *p, bool judge);
void link_peer_ping(struct link_peer *p);
/* The other side cannot be followed: have the connection greeted again. */
void link_peer_resync(struct link_peer *p);
void link_peer_garbage(struct link_peer *p, const char *what);

/* ---- link_items.c */
int link_items_init(struct link_items *items) SL_MUST_CHECK;
void link_items_done(struct link_items *items);
/* seq must be above all in it. Takes the item; -ENOMEM leaves it. */
int link_items_add(
    struct link_items *items, struct link_item *item) SL_MUST_CHECK;
struct link_item *link_items_find(const struct link_items *items, uint64_t seq);
/* Out of the list; not freed. */
void link_items_remove(struct link_items *items, struct link_item *item);

/* ---- link_send.c */
void link_out_init(struct link_out *out);
/* The other side has received up to seq: what lies above goes out again. */
void link_out_rewind(struct link_peer *p, uint64_t received);
void link_out_on_ack(struct link_peer *p, const struct msg *m);
void link_out_on_credit(struct link_peer *p, const struct msg *m);
void link_out_flush(struct link_peer *p);
/* on_returned for all. */
void link_out_return(struct link_peer *p);

/* ---- link_receive.c */
void link_in_init(struct link_peer *p);
void link_in_on_data(struct link_peer *p, const struct msg *m);
/* Credit that was not worth a frame of its own is told now. */
void link_in_tick(struct link_peer *p);
void link_in_flush(struct link_peer *p);
void link_in_set_window(
    struct link_in *in, enum msg_lane lane, struct link_window window);

/* ---- link_ack.c */
void link_in_done(struct link_in *in);
/* ACK of what was completed and refused since the last. */
void link_in_tell_done(struct link_peer *p);
/* The PING of this stamp was answered: so was every ACK before it. */
void link_in_on_pong(struct link_peer *p, uint64_t stamp);
/* All that is completed and all credit, after a reconnect. */
void link_in_repeat(struct link_peer *p);

/* ---- link_auth.c */
/* keys_folder set. -ENOENT, -EACCES: own key cannot be read. */
int link_auth_new(struct link *l, struct link_auth **ret) SL_MUST_CHECK;
void link_auth_free(struct link_auth *a);
int link_auth_serve(struct link_auth *a, zsock_t *router) SL_MUST_CHECK;
/* key 0: STAGE.pub, 1: STAGE.next.pub. -ENOENT when there is none. */
int link_auth_connect(struct link_auth *a, zsock_t *dealer, enum stage to,
    unsigned key) SL_MUST_CHECK;
/* The stage whose key the sender of the frame has; STAGE_NONE: no key. */
enum stage link_auth_stage(zmq_msg_t *frame);

#endif
