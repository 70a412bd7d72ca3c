/*
 * The directory as this router knows it: what the apis send goes through the
 * replica into the match index. Embedded by value; the loop's thread.
 */
#ifndef SLUICE_ROUTER_DIRECTORY_H
#define SLUICE_ROUTER_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/link.h"
#include "common/replica.h"
#include "router/match.h"

struct directory {
	struct match *match;
	struct replica replica;
	bool advanced; /* the number moved on; its reader clears it */
	int error;     /* the index is not the directory any more */
	uint64_t refused;
	uint64_t senseless; /* entries whose scopes make no sense */
};

/* match is kept by pointer. */
void directory_init(struct directory *d, struct match *match);
/* A DIRECTORY message: completes it, or refuses it so that the api begins
 * anew. -ENOMEM: it could not be applied, nothing may be matched any more. */
int directory_take(struct directory *d, struct link_peer *peer, uint64_t seq,
    struct slice message) SL_MUST_CHECK;
/* That api is gone. */
void directory_down(struct directory *d, const struct link_peer *peer);
/* There is a whole one to match with, as of directory_number(). */
bool directory_whole(const struct directory *d);
uint64_t directory_number(const struct directory *d);

#endif
