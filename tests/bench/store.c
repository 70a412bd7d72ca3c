/*
 * What the event store costs: batches of plans and of the outcomes that follow
 * them, straight into the store, without links or threads around it.
 *
 *   sluice-bench-store FILE [EVENTS [BATCH [BODY_BYTES [KEYS]]]]
 *
 * KEYS 1 gives every event a dedupe key of its own. CPU time is that of the
 * thread that applies; the checkpoint thread's is shown apart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/crypto.h"
#include "logger/store.h"

#define BATCH_MAX 512

struct one {
	struct id custody;
	uint8_t key[32];
	struct msg msg;
	struct store_delivery delivery;
	struct store_op op;
};

static double
cpu_us(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void
make_plan(struct one *o, struct id_maker *ids, struct slice body, bool key)
{
	memset(o, 0, sizeof(*o));
	o->custody = id_make(ids);
	o->msg = (struct msg){ .type = MSG_PLAN,
		.custody = id_slice(&o->custody),
		.app = 1,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm"),
		.service_id = slice_text("hubspot"),
		.consumer_id = slice_text("consumer-1"),
		.entity_id = slice_text("1234567"),
		.entity_type = slice_text("contact"),
		.request_id = id_slice(&o->custody),
		.body = body,
		.hole = 10,
		.number = 1,
		.parts = 1 };
	if (key) {
		crypto_sha256(id_slice(&o->custody), o->key);
		o->msg.dedupe_key = (struct slice){ o->key, sizeof(o->key) };
	}
	o->delivery = (struct store_delivery){
		.subscription = 1, .state = MSG_STATE_LEASED, .session = 5
	};
	o->op.type = STORE_PLAN;
	o->op.u.plan = (struct store_plan){
		.plan = &o->msg, .deliveries = &o->delivery, .count = 1
	};
}

static void
make_outcome(const struct one *o, struct store_op *op)
{
	memset(op, 0, sizeof(*op));
	op->type = STORE_OUTCOME;
	op->u.outcome = (struct store_outcome){
		.delivery = id_delivery(o->custody, 1),
		.event = o->op.u.plan.event,
		.token = 1,
		.attempt = 1,
		.status = 200,
		.verdict = MSG_VERDICT_DELIVERED,
		.at_ms = clock_wall_ms(),
		.duration_ms = 2,
		.response = slice_text("ok"),
		.judge = { .success_ms = clock_wall_ms() },
	};
}

static uint64_t
argument(int argc, char **argv, int at, uint64_t otherwise)
{
	uint64_t value = otherwise;

	if (argc > at && config_parse_number(slice_text(argv[at]), &value) < 0)
		return otherwise;
	return value;
}

static int
load_nothing(void *arg, uint64_t number, uint64_t last_event)
{
	(void)arg;
	(void)number;
	(void)last_event;
	return 0;
}

/* Events [from, from + batch) and the outcomes of the batch before. */
static int
run_batch(struct store *store, struct one *now, const struct one *before,
    size_t batch, struct store_op *outcomes)
{
	struct store_op *ops[2 * BATCH_MAX];
	size_t count = 0;

	for (size_t i = 0; i < batch; i++)
		ops[count++] = &now[i].op;
	for (size_t i = 0; before != NULL && i < batch; i++) {
		make_outcome(&before[i], &outcomes[i]);
		ops[count++] = &outcomes[i];
	}
	return store_apply(store, ops, count, clock_wall_ms());
}

int
main(int argc, char **argv)
{
	static const struct store_loader loader = { .on_marks = load_nothing };
	static struct one rings[2][BATCH_MAX];
	static struct store_op outcomes[BATCH_MAX];
	static const uint8_t content[1 << 20];
	uint64_t events = argument(argc, argv, 2, 200000);
	size_t batch = argument(argc, argv, 3, 64);
	struct slice body = { content, argument(argc, argv, 4, 1000) };
	bool keys = argument(argc, argv, 5, 1) == 1;
	struct store *store = NULL;
	struct id_maker ids;
	double begin, cpu, all;

	if (argc < 2 || batch > BATCH_MAX || body.len > sizeof(content) ||
	    store_open(argv[1], &store) < 0 ||
	    store_load(store, &loader, NULL) < 0)
		return 1;
	id_maker_init(&ids);
	begin = cpu_us(CLOCK_MONOTONIC);
	cpu = cpu_us(CLOCK_THREAD_CPUTIME_ID);
	all = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
	for (uint64_t n = 0; n < events / batch; n++) {
		struct one *now = rings[n % 2];

		for (size_t i = 0; i < batch; i++)
			make_plan(&now[i], &ids, body, keys);
		if (run_batch(store, now, n ? rings[(n + 1) % 2] : NULL, batch,
			outcomes) < 0)
			return 1;
	}
	cpu = cpu_us(CLOCK_THREAD_CPUTIME_ID) - cpu;
	all = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - all;
	begin = cpu_us(CLOCK_MONOTONIC) - begin;
	(void)printf("events %llu batch %zu body %zu keys %d: %.0f events/s, "
		     "CPU %.1f us per event, checkpoint thread %.1f\n",
	    (unsigned long long)events, batch, body.len, keys,
	    (double)events * 1e6 / begin, cpu / (double)events,
	    (all - cpu) / (double)events);
	store_close(store);
	return 0;
}
