#include "ingest/ingest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/discovery.h"
#include "common/http.h"
#include "common/limits.h"
#include "common/link.h"
#include "common/log.h"
#include "common/replica.h"
#include "common/seal.h"
#include "ingest/accept_log.h"
#include "ingest/connector.h"
#include "ingest/directory.h"
#include "ingest/directory_cache.h"
#include "ingest/forward.h"
#include "ingest/routes.h"
#include "ingest/secret_cache.h"
#include "ingest/token.h"

struct ingest {
	struct proc *proc;
	struct http *http;
	struct link *link;
	struct discovery *discovery;
	struct accept_log *log;
	struct forward *forward;
	struct directory *directory;
	struct directory_cache *cache;
	struct replica replica;
	struct connectors *connectors;
	struct token_checker *tokens;
	struct secret_cache *secrets;
	struct routes *routes;
	struct id_maker ids;
	char accept_root[PATH_MAX];
	char entity_base_url[LIMIT_URL_TEXT];
	char *public_url;
	uint64_t drain_until_ms;
	uint64_t bad_messages;
};

/* ---- end of a turn -------------------------------------------------- */

/* Everything that may have gathered: on disk, to routers, to callers. */
static void
flush(struct ingest *in)
{
	if (in->log != NULL)
		accept_log_flush(in->log);
	if (in->forward != NULL && in->link != NULL)
		forward_run(in->forward);
	if (in->http != NULL)
		http_flush(in->http);
}

/* ---- directory ------------------------------------------------------ */

static void
on_entry(void *arg, const struct msg *entry, uint64_t generation)
{
	struct ingest *in = arg;

	if (directory_apply(in->directory, entry, generation) < 0) {
		log_error("no memory for the directory");
		proc_fail(in->proc);
	}
}

static void
directory_moved(struct ingest *in, uint64_t number)
{
	directory_set_number(in->directory, number);
	directory_cache_changed(in->cache);
	routes_directory_changed(in->routes);
}

static void
on_complete(void *arg, uint64_t number, uint64_t generation)
{
	struct ingest *in = arg;

	directory_sweep(in->directory, generation);
	directory_moved(in, number);
	log_info("directory complete: entries=%llu number=%llu",
	    (unsigned long long)directory_count(in->directory),
	    (unsigned long long)number);
}

static void
on_change(void *arg, uint64_t number)
{
	directory_moved(arg, number);
}

static const struct replica_ops replica_ops = {
	.on_entry = on_entry,
	.on_complete = on_complete,
	.on_change = on_change,
};

/* ---- link ----------------------------------------------------------- */

static void
on_up(void *arg, struct link_peer *peer)
{
	struct ingest *in = arg;

	log_info("peer up: stage=%s instance=%s",
	    stage_name(link_peer_stage(peer)), link_peer_instance(peer));
	if (link_peer_stage(peer) == STAGE_ROUTER)
		forward_peer_up(in->forward, peer);
	flush(in);
}

static void
on_down(void *arg, struct link_peer *peer, const char *why)
{
	struct ingest *in = arg;

	log_info("peer down: stage=%s instance=%s why=\"%s\"",
	    stage_name(link_peer_stage(peer)), link_peer_instance(peer), why);
	if (link_peer_stage(peer) == STAGE_ROUTER)
		forward_peer_down(in->forward, peer);
	else
		replica_down(&in->replica, link_peer_session(peer));
	flush(in);
}

static void
on_message(void *arg, struct link_peer *peer, uint64_t seq, enum msg_type type,
    struct slice message)
{
	struct ingest *in = arg;
	struct msg m;
	int r = -EBADMSG;

	if (type == MSG_DIRECTORY && msg_unpack(message, &m) == 0)
		r = replica_message(&in->replica, link_peer_session(peer), &m);
	if (r == 0) {
		link_complete(peer, seq);
		return;
	}
	if (in->bad_messages++ == 0)
		log_warn("message from %s refused: %s",
		    link_peer_instance(peer), strerror(-r));
	link_refuse(peer, seq, REPLICA_RESYNC);
}

static void
on_batch(void *arg)
{
	flush(arg);
}

static void
on_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	(void)peer;
	(void)lane;
	flush(arg);
}

static void
on_completed(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct ingest *in = arg;

	(void)peer;
	forward_completed(in->forward, cookie);
}

static void
on_refused(
    void *arg, struct link_peer *peer, uint64_t cookie, struct slice reason)
{
	struct ingest *in = arg;

	(void)peer;
	forward_refused(in->forward, cookie, reason);
}

static void
on_returned(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct ingest *in = arg;

	(void)peer;
	forward_returned(in->forward, cookie);
}

static const struct link_ops link_ops = {
	.on_up = on_up,
	.on_down = on_down,
	.on_message = on_message,
	.on_batch = on_batch,
	.on_room = on_room,
	.on_completed = on_completed,
	.on_refused = on_refused,
	.on_returned = on_returned,
};

static void
on_found(void *arg, const char *address)
{
	struct ingest *in = arg;
	int r = link_connect(in->link, STAGE_API, address);

	if (r < 0)
		log_error("cannot connect to the api at %s: %s", address,
		    strerror(-r));
}

static void
on_lost(void *arg, const char *address)
{
	struct ingest *in = arg;

	link_disconnect(in->link, address);
}

/* ---- accept log and HTTP -------------------------------------------- */

static void
on_durable(void *arg, void *waiter, bool durable)
{
	struct ingest *in = arg;

	routes_durable(in->routes, waiter, durable);
}

static void
on_record(void *arg, struct accept_record *record)
{
	struct ingest *in = arg;

	forward_add(in->forward, record);
}

static void
on_turn(void *arg)
{
	flush(arg);
}

static const struct accept_log_ops log_ops = {
	.on_durable = on_durable,
	.on_record = on_record,
	.on_turn = on_turn,
};

static void
on_request(void *arg, struct http_request *request)
{
	struct ingest *in = arg;

	routes_handle(in->routes, request);
}

static void
on_gone(void *arg, struct http_request *request)
{
	struct ingest *in = arg;

	routes_gone(in->routes, request);
}

/* ---- opening -------------------------------------------------------- */

static int
open_accept_log(struct ingest *in)
{
	const struct config *c = &in->proc->config;
	struct accept_log_config config = {
		.root = in->accept_root,
		.max_bytes = c->accept_log_max,
		.any_fs = c->accept_log_any_fs,
	};
	int r;

	r = config_path(c, c->accept_log, "accept", in->accept_root);
	if (r < 0)
		return r;
	/* Its first callbacks come from the loop, when all else is open. */
	return accept_log_new(in->proc->loop, &config, &log_ops, in, &in->log);
}

static int
open_directory(struct ingest *in)
{
	char path[PATH_MAX];

	in->directory = directory_new();
	if (in->directory == NULL)
		return -ENOMEM;
	replica_init(&in->replica, &replica_ops, in);
	/* Beside the slots: the one place that surely outlives us. */
	if (snprintf(path, sizeof(path), "%s/directory.cache",
		in->accept_root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return directory_cache_new(
	    in->proc->loop, path, in->directory, &in->cache);
}

static int
open_tokens(struct ingest *in)
{
	const struct config *c = &in->proc->config;
	char path[PATH_MAX];
	struct jwt_key key;
	struct seal seal;
	int r;

	r = config_path(c, c->master_key_file, "keys/master.key", path);
	if (r == 0)
		r = seal_load(&seal, path);
	if (r < 0) {
		log_error("master key %s: %s", path, strerror(-r));
		return r;
	}
	jwt_key_init(&key, &seal);
	in->tokens = token_new(&key, in->directory);
	in->secrets = secret_cache_new(&seal);
	explicit_bzero(&seal, sizeof(seal));
	return in->tokens == NULL || in->secrets == NULL ? -ENOMEM : 0;
}

static int
open_connectors(struct ingest *in)
{
	const char *folder = in->proc->config.connectors;

	if (folder[0] == '\0')
		folder = access(SLUICE_CONNECTORS_INSTALLED, R_OK) == 0
			     ? SLUICE_CONNECTORS_INSTALLED
			     : SLUICE_CONNECTORS_SOURCE;
	return connectors_load(folder, &in->connectors);
}

static int
open_routes(struct ingest *in)
{
	const char *base = in->proc->config.entity_base_url;
	struct routes_config config = {
		.loop = in->proc->loop,
		.log = in->log,
		.connectors = in->connectors,
		.tokens = in->tokens,
		.directory = in->directory,
		.secrets = in->secrets,
		.ids = &in->ids,
		.entity_base_url = in->entity_base_url,
	};
	size_t len;

	if (slice_copy(slice_text(base), in->entity_base_url,
		sizeof(in->entity_base_url)) < 0 ||
	    strpbrk(base, "\"\\ ") != NULL) {
		log_error("SLUICE_ENTITY_BASE_URL is no URL");
		return -EINVAL;
	}
	len = strlen(in->entity_base_url);
	while (len > 0 && in->entity_base_url[len - 1] == '/')
		in->entity_base_url[--len] = '\0';
	in->public_url = config_url(
	    in->proc->config.ingest_public_url, in->proc->config.ingest_http);
	if (in->public_url == NULL)
		return -ENOMEM;
	config.public_url = in->public_url;
	id_maker_init(&in->ids);
	return routes_new(&config, &in->routes);
}

static int
open_link(struct ingest *in)
{
	const struct config *c = &in->proc->config;
	struct link_config config = {
		.stage = STAGE_INGEST,
		.instance = in->proc->instance,
		.keys_folder = c->keys_folder[0] ? c->keys_folder : NULL,
		.plain_tcp = c->link_plain,
	};
	char address[PATH_MAX], peers[PATH_MAX];
	int r;

	r = config_link(c, STAGE_INGEST, address);
	if (r == 0)
		r = config_peers(c, STAGE_API, peers);
	if (r == 0)
		r = link_new(in->proc->loop, &config, &link_ops, in, &in->link);
	if (r < 0)
		return r;
	forward_connect(in->forward, in->link, in->log);
	link_set_window(in->link, MSG_LANE_CONTROL, INGEST_DIRECTORY_MESSAGES,
	    INGEST_DIRECTORY_BYTES);
	r = link_bind(in->link, address);
	if (r < 0) {
		log_error(
		    "cannot bind the link at %s: %s", address, strerror(-r));
		return r;
	}
	r = discovery_new(
	    in->proc->loop, peers, on_found, on_lost, in, &in->discovery);
	if (r < 0)
		log_error("SLUICE_API_PEERS=%s: %s", peers, strerror(-r));
	return r;
}

static int
open_http(struct ingest *in)
{
	const struct config *c = &in->proc->config;
	struct http_config config = {
		.address = c->ingest_http,
		.connections = c->http_connections,
		.timeout_ms = c->request_timeout_ms,
		.max_body = LIMIT_BODY_BYTES,
		.handler = on_request,
		.on_gone = on_gone,
		.on_turn = on_turn,
		.arg = in,
	};
	int r = http_new(in->proc->loop, &config, &in->http);

	if (r < 0) {
		log_error("cannot listen on SLUICE_INGEST_HTTP=%s: %s",
		    c->ingest_http, strerror(-r));
		return r;
	}
	routes_attach(in->routes, in->http);
	return 0;
}

static int
ingest_open(struct proc *p)
{
	struct ingest *in = calloc(1, sizeof(*in));
	int r;

	if (in == NULL)
		return -ENOMEM;
	p->state = in;
	in->proc = p;
	in->forward = forward_new();
	r = in->forward == NULL ? -ENOMEM : open_accept_log(in);
	if (r == 0)
		r = open_directory(in);
	if (r == 0)
		r = open_tokens(in);
	if (r == 0)
		r = open_connectors(in);
	if (r == 0)
		r = open_routes(in);
	if (r == 0)
		r = open_link(in);
	if (r == 0)
		r = open_http(in);
	return r;
}

/* ---- running -------------------------------------------------------- */

static bool
ingest_ready(struct proc *p, struct buf *why)
{
	struct ingest *in = p->state;

	if (!directory_known(in->directory)) {
		(void)!buf_add_text(why, "no directory yet");
		return false;
	}
	if (accept_log_is_full(in->log)) {
		(void)!buf_add_text(why, "the accept log is full");
		return false;
	}
	return true;
}

static int
ingest_describe(struct proc *p, struct buf *out)
{
	struct ingest *in = p->state;

	return buf_addf(out, " http=%s", http_address(in->http));
}

static void
ingest_drain(struct proc *p)
{
	struct ingest *in = p->state;

	http_quiesce(in->http);
	in->drain_until_ms = loop_now_ms(p->loop) + INGEST_DRAIN_MS;
}

static bool
ingest_drained(struct proc *p)
{
	struct ingest *in = p->state;

	if (http_open(in->http) > 0 || accept_log_waiting(in->log) > 0)
		return false;
	forward_stop(in->forward);
	return forward_out(in->forward) == 0 ||
	       loop_now_ms(p->loop) >= in->drain_until_ms;
}

static void
ingest_close(struct proc *p)
{
	struct ingest *in = p->state;

	if (in == NULL)
		return;
	discovery_free(in->discovery);
	http_free(in->http);
	in->http = NULL;
	link_free(in->link);
	in->link = NULL;
	routes_free(in->routes);
	accept_log_free(in->log);
	forward_free(in->forward);
	token_free(in->tokens);
	secret_cache_free(in->secrets);
	free(in->public_url);
	connectors_free(in->connectors);
	directory_cache_free(in->cache);
	directory_free(in->directory);
	free(in);
	p->state = NULL;
}

static int
ingest_metrics(struct proc *p, struct buf *out)
{
	struct ingest *in = p->state;
	int r;

	r = routes_metrics(in->routes, out);
	if (r == 0)
		r = connectors_metrics(in->connectors, out);
	if (r == 0)
		r = accept_log_metrics(in->log, out);
	if (r == 0)
		r = forward_metrics(in->forward, out);
	if (r == 0)
		r = buf_addf(out,
		    "sluice_directory_number %llu\n"
		    "sluice_directory_entries %llu\n",
		    (unsigned long long)directory_number(in->directory),
		    (unsigned long long)directory_count(in->directory));
	return r < 0 ? r : link_metrics(in->link, out);
}

const struct proc_ops ingest_ops = {
	.stage = STAGE_INGEST,
	.open = ingest_open,
	.ready = ingest_ready,
	.describe = ingest_describe,
	.drain = ingest_drain,
	.drained = ingest_drained,
	.close = ingest_close,
	.metrics = ingest_metrics,
};
