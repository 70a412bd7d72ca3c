/*
 * Who wants an event: an index from (application, event type) to
 * subscriptions, kept up by the directory's entries.
 *
 * A subscription names what it wants: `crm.contact.created` (whatever its own
 * API is), `crm.contact.*` and `crm.*` (everything below), and `*`: every
 * event of its API, and the vault events about a connection of that API; all
 * vault events if its API is vault; everything if it has no API. Scopes
 * narrow it further. Whether it is enabled makes no difference here: the
 * logger holds what a disabled one gets.
 *
 * An event costs one look-up for its name, one per dot in it and three for
 * `*`, and as many for each attribute by which some scopes narrow, whatever
 * the number of subscriptions that do not match. One that matches in several
 * ways is given once. One thread.
 */
#ifndef SLUICE_ROUTER_MATCH_H
#define SLUICE_ROUTER_MATCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/msg.h"

struct match;

/* Subscription numbers; grows up to one per subscription that there is. */
struct targets {
	uint32_t *numbers;
	size_t count;
	size_t cap;
};

void targets_done(struct targets *t);

/* NULL when memory is out. */
struct match *match_new(void);
void match_free(struct match *m);

/*
 * Puts in or replaces the subscription of this entry, or removes it; an
 * application's entry that is deleted removes all of its. Other kinds are
 * ignored. A subscription whose scopes make no sense matches nothing (-EINVAL,
 * which is the owner's to log); it stays known. -ENOMEM: the index is not what
 * the directory says, and must not be used any more.
 */
int match_entry(struct match *m, const struct msg *entry,
    uint64_t generation) SL_MUST_CHECK;
/* Removes what was last put in under an older generation. */
void match_sweep(struct match *m, uint64_t generation);

/* Puts the event's subscriptions into targets, which are emptied first.
 * -ENOMEM. */
int match_event(struct match *m, const struct msg *event,
    struct targets *targets) SL_MUST_CHECK;

/* The same for an event that is for one subscription alone
 * (event->subscription), whatever that wants. */
int match_one(struct match *m, const struct msg *event,
    struct targets *targets) SL_MUST_CHECK;

size_t match_count(const struct match *m);

#endif
