#include "common/replica.h"

#include <errno.h>
#include <string.h>

void
replica_init(struct replica *r, const struct replica_ops *ops, void *arg)
{
	memset(r, 0, sizeof(*r));
	r->ops = ops;
	r->arg = arg;
}

bool
replica_complete(const struct replica *r)
{
	return r->complete;
}

uint64_t
replica_number(const struct replica *r)
{
	return r->number;
}

bool
replica_live(const struct replica *r)
{
	return r->state == REPLICA_LIVE;
}

void
replica_down(struct replica *r, uint64_t session)
{
	if (r->state != REPLICA_IDLE && r->session == session)
		r->state = REPLICA_IDLE;
}

/* Kinds that a newer api may have are let pass: owners ignore them. */
static bool
is_valid(const struct msg *entry)
{
	switch (entry->kind) {
	case MSG_ENTRY_APP:
		return entry->app != 0;
	case MSG_ENTRY_SUBSCRIPTION:
		return entry->app != 0 && entry->subscription != 0;
	case MSG_ENTRY_KEY:
		return entry->deleted || entry->key_hash.len == 32;
	case MSG_ENTRY_NONE:
		return false;
	default:
		return true;
	}
}

static int
check_entries(struct msg_list list)
{
	uint32_t count = list.count;
	struct msg entry;

	for (; msg_next(&list, MSG_ENTRY, &entry); count--)
		if (!is_valid(&entry))
			return -EBADMSG;
	return count == 0 ? 0 : -EBADMSG;
}

static void
apply_entries(struct replica *r, struct msg_list list)
{
	struct msg entry;

	while (msg_next(&list, MSG_ENTRY, &entry))
		r->ops->on_entry(r->arg, &entry, r->generation);
}

static void
begin(struct replica *r, uint64_t session)
{
	if (r->session != session) {
		r->before = r->session;
		r->session = session;
		r->last_change = 0;
	}
	r->state = REPLICA_SNAPSHOT;
	r->generation++;
	r->next_part = 0;
	if (r->ops->on_begin != NULL)
		r->ops->on_begin(r->arg, r->generation);
}

static void
complete(struct replica *r, uint64_t number)
{
	r->state = REPLICA_LIVE;
	r->complete = true;
	r->number = number > r->last_change ? number : r->last_change;
	if (r->ops->on_complete != NULL)
		r->ops->on_complete(r->arg, r->number, r->generation);
}

static void
change(struct replica *r, uint64_t number)
{
	r->last_change = number;
	if (r->state != REPLICA_LIVE)
		return; /* the snapshot's end will count it */
	if (number > r->number)
		r->number = number;
	if (r->ops->on_change != NULL)
		r->ops->on_change(r->arg, r->number);
}

/* Is this what has to come now? */
static int
check_order(const struct replica *r, const struct msg *d)
{
	bool in_session =
	    r->state == REPLICA_SNAPSHOT || r->state == REPLICA_LIVE;

	switch (d->phase) {
	case MSG_PHASE_SNAPSHOT:
		return r->state == REPLICA_SNAPSHOT && d->part == r->next_part
			   ? 0
			   : -EPROTO;
	case MSG_PHASE_COMPLETE:
		return r->state == REPLICA_SNAPSHOT ? 0 : -EPROTO;
	case MSG_PHASE_CHANGE:
		return in_session && d->number > r->last_change ? 0 : -EPROTO;
	default:
		return -EBADMSG;
	}
}

int
replica_message(
    struct replica *r, uint64_t session, const struct msg *directory)
{
	bool begins =
	    directory->phase == MSG_PHASE_SNAPSHOT && directory->part == 0;
	int err;

	if (directory->type != MSG_DIRECTORY)
		return -EBADMSG;
	if (begins)
		begin(r, session);
	if (session != r->session)
		return session == r->before ? 0 : -EPROTO;
	err = check_order(r, directory);
	if (err == 0)
		err = check_entries(directory->entries);
	if (err < 0) {
		r->state = REPLICA_BROKEN;
		return err;
	}
	apply_entries(r, directory->entries);
	switch (directory->phase) {
	case MSG_PHASE_SNAPSHOT:
		r->next_part++;
		break;
	case MSG_PHASE_COMPLETE:
		complete(r, directory->number);
		break;
	default:
		change(r, directory->number);
		break;
	}
	return 0;
}
