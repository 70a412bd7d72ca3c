/* What the codec costs: ns per pack and unpack of the hot messages. Prints,
 * judges nothing. msg_bench [ROUNDS] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/crypto.h"
#include "common/msg.h"

#define BODY_BYTES 1024
#define OUT_BYTES 65536

struct run {
	const char *name;
	struct msg message;
};

static uint64_t
keep(uint64_t seen)
{
	static volatile uint64_t sink;

	sink += seen;
	return sink;
}

static int
measure(const struct run *run, uint64_t rounds)
{
	uint64_t start, packed_us, unpacked_us;
	struct buf out;
	struct msg m;
	int r = 0;

	buf_init(&out, OUT_BYTES);
	start = clock_mono_us();
	for (uint64_t i = 0; r == 0 && i < rounds; i++) {
		buf_clear(&out);
		r = msg_pack(&run->message, &out);
		(void)keep(out.len);
	}
	packed_us = clock_mono_us() - start;
	start = clock_mono_us();
	for (uint64_t i = 0; r == 0 && i < rounds; i++) {
		r = msg_unpack(buf_slice(&out), &m);
		(void)keep(m.app + m.body.len);
	}
	unpacked_us = clock_mono_us() - start;
	if (r == 0)
		printf("%-28s %6zu bytes  pack %5.0f ns  unpack %5.0f ns\n",
		    run->name, out.len,
		    (double)packed_us * 1000 / (double)rounds,
		    (double)unpacked_us * 1000 / (double)rounds);
	buf_done(&out);
	return r;
}

static struct msg
event(uint8_t *bytes)
{
	return (struct msg){
		.type = MSG_EVENT,
		.custody = { bytes, 16 },
		.app = 7,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm"),
		.service_id = slice_text("hubspot"),
		.consumer_id = slice_text("test-consumer"),
		.entity_id = slice_text("5c7f0b1e-51"),
		.entity_type = slice_text("contact"),
		.request_id = { bytes + 16, 16 },
		.body = { bytes, BODY_BYTES },
		.hole = 300,
		.dedupe_key = { bytes, 32 },
		.number = UINT64_C(1790000000000000),
		.age_ms = 3,
	};
}

static int
with_list(
    struct run run, const struct msg *record, uint32_t count, uint64_t rounds)
{
	struct buf packed;
	int r = 0;

	buf_init(&packed, OUT_BYTES);
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = msg_pack_record(record, &packed);
	run.message.deliveries = (struct msg_list){ buf_slice(&packed), count };
	if (r == 0)
		r = measure(&run, rounds);
	buf_done(&packed);
	return r;
}

static int
all(uint64_t rounds)
{
	uint8_t bytes[BODY_BYTES];
	struct run run = { "EVENT, body 1 kB", { 0 } };
	struct msg planned = { .type = MSG_PLANNED, .subscription = 42 };
	struct msg lease;
	int r;

	crypto_random(bytes, sizeof(bytes));
	lease = (struct msg){ .type = MSG_LEASE,
		.delivery = { bytes, 16 },
		.token = 1,
		.attempt = 1,
		.cycle_attempt = 1,
		.age_ms = 4,
		.app = 7,
		.subscription = 42,
		.url = slice_text("https://example.com/hooks/4711"),
		.secret = { bytes, 61 } };
	run.message = event(bytes);
	r = measure(&run, rounds);
	run.name = "PLAN, 1 delivery";
	run.message.type = MSG_PLAN;
	run.message.parts = 1;
	if (r == 0)
		r = with_list(run, &planned, 1, rounds);
	run.name = "PLAN, 500 deliveries";
	if (r == 0)
		r = with_list(run, &planned, 500, rounds / 100 + 1);
	run.name = "DELIVER, 1 lease";
	run.message.type = MSG_DELIVER;
	if (r == 0)
		r = with_list(run, &lease, 1, rounds);
	run.name = "OUTCOME, excerpt 64 bytes";
	run.message = (struct msg){ .type = MSG_OUTCOME,
		.delivery = { bytes, 16 },
		.token = 1,
		.attempt = 1,
		.status = 200,
		.verdict = MSG_VERDICT_DELIVERED,
		.started_ms = 12,
		.duration_ms = 9,
		.response = { bytes, 64 } };
	if (r == 0)
		r = measure(&run, rounds);
	return r;
}

int
main(int argc, char **argv)
{
	uint64_t rounds = 1000000;

	if (argc > 1 && config_parse_number(slice_text(argv[1]), &rounds) < 0) {
		fprintf(stderr, "msg_bench [ROUNDS]\n");
		return 2;
	}
	return all(rounds) < 0 ? 1 : 0;
}
