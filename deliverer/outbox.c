#include "deliverer/outbox.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"

/* Cookies that are no leases; a lease's is its address. */
enum cookie { COOKIE_NONE, COOKIE_HELD };

/* A RELEASE, the longest message but an OUTCOME with its excerpt. */
#define RECORDS_MAX (OUTBOX_HELD_PART * 64)

void
outbox_init(struct outbox *o, struct lease_table *table)
{
	*o = (struct outbox){ .table = table };
	buf_init(&o->message, LIMIT_MESSAGE_BYTES);
	buf_init(&o->records, RECORDS_MAX);
}

void
outbox_done(struct outbox *o)
{
	buf_done(&o->message);
	buf_done(&o->records);
}

struct fence *
fence_new(void)
{
	struct fence *f = calloc(1, sizeof(*f));

	if (f != NULL)
		f->refs = 1;
	return f;
}

struct fence *
fence_ref(struct fence *f)
{
	f->refs++;
	return f;
}

void
fence_unref(struct fence *f)
{
	if (f != NULL && --f->refs == 0)
		free(f);
}

/* Drops a lease with all that is counted for it. */
static void
drop(struct outbox *o, struct lease *l)
{
	struct fence *fence = l->transfer.fence;

	o->kept_bytes -= l->kept_bytes;
	lease_drop(o->table, l);
	fence_unref(fence);
}

static void
append(struct source *s, struct lease *l)
{
	l->next = NULL;
	*s->leases_end = l;
	s->leases_end = &l->next;
}

/* Takes over what nobody owns; counts the ids that HELD must name. */
static void
adopt(struct outbox *o, struct source *s)
{
	struct lease *l = NULL;

	while ((l = lease_next(o->table, l)) != NULL) {
		if (l->source != NULL)
			continue;
		l->source = s;
		s->held_count++;
		if (l->state == LEASE_FINISHED)
			append(s, l);
	}
}

static int
collect_held(struct outbox *o, struct source *s)
{
	struct lease *l = NULL;
	uint32_t i = 0;

	s->held = calloc((size_t)s->held_count + 1, sizeof(*s->held));
	if (s->held == NULL)
		return -ENOMEM;
	while ((l = lease_next(o->table, l)) != NULL)
		if (l->source == s && i < s->held_count)
			s->held[i++] =
			    (struct held_id){ l->transfer.id, l->token };
	s->held_parts =
	    s->held_count == 0
		? 1
		: (s->held_count + OUTBOX_HELD_PART - 1) / OUTBOX_HELD_PART;
	return 0;
}

struct source *
source_new(struct outbox *o, struct link_peer *peer)
{
	struct source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->peer = peer;
	s->leases_end = &s->leases;
	s->probes_end = &s->probes;
	s->fence = fence_new();
	adopt(o, s);
	if (s->fence == NULL || collect_held(o, s) < 0) {
		source_free(o, s);
		return NULL;
	}
	return s;
}

void
source_free(struct outbox *o, struct source *s)
{
	struct lease *l = lease_next(o->table, NULL);

	while (l != NULL) {
		struct lease *next = lease_next(o->table, l);

		if (l->source == s) {
			l->source = NULL;
			if (l->state == LEASE_FINISHED &&
			    l->transfer.unsent != UNSENT_NOT)
				drop(o, l);
		}
		l = next;
	}
	while (s->probes != NULL) {
		struct probe *p = s->probes;

		s->probes = p->next;
		probe_free(p);
	}
	fence_unref(s->fence);
	free(s->held);
	free(s);
}

void
outbox_add(struct outbox *o, struct lease *l)
{
	lease_finish(o->table, l);
	l->kept_bytes = sizeof(*l) + l->transfer.response.len;
	o->kept_bytes += l->kept_bytes;
	if (l->source != NULL)
		append(l->source, l);
	else if (l->transfer.unsent != UNSENT_NOT)
		drop(o, l);
}

void
outbox_add_probe(struct source *s, struct probe *p)
{
	p->next = NULL;
	*s->probes_end = p;
	s->probes_end = &p->next;
}

static int
send_message(
    struct outbox *o, struct source *s, const struct msg *m, uint64_t cookie)
{
	int r;

	buf_clear(&o->message);
	r = msg_pack(m, &o->message);
	if (r == 0)
		r = link_send(s->peer, m->type, buf_slice(&o->message), cookie);
	if (r < 0 && r != -EAGAIN && r != -ENOMEM)
		log_error("message=%s cannot be sent: error=%d",
		    msg_name(m->type), -r);
	return r;
}

static int
add_lease_id(struct outbox *o, struct id delivery, uint64_t token)
{
	struct msg record = { .type = MSG_LEASE_ID,
		.delivery = id_slice(&delivery),
		.token = token };

	return msg_pack_record(&record, &o->records);
}

static int
send_held(struct outbox *o, struct source *s)
{
	while (s->held != NULL) {
		uint32_t from = s->held_part * OUTBOX_HELD_PART;
		uint32_t count = s->held_count - from;
		struct msg m = { .type = MSG_HELD,
			.part = s->held_part,
			.parts = s->held_parts };
		int r = 0;

		if (count > OUTBOX_HELD_PART)
			count = OUTBOX_HELD_PART;
		buf_clear(&o->records);
		for (uint32_t i = 0; r == 0 && i < count; i++)
			r = add_lease_id(o, s->held[from + i].delivery,
			    s->held[from + i].token);
		m.leases = (struct msg_list){ buf_slice(&o->records), count };
		if (r == 0)
			r = send_message(o, s, &m, COOKIE_HELD);
		if (r < 0)
			return r;
		s->held_open++;
		if (++s->held_part == s->held_parts) {
			free(s->held);
			s->held = NULL;
		}
	}
	return 0;
}

static int
send_outcome(struct outbox *o, struct source *s, struct lease *l)
{
	const struct transfer *t = &l->transfer;
	uint64_t now = clock_mono_ms();
	struct msg m = { .type = MSG_OUTCOME,
		.delivery = id_slice(&t->id),
		.token = l->token,
		.attempt = l->attempt,
		.status = t->status,
		.verdict = l->verdict,
		.duration_ms = t->duration_ms,
		.started_ms = now - t->started_ms,
		.delay_ms = l->due_ms > now ? l->due_ms - now : 0,
		.error = slice_text(t->error[0] == '\0' ? NULL : t->error),
		.response = buf_slice(&t->response) };

	return send_message(o, s, &m, (uint64_t)(uintptr_t)l);
}

/* A run of leases that are given back for the same reason. */
static int
send_release(struct outbox *o, struct source *s)
{
	static const char *const reasons[UNSENT_MAX] = {
		[UNSENT_FENCED] = "fenced: the logger was not heard",
		[UNSENT_DRAINED] = "drain: the deliverer stops",
		[UNSENT_FULL] = "full: no slot is free",
	};
	enum unsent why = s->leases->transfer.unsent;
	struct msg m = { .type = MSG_RELEASE,
		.reason = slice_text(reasons[why]) };
	struct lease *l = s->leases;
	int r = 0;

	buf_clear(&o->records);
	while (r == 0 && l != NULL && l->transfer.unsent == why &&
	       m.leases.count < OUTBOX_RELEASE_PART) {
		r = add_lease_id(o, l->transfer.id, l->token);
		m.leases.count++;
		l = l->next;
	}
	m.leases.packed = buf_slice(&o->records);
	if (r == 0)
		r = send_message(o, s, &m, COOKIE_NONE);
	if (r < 0)
		return r;
	while (s->leases != l) {
		struct lease *sent = s->leases;

		s->leases = sent->next;
		drop(o, sent);
	}
	return 0;
}

static int
send_first(struct outbox *o, struct source *s)
{
	struct lease *l = s->leases;
	int r;

	if (l->transfer.unsent != UNSENT_NOT)
		return send_release(o, s);
	r = send_outcome(o, s, l);
	if (r == -EAGAIN || r == -ENOMEM)
		return r;
	s->leases = l->next;
	if (r == 0)
		l->state = LEASE_SENT;
	else
		drop(o, l); /* it can never be sent; the lease runs out */
	return 0;
}

static int
send_probed(struct outbox *o, struct source *s)
{
	struct probe *p = s->probes;
	const struct transfer *t = &p->transfer;
	struct msg m = { .type = MSG_PROBED,
		.query = p->query,
		.status = t->status,
		.verdict = t->verdict,
		.duration_ms = t->duration_ms,
		.error = slice_text(t->error[0] == '\0' ? NULL : t->error),
		.response = buf_slice(&t->response) };
	int r = send_message(o, s, &m, COOKIE_NONE);

	if (r == -EAGAIN || r == -ENOMEM)
		return r;
	s->probes = p->next;
	if (s->probes == NULL)
		s->probes_end = &s->probes;
	probe_free(p);
	return 0;
}

void
outbox_pump(struct outbox *o, struct source *s)
{
	int r = send_held(o, s);

	while (r == 0 && s->probes != NULL)
		r = send_probed(o, s);
	while (r == 0 && s->leases != NULL)
		r = send_first(o, s);
	if (s->leases == NULL)
		s->leases_end = &s->leases;
}

static struct lease *
from_cookie(uint64_t cookie)
{
	return (struct lease *)(uintptr_t)cookie;
}

static void
held_done(struct source *s)
{
	if (--s->held_open == 0 && s->held == NULL)
		s->introduced = true;
}

void
outbox_completed(struct outbox *o, struct source *s, uint64_t cookie)
{
	if (cookie == COOKIE_HELD)
		held_done(s);
	else if (cookie != COOKIE_NONE)
		drop(o, from_cookie(cookie));
}

void
outbox_refused(
    struct outbox *o, struct source *s, uint64_t cookie, struct slice reason)
{
	char id[ID_TEXT_SIZE] = "-";

	if (cookie > COOKIE_HELD)
		id_text(from_cookie(cookie)->transfer.id, id);
	log_warn("delivery=%s the logger refused: %.*s", id, (int)reason.len,
	    reason.len > 0 ? (const char *)reason.data : "");
	outbox_completed(o, s, cookie);
}

void
outbox_returned(struct outbox *o, uint64_t cookie)
{
	(void)o;
	if (cookie <= COOKIE_HELD)
		return;
	from_cookie(cookie)->state = LEASE_FINISHED;
	from_cookie(cookie)->source = NULL;
}

uint64_t
outbox_bytes(const struct outbox *o)
{
	return o->kept_bytes;
}
