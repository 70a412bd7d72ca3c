#include "api/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/log.h"
#include "common/msg.h"

struct outbox {
	struct directory *directory;
	struct link *link;
	struct link_peer *router; /* has the ones that fly; NULL: none yet */
	uint64_t sent;		  /* rows up to this one fly or are done */
	uint64_t flights[OUTBOX_FLIGHT_MAX];
	unsigned flying;
	uint64_t sent_total, refused_total;
	struct buf letter, message; /* scratch */
	int error;
};

int
outbox_new(struct directory *directory, struct outbox **ret)
{
	struct outbox *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	o->directory = directory;
	buf_init(&o->letter, LIMIT_MESSAGE_BYTES);
	buf_init(&o->message, LIMIT_MESSAGE_BYTES);
	*ret = o;
	return 0;
}

void
outbox_free(struct outbox *o)
{
	if (o == NULL)
		return;
	buf_done(&o->letter);
	buf_done(&o->message);
	free(o);
}

void
outbox_connect(struct outbox *o, struct link *link)
{
	o->link = link;
}

int
outbox_error(const struct outbox *o)
{
	return o->error;
}

static void
note(struct outbox *o, int r)
{
	if (r < 0 && r != -EBUSY && r != -ENOSPC && o->error == 0) {
		log_error("outbox failed: %s", strerror(-r));
		o->error = r;
	}
}

static bool
flies(const struct outbox *o, uint64_t seq)
{
	for (unsigned i = 0; i < o->flying; i++)
		if (o->flights[i] == seq)
			return true;
	return false;
}

/* The same router as long as something flies, so that order holds. */
static struct link_peer *
choose(struct outbox *o)
{
	struct link_peer *p;

	if (o->router != NULL && o->flying > 0)
		return o->router;
	for (p = link_peer_next(o->link, NULL); p != NULL;
	    p = link_peer_next(o->link, p))
		if (link_peer_stage(p) == STAGE_ROUTER &&
		    link_room(p, MSG_LANE_WORK) > 0)
			break;
	o->router = p;
	return p;
}

static int
send_letter(struct outbox *o, const struct directory_letter *letter)
{
	uint64_t now_ms = clock_wall_ms();
	struct msg m;
	int r;

	r = msg_unpack(buf_slice(&o->letter), &m);
	if (r < 0)
		return r;
	m.age_ms = now_ms > letter->made_ms ? now_ms - letter->made_ms : 0;
	buf_clear(&o->message);
	r = msg_pack(&m, &o->message);
	return r < 0 ? r
		     : link_send(o->router, MSG_EVENT, buf_slice(&o->message),
			   OUTBOX_COOKIE | letter->seq);
}

/* 1: one was sent, or none had to be. 0: no more now. */
static int
send_next(struct outbox *o)
{
	struct directory_letter letter = { .event = &o->letter };
	int r;

	buf_clear(&o->letter);
	r = directory_outbox_next(o->directory, o->sent, &letter);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (!flies(o, letter.seq)) {
		r = send_letter(o, &letter);
		if (r == -EAGAIN)
			return 0;
		if (r == -EBADMSG || r == -EINVAL || r == -EMSGSIZE) {
			o->refused_total++;
			log_error("outbox seq=%llu cannot be sent: %s",
			    (unsigned long long)letter.seq, strerror(-r));
			r = directory_outbox_refuse(o->directory, letter.seq,
			    slice_text("it is no message"));
			return r < 0 ? r : 1;
		}
		if (r < 0)
			return r;
		fail_point("api.outbox.sent");
		o->sent_total++;
		o->flights[o->flying++] = letter.seq;
	}
	o->sent = letter.seq;
	return 1;
}

void
outbox_pump(struct outbox *o)
{
	int r = o->error;

	while (r == 0 && o->flying < OUTBOX_FLIGHT_MAX && choose(o) != NULL) {
		r = send_next(o);
		if (r == 0)
			break;
		if (r > 0)
			r = 0;
	}
	note(o, r);
}

static void
land(struct outbox *o, uint64_t seq)
{
	for (unsigned i = 0; i < o->flying; i++) {
		if (o->flights[i] == seq) {
			o->flights[i] = o->flights[--o->flying];
			return;
		}
	}
}

void
outbox_completed(struct outbox *o, uint64_t cookie)
{
	uint64_t seq = cookie & ~OUTBOX_COOKIE;

	fail_point("api.outbox.completed");
	land(o, seq);
	/* What cannot be removed now is sent again at the next start, and is
	 * no second event. */
	note(o, directory_outbox_remove(o->directory, seq));
	outbox_pump(o);
}

void
outbox_refused(struct outbox *o, uint64_t cookie, struct slice reason)
{
	uint64_t seq = cookie & ~OUTBOX_COOKIE;

	land(o, seq);
	o->refused_total++;
	log_error("outbox seq=%llu refused reason=\"%.*s\"; it is kept",
	    (unsigned long long)seq, (int)reason.len,
	    (const char *)reason.data);
	note(o, directory_outbox_refuse(o->directory, seq, reason));
	outbox_pump(o);
}

void
outbox_returned(struct outbox *o, uint64_t cookie)
{
	uint64_t seq = cookie & ~OUTBOX_COOKIE;

	land(o, seq);
	if (o->sent >= seq)
		o->sent = seq - 1;
}

void
outbox_down(struct outbox *o, const struct link_peer *peer)
{
	if (o->router == peer)
		o->router = NULL;
	outbox_pump(o);
}

int
outbox_metrics(const struct outbox *o, struct buf *out)
{
	return buf_addf(out,
	    "# TYPE sluice_api_outbox_sent_total counter\n"
	    "sluice_api_outbox_sent_total %llu\n"
	    "# TYPE sluice_api_outbox_refused_total counter\n"
	    "sluice_api_outbox_refused_total %llu\n"
	    "# TYPE sluice_api_outbox_flying gauge\n"
	    "sluice_api_outbox_flying %u\n",
	    (unsigned long long)o->sent_total,
	    (unsigned long long)o->refused_total, o->flying);
}
