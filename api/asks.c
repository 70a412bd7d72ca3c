#include "api/asks.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"

struct asks {
	struct loop *loop;
	struct ask *first;
	unsigned open;
	uint64_t next_query;
};

int
asks_new(struct loop *loop, struct asks **ret)
{
	struct asks *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->loop = loop;
	a->next_query = 1;
	*ret = a;
	return 0;
}

void
asks_free(struct asks *a)
{
	free(a);
}

unsigned
asks_open(const struct asks *a)
{
	return a->open;
}

void
ask_done(struct ask *ask)
{
	buf_done(&ask->message);
}

/* To the first logger that takes it; else it goes on waiting. */
static void
offer(struct link *loggers, struct ask *ask)
{
	struct link_peer *peer = NULL;

	while ((peer = link_peer_next(loggers, peer)) != NULL) {
		int r = link_send(
		    peer, ask->type, buf_slice(&ask->message), ask->query);

		if (r == 0) {
			ask->at = peer;
			return;
		}
		if (r != -EAGAIN)
			log_warn("question=%s to=%s error=%d",
			    msg_name(ask->type), link_peer_instance(peer), -r);
	}
}

int
asks_send(struct asks *a, struct link *loggers, struct ask *ask,
    struct msg *question, uint64_t wait_ms)
{
	int r;

	buf_init(&ask->message, LIMIT_MESSAGE_BYTES);
	if (a->open == ASKS_MAX)
		return -EAGAIN;
	question->query = a->next_query;
	r = msg_pack(question, &ask->message);
	if (r < 0)
		return r;
	ask->query = a->next_query++;
	ask->type = question->type;
	ask->at = NULL;
	ask->until_ms = loop_now_ms(a->loop) + wait_ms;
	ask->next = a->first;
	a->first = ask;
	a->open++;
	offer(loggers, ask);
	return 0;
}

static struct ask *
take(struct asks *a, uint64_t query)
{
	for (struct ask **at = &a->first; *at != NULL; at = &(*at)->next) {
		struct ask *ask = *at;

		if (ask->query != query)
			continue;
		*at = ask->next;
		ask->next = NULL;
		a->open--;
		return ask;
	}
	return NULL;
}

void
asks_cancel(struct asks *a, struct ask *ask)
{
	(void)take(a, ask->query);
}

void
asks_room(struct asks *a, struct link *loggers)
{
	for (struct ask *ask = a->first; ask != NULL; ask = ask->next)
		if (ask->at == NULL)
			offer(loggers, ask);
}

void
asks_down(struct asks *a, const struct link_peer *peer)
{
	for (struct ask *ask = a->first; ask != NULL; ask = ask->next)
		if (ask->at == peer)
			ask->at = NULL;
}

void
asks_answer(struct asks *a, const struct msg *answer)
{
	struct ask *ask = take(a, answer->query);

	if (ask != NULL)
		ask->done(ask, answer);
}

void
asks_refused(struct asks *a, uint64_t cookie)
{
	struct ask *ask = take(a, cookie);

	if (ask != NULL)
		ask->done(ask, NULL);
}

void
asks_tick(struct asks *a)
{
	uint64_t now_ms = loop_now_ms(a->loop);
	struct ask *ask = a->first;

	while (ask != NULL) {
		if (now_ms < ask->until_ms) {
			ask = ask->next;
			continue;
		}
		(void)take(a, ask->query);
		ask->done(ask, NULL);
		ask = a->first; /* done() may have changed the list */
	}
}
