#include "deliverer/probe.h"

#include <stdlib.h>
#include <string.h>

static struct slice
keep(uint8_t **at, struct slice s)
{
	struct slice kept = { *at, s.len };

	if (s.len > 0)
		memcpy(*at, s.data, s.len);
	(*at)[s.len] = '\0';
	*at += s.len + 1;
	return kept;
}

struct probe *
probe_new(const struct msg *m, struct id id)
{
	size_t len =
	    m->url.len + m->event_type.len + m->secret.len + m->headers.len + 4;
	struct probe *p = calloc(1, sizeof(*p) + len);
	struct transfer *t;
	uint8_t *at;

	if (p == NULL)
		return NULL;
	t = &p->transfer;
	if (body_make(m->body, 0, 1, &t->body) < 0) {
		free(p);
		return NULL;
	}
	at = p->texts;
	t->url = (const char *)keep(&at, m->url).data;
	t->event_type = (const char *)keep(&at, m->event_type).data;
	t->secret = keep(&at, m->secret);
	t->headers = keep(&at, m->headers);
	t->probe = true;
	t->app = (uint32_t)m->app;
	t->pin = (uint32_t)m->query;
	t->timeout_ms = m->timeout_ms;
	t->http2 = m->http2;
	t->id = id;
	p->query = m->query;
	return p;
}

void
probe_free(struct probe *p)
{
	if (p == NULL)
		return;
	body_unref(p->transfer.body);
	buf_done(&p->transfer.response);
	free(p);
}
