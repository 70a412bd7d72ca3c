/*
 * sluice-api: REST of the gateway, and owner of the directory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "api/command.h"
#include "api/notice.h"
#include "api/open.h"
#include "api/routes.h"
#include "common/clock.h"
#include "common/log.h"

/* Notices and answers of a logger; the directory takes them one by one. */
#define WINDOW_MESSAGES 256
#define WINDOW_BYTES (16u * 1024 * 1024)

/* ---- the link that others connect to ---------------------------------- */

static void
on_bound_up(void *arg, struct link_peer *peer)
{
	struct api *api = arg;

	log_info("peer up stage=%s instance=%s",
	    stage_name(link_peer_stage(peer)), link_peer_instance(peer));
	publish_up(api->publish, peer);
	outbox_pump(api->outbox);
}

static void
on_bound_down(void *arg, struct link_peer *peer, const char *why)
{
	struct api *api = arg;

	log_info("peer down stage=%s instance=%s why=\"%s\"",
	    stage_name(link_peer_stage(peer)), link_peer_instance(peer), why);
	publish_down(api->publish, peer);
	outbox_down(api->outbox, peer);
}

static void
take_notice(struct api *api, struct link_peer *peer, uint64_t seq,
    const struct msg *notice)
{
	bool changed;
	int r = notice_apply(api->directory, notice, &changed);

	if (r == -EIO || r == -EBADMSG) {
		log_error("directory failed: %s; ending", strerror(-r));
		proc_fail(api->proc);
		return;
	}
	/* Anything else is passing: the logger says it again. */
	if (r < 0)
		log_warn("notice subscription=%llu error=\"%s\"",
		    (unsigned long long)notice->subscription, strerror(-r));
	link_complete(peer, seq);
	if (r == 0 && changed)
		publish_changed(api->publish);
}

static void
on_bound_message(void *arg, struct link_peer *peer, uint64_t seq,
    enum msg_type type, struct slice message)
{
	struct api *api = arg;
	struct msg m;

	if (type != MSG_NOTICE || msg_unpack(message, &m) < 0)
		link_refuse(peer, seq, "unknown");
	else
		take_notice(api, peer, seq, &m);
}

static void
on_bound_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	struct api *api = arg;

	if (lane == MSG_LANE_CONTROL)
		publish_room(api->publish, peer);
	else if (lane == MSG_LANE_WORK)
		outbox_pump(api->outbox);
}

static void
on_bound_completed(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct api *api = arg;

	if (cookie & OUTBOX_COOKIE)
		outbox_completed(api->outbox, cookie);
	else
		publish_completed(api->publish, peer, cookie);
}

static void
on_bound_refused(
    void *arg, struct link_peer *peer, uint64_t cookie, struct slice reason)
{
	struct api *api = arg;

	if (cookie & OUTBOX_COOKIE)
		outbox_refused(api->outbox, cookie, reason);
	else
		publish_refused(api->publish, peer, cookie, reason);
}

/* Of the directory nothing is missed: a new session gets all of it. */
static void
on_bound_returned(void *arg, struct link_peer *peer, uint64_t cookie)
{
	struct api *api = arg;

	(void)peer;
	if (cookie & OUTBOX_COOKIE)
		outbox_returned(api->outbox, cookie);
}

/* What came on one link may have made something ready for the other one, or
 * for a client. */
static void
flush_all(void *arg)
{
	struct api *api = arg;

	link_flush(api->bound);
	link_flush(api->loggers);
	http_flush(api->http);
}

static const struct link_ops bound_ops = {
	.on_up = on_bound_up,
	.on_down = on_bound_down,
	.on_message = on_bound_message,
	.on_batch = flush_all,
	.on_room = on_bound_room,
	.on_completed = on_bound_completed,
	.on_refused = on_bound_refused,
	.on_returned = on_bound_returned,
};

/* ---- the link to the loggers ------------------------------------------ */

static void
on_logger_up(void *arg, struct link_peer *peer)
{
	struct api *api = arg;

	log_info("logger up instance=%s", link_peer_instance(peer));
	asks_room(api->asks, api->loggers);
}

static void
on_logger_down(void *arg, struct link_peer *peer, const char *why)
{
	struct api *api = arg;

	log_info("logger down instance=%s why=\"%s\"", link_peer_instance(peer),
	    why);
	asks_down(api->asks, peer);
}

static void
on_logger_message(void *arg, struct link_peer *peer, uint64_t seq,
    enum msg_type type, struct slice message)
{
	struct api *api = arg;
	struct msg m;

	if ((type != MSG_PAGE && type != MSG_PROBED) ||
	    msg_unpack(message, &m) < 0) {
		link_refuse(peer, seq, "unknown");
		return;
	}
	link_complete(peer, seq);
	asks_answer(api->asks, &m);
}

static void
on_logger_room(void *arg, struct link_peer *peer, enum msg_lane lane)
{
	struct api *api = arg;

	(void)peer;
	(void)lane;
	asks_room(api->asks, api->loggers);
}

static void
on_logger_refused(
    void *arg, struct link_peer *peer, uint64_t cookie, struct slice reason)
{
	struct api *api = arg;

	log_warn("question refused by=%s reason=\"%.*s\"",
	    link_peer_instance(peer), (int)reason.len,
	    (const char *)reason.data);
	asks_refused(api->asks, cookie);
}

static const struct link_ops logger_ops = {
	.on_up = on_logger_up,
	.on_down = on_logger_down,
	.on_message = on_logger_message,
	.on_batch = flush_all,
	.on_room = on_logger_room,
	.on_refused = on_logger_refused,
};

static void
on_found(void *arg, const char *address)
{
	struct api *api = arg;
	int r = link_connect(api->loggers, STAGE_LOGGER, address);

	if (r < 0)
		log_error(
		    "cannot connect to logger %s: %s", address, strerror(-r));
}

static void
on_lost(void *arg, const char *address)
{
	struct api *api = arg;

	link_disconnect(api->loggers, address);
}

/* ---- HTTP ------------------------------------------------------------- */

static void
on_request(void *arg, struct http_request *request)
{
	struct api *api = arg;

	routes_handle(api, request);
	/* A question or a change that it sent; its answer, if there is one,
	 * leaves with the run that called us. */
	link_flush(api->loggers);
	link_flush(api->bound);
}

static void
on_gone(void *arg, struct http_request *request)
{
	routes_gone(arg, request);
}

/* ---- life ------------------------------------------------------------- */

/* What ends by itself: rotations of secrets, and limits with their month. */
static int
end_what_is_over(struct api *api)
{
	uint64_t now_ms = clock_wall_ms();
	int r;

	while ((r = directory_hook_settle(api->directory, now_ms)) == 0)
		publish_changed(api->publish);
	if (r != -ENOENT)
		return r;
	while ((r = directory_app_lift(
		    api->directory, directory_month(now_ms))) == 0)
		publish_changed(api->publish);
	return r == -ENOENT ? 0 : r;
}

static void
on_tick(void *arg)
{
	struct api *api = arg;
	int r = directory_refresh(api->directory);

	if (r == 0)
		r = end_what_is_over(api);
	if (r < 0 && r != -EBUSY && r != -ENOSPC) {
		log_error("directory failed: %s; ending", strerror(-r));
		proc_fail(api->proc);
		return;
	}
	publish_tick(api->publish);
	outbox_pump(api->outbox);
	asks_tick(api->asks);
	if (publish_error(api->publish) < 0 || outbox_error(api->outbox) < 0)
		proc_fail(api->proc);
	flush_all(api);
}

static int
open_links(struct api *api)
{
	const struct config *config = &api->proc->config;
	const struct link_config link = {
		.stage = STAGE_API,
		.instance = api->proc->instance,
		.keys_folder =
		    config->keys_folder[0] ? config->keys_folder : NULL,
		.plain_tcp = config->link_plain,
	};
	char address[PATH_MAX];
	int r;

	r = link_new(api->proc->loop, &link, &bound_ops, api, &api->bound);
	if (r == 0)
		r = link_new(
		    api->proc->loop, &link, &logger_ops, api, &api->loggers);
	if (r == 0)
		r = config_link(config, STAGE_API, address);
	if (r < 0) {
		log_error("link: %s", strerror(-r));
		return r;
	}
	for (unsigned lane = 0; lane < MSG_LANE_MAX; lane++) {
		link_set_window(
		    api->bound, lane, WINDOW_MESSAGES, WINDOW_BYTES);
		link_set_window(
		    api->loggers, lane, WINDOW_MESSAGES, WINDOW_BYTES);
	}
	outbox_connect(api->outbox, api->bound);
	r = link_bind(api->bound, address);
	if (r < 0)
		log_error("cannot bind link %s: %s; SLUICE_API_LINK says where",
		    address, strerror(-r));
	return r;
}

static int
open_discovery(struct api *api)
{
	char peers[PATH_MAX];
	int r;

	r = config_peers(&api->proc->config, STAGE_LOGGER, peers);
	if (r == 0)
		r = discovery_new(api->proc->loop, peers, on_found, on_lost,
		    api, &api->discovery);
	if (r < 0)
		log_error("SLUICE_LOGGER_PEERS: %s", strerror(-r));
	return r;
}

static int
open_http(struct api *api)
{
	const struct config *config = &api->proc->config;
	const struct http_config http = {
		.address = config->api_http,
		.connections = config->http_connections,
		.timeout_ms = config->request_timeout_ms,
		.max_body = CALL_BODY_MAX,
		.handler = on_request,
		.on_gone = on_gone,
		.arg = api,
	};
	int r = http_new(api->proc->loop, &http, &api->http);

	if (r < 0) {
		log_error("cannot listen on SLUICE_API_HTTP=%s: %s",
		    config->api_http, strerror(-r));
		return r;
	}
	api->public_url =
	    config_url(config->api_public_url, http_address(api->http));
	api->ingest_url =
	    config_url(config->ingest_public_url, config->ingest_http);
	return api->public_url == NULL || api->ingest_url == NULL ? -ENOMEM : 0;
}

static int
api_open(struct proc *p)
{
	struct api *api = calloc(1, sizeof(*api));
	int r;

	if (api == NULL)
		return -ENOMEM;
	p->state = api;
	api->proc = p;
	r = open_seal(&p->config, &api->seal);
	if (r == 0)
		r = open_directory(
		    &p->config, &api->seal, true, &api->directory);
	if (r < 0)
		return r;
	jwt_key_init(&api->tokens, &api->seal);
	id_maker_init(&api->ids);
	r = publish_new(p->loop, api->directory, &api->publish);
	if (r == 0)
		r = outbox_new(api->directory, &api->outbox);
	if (r == 0)
		r = asks_new(p->loop, &api->asks);
	if (r == 0)
		r = open_http(api);
	if (r == 0)
		r = open_links(api);
	if (r == 0)
		r = open_discovery(api);
	if (r == 0)
		r = loop_add_timer(p->loop, PROC_TICK_MS, on_tick, api);
	return r < 0 ? r : 0;
}

static bool
api_ready(struct proc *p, struct buf *why)
{
	/* It answers and gives out the directory with nobody else there. */
	(void)p;
	(void)why;
	return true;
}

static int
api_describe(struct proc *p, struct buf *out)
{
	struct api *api = p->state;

	return buf_addf(out, " http=%s", http_address(api->http));
}

static void
api_drain(struct proc *p)
{
	struct api *api = p->state;

	http_quiesce(api->http);
}

static bool
api_drained(struct proc *p)
{
	struct api *api = p->state;

	return http_open(api->http) == 0;
}

static void
api_close(struct proc *p)
{
	struct api *api = p->state;

	if (api == NULL)
		return;
	http_free(api->http); /* on_gone ends the open calls */
	discovery_free(api->discovery);
	link_free(api->loggers);
	link_free(api->bound);
	asks_free(api->asks);
	publish_free(api->publish);
	outbox_free(api->outbox);
	directory_close(api->directory);
	free(api->public_url);
	free(api->ingest_url);
	free(api);
}

static int
api_metrics(struct proc *p, struct buf *out)
{
	struct api *api = p->state;
	int r;

	r = buf_addf(out,
	    "# TYPE sluice_api_requests_total counter\n"
	    "sluice_api_requests_total %llu\n"
	    "# TYPE sluice_api_requests_failed_total counter\n"
	    "sluice_api_requests_failed_total %llu\n"
	    "# TYPE sluice_api_requests_open gauge\n"
	    "sluice_api_requests_open %llu\n"
	    "# TYPE sluice_api_questions_open gauge\n"
	    "sluice_api_questions_open %u\n",
	    (unsigned long long)api->calls,
	    (unsigned long long)api->calls_failed,
	    (unsigned long long)http_open(api->http), asks_open(api->asks));
	if (r == 0)
		r = publish_metrics(api->publish, out);
	if (r == 0)
		r = outbox_metrics(api->outbox, out);
	if (r == 0)
		r = link_metrics(api->bound, out);
	return r;
}

static int
api_command(struct proc *p, int argc, char **argv)
{
	return command_run(&p->config, argc, argv);
}

int
main(int argc, char **argv)
{
	static const struct proc_ops ops = {
		.stage = STAGE_API,
		.open = api_open,
		.ready = api_ready,
		.describe = api_describe,
		.drain = api_drain,
		.drained = api_drained,
		.close = api_close,
		.metrics = api_metrics,
		.command = api_command,
		.command_help = command_help,
	};

	return proc_main(&ops, argc, argv);
}
