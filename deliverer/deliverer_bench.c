/*
 * What a delivery costs the deliverer: deliverer_bench URL
 * [COUNT [ENDPOINTS [HANGING HANG_URL]]].
 *
 * Is the logger of one sluice-deliverer, keeps all its slots busy with leases
 * for URL until COUNT are delivered, and prints the rate and the CPU time of
 * the deliverer's threads per delivery. HANGING more leases go to HANG_URL
 * first, which should not answer. Settings come from the environment.
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <czmq.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/id.h"
#include "common/link.h"
#include "common/loop.h"
#include "common/seal.h"

#define BODY_BYTES 954

struct bench {
	struct loop *loop;
	struct link *link;
	struct link_peer *peer;
	const char *url, *hang_url;
	uint64_t hanging, count, endpoints, sent, done, good, started_us;
	uint64_t in_hand, most_in_hand;
	uint64_t warm;	 /* deliveries before the clock starts */
	uint64_t cpu_us; /* of the deliverer, when it started */
	struct id_maker ids;
	struct buf secret, message, records;
	char body[BODY_BYTES + 1];
	pid_t pid;
};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* utime and stime of one thread, in us; prints it when asked. */
static uint64_t
thread_us(pid_t pid, const char *tid, uint64_t per)
{
	char path[64], text[512], name[32] = "";
	const char *at;
	size_t len;
	FILE *f;
	uint64_t us, ticks = 0;

	(void)snprintf(
	    path, sizeof(path), "/proc/%d/task/%.16s/stat", (int)pid, tid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	at = strchr(text, '(');
	if (at != NULL)
		(void)snprintf(name, sizeof(name), "%.*s",
		    (int)strcspn(at + 1, ")"), at + 1);
	at = strrchr(text, ')');
	/* fields 14 and 15 of proc(5); the ')' ends field 2 */
	for (int field = 2; at != NULL && field < 14; field++)
		at = strchr(at + 1, ' ');
	for (int i = 0; at != NULL && i < 2; i++) {
		struct slice digits = { (const uint8_t *)at + 1,
			strcspn(at + 1, " ") };
		uint64_t value;

		if (config_parse_number(digits, &value) < 0)
			return 0;
		ticks += value;
		at = strchr(at + 1, ' ');
	}
	us = ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	if (per > 0 && us > 0)
		printf("  %-16s %-7s %.2f us\n", name, tid,
		    (double)us / (double)per);
	return us;
}

static uint64_t
process_us(pid_t pid, uint64_t per)
{
	char path[64];
	struct dirent *entry;
	uint64_t sum = 0;
	DIR *folder;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	folder = opendir(path);
	if (folder == NULL)
		return 0;
	while ((entry = readdir(folder)) != NULL)
		if (entry->d_name[0] != '.')
			sum += thread_us(pid, entry->d_name, per);
	closedir(folder);
	return sum;
}

static bool
send_one(struct bench *b)
{
	struct id custody = id_make(&b->ids);
	uint32_t subscription = (uint32_t)(b->sent % b->endpoints) + 1;
	struct id delivery = id_delivery(custody, subscription);
	struct msg record = { .type = MSG_LEASE,
		.delivery = id_slice(&delivery),
		.token = 1,
		.attempt = 1,
		.cycle_attempt = 1,
		.app = 1,
		.subscription = subscription,
		.flags = b->sent < b->hanging ? MSG_FLAG_TROUBLED : 0,
		.url = slice_text(b->sent < b->hanging ? b->hang_url : b->url),
		.secret = buf_slice(&b->secret) };
	struct msg m = { .type = MSG_DELIVER,
		.custody = id_slice(&custody),
		.event_type = slice_text("crm.contact.created"),
		.body = slice_text(b->body),
		.hole = BODY_BYTES - 2 };

	buf_clear(&b->records);
	buf_clear(&b->message);
	if (msg_pack_record(&record, &b->records) < 0)
		abort();
	m.deliveries = (struct msg_list){ buf_slice(&b->records), 1 };
	if (msg_pack(&m, &b->message) < 0)
		abort();
	return link_send(b->peer, m.type, buf_slice(&b->message), 0) == 0;
}

static void
send_all(struct bench *b)
{
	while (b->peer != NULL && b->sent < b->hanging + b->count + b->warm &&
	       link_room(b->peer, MSG_LANE_WORK) > 0 && send_one(b)) {
		b->sent++;
		if (++b->in_hand > b->most_in_hand)
			b->most_in_hand = b->in_hand;
	}
}

static void
on_up(void *arg, struct link_peer *peer)
{
	struct bench *b = arg;

	b->peer = peer;
}

static void
on_down(void *arg, struct link_peer *peer, const char *why)
{
	(void)arg;
	(void)peer;
	fprintf(stderr, "the deliverer is gone: %s\n", why);
	exit(1);
}

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct bench *b = arg;
	struct msg m;

	link_complete(peer, seq);
	if (type != MSG_OUTCOME || msg_unpack(message, &m) < 0)
		return;
	b->in_hand--;
	b->done++;
	b->good += m.verdict == MSG_VERDICT_DELIVERED;
	if (b->done == b->warm) {
		b->started_us = clock_mono_us();
		b->cpu_us = process_us(b->pid, 0);
	}
	if (b->done == b->count + b->warm)
		loop_stop(b->loop);
}

static void
on_batch(void *arg)
{
	struct bench *b = arg;

	send_all(b);
	link_flush(b->link);
}

static void
on_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	(void)peer;
	(void)lane;
	on_batch(arg);
}

static const struct link_ops ops = { .on_up = on_up,
	.on_down = on_down,
	.on_message = on_message,
	.on_batch = on_batch,
	.on_room = on_room };

static void
start(struct bench *b, const char *folder)
{
	char data[96], link_[96], path[96];
	char program[] = DELIVERER, *argv[] = { program, NULL };
	struct link_config config = { .stage = STAGE_LOGGER,
		.instance = "bench/logger-1" };
	struct seal seal;

	(void)snprintf(path, sizeof(path), "%s/keys/master.key", folder);
	(void)snprintf(link_, sizeof(link_), "ipc://%s/logger.sock", folder);
	(void)snprintf(data, sizeof(data), "%s", folder);
	if (seal_load(&seal, path) < 0 ||
	    seal_close(
		&seal, "secret:1", slice_text("sk_live_test"), &b->secret) < 0)
		die("seal");
	b->loop = loop_new();
	if (b->loop == NULL ||
	    link_new(b->loop, &config, &ops, b, &b->link) < 0 ||
	    link_bind(b->link, link_) < 0)
		die("link");
	link_set_window(
	    b->link, MSG_LANE_RESULT, 1 << 16, 2 * LINK_WINDOW_MIN_BYTES);
	setenv("SLUICE_DATA", data, 1);
	setenv("SLUICE_LOGGER_LINK", link_, 1);
	setenv("SLUICE_ALLOW_NET", "127.0.0.0/8", 0);
	if (posix_spawn(&b->pid, program, NULL, NULL, argv, environ) != 0)
		die(program);
}

static void
report(struct bench *b)
{
	double s = (double)(clock_mono_us() - b->started_us) / 1e6;
	uint64_t us = process_us(b->pid, b->count + b->warm) - b->cpu_us;

	printf("%" PRIu64 " deliveries, %" PRIu64 " good, at most %" PRIu64
	       " in hand\n"
	       "%.0f a second, %.2f us CPU of the deliverer each\n",
	    b->count, b->good - (b->good > b->warm ? b->warm : 0),
	    b->most_in_hand, (double)b->count / s,
	    (double)us / (double)b->count);
}

int
main(int argc, char **argv)
{
	static struct bench b = { .count = 100000, .endpoints = 1 };
	char folder[] = "/tmp/sluice-bench-XXXXXX";

	if (argc < 2 || argc > 6 || argc == 5 ||
	    (argc > 2 &&
		config_parse_number(slice_text(argv[2]), &b.count) < 0) ||
	    (argc > 3 &&
		config_parse_number(slice_text(argv[3]), &b.endpoints) < 0) ||
	    (argc > 5 &&
		config_parse_number(slice_text(argv[4]), &b.hanging) < 0) ||
	    b.endpoints == 0) {
		fprintf(stderr,
		    "usage: %s URL [COUNT [ENDPOINTS [HANGING HANG_URL]]]\n",
		    argv[0]);
		return 2;
	}
	b.url = argv[1];
	b.hang_url = argc > 5 ? argv[5] : NULL;
	b.warm = b.count / 10 + 1;
	memset(b.body, 'x', BODY_BYTES);
	id_maker_init(&b.ids);
	buf_init(&b.secret, 1024);
	buf_init(&b.message, LIMIT_MESSAGE_BYTES);
	buf_init(&b.records, LIMIT_MESSAGE_BYTES);
	zsys_handler_set(NULL);
	if (mkdtemp(folder) == NULL)
		die("mkdtemp");
	start(&b, folder);
	if (loop_run(b.loop) < 0)
		die("loop");
	report(&b);
	(void)kill(b.pid, b.hanging > 0 ? SIGKILL : SIGTERM);
	(void)waitpid(b.pid, NULL, 0);
	link_free(b.link);
	loop_free(b.loop);
	zsys_shutdown();
	return 0;
}
