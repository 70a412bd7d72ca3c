#include "logger/logger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/*
 * A DIRECTORY message: into memory at once, so that no plan is judged by less
 * than what its sender may know that we know; completed when it is committed.
 */
struct directory_job {
	struct job job; /* first */
	struct logger *logger;
	struct peer *from;
	uint64_t seq;
	struct buf gone; /* subscription numbers, uint32_t each */
	int error;	 /* of applying it to memory */
	uint8_t bytes[];
};

static void
free_job(struct directory_job *j)
{
	buf_done(&j->gone);
	peer_unref(j->from);
	free(j);
}

static void
on_committed(struct job *job)
{
	struct directory_job *j = (struct directory_job *)job;

	if (job->op.result == 0) {
		peer_complete(j->from, j->seq);
	} else if (job->op.result != -ECANCELED) {
		log_error("directory error=\"%s\"", job->op.reason);
		peer_refuse(j->from, j->seq, job->op.reason);
	}
	free_job(j);
}

/* ---- the replica's calls ------------------------------------------------ */

static void
on_entry(void *arg, const struct msg *entry, uint64_t generation)
{
	struct logger *l = arg;
	struct endpoint *e = NULL;
	int r = 0;

	if (entry->kind == MSG_ENTRY_APP) {
		r = endpoints_put_app(&l->endpoints, entry, generation);
		if (r == 0)
			quota_look(l,
			    endpoints_app(&l->endpoints, (uint32_t)entry->app));
	} else if (entry->kind == MSG_ENTRY_SUBSCRIPTION) {
		r = endpoints_put(&l->endpoints, entry, generation, &e);
	}
	if (r < 0)
		l->directory->error = r;
	if (e == NULL)
		return;
	dispatch_resume(l, e);
	endpoints_touch(&l->endpoints, e, logger_now(l));
}

/* What a whole snapshot did not name is gone. */
static void
on_complete(void *arg, uint64_t number, uint64_t generation)
{
	struct logger *l = arg;
	struct directory_job *j = l->directory;
	const struct table *t = &l->endpoints.by_number;

	for (struct table_node *node = table_next(t, NULL); node != NULL;
	    node = table_next(t, node)) {
		struct endpoint *e = (struct endpoint *)node;

		if (e->generation == generation || e->deleted)
			continue;
		if (buf_add(&j->gone, &e->subscription,
			sizeof(e->subscription)) < 0) {
			j->error = -ENOMEM;
			return;
		}
		endpoint_delete(&l->endpoints, e);
		endpoints_touch(&l->endpoints, e, logger_now(l));
	}
	j->job.op.u.directory.number = number;
}

static void
on_change(void *arg, uint64_t number)
{
	struct logger *l = arg;

	l->directory->job.op.u.directory.number = number;
}

const struct replica_ops directory_ops = {
	.on_entry = on_entry,
	.on_complete = on_complete,
	.on_change = on_change,
};

/* ---- messages ----------------------------------------------------------- */

static struct directory_job *
job_new(struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct directory_job *j = calloc(1, sizeof(*j) + bytes.len);

	if (j == NULL)
		return NULL;
	j->logger = l;
	j->from = peer_ref(from);
	j->seq = seq;
	buf_init(&j->gone, LIMIT_MESSAGE_BYTES);
	memcpy(j->bytes, bytes.data, bytes.len);
	j->job.done = on_committed;
	j->job.op.type = STORE_DIRECTORY;
	return j;
}

void
directory_message(
    struct logger *l, struct peer *from, uint64_t seq, struct slice bytes)
{
	struct directory_job *j = job_new(l, from, seq, bytes);
	struct store_directory *d;
	struct msg m;
	int r;

	if (j == NULL) {
		peer_refuse(from, seq, REPLICA_RESYNC ": out of memory");
		return;
	}
	l->directory = j;
	r = msg_unpack((struct slice){ j->bytes, bytes.len }, &m);
	if (r == 0)
		r = replica_message(&l->replica, from->session, &m);
	if (r == 0)
		r = j->error;
	l->directory = NULL;
	if (r < 0) {
		log_warn("directory error=\"%s\"", strerror(-r));
		peer_refuse(from, seq, REPLICA_RESYNC ": cannot be applied");
		free_job(j);
		return;
	}
	d = &j->job.op.u.directory;
	d->entries = m.entries;
	d->gone = (const uint32_t *)(const void *)j->gone.data;
	d->gone_count = j->gone.len / sizeof(uint32_t);
	if (d->number != 0)
		l->number = d->number;
	writer_post(l->writer, &j->job);
}
