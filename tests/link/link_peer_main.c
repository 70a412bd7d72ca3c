/*
 * One end of a link under test: `link_peer STAGE ADDRESS FOLDER COUNT RATE`,
 * or `link_peer keys FOLDER` to make CURVE keys for both (used when LINK_KEYS
 * names the folder).
 *
 * The logger binds ADDRESS and sends COUNT DELIVERs, the deliverer connects to
 * what discovery makes of it and sends COUNT OUTCOMEs, RATE a second each; both
 * take what the other sends and complete it in random order. What happened to
 * every message stands in FOLDER/deliver.map and FOLDER/outcome.map, which both
 * map: it survives any kill, an end that starts again sends what it had not
 * seen completed, and the sender sees at each completion whether the receiver
 * had the message. Ends on SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/discovery.h"
#include "common/link.h"
#include "common/log.h"

#define WINDOW_MESSAGES 1000
#define WINDOW_BYTES LINK_WINDOW_MIN_BYTES
#define STEP_MS 5
#define COUNT_MAX 4000000
#define MAP_HEADER 4096

/* Of one message, at its number; written by the side named. */
struct record {
	uint64_t pair;	  /* receiver: of up to down, when last handled */
	uint32_t handled; /* receiver: how often */
	uint32_t state;	  /* sender */
};

enum state { OPEN, SENT, COMPLETED, REFUSED };

/* At the start of a map; tests/link/test_link.py reads it in this order. */
struct header {
	uint64_t completed, refused, returned;
	uint64_t unhandled;	 /* completed, but nobody had it */
	uint64_t misnamed;	 /* refused for another's reason, or wrongly */
	uint64_t handled, again; /* again: in another session */
	uint64_t twice;		 /* in the same one */
	uint64_t open_max, open_bytes_max, largest, garbled;
	uint64_t sender_cpu_us, receiver_cpu_us;
};

struct map {
	struct header *header;
	struct record *records;
};

struct open_message {
	struct link_peer *peer;
	uint64_t seq, n;
	size_t len;
};

struct end {
	struct loop *loop;
	struct link *link;
	struct discovery *discovery;
	struct link_peer *peer;
	uint64_t pair, count, rate;
	struct map out, in;
	enum msg_type sends;
	/* sending */
	uint64_t next, budget, last_us;
	uint64_t *returned;
	size_t returned_count;
	uint8_t *message;
	/* receiving */
	struct open_message open[2 * WINDOW_MESSAGES];
	size_t open_count;
	uint64_t open_bytes;
	uint64_t closed_until_ms;
};

static struct loop *stop_loop;

static void
on_signal(int sig)
{
	(void)sig;
	loop_stop(stop_loop);
}

static uint32_t
random_below(uint32_t limit)
{
	static uint32_t state;

	if (state == 0)
		crypto_random(&state, sizeof(state));
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % limit;
}

static int
map_open(struct map *m, const char *folder, const char *name, uint64_t count)
{
	size_t len = MAP_HEADER + (count + 1) * sizeof(struct record);
	char path[512];
	uint8_t *at;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s.map", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)len) < 0)
		return -EIO;
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (at == MAP_FAILED)
		return -EIO;
	m->header = (struct header *)(void *)at;
	m->records = (struct record *)(void *)(at + MAP_HEADER);
	return 0;
}

/* ---- sending ----------------------------------------------------------- */

static bool
is_poison(uint64_t n)
{
	return n % 500 == 7;
}

static size_t
size_of(uint64_t n)
{
	if (n % 20000 == 17)
		return LIMIT_MESSAGE_BYTES;
	if (n % 1000 == 3)
		return 20000;
	return 64 + n * 2654435761u % 400;
}

static int
send_one(struct end *e, uint64_t n)
{
	size_t len = size_of(n);
	int r;

	e->message[0] = (uint8_t)e->sends;
	memcpy(e->message + 1, &n, sizeof(n));
	e->message[len - 1] = (uint8_t)n;
	r = link_send(e->peer, e->sends, (struct slice){ e->message, len }, n);
	e->message[len - 1] = 0;
	if (r == 0)
		e->out.records[n].state = SENT;
	return r;
}

static void
send_more(struct end *e)
{
	if (e->peer == NULL)
		return;
	while (e->budget > 0) {
		uint64_t n;

		while (e->next <= e->count &&
		       e->out.records[e->next].state != OPEN)
			e->next++;
		if (e->returned_count > 0)
			n = e->returned[e->returned_count - 1];
		else if (e->next <= e->count)
			n = e->next;
		else
			break;
		if (send_one(e, n) < 0)
			break;
		e->budget--;
		if (e->returned_count > 0)
			e->returned_count--;
		else
			e->next++;
	}
	link_flush(e->link);
}

static void
on_completed(void *arg, struct link_peer *peer, uint64_t n)
{
	struct end *e = arg;

	(void)peer;
	e->out.header->completed++;
	if (e->out.records[n].handled == 0)
		e->out.header->unhandled++;
	if (is_poison(n))
		e->out.header->misnamed++;
	e->out.records[n].state = COMPLETED;
}

static void
on_refused(void *arg, struct link_peer *peer, uint64_t n, struct slice reason)
{
	struct end *e = arg;
	char wanted[64];

	(void)peer;
	(void)snprintf(wanted, sizeof(wanted), "poison: %" PRIu64, n);
	e->out.header->refused++;
	if (e->out.records[n].handled == 0)
		e->out.header->unhandled++;
	if (!slice_is(reason, wanted))
		e->out.header->misnamed++;
	e->out.records[n].state = REFUSED;
}

static void
on_returned(void *arg, struct link_peer *peer, uint64_t n)
{
	struct end *e = arg;

	(void)peer;
	e->out.header->returned++;
	e->out.records[n].state = OPEN;
	e->returned[e->returned_count++] = n;
}

static void
on_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	(void)peer;
	(void)lane;
	send_more(arg);
}

/* ---- receiving --------------------------------------------------------- */

static void
close_random(struct end *e)
{
	uint32_t i = random_below((uint32_t)e->open_count);
	struct open_message o = e->open[i];
	char reason[64];

	e->open[i] = e->open[--e->open_count];
	e->open_bytes -= o.len;
	if (!is_poison(o.n)) {
		link_complete(o.peer, o.seq);
		return;
	}
	(void)snprintf(reason, sizeof(reason), "poison: %" PRIu64, o.n);
	link_refuse(o.peer, o.seq, reason);
}

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct end *e = arg;
	struct header *h = e->in.header;
	struct record *r;
	uint64_t n = 0;

	(void)type;
	memcpy(&n, message.data + 1, sizeof(n));
	if (n == 0 || n > e->count || message.len != size_of(n) ||
	    message.data[message.len - 1] != (uint8_t)n) {
		h->garbled++;
		return;
	}
	r = &e->in.records[n];
	h->handled++;
	if (r->pair == e->pair)
		h->twice++;
	else if (r->handled > 0)
		h->again++;
	r->pair = e->pair;
	r->handled++;
	e->open_bytes += message.len;
	e->open[e->open_count++] =
	    (struct open_message){ peer, seq, n, message.len };
	if (h->open_max < e->open_count)
		h->open_max = e->open_count;
	if (h->open_bytes_max < e->open_bytes)
		h->open_bytes_max = e->open_bytes;
	if (h->largest < message.len)
		h->largest = message.len;
	if (e->open_count == 2 * WINDOW_MESSAGES)
		close_random(e); /* counted already: open_max tells */
}

static void
on_batch(void *arg)
{
	struct end *e = arg;
	size_t keep = random_below(WINDOW_MESSAGES / 2);

	while (e->open_count > keep)
		close_random(e);
	send_more(e);
}

static void
on_up(void *arg, struct link_peer *peer)
{
	struct end *e = arg;

	e->peer = peer;
	crypto_random(&e->pair, sizeof(e->pair));
}

static void
on_down(void *arg, struct link_peer *peer, const char *why)
{
	struct end *e = arg;

	(void)why;
	if (e->peer == peer)
		e->peer = NULL;
	e->open_count = 0;
	e->open_bytes = 0;
}

/* ---- both -------------------------------------------------------------- */

/* Now and then nothing more is wanted for a while. */
static void
move_window(struct end *e)
{
	uint64_t now = clock_mono_ms();

	if (e->closed_until_ms == 0 && random_below(200) == 0) {
		e->closed_until_ms = now + 100;
		for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
			link_set_window(e->link, (enum msg_lane)lane, 0, 0);
	} else if (e->closed_until_ms != 0 && now > e->closed_until_ms) {
		e->closed_until_ms = 0;
		for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
			link_set_window(e->link, (enum msg_lane)lane,
			    WINDOW_MESSAGES, WINDOW_BYTES);
	}
}

static uint64_t
cpu_us(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
on_step(void *arg)
{
	struct end *e = arg;
	uint64_t now = clock_mono_us();
	size_t keep = e->open_count / 2;

	e->budget += e->rate * (now - e->last_us) / 1000000;
	if (e->budget > e->rate / 4 + 1)
		e->budget = e->rate / 4 + 1;
	e->last_us = now;
	while (e->open_count > keep)
		close_random(e);
	move_window(e);
	send_more(e);
	e->out.header->sender_cpu_us = e->in.header->receiver_cpu_us = cpu_us();
}

static void
on_found(void *arg, const char *address)
{
	struct end *e = arg;
	int r = link_connect(e->link, STAGE_LOGGER, address);

	log_info("found %s: %s", address, r < 0 ? strerror(-r) : "connected");
}

static void
on_lost(void *arg, const char *address)
{
	struct end *e = arg;

	log_info("lost %s", address);
	link_disconnect(e->link, address);
}

static int
end_open(struct end *e, enum stage stage, char **argv)
{
	static const struct link_ops ops = { on_up, on_down, on_message,
		on_batch, on_room, on_completed, on_refused, on_returned };
	struct link_config config = { .stage = stage,
		.instance = stage_name(stage),
		.keys_folder = getenv("LINK_KEYS"),
		.plain_tcp = getenv("LINK_KEYS") == NULL };
	bool binds = stage == STAGE_LOGGER;
	int r;

	e->sends = binds ? MSG_DELIVER : MSG_OUTCOME;
	e->next = 1;
	e->last_us = clock_mono_us();
	e->returned = calloc(2 * WINDOW_MESSAGES, sizeof(*e->returned));
	e->message = calloc(1, LIMIT_MESSAGE_BYTES);
	e->loop = loop_new();
	if (e->returned == NULL || e->message == NULL || e->loop == NULL)
		return -ENOMEM;
	r = map_open(&e->out, argv[3], binds ? "deliver" : "outcome", e->count);
	if (r == 0)
		r = map_open(
		    &e->in, argv[3], binds ? "outcome" : "deliver", e->count);
	if (r < 0)
		return r;
	for (uint64_t n = 1; n <= e->count; n++)
		if (e->out.records[n].state == SENT)
			e->out.records[n].state = OPEN;
	r = link_new(e->loop, &config, &ops, e, &e->link);
	if (r < 0)
		return r;
	for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++)
		link_set_window(e->link, (enum msg_lane)lane, WINDOW_MESSAGES,
		    WINDOW_BYTES);
	r = binds ? link_bind(e->link, argv[2])
		  : discovery_new(
			e->loop, argv[2], on_found, on_lost, e, &e->discovery);
	if (r == 0 && loop_add_timer(e->loop, STEP_MS, on_step, e) < 0)
		r = -ENOMEM;
	return r;
}

static uint64_t
number(const char *text)
{
	uint64_t value = 0;

	for (; *text >= '0' && *text <= '9' && value < COUNT_MAX; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	return value;
}

static int
make_keys(const char *folder)
{
	static const enum stage stages[] = { STAGE_LOGGER, STAGE_DELIVERER };

	for (size_t i = 0; i < 2; i++) {
		zcert_t *cert = zcert_new();
		char path[512];
		int r;

		(void)snprintf(path, sizeof(path), "%s/%s.pub", folder,
		    stage_name(stages[i]));
		r = zcert_save_public(cert, path);
		(void)snprintf(path, sizeof(path), "%s/%s.key", folder,
		    stage_name(stages[i]));
		if (r == 0)
			r = zcert_save_secret(cert, path);
		zcert_destroy(&cert);
		if (r < 0)
			return 1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	static struct end end;
	struct end *e = &end;
	enum stage stage =
	    argc == 6 ? stage_from(slice_text(argv[1])) : STAGE_NONE;
	int r;

	if (argc == 3 && strcmp(argv[1], "keys") == 0)
		return make_keys(argv[2]);
	if (stage != STAGE_LOGGER && stage != STAGE_DELIVERER) {
		(void)fprintf(stderr,
		    "usage: link_peer logger|deliverer ADDRESS FOLDER COUNT "
		    "RATE\n");
		return 2;
	}
	log_init(argv[1], LOG_AT_INFO);
	e->count = number(argv[4]);
	e->rate = number(argv[5]);
	r = end_open(e, stage, argv);
	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return 1;
	}
	stop_loop = e->loop;
	(void)signal(SIGTERM, on_signal);
	log_info("ready");
	r = loop_run(e->loop);
	discovery_free(e->discovery);
	link_free(e->link);
	loop_free(e->loop);
	free(e->returned);
	free(e->message);
	zsys_shutdown();
	return r == 0 ? 0 : 1;
}
