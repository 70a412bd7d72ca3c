/*
 * NOTICE: the logger has stopped sending to a subscription on its own, because
 * its subscriber asked for it or too much failed. The subscription is shown as
 * disabled from then on, unless somebody enabled it or gave it another URL
 * after what the notice is about. The change that follows is the answer.
 */
#ifndef SLUICE_API_NOTICE_H
#define SLUICE_API_NOTICE_H

#include "api/directory.h"
#include "common/msg.h"

/* ret_changed: there is a change to publish. -errno of the directory. */
int notice_apply(struct directory *d, const struct msg *notice,
    bool *ret_changed) SL_MUST_CHECK;

#endif
