/*
 * What waiting deliveries cost the event store: fills it with deliveries that
 * failed once and wait for their retry, opens it again as a logger does, and
 * takes what is due.
 *
 *   sluice-bench-pending FILE DELIVERIES ENDPOINTS [SUBSCRIPTION [DUE_S
 *       [SPREAD_S [TAKES]]]]
 *
 * Endpoints have the numbers from SUBSCRIPTION (1) on, of application 1; their
 * deliveries become due from DUE_S seconds from now on (0: they are), over
 * SPREAD_S; TAKES (200) operations take 64 each. tests/bench/pending puts the
 * logger itself on such a file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/config.h"
#include "logger/store.h"

#define BATCH 256
#define TAKE 64

struct plan {
	struct id custody;
	struct msg msg;
	struct store_delivery delivery;
	struct store_op op;
};

struct pending {
	struct store *store;
	uint64_t count, endpoints, first, due_ms, spread_ms, takes;
	struct id_maker ids;
	size_t loaded;
};

static uint32_t
endpoint_of(const struct pending *p, uint64_t n)
{
	return (uint32_t)(p->first + n % p->endpoints);
}

static void
make_plan(struct pending *p, struct plan *o, uint64_t n)
{
	static const char body[] = "{\"payload\":{\"entity_id\":\"p\"}}";

	memset(o, 0, sizeof(*o));
	o->custody = id_make(&p->ids);
	o->msg = (struct msg){ .type = MSG_PLAN,
		.custody = id_slice(&o->custody),
		.app = 1,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm"),
		.body = slice_text(body),
		.number = 1,
		.parts = 1 };
	o->delivery =
	    (struct store_delivery){ .subscription = endpoint_of(p, n),
		    .state = MSG_STATE_LEASED,
		    .session = 5 };
	o->op.type = STORE_PLAN;
	o->op.u.plan = (struct store_plan){
		.plan = &o->msg, .deliveries = &o->delivery, .count = 1
	};
}

static void
make_outcome(const struct pending *p, const struct plan *o, uint64_t n,
    struct store_op *op)
{
	memset(op, 0, sizeof(*op));
	op->type = STORE_OUTCOME;
	op->u.outcome = (struct store_outcome){
		.delivery = id_delivery(o->custody, o->delivery.subscription),
		.event = o->op.u.plan.event,
		.token = 1,
		.attempt = 1,
		.status = 500,
		.verdict = MSG_VERDICT_RETRY,
		.delay_ms = p->due_ms + n * p->spread_ms / p->count,
		.at_ms = clock_wall_ms(),
		.duration_ms = 2,
		.response = slice_text("no"),
		.judge = { .failed_enough = 5 },
	};
}

static int
add_endpoints(struct pending *p)
{
	struct store_op op = { .type = STORE_DIRECTORY }, *ops[] = { &op };
	struct msg e = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_APP,
		.number = 1,
		.app = 1,
		.id = slice_text("app") };
	struct buf entries;
	uint32_t count = 1;
	int r;

	buf_init(&entries, 64u * 1024 * 1024);
	r = msg_pack_record(&e, &entries);
	e.kind = MSG_ENTRY_SUBSCRIPTION;
	e.url = slice_text("http://127.0.0.1/hook");
	e.enabled = true;
	for (uint64_t i = 0; r == 0 && i < p->endpoints; i++) {
		e.subscription = p->first + i;
		r = msg_pack_record(&e, &entries);
		count++;
	}
	op.u.directory.entries =
	    (struct msg_list){ buf_slice(&entries), count };
	if (r == 0)
		r = store_apply(p->store, ops, 1, clock_wall_ms());
	buf_done(&entries);
	return r;
}

/* As the logger does each second: nothing before is under its first lease. */
static int
sweep(struct pending *p)
{
	struct store_op op = { .type = STORE_SWEEP }, *ops[] = { &op };

	op.u.sweep.retention_ms = UINT64_C(1) << 40;
	op.u.sweep.lease_floor = p->count + 1;
	return store_apply(p->store, ops, 1, clock_wall_ms());
}

static int
fill(struct pending *p)
{
	static struct plan plans[BATCH];
	static struct store_op outcomes[BATCH];
	struct store_op *ops[BATCH];
	uint64_t n = 0;
	int r = 0;

	while (r == 0 && n < p->count) {
		size_t batch = p->count - n < BATCH ? p->count - n : BATCH;

		for (size_t i = 0; i < batch; i++) {
			make_plan(p, &plans[i], n + i);
			ops[i] = &plans[i].op;
		}
		r = store_apply(p->store, ops, batch, clock_wall_ms());
		for (size_t i = 0; i < batch; i++) {
			make_outcome(p, &plans[i], n + i, &outcomes[i]);
			ops[i] = &outcomes[i];
		}
		if (r == 0)
			r = store_apply(p->store, ops, batch, clock_wall_ms());
		n += batch;
	}
	return r < 0 ? r : sweep(p);
}

/* ---- as the logger reads it --------------------------------------------- */

static int
on_endpoint(void *arg, const struct store_endpoint *e)
{
	struct pending *p = arg;

	p->loaded += e->next_due_ms != STORE_NEVER;
	return 0;
}

static const struct store_loader loader = { .on_endpoint = on_endpoint };

static int
take(struct pending *p, uint64_t n, uint32_t *ret_count)
{
	struct store_op op = { .type = STORE_TAKE }, *ops[] = { &op };
	struct store_taken *t;
	int r;

	op.u.take = (struct store_take){
		.subscription = endpoint_of(p, n), .session = 6, .limit = TAKE
	};
	r = store_apply(p->store, ops, 1, clock_wall_ms());
	*ret_count += op.u.take.count;
	while ((t = op.u.take.taken) != NULL) {
		op.u.take.taken = t->next;
		free(t);
	}
	return r;
}

static int
take_some(struct pending *p)
{
	uint64_t began, took, longest = 0, sum = 0;
	uint32_t count = 0;
	int r = 0;

	for (uint64_t n = 0; r == 0 && n < p->takes; n++) {
		began = clock_mono_us();
		r = take(p, n, &count);
		took = clock_mono_us() - began;
		sum += took;
		longest = took > longest ? took : longest;
	}
	(void)printf(
	    "take: %u deliveries by %llu operations, %.0f us each with "
	    "its commit, longest %llu\n",
	    count, (unsigned long long)p->takes, (double)sum / (double)p->takes,
	    (unsigned long long)longest);
	return r;
}

static int
run(struct pending *p, const char *path)
{
	uint64_t began = clock_mono_us();
	int r = store_open(path, &p->store);

	if (r == 0)
		r = store_load(p->store, &loader, p);
	if (r == 0)
		r = add_endpoints(p);
	if (r == 0)
		r = fill(p);
	store_close(p->store);
	(void)printf("fill: %llu deliveries of %llu endpoints in %.1f s\n",
	    (unsigned long long)p->count, (unsigned long long)p->endpoints,
	    (double)(clock_mono_us() - began) / 1e6);
	if (r < 0)
		return r;
	began = clock_mono_us();
	r = store_open(path, &p->store);
	p->loaded = 0;
	if (r == 0)
		r = store_load(p->store, &loader, p);
	(void)printf("load: %.1f ms, %zu endpoints with something due\n",
	    (double)(clock_mono_us() - began) / 1e3, p->loaded);
	if (r == 0 && p->takes > 0)
		r = take_some(p);
	store_close(p->store);
	return r;
}

static uint64_t
argument(int argc, char **argv, int at, uint64_t otherwise)
{
	uint64_t value = otherwise;

	if (argc > at && config_parse_number(slice_text(argv[at]), &value) < 0)
		return otherwise;
	return value;
}

int
main(int argc, char **argv)
{
	struct pending p = { .count = argument(argc, argv, 2, 1000000),
		.endpoints = argument(argc, argv, 3, 1),
		.first = argument(argc, argv, 4, 1),
		.due_ms = 1000 * argument(argc, argv, 5, 0),
		.spread_ms = 1000 * argument(argc, argv, 6, 0),
		.takes = argument(argc, argv, 7, 200) };

	if (argc < 2 || p.endpoints == 0 || p.count == 0)
		return 2;
	id_maker_init(&p.ids);
	return run(&p, argv[1]) < 0;
}
