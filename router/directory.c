#include "router/directory.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

static void
on_entry(void *arg, const struct msg *entry, uint64_t generation)
{
	struct directory *d = arg;
	int r = match_entry(d->match, entry, generation);

	if (r == -EINVAL) {
		d->senseless++;
		log_warn("subscription=%llu app=%llu scopes make no sense: it "
			 "gets nothing",
		    (unsigned long long)entry->subscription,
		    (unsigned long long)entry->app);
	} else if (r < 0) {
		d->error = r;
	}
}

static void
on_complete(void *arg, uint64_t number, uint64_t generation)
{
	struct directory *d = arg;

	match_sweep(d->match, generation);
	d->advanced = true;
	log_info("directory complete number=%llu subscriptions=%zu",
	    (unsigned long long)number, match_count(d->match));
}

static void
on_change(void *arg, uint64_t number)
{
	struct directory *d = arg;

	(void)number;
	d->advanced = true;
}

static const struct replica_ops ops = {
	.on_entry = on_entry,
	.on_complete = on_complete,
	.on_change = on_change,
};

void
directory_init(struct directory *d, struct match *match)
{
	memset(d, 0, sizeof(*d));
	d->match = match;
	replica_init(&d->replica, &ops, d);
}

int
directory_take(struct directory *d, struct link_peer *peer, uint64_t seq,
    struct slice message)
{
	struct msg m;
	int r = msg_unpack(message, &m);

	if (r == 0)
		r = replica_message(&d->replica, link_peer_session(peer), &m);
	if (d->error < 0)
		return d->error;
	if (r == 0) {
		link_complete(peer, seq);
		return 0;
	}
	if (d->refused++ == 0)
		log_warn("directory message refused api=%s: %s",
		    link_peer_instance(peer), strerror(-r));
	link_refuse(peer, seq, REPLICA_RESYNC ": begin a new snapshot");
	return 0;
}

void
directory_down(struct directory *d, const struct link_peer *peer)
{
	replica_down(&d->replica, link_peer_session(peer));
}

bool
directory_whole(const struct directory *d)
{
	return d->error == 0 && replica_complete(&d->replica);
}

uint64_t
directory_number(const struct directory *d)
{
	return replica_number(&d->replica);
}
