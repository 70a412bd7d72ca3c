#include "deliverer/test_logger.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/link.h"
#include "common/loop.h"
#include "common/mailbox.h"

#define WAIT_S 20
#define TICK_MS 10
#define KEPT_MAX 65536
#define RECORD_MAX (LIMIT_MESSAGE_BYTES)

struct order {
	struct mail mail;
	enum msg_type type;
	struct buf message;
};

struct kept {
	enum msg_type type;
	size_t len;
	uint8_t bytes[];
};

struct logger {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct loop *loop;
	struct link *link;
	struct link_peer *peer;
	struct mailbox orders;
	struct mail *waiting, **waiting_end; /* for room */
	bool blocked, stop;		     /* under lock */
	uint64_t room[MSG_LANE_MAX];	     /* under lock */
	struct kept *kept[KEPT_MAX];	     /* under lock */
	size_t count;			     /* under lock */
};

static void
note_room(struct logger *l)
{
	pthread_mutex_lock(&l->lock);
	for (unsigned i = 0; i < MSG_LANE_MAX; i++)
		l->room[i] =
		    l->peer == NULL ? 0 : link_room(l->peer, (enum msg_lane)i);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

static void
send_waiting(struct logger *l)
{
	while (l->peer != NULL && l->waiting != NULL) {
		struct order *o = (struct order *)l->waiting;

		if (o->type != MSG_NONE &&
		    link_send(l->peer, o->type, buf_slice(&o->message), 0) < 0)
			break;
		l->waiting = o->mail.next;
		if (l->waiting == NULL)
			l->waiting_end = &l->waiting;
		buf_done(&o->message);
		free(o);
	}
	link_flush(l->link);
	note_room(l);
}

static void
on_up(void *arg, struct link_peer *peer)
{
	struct logger *l = arg;

	l->peer = peer;
	send_waiting(l);
}

static void
on_down(void *arg, struct link_peer *peer, const char *why)
{
	struct logger *l = arg;

	(void)why;
	if (l->peer == peer)
		l->peer = NULL;
	note_room(l);
}

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct logger *l = arg;
	struct kept *k = malloc(sizeof(*k) + message.len);

	if (k == NULL)
		abort();
	k->type = type;
	k->len = message.len;
	memcpy(k->bytes, message.data, message.len);
	pthread_mutex_lock(&l->lock);
	if (l->count < KEPT_MAX)
		l->kept[l->count++] = k;
	else
		free(k);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	link_complete(peer, seq);
}

static void
on_batch(void *arg)
{
	send_waiting(arg);
}

static void
on_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	(void)peer;
	(void)lane;
	send_waiting(arg);
}

static const struct link_ops ops = {
	.on_up = on_up,
	.on_down = on_down,
	.on_message = on_message,
	.on_batch = on_batch,
	.on_room = on_room,
};

static void
on_orders(void *arg)
{
	struct logger *l = arg;
	struct mail *mail = mailbox_take(&l->orders);

	while (mail != NULL) {
		struct mail *next = mail->next;

		mail->next = NULL;
		*l->waiting_end = mail;
		l->waiting_end = &mail->next;
		mail = next;
	}
	pthread_mutex_lock(&l->lock);
	while (l->blocked && !l->stop)
		pthread_cond_wait(&l->changed, &l->lock);
	if (l->stop)
		loop_stop(l->loop);
	pthread_mutex_unlock(&l->lock);
	send_waiting(l);
}

static void
on_tick(void *arg)
{
	note_room(arg);
}

static void *
run(void *arg)
{
	struct logger *l = arg;

	if (loop_run(l->loop) < 0)
		abort();
	return NULL;
}

struct logger *
logger_new(const char *address)
{
	struct logger *l = calloc(1, sizeof(*l));
	struct link_config config = { .stage = STAGE_LOGGER,
		.instance = "test/logger-1" };

	if (l == NULL)
		abort();
	l->waiting_end = &l->waiting;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	l->loop = loop_new();
	if (l->loop == NULL || mailbox_init(&l->orders) < 0 ||
	    link_new(l->loop, &config, &ops, l, &l->link) < 0 ||
	    link_bind(l->link, address) < 0 ||
	    loop_add_fd(l->loop, mailbox_fd(&l->orders), on_orders, l) < 0 ||
	    loop_add_timer(l->loop, TICK_MS, on_tick, l) < 0)
		abort();
	link_set_window(
	    l->link, MSG_LANE_RESULT, 1 << 16, LINK_WINDOW_MIN_BYTES);
	if (pthread_create(&l->thread, NULL, run, l) != 0)
		abort();
	return l;
}

/* Wakes the loop with an order that says nothing. */
static void
nudge(struct logger *l)
{
	struct order *o = calloc(1, sizeof(*o));

	if (o == NULL)
		abort();
	mailbox_post(&l->orders, &o->mail);
}

static void
free_orders(struct mail *mail)
{
	while (mail != NULL) {
		struct order *o = (struct order *)mail;

		mail = mail->next;
		buf_done(&o->message);
		free(o);
	}
}

void
logger_free(struct logger *l)
{
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	nudge(l);
	pthread_join(l->thread, NULL);
	link_free(l->link);
	loop_free(l->loop);
	free_orders(mailbox_take(&l->orders));
	free_orders(l->waiting);
	mailbox_done(&l->orders);
	for (size_t i = 0; i < l->count; i++)
		free(l->kept[i]);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

bool
logger_send(struct logger *l, const struct msg *m)
{
	struct order *o = calloc(1, sizeof(*o));

	if (o == NULL)
		abort();
	o->type = m->type;
	buf_init(&o->message, RECORD_MAX);
	if (msg_pack(m, &o->message) < 0) {
		free(o);
		return false;
	}
	mailbox_post(&l->orders, &o->mail);
	return true;
}

static size_t
count(const struct logger *l, enum msg_type type)
{
	size_t n = 0;

	for (size_t i = 0; i < l->count; i++)
		n += l->kept[i]->type == type;
	return n;
}

static struct timespec
deadline(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	return until;
}

bool
logger_wait(struct logger *l, enum msg_type type, size_t wanted)
{
	struct timespec until = deadline();
	bool there;

	pthread_mutex_lock(&l->lock);
	while (count(l, type) < wanted &&
	       pthread_cond_timedwait(&l->changed, &l->lock, &until) == 0)
		;
	there = count(l, type) >= wanted;
	pthread_mutex_unlock(&l->lock);
	return there;
}

size_t
logger_count(struct logger *l, enum msg_type type)
{
	size_t n;

	pthread_mutex_lock(&l->lock);
	n = count(l, type);
	pthread_mutex_unlock(&l->lock);
	return n;
}

struct msg
logger_message(struct logger *l, enum msg_type type, size_t index)
{
	struct msg m = { .type = MSG_NONE };

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->count; i++)
		if (l->kept[i]->type == type && index-- == 0) {
			struct slice bytes = { l->kept[i]->bytes,
				l->kept[i]->len };

			if (msg_unpack(bytes, &m) < 0)
				abort();
			break;
		}
	pthread_mutex_unlock(&l->lock);
	return m;
}

void
logger_block(struct logger *l, bool block)
{
	pthread_mutex_lock(&l->lock);
	l->blocked = block;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	if (block)
		nudge(l);
}

uint64_t
logger_room(struct logger *l, enum msg_lane lane)
{
	uint64_t room;

	pthread_mutex_lock(&l->lock);
	room = l->room[lane];
	pthread_mutex_unlock(&l->lock);
	return room;
}

bool
logger_wait_room(struct logger *l, enum msg_lane lane, uint64_t room)
{
	struct timespec until = deadline();
	bool there;

	pthread_mutex_lock(&l->lock);
	while (l->room[lane] != room &&
	       pthread_cond_timedwait(&l->changed, &l->lock, &until) == 0)
		;
	there = l->room[lane] == room;
	pthread_mutex_unlock(&l->lock);
	return there;
}
