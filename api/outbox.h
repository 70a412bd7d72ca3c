/*
 * Sends the events of the directory's outbox to the routers, as an ingest sends
 * what it accepted: in the order they were written, to one router at a time,
 * each again until a router has completed it, which means that its plan is
 * committed. Then its row goes. An event that is refused stays in the file,
 * marked, and is logged.
 *
 * Whoever writes to the outbox calls outbox_pump(). Errors of the directory are
 * kept for outbox_error(). Loop thread only.
 */
#ifndef SLUICE_API_OUTBOX_H
#define SLUICE_API_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "api/directory.h"
#include "common/link.h"

#define OUTBOX_FLIGHT_MAX 64
/* Set in the cookies of its messages: the link carries others too. */
#define OUTBOX_COOKIE (UINT64_C(1) << 63)

struct outbox;

/* -ENOMEM. The directory is kept by pointer. */
int outbox_new(struct directory *directory, struct outbox **ret) SL_MUST_CHECK;
void outbox_free(struct outbox *o);
/* Before anything else; kept by pointer. */
void outbox_connect(struct outbox *o, struct link *link);

/* Something was written, or a router came or has room. */
void outbox_pump(struct outbox *o);
/* From the operations of the link, for cookies with OUTBOX_COOKIE. */
void outbox_completed(struct outbox *o, uint64_t cookie);
void outbox_refused(struct outbox *o, uint64_t cookie, struct slice reason);
void outbox_returned(struct outbox *o, uint64_t cookie);
/* A session has ended, all of its messages came back. */
void outbox_down(struct outbox *o, const struct link_peer *peer);

int outbox_error(const struct outbox *o);
int outbox_metrics(const struct outbox *o, struct buf *out) SL_MUST_CHECK;

#endif
