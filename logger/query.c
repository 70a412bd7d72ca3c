#include "logger/logger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* A QUERY on its way through the reader, with its bytes. It is completed when
 * its PAGE is sent, so the control window bounds how many there are. */
struct query_job {
	struct question question; /* first */
	struct logger *logger;
	struct peer *from;
	uint64_t seq;
	uint8_t bytes[];
};

static void
free_job(struct query_job *j)
{
	buf_done(&j->question.page);
	peer_unref(j->from);
	free(j);
}

static void
on_answered(struct question *q)
{
	struct query_job *j = (struct query_job *)q;
	int r = q->result;

	if (r == 0 && j->from->link != NULL)
		r = link_send(j->from->link, MSG_PAGE, buf_slice(&q->page), 0);
	if (r < 0 && r != -ECANCELED) {
		log_warn("query error=\"%s\"", strerror(-r));
		peer_refuse(j->from, j->seq, "busy: ask again");
	} else {
		peer_complete(j->from, j->seq);
	}
	free_job(j);
}

void
query_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct query_job *j = calloc(1, sizeof(*j) + bytes.len);

	if (j == NULL) {
		peer_refuse(from, seq, "busy: out of memory");
		return;
	}
	memcpy(j->bytes, bytes.data, bytes.len);
	if (msg_unpack((struct slice){ j->bytes, bytes.len },
		&j->question.query) < 0) {
		peer_refuse(from, seq, "invalid: not a QUERY");
		free(j);
		return;
	}
	/* Without a time it is about this month. */
	if (j->question.query.what == MSG_QUERY_USAGE &&
	    j->question.query.from_ms == 0)
		j->question.query.from_ms = logger_now(l);
	j->logger = l;
	j->from = peer_ref(from);
	j->seq = seq;
	j->question.done = on_answered;
	buf_init(&j->question.page, LIMIT_MESSAGE_BYTES);
	reader_post(l->reader, &j->question);
}
