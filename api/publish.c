#include "api/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/msg.h"

#define ENTRIES_MAX (1024 * 1024 + DIRECTORY_PART_BYTES)

enum session_state {
	SESSION_BEGIN,	 /* part 0 comes next */
	SESSION_PARTS,	 /* others do */
	SESSION_LIVE,	 /* COMPLETE was sent: changes only */
	SESSION_REFUSED, /* a new snapshot is due at again_ms */
	SESSION_STATE_MAX
};

static const char *const state_names[SESSION_STATE_MAX] = {
	[SESSION_BEGIN] = "begin",
	[SESSION_PARTS] = "parts",
	[SESSION_LIVE] = "live",
	[SESSION_REFUSED] = "refused",
};

struct flight {
	uint64_t cookie;
	uint64_t number;
};

struct session {
	struct session *next;
	struct link_peer *peer;
	enum session_state state;
	struct directory_place place; /* of the snapshot's next part */
	uint64_t part;
	uint64_t sent; /* changes up to this number are sent or in a snapshot */
	uint64_t first_cookie; /* of the snapshot that counts */
	uint64_t again_ms;
	struct flight flights[PUBLISH_FLIGHT_MAX];
	unsigned flying;
};

struct publish {
	struct loop *loop;
	struct directory *directory;
	struct session *sessions;
	struct publish_wait *waits;
	struct buf entries; /* scratch */
	struct buf message; /* scratch */
	uint64_t next_cookie;
	uint64_t snapshots;
	uint64_t changes;
	uint64_t refused;
	uint64_t unconfirmed;
	int error;
};

static void
set_state(struct session *s, enum session_state state)
{
	if (s->state != state)
		log_debug("session=%s state=%s was=%s",
		    link_peer_instance(s->peer), state_names[state],
		    state_names[s->state]);
	s->state = state;
}

int
publish_new(
    struct loop *loop, struct directory *directory, struct publish **ret)
{
	struct publish *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->loop = loop;
	p->directory = directory;
	p->next_cookie = 1;
	buf_init(&p->entries, ENTRIES_MAX);
	buf_init(&p->message, LIMIT_MESSAGE_BYTES);
	*ret = p;
	return 0;
}

void
publish_free(struct publish *p)
{
	if (p == NULL)
		return;
	while (p->sessions != NULL) {
		struct session *next = p->sessions->next;

		free(p->sessions);
		p->sessions = next;
	}
	buf_done(&p->entries);
	buf_done(&p->message);
	free(p);
}

int
publish_error(const struct publish *p)
{
	return p->error;
}

static struct session *
session_of(struct publish *p, const struct link_peer *peer)
{
	struct session *s = p->sessions;

	while (s != NULL && s->peer != peer)
		s = s->next;
	return s;
}

/* ---- sending ---------------------------------------------------------- */

/* 1: sent; 0: no room; -errno. */
static int
send_message(struct publish *p, struct session *s, struct msg *m)
{
	uint64_t cookie = p->next_cookie;
	int r;

	if (s->flying == PUBLISH_FLIGHT_MAX)
		return 0;
	m->type = MSG_DIRECTORY;
	if (m->entries.count > 0)
		m->entries.packed = buf_slice(&p->entries);
	buf_clear(&p->message);
	r = msg_pack(m, &p->message);
	if (r == 0)
		r = link_send(
		    s->peer, MSG_DIRECTORY, buf_slice(&p->message), cookie);
	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return r;
	p->next_cookie++;
	s->flights[s->flying++] = (struct flight){ cookie, m->number };
	return 1;
}

static int
send_part(struct publish *p, struct session *s)
{
	struct msg m = { .phase = MSG_PHASE_SNAPSHOT };
	struct directory_place place = s->place;
	int r;

	if (s->state == SESSION_BEGIN) {
		/* Whatever changes after this number is sent as a change. */
		if (s->sent < directory_number(p->directory))
			s->sent = directory_number(p->directory);
		s->first_cookie = p->next_cookie;
		s->part = 0;
		place = (struct directory_place){ 0 };
	}
	buf_clear(&p->entries);
	r = directory_snapshot(
	    p->directory, &place, &p->entries, &m.entries.count);
	if (r < 0)
		return r;
	m.number = s->sent;
	m.part = s->part;
	r = send_message(p, s, &m);
	if (r <= 0)
		return r;
	s->place = place;
	s->part++;
	set_state(s, SESSION_PARTS);
	return r;
}

static int
send_complete(struct publish *p, struct session *s)
{
	struct msg m = { .phase = MSG_PHASE_COMPLETE, .number = s->sent };
	int r;

	r = send_message(p, s, &m);
	if (r <= 0)
		return r;
	p->snapshots++;
	set_state(s, SESSION_LIVE);
	log_info("directory snapshot to=%s parts=%llu number=%llu",
	    link_peer_instance(s->peer), (unsigned long long)s->part,
	    (unsigned long long)s->sent);
	return r;
}

/* 1: sent; 0: no room, or nothing to send; -errno. */
static int
send_change(struct publish *p, struct session *s, bool *ret_none)
{
	struct msg m = { .phase = MSG_PHASE_CHANGE };
	int r;

	*ret_none = s->sent >= directory_number(p->directory);
	if (*ret_none)
		return 0;
	buf_clear(&p->entries);
	r = directory_change(
	    p->directory, s->sent, &m.number, &p->entries, &m.entries.count);
	if (r == -ENOENT) {
		/* All of it was changed again, or is a mark no more. */
		s->sent = directory_number(p->directory);
		*ret_none = true;
		return 0;
	}
	if (r < 0)
		return r;
	r = send_message(p, s, &m);
	if (r <= 0)
		return r;
	s->sent = m.number;
	p->changes++;
	return r;
}

/* The next message of a session: part 0, then changes before parts. */
static int
send_next(struct publish *p, struct session *s)
{
	bool none = false;
	int r;

	switch (s->state) {
	case SESSION_BEGIN:
		return send_part(p, s);
	case SESSION_PARTS:
	case SESSION_LIVE:
		r = send_change(p, s, &none);
		if (!none || s->state == SESSION_LIVE)
			return r;
		return s->place.kind != 0 ? send_part(p, s)
					  : send_complete(p, s);
	case SESSION_REFUSED:
	case SESSION_STATE_MAX:
		break;
	}
	return 0;
}

static void
pump(struct publish *p, struct session *s)
{
	int r = p->error;

	while (r == 0 && s->flying < PUBLISH_FLIGHT_MAX &&
	       (r = send_next(p, s)) > 0)
		r = 0;
	if (r < 0 && p->error == 0) {
		log_error("directory cannot be sent to=%s error=\"%s\"",
		    link_peer_instance(s->peer), strerror(-r));
		p->error = r;
	}
}

/* ---- waiting ---------------------------------------------------------- */

static bool
has_applied(const struct session *s, uint64_t number)
{
	if (s->state != SESSION_LIVE || s->sent < number)
		return false;
	for (unsigned i = 0; i < s->flying; i++)
		if (s->flights[i].number <= number)
			return false;
	return true;
}

/* Every session of the stage has the change. ret_any: there is a session. */
static bool
all_applied(
    const struct publish *p, enum stage stage, uint64_t number, bool *ret_any)
{
	*ret_any = false;
	for (const struct session *s = p->sessions; s != NULL; s = s->next) {
		if (link_peer_stage(s->peer) != stage)
			continue;
		*ret_any = true;
		if (!has_applied(s, number))
			return false;
	}
	return true;
}

enum verdict { WAIT, CONFIRMED, UNCONFIRMED };

static enum verdict
judge(const struct publish *p, const struct publish_wait *w, uint64_t now_ms)
{
	bool any;

	if (!all_applied(p, STAGE_LOGGER, w->number, &any) || !any)
		return now_ms < w->until_ms ? WAIT : UNCONFIRMED;
	if (w->ingests && now_ms < w->ingests_until_ms &&
	    !all_applied(p, STAGE_INGEST, w->number, &any))
		return WAIT;
	return CONFIRMED;
}

/* The first wait that is over, taken out of the list. */
static struct publish_wait *
take_over(struct publish *p, bool *ret_confirmed)
{
	uint64_t now_ms = loop_now_ms(p->loop);

	for (struct publish_wait **at = &p->waits; *at != NULL;
	    at = &(*at)->next) {
		enum verdict verdict = judge(p, *at, now_ms);
		struct publish_wait *w = *at;

		if (verdict == WAIT)
			continue;
		*at = w->next;
		w->next = NULL;
		*ret_confirmed = verdict == CONFIRMED;
		return w;
	}
	return NULL;
}

static void
settle(struct publish *p)
{
	struct publish_wait *w;
	bool confirmed = false;

	while ((w = take_over(p, &confirmed)) != NULL) {
		if (!confirmed)
			p->unconfirmed++;
		w->done(w, confirmed);
	}
}

void
publish_wait(struct publish *p, struct publish_wait *wait)
{
	uint64_t now_ms = loop_now_ms(p->loop);

	wait->until_ms = now_ms + PUBLISH_LOGGER_MS;
	wait->ingests_until_ms = now_ms + PUBLISH_INGEST_MS;
	wait->next = p->waits;
	p->waits = wait;
}

void
publish_cancel(struct publish *p, struct publish_wait *wait)
{
	for (struct publish_wait **at = &p->waits; *at != NULL;
	    at = &(*at)->next) {
		if (*at == wait) {
			*at = wait->next;
			wait->next = NULL;
			return;
		}
	}
}

bool
publish_has_logger(const struct publish *p)
{
	for (const struct session *s = p->sessions; s != NULL; s = s->next)
		if (link_peer_stage(s->peer) == STAGE_LOGGER)
			return true;
	return false;
}

/* ---- what happens on the link ----------------------------------------- */

void
publish_up(struct publish *p, struct link_peer *peer)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		p->error = -ENOMEM;
		return;
	}
	s->peer = peer;
	s->next = p->sessions;
	p->sessions = s;
	pump(p, s);
}

void
publish_down(struct publish *p, struct link_peer *peer)
{
	for (struct session **at = &p->sessions; *at != NULL;
	    at = &(*at)->next) {
		struct session *s = *at;

		if (s->peer != peer)
			continue;
		*at = s->next;
		free(s);
		break;
	}
	settle(p);
}

void
publish_room(struct publish *p, struct link_peer *peer)
{
	struct session *s = session_of(p, peer);

	if (s != NULL)
		pump(p, s);
}

/* False when it is none of this session's. */
static bool
land(struct session *s, uint64_t cookie)
{
	for (unsigned i = 0; i < s->flying; i++) {
		if (s->flights[i].cookie == cookie) {
			s->flights[i] = s->flights[--s->flying];
			return true;
		}
	}
	return false;
}

void
publish_completed(struct publish *p, struct link_peer *peer, uint64_t cookie)
{
	struct session *s = session_of(p, peer);

	if (s == NULL || !land(s, cookie))
		return;
	pump(p, s);
	settle(p);
}

void
publish_refused(struct publish *p, struct link_peer *peer, uint64_t cookie,
    struct slice reason)
{
	struct session *s = session_of(p, peer);

	if (s == NULL || !land(s, cookie))
		return;
	p->refused++;
	/* What was sent before a refusal came is refused too, once. */
	if (s->state == SESSION_REFUSED || cookie < s->first_cookie)
		return;
	log_warn("directory refused by=%s reason=\"%.*s\"; it gets a new "
		 "snapshot",
	    link_peer_instance(peer), (int)reason.len,
	    (const char *)reason.data);
	set_state(s, SESSION_REFUSED);
	s->again_ms = loop_now_ms(p->loop) + PUBLISH_AGAIN_MS;
}

void
publish_changed(struct publish *p)
{
	for (struct session *s = p->sessions; s != NULL; s = s->next)
		pump(p, s);
	settle(p);
}

void
publish_tick(struct publish *p)
{
	uint64_t now_ms = loop_now_ms(p->loop);

	for (struct session *s = p->sessions; s != NULL; s = s->next) {
		if (s->state == SESSION_REFUSED && now_ms >= s->again_ms)
			set_state(s, SESSION_BEGIN);
		pump(p, s);
	}
	settle(p);
}

int
publish_metrics(const struct publish *p, struct buf *out)
{
	static const enum stage stages[] = { STAGE_ROUTER, STAGE_INGEST,
		STAGE_LOGGER };
	int r;

	r = buf_addf(out,
	    "# TYPE sluice_api_directory_number gauge\n"
	    "sluice_api_directory_number %llu\n"
	    "# TYPE sluice_api_snapshots_total counter\n"
	    "sluice_api_snapshots_total %llu\n"
	    "# TYPE sluice_api_changes_sent_total counter\n"
	    "sluice_api_changes_sent_total %llu\n"
	    "# TYPE sluice_api_directory_refused_total counter\n"
	    "sluice_api_directory_refused_total %llu\n"
	    "# TYPE sluice_api_writes_unconfirmed_total counter\n"
	    "sluice_api_writes_unconfirmed_total %llu\n"
	    "# TYPE sluice_api_sessions gauge\n",
	    (unsigned long long)directory_number(p->directory),
	    (unsigned long long)p->snapshots, (unsigned long long)p->changes,
	    (unsigned long long)p->refused, (unsigned long long)p->unconfirmed);
	for (size_t i = 0; r == 0 && i < 3; i++) {
		unsigned n = 0;

		for (const struct session *s = p->sessions; s; s = s->next)
			n += link_peer_stage(s->peer) == stages[i];
		r = buf_addf(out, "sluice_api_sessions{stage=\"%s\"} %u\n",
		    stage_name(stages[i]), n);
	}
	return r;
}
