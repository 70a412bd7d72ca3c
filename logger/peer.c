#include "logger/peer.h"

#include <stdlib.h>

struct peer *
peer_new(struct link_peer *link)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->link = link;
	p->session = link_peer_session(link);
	p->refs = 1;
	link_peer_set_data(link, p);
	return p;
}

struct peer *
peer_ref(struct peer *p)
{
	p->refs++;
	return p;
}

void
peer_unref(struct peer *p)
{
	if (p != NULL && --p->refs == 0)
		free(p);
}

void
peer_down(struct peer *p)
{
	link_peer_set_data(p->link, NULL);
	p->link = NULL;
	peer_unref(p);
}

void
peer_complete(struct peer *p, uint64_t seq)
{
	if (p->link != NULL)
		link_complete(p->link, seq);
}

void
peer_refuse(struct peer *p, uint64_t seq, const char *reason)
{
	if (p->link != NULL)
		link_refuse(p->link, seq, reason);
}
