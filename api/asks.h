/*
 * Questions to a logger (QUERY, PROBE, REPLAY) and their answers (PAGE,
 * PROBED), which come as messages of their own.
 *
 * A question waits for a logger with room, and goes to another session if its
 * own ends before the answer; asking twice is harmless. It is over with its
 * answer, or without one at its deadline. The ask is embedded in what the
 * caller keeps; asks_send() packs the message into it, and whoever cancels or
 * gets done() frees it with ask_done(). At most ASKS_MAX are open. Loop thread
 * only.
 */
#ifndef SLUICE_API_ASKS_H
#define SLUICE_API_ASKS_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/link.h"
#include "common/msg.h"

#define ASKS_MAX 1024
#define ASKS_QUERY_MS 5000

struct asks;

struct ask {
	struct ask *next;
	uint64_t query;
	enum msg_type type;
	struct buf message;
	struct link_peer *at; /* where it was sent; NULL: not yet */
	uint64_t until_ms;
	/* answer NULL: there was none in time. The answer's slices live during
	 * the call. The ask is out of the list. */
	void (*done)(struct ask *ask, const struct msg *answer);
};

int asks_new(struct loop *loop, struct asks **ret) SL_MUST_CHECK;
/* Open asks are forgotten. */
void asks_free(struct asks *a);

/* Takes question->query. done and a wait in ms are the caller's. -EAGAIN: too
 * many are open; -EINVAL, -ENOMEM: the message. On error ask is untouched but
 * for its message. */
int asks_send(struct asks *a, struct link *loggers, struct ask *ask,
    struct msg *question, uint64_t wait_ms) SL_MUST_CHECK;
void asks_cancel(struct asks *a, struct ask *ask);
void ask_done(struct ask *ask);

/* From the operations of the link: on_up and on_room; on_down; PAGE and
 * PROBED. */
void asks_room(struct asks *a, struct link *loggers);
/* Its questions wait for the next session that comes up or has room. */
void asks_down(struct asks *a, const struct link_peer *peer);
void asks_answer(struct asks *a, const struct msg *answer);
/* The logger refused the question: it goes nowhere else. */
void asks_refused(struct asks *a, uint64_t cookie);
void asks_tick(struct asks *a);
unsigned asks_open(const struct asks *a);

#endif
