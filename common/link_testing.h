/*
 * For the tests of the link: links and raw sockets in one loop, over ipc in a
 * folder of their own, and steps that are tried until they say true. What is
 * logged goes to a file, so that its lines can be counted.
 */
#ifndef SLUICE_LINK_TESTING_H
#define SLUICE_LINK_TESTING_H

#include "common/link.h"

#define SEQS_MAX 4096

/* One end: what happened to it. */
struct end {
	struct link *link;
	struct link_peer *peer;
	unsigned ups, downs, messages, batches, rooms;
	unsigned completed, refused, returned;
	uint64_t seqs[SEQS_MAX]; /* received, by order */
	uint64_t cookies;	 /* sum of completed ones */
	size_t largest;
	char reason[300], why[300];
	bool complete_at_once;
	bool was_dead;
};

/* Speaks frames by hand. */
struct raw {
	void *socket;
	uint8_t route[8]; /* of the newest sender, when it is a ROUTER */
	size_t route_len;
	zmq_msg_t frame; /* what msg points into */
	struct msg msg;	 /* newest frame */
};

struct world;
typedef bool world_step(struct world *w);

struct world {
	struct loop *loop;
	char folder[64], address[128], log[128];
	struct end a, b; /* a binds as the logger, b connects as a router */
	struct raw raw, raw2;
	uint64_t stamp, count; /* for the steps */
	world_step *const *steps;
	unsigned at;
	uint64_t deadline_ms;
	bool failed;
	int stderr_was;
};

int world_setup(void **state);		 /* a and b */
int world_setup_alone(void **state);	 /* nobody yet */
int world_setup_bound(void **state);	 /* a alone, and raw connected to it */
int world_setup_connected(void **state); /* b alone; raw is who it wants */
int world_teardown(void **state);
/* Runs the steps (ended by NULL), each until it says true. */
void world_run(struct world *w, world_step *const *steps);
/* How many lines were logged with this text. */
unsigned world_lines(const struct world *w, const char *text);

void end_open(struct world *w, struct end *e, enum stage stage,
    const char *instance, const char *keys_folder);
/* A PLAN with a body of so many bytes; what link_send() says. */
int end_send_plan(struct end *e, size_t body, uint64_t cookie);

void raw_open(struct raw *r, int type);
void raw_close(struct raw *r);
void raw_send(struct raw *r, const struct msg *m);
void raw_send_bytes(struct raw *r, const void *bytes, size_t len);
/* The next frame into r->msg; false when there is none yet. */
bool raw_receive(struct raw *r);
/* Skips frames until one of this type. */
bool raw_wait(struct raw *r, enum msg_type type);
/* HELLO of a router with this session and conversation. */
void raw_hello(struct raw *r, uint64_t session, uint64_t peer_session,
    uint64_t seq, uint64_t stamp);
/* DATA with count small PLANs. */
void raw_data(struct raw *r, uint64_t session, uint64_t seq, uint64_t count);

#endif
