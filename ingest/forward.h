/*
 * Brings what is accepted to the routers.
 *
 * It owns every record that the accept log hands over until a router has
 * completed it (which means: its plan is committed) or refused it (then it is
 * quarantined). What a router that went away had not completed goes to
 * another one.
 *
 * The events of one application go to one router at a time, in the order of
 * their acceptance: the one whose instance has the highest hash with the
 * application among those that are up and have room. It is chosen anew only
 * when nothing of the application is out, so order holds through changes.
 * Applications take turns, FORWARD_BURST events each.
 *
 * Loop thread only. Its memory is bounded by the accept log's look-ahead.
 */
#ifndef SLUICE_FORWARD_H
#define SLUICE_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/link.h"
#include "ingest/accept_log.h"

#define FORWARD_BURST 64
/* A message younger than this is sent as it lies in the log, without its age;
 * older ones are packed again with it. */
#define FORWARD_AGE_MS 100

struct forward;

/* NULL when memory is out. */
struct forward *forward_new(void);
/* After link and log were stopped: frees the records. */
void forward_free(struct forward *f);
/* Both are kept by pointer; before anything else. */
void forward_connect(
    struct forward *f, struct link *link, struct accept_log *log);

/* From the accept log. */
void forward_add(struct forward *f, struct accept_record *record);
/* From the link; the peers are routers. */
void forward_peer_up(struct forward *f, struct link_peer *peer);
void forward_peer_down(struct forward *f, struct link_peer *peer);
void forward_completed(struct forward *f, uint64_t cookie);
void forward_refused(struct forward *f, uint64_t cookie, struct slice reason);
void forward_returned(struct forward *f, uint64_t cookie);

/* Sends what can be sent: at the end of a turn in which something changed. */
void forward_run(struct forward *f);
/* Sends nothing new any more. */
void forward_stop(struct forward *f);
/* Records that a router has and has not completed. */
uint64_t forward_out(const struct forward *f);
int forward_metrics(const struct forward *f, struct buf *out) SL_MUST_CHECK;

#endif
