#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <curl/curl.h>

#include "common/discovery.h"
#include "common/log.h"
#include "common/proc.h"
#include "deliverer/courier.h"

/* Descriptors beside the connections: link, admin port, eventfds, DNS. */
#define FILES_BESIDE 128
#define SLOTS_MIN 16
/* Of SLUICE_DRAIN, for the outcomes of what was cut to be acked. */
#define DRAIN_END_MS 2000

struct deliverer {
	struct seal seal;
	struct ssrf *ssrf;
	struct courier *courier;
	struct discovery *discovery;
	bool curl;
};

/* Slots that the limit of open files allows: each thread keeps a quarter more
 * connections than it may have in flight (transfer.c). */
static unsigned
usable_slots(const struct config *config)
{
	uint64_t wanted = config->deliverer_slots, most;
	uint64_t threads = config->deliverer_threads + TRANSFER_APART;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return (unsigned)wanted;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return (unsigned)wanted;
	most = limit.rlim_cur < FILES_BESIDE
		   ? 0
		   : (limit.rlim_cur - FILES_BESIDE) / threads * 4 / 5;
	if (most >= wanted)
		return (unsigned)wanted;
	most = most < SLOTS_MIN ? SLOTS_MIN : most;
	log_warn("the limit of open files allows %llu of %llu "
		 "SLUICE_DELIVERER_SLOTS",
	    (unsigned long long)most, (unsigned long long)wanted);
	return (unsigned)most;
}

static int
open_seal(struct deliverer *d, const struct config *config)
{
	char path[PATH_MAX];
	int r = config_path(
	    config, config->master_key_file, "keys/master.key", path);

	if (r == 0)
		r = seal_load(&d->seal, path);
	if (r < 0)
		log_error(
		    "cannot use the master key %s: %s", path, strerror(-r));
	return r;
}

/* A loopback subscriber may be allowed; our own ports never are. */
static int
open_ssrf(struct deliverer *d, const struct config *config)
{
	const char *const own[] = { config->ingest_http, config->api_http,
		config->admin_http };
	int r = ssrf_new(config->allow_net, &d->ssrf);

	if (r < 0) {
		log_error("SLUICE_ALLOW_NET=%s: must be networks as "
			  "10.0.0.0/8, comma between",
		    config->allow_net);
		return r;
	}
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (ssrf_add_listener(d->ssrf, own[i]) < 0)
			log_warn("%s is no address that could be kept from "
				 "being called",
			    own[i]);
	return 0;
}

/* libcurl would find out at the first delivery. */
static int
check_ca(const struct config *config)
{
	if (config->ca_file[0] == '\0' || access(config->ca_file, R_OK) == 0)
		return 0;
	log_error("SLUICE_CA_FILE=%s: %s", config->ca_file, strerror(errno));
	return -errno;
}

static void
on_found(void *arg, const char *address)
{
	struct deliverer *d = arg;
	int r = link_connect(courier_link(d->courier), STAGE_LOGGER, address);

	if (r < 0)
		log_error("cannot connect to %s: %s", address, strerror(-r));
}

static void
on_lost(void *arg, const char *address)
{
	struct deliverer *d = arg;

	link_disconnect(courier_link(d->courier), address);
}

static int
open_courier(struct proc *p, struct deliverer *d)
{
	const struct config *config = &p->config;
	char peers[PATH_MAX];
	struct courier_config cc = {
		.loop = p->loop,
		.link = { .stage = STAGE_DELIVERER,
		    .instance = p->instance,
		    .keys_folder = config->keys_folder[0] != '\0'
				       ? config->keys_folder
				       : NULL,
		    .plain_tcp = config->link_plain },
		.transfers = { .threads = (unsigned)config->deliverer_threads,
		    .slots = usable_slots(config),
		    .timeout_ms = config->delivery_timeout_ms,
		    .connect_timeout_ms = config->connect_timeout_ms,
		    .ca_file =
			config->ca_file[0] != '\0' ? config->ca_file : NULL,
		    .ssrf = d->ssrf,
		    .seal = &d->seal },
		.policy = { .jitter_percent = (unsigned)config->retry_jitter,
		    .max_age_ms = config->retry_max_age_ms },
	};
	int r = retry_parse(
	    slice_text(config->retry_schedule), &cc.policy.schedule);

	if (r < 0) {
		log_error("SLUICE_RETRY_SCHEDULE=%s: must be gaps as "
			  "3m,5m,1h, %d at most",
		    config->retry_schedule, RETRY_GAPS_MAX);
		return r;
	}
	r = courier_new(&cc, &d->courier);
	if (r == 0)
		r = config_peers(config, STAGE_LOGGER, peers);
	if (r == 0)
		r = discovery_new(
		    p->loop, peers, on_found, on_lost, d, &d->discovery);
	if (r < 0)
		log_error("cannot start the deliverer: %s", strerror(-r));
	return r;
}

static int
open_deliverer(struct proc *p)
{
	struct deliverer *d = calloc(1, sizeof(*d));
	int r;

	if (d == NULL)
		return -ENOMEM;
	p->state = d;
	r = open_seal(d, &p->config);
	if (r == 0)
		r = open_ssrf(d, &p->config);
	if (r == 0)
		r = check_ca(&p->config);
	if (r < 0)
		return r;
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
		log_error("libcurl cannot be initialised");
		return -EIO;
	}
	d->curl = true;
	return open_courier(p, d);
}

static bool
ready_deliverer(struct proc *p, struct buf *why)
{
	struct deliverer *d = p->state;

	if (courier_ready(d->courier))
		return true;
	(void)!buf_add_text(why, "no logger is connected");
	return false;
}

static void
drain_deliverer(struct proc *p)
{
	struct deliverer *d = p->state;
	uint64_t all = p->config.drain_ms;

	courier_drain(
	    d->courier, all > 2 * DRAIN_END_MS ? all - DRAIN_END_MS : all / 2);
}

static bool
drained_deliverer(struct proc *p)
{
	struct deliverer *d = p->state;

	return courier_drained(d->courier);
}

static int
metrics_deliverer(struct proc *p, struct buf *out)
{
	struct deliverer *d = p->state;

	return courier_metrics(d->courier, out);
}

static void
close_deliverer(struct proc *p)
{
	struct deliverer *d = p->state;

	if (d == NULL)
		return;
	discovery_free(d->discovery);
	courier_free(d->courier);
	ssrf_free(d->ssrf);
	if (d->curl)
		curl_global_cleanup();
	explicit_bzero(&d->seal, sizeof(d->seal));
	free(d);
}

int
main(int argc, char **argv)
{
	static const struct proc_ops ops = {
		.stage = STAGE_DELIVERER,
		.open = open_deliverer,
		.ready = ready_deliverer,
		.drain = drain_deliverer,
		.drained = drained_deliverer,
		.close = close_deliverer,
		.metrics = metrics_deliverer,
	};

	return proc_main(&ops, argc, argv);
}
