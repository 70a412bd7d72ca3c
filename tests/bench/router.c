/*
 * What an event costs the router: prints the CPU of a real router process
 * between an ingest, an api and a logger that are played here, over ipc.
 *
 *   sluice-bench-router ROUTER [EVENTS [SUBSCRIPTIONS]]
 *
 * The logger completes every plan at once, so the router is never idle.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/link.h"

#define BODY_BYTES 950
#define GIVE_UP_MS 120000
#define ENTRIES 500 /* in one DIRECTORY message */

struct bench {
	struct loop *loop;
	struct link *links[STAGE_MAX];
	struct link_peer *ingest, *api;
	struct buf event;
	uint64_t events, sent, completed, plans, deliveries;
	uint64_t subscriptions, told, part;
	bool told_all;
	uint64_t started_us, took_us;
	uint64_t usage_us; /* of the router before the first event */
	pid_t router;
};

static void
must(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "bench: %s: %s\n", what, strerror(-r));
		exit(1);
	}
}

/* utime and stime of a process, fields 14 and 15 of proc(5), in us. */
static uint64_t
cpu_us(pid_t pid)
{
	char path[64], text[1024], *at;
	uint64_t ticks = 0, field;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (f == NULL || fgets(text, sizeof(text), f) == NULL)
		exit(1);
	(void)fclose(f);
	at = strrchr(text, ')');
	for (unsigned i = 3; at != NULL && i <= 15; i++) {
		char *end;

		at = strchr(at, ' ');
		if (at == NULL)
			exit(1);
		end = strchr(++at, ' ');
		if (i < 14 || end == NULL)
			continue;
		must(config_parse_number(
			 (struct slice){ (uint8_t *)at, (size_t)(end - at) },
			 &field),
		    "stat");
		ticks += field;
	}
	return ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void
make_event(struct bench *b)
{
	static const uint8_t custody[16] = { 1 };
	static uint8_t body[BODY_BYTES];
	struct msg m = { .type = MSG_EVENT,
		.custody = { custody, sizeof(custody) },
		.app = 1,
		.event_type = slice_text("crm.contact.created"),
		.unified_api = slice_text("crm"),
		.service_id = slice_text("hubspot"),
		.consumer_id = slice_text("test_user_id"),
		.entity_id = slice_text("123456ASDF"),
		.entity_type = slice_text("contact"),
		.request_id = { custody, sizeof(custody) },
		.body = { body, sizeof(body) },
		.hole = 12,
		.number = 5 };

	memset(body, 'x', sizeof(body));
	must(msg_pack(&m, &b->event), "event");
}

static void
send_directory(struct bench *b, enum msg_phase phase)
{
	struct msg m = { .type = MSG_DIRECTORY,
		.phase = phase,
		.part = b->part,
		.number = 5 };
	struct buf entries, message;

	buf_init(&entries, LIMIT_MESSAGE_BYTES);
	buf_init(&message, LIMIT_MESSAGE_BYTES);
	for (; phase == MSG_PHASE_SNAPSHOT && m.entries.count < ENTRIES &&
	       b->told < b->subscriptions;
	    m.entries.count++) {
		struct msg e = { .type = MSG_ENTRY,
			.kind = MSG_ENTRY_SUBSCRIPTION,
			.number = 1,
			.id = slice_text("id"),
			.app = b->told == 0 ? 1 : 2,
			.subscription = ++b->told,
			.unified_api = slice_text("crm"),
			.events = slice_text("crm.contact.created,crm.lead.*"),
			.enabled = true };

		must(msg_pack_record(&e, &entries), "entry");
	}
	m.entries.packed = buf_slice(&entries);
	must(msg_pack(&m, &message), "directory");
	must(link_send(b->api, MSG_DIRECTORY, buf_slice(&message), 0),
	    "directory");
	b->part++;
	buf_done(&entries);
	buf_done(&message);
}

static void
feed(struct bench *b)
{
	while (b->api != NULL && !b->told_all &&
	       link_room(b->api, MSG_LANE_CONTROL) > 0) {
		b->told_all = b->told == b->subscriptions;
		send_directory(
		    b, b->told_all ? MSG_PHASE_COMPLETE : MSG_PHASE_SNAPSHOT);
	}
	while (b->ingest != NULL && b->sent < b->events &&
	       link_room(b->ingest, MSG_LANE_WORK) > 0) {
		if (b->sent == 0) {
			b->started_us = clock_mono_us();
			b->usage_us = cpu_us(b->router);
		}
		if (link_send(b->ingest, MSG_EVENT, buf_slice(&b->event), 0) <
		    0)
			break;
		b->sent++;
	}
	link_flush(b->links[STAGE_API]);
	link_flush(b->links[STAGE_INGEST]);
	link_flush(b->links[STAGE_LOGGER]);
}

static void
on_up(void *arg, struct link_peer *peer)
{
	(void)arg;
	link_peer_set_data(peer, NULL);
}

static void
on_ingest_up(void *arg, struct link_peer *peer)
{
	((struct bench *)arg)->ingest = peer;
}

static void
on_api_up(void *arg, struct link_peer *peer)
{
	((struct bench *)arg)->api = peer;
}

static void
on_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	(void)peer;
	(void)lane;
	feed(arg);
}

static void
on_batch(void *arg)
{
	feed(arg);
}

static void
on_event_completed(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct bench *b = arg;

	(void)peer;
	(void)cookie;
	if (++b->completed == b->events) {
		b->took_us = clock_mono_us() - b->started_us;
		loop_stop(b->loop);
	}
}

static void
on_plan(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct bench *b = arg;
	struct msg m;

	(void)type;
	must(msg_unpack(message, &m), "plan");
	b->plans++;
	b->deliveries += m.deliveries.count;
	link_complete(peer, seq);
}

static void
on_give_up(void *arg)
{
	struct bench *b = arg;

	fprintf(stderr, "bench: only %llu events were completed\n",
	    (unsigned long long)b->completed);
	exit(1);
}

static void
start_router(struct bench *b, const char *program, const char *folder)
{
	b->router = fork();
	if (b->router > 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setenv("SLUICE_DATA", folder, 1);
	(void)setenv("SLUICE_LOG_LEVEL", "warn", 1);
	(void)execl(program, program, (char *)NULL);
	_exit(127);
}

static void
bind_stage(struct bench *b, enum stage stage, const char *folder,
    const struct link_ops *ops)
{
	struct link_config config = { .stage = stage,
		.instance = stage_name(stage) };
	char address[160];

	(void)snprintf(address, sizeof(address), "ipc://%s/run/%s.sock", folder,
	    stage_name(stage));
	must(link_new(b->loop, &config, ops, b, &b->links[stage]), "link");
	must(link_bind(b->links[stage], address), address);
}

static void
report(struct bench *b, const char *folder)
{
	uint64_t used = cpu_us(b->router) - b->usage_us;
	uint64_t start = clock_mono_us(), idle;
	struct rusage usage;
	char command[160];
	int status;

	/* Nothing comes in now. */
	idle = cpu_us(b->router);
	(void)usleep(2000000);
	idle = cpu_us(b->router) - idle;
	start = clock_mono_us() - start;
	(void)kill(b->router, SIGKILL);
	if (wait4(b->router, &status, 0, &usage) != b->router)
		exit(1);
	printf("router: %llu events, %llu subscriptions: %.2f us CPU per "
	       "event, %.0f events/s, %llu deliveries\n",
	    (unsigned long long)b->events, (unsigned long long)b->subscriptions,
	    (double)used / (double)b->events,
	    (double)b->events * 1e6 / (double)b->took_us,
	    (unsigned long long)b->deliveries);
	printf("router: idle %.2f %% CPU, %ld KiB RSS at most\n",
	    (double)idle * 100 / (double)start, usage.ru_maxrss);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	(void)!system(command);
}

int
main(int argc, char **argv)
{
	static const struct link_ops ingest_ops = { .on_up = on_ingest_up,
		.on_room = on_room,
		.on_batch = on_batch,
		.on_completed = on_event_completed };
	static const struct link_ops api_ops = {
		.on_up = on_api_up, .on_room = on_room, .on_batch = on_batch
	};
	static const struct link_ops logger_ops = {
		.on_up = on_up, .on_message = on_plan, .on_batch = on_batch
	};
	struct bench b = { .events = 200000, .subscriptions = 1 };
	char folder[] = "/tmp/sluice-bench-XXXXXX", run[64];

	if (argc < 2 || mkdtemp(folder) == NULL)
		return 2;
	if (argc > 2)
		must(config_parse_number(slice_text(argv[2]), &b.events),
		    argv[2]);
	if (argc > 3)
		must(config_parse_number(slice_text(argv[3]), &b.subscriptions),
		    argv[3]);
	(void)snprintf(run, sizeof(run), "%s/run", folder);
	must(mkdir(run, 0700) < 0 ? -errno : 0, run);
	start_router(&b, argv[1], folder);
	b.loop = loop_new();
	if (b.loop == NULL)
		return 1;
	buf_init(&b.event, LIMIT_MESSAGE_BYTES);
	make_event(&b);
	bind_stage(&b, STAGE_INGEST, folder, &ingest_ops);
	bind_stage(&b, STAGE_API, folder, &api_ops);
	bind_stage(&b, STAGE_LOGGER, folder, &logger_ops);
	link_set_window(b.links[STAGE_LOGGER], MSG_LANE_WORK, 4096,
	    LINK_WINDOW_MIN_BYTES * 2);
	must(loop_add_timer(b.loop, GIVE_UP_MS, on_give_up, &b), "timer");
	must(loop_run(b.loop), "loop");
	report(&b, folder);
	for (int stage = 0; stage < STAGE_MAX; stage++)
		if (b.links[stage] != NULL)
			link_free(b.links[stage]);
	loop_free(b.loop);
	buf_done(&b.event);
	return 0;
}
