#include "common/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/config.h"
#include "common/http_listen.h"
#include "common/http_private.h"
#include "common/log.h"

#define POOL_BYTES 8192 /* larger pools cost a memset per request */
/* Of the pool, what libmicrohttpd keeps for each header, and what the head of
 * any of our answers takes. */
#define HEADER_RECORD 64
#define ANSWER_HEAD 512
#define REAP_MS 1000 /* how exact the deadlines are */
/* So many times as much of an over-long body is read, so that the client gets
 * to see its 413. */
#define DISCARD_FACTOR 8
#define TURNS_MAX 64 /* MHD_runs before others in the loop have their turn */

/* ---- requests --------------------------------------------------------- */

/* The library's own, that ours stands before. */
static http_value_fn *set_value;

/*
 * Called by libmicrohttpd alone, for each header, cookie and parameter. It has
 * no room for a parameter where it is not prepared for that (http_query.h), so
 * it keeps none. One that it finds although http_query_take() has left it none
 * stood behind a NUL.
 */
enum MHD_Result
MHD_set_connection_value_n(struct MHD_Connection *connection,
    enum MHD_ValueKind kind, const char *key, size_t key_size,
    const char *value, size_t value_size)
{
	struct conn *c;

	if (kind != MHD_GET_ARGUMENT_KIND)
		return set_value(
		    connection, kind, key, key_size, value, value_size);
	c = http_conn_of(connection);
	if (c != NULL && c->request != NULL)
		c->request->has_nul = true;
	return MHD_YES;
}

/* The request line is there: the deadline of this request begins. */
static void *
on_request_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct http *h = cls;
	size_t size = strlen(uri) + 1;
	struct http_request *r = calloc(1, sizeof(*r) + size);

	/* libmicrohttpd's own buffer, which it itself writes to. */
	union {
		const char *in;
		char *out;
	} target = { .in = uri };

	if (r == NULL)
		return NULL;
	memcpy(r->target, uri, size);
	r->http = h;
	r->mhd = mhd;
	r->conn = http_conn_of(mhd);
	r->id = id_make(&h->ids);
	r->has_nul = strstr(uri, "%00") != NULL;
	buf_init(&r->body, h->config.max_body);
	if (http_query_take(&r->query, target.out) < 0) {
		free(r);
		return NULL;
	}
	if (r->conn != NULL) {
		r->conn->request = r;
		r->conn->started = true;
		if (!r->conn->partial)
			r->conn->since_ms = loop_now_ms(h->loop);
	}
	return r;
}

static void
on_request_end(void *cls, struct MHD_Connection *mhd, void **context,
    enum MHD_RequestTerminationCode code)
{
	struct http *h = cls;
	struct http_request *r = *context;

	(void)mhd;
	(void)code;
	*context = NULL;
	if (r == NULL)
		return;
	if (r->conn != NULL) {
		r->conn->request = NULL;
		r->conn->started = r->conn->waiting = false;
		r->conn->answered = r->conn->partial = false;
		r->conn->counted = false;
		r->conn->since_ms = loop_now_ms(h->loop);
	}
	if (r->handed_over && !r->answered) {
		h->open--;
		if (h->config.on_gone != NULL)
			h->config.on_gone(h->config.arg, r);
	}
	http_request_free(r);
}

static bool
announces_too_much(const struct http_request *r)
{
	const char *text = http_header(r, "Content-Length");
	uint64_t len;

	return text != NULL &&
	       config_parse_number(slice_text(text), &len) == 0 &&
	       len > r->http->config.max_body;
}

/* Blanks behind a value are no part of it (RFC 9110 section 5.5), but
 * libmicrohttpd leaves them on. */
static void
trim(const char *value)
{
	union {
		const char *in;
		char *out;
	} text = { .in = value };
	size_t len = strlen(value);

	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		text.out[--len] = '\0';
}

static enum MHD_Result
on_framing(
    void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct http_request *r = cls;
	bool coding = strcasecmp(name, "Transfer-Encoding") == 0;

	(void)kind;
	if (value != NULL)
		trim(value);
	r->lengths += coding || strcasecmp(name, "Content-Length") == 0;
	/* libmicrohttpd would wait for the end of the connection. */
	if (coding && (value == NULL || strcasecmp(value, "chunked") != 0))
		r->is_coded = true;
	return MHD_YES;
}

/* There would be no room in the pool for the head of an answer. */
static bool
is_cramped(const struct http_request *r)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	size_t pool = r->http->config.pool_bytes;
	int count = MHD_get_connection_values(
	    r->mhd, MHD_HEADER_KIND | MHD_COOKIE_KIND, NULL, NULL);

	return info == NULL ||
	       info->header_size + (size_t)count * HEADER_RECORD + ANSWER_HEAD >
		   (pool > 0 ? pool : POOL_BYTES);
}

static enum MHD_Result
refuse_cramped(const struct http_request *r)
{
	if (r->conn != NULL)
		http_refusal_send(r->conn->fd, HTTP_E_HEADER_SIZE,
		    "The head of the request is too large.", r->id);
	return MHD_NO;
}

/* Of a target in absolute form (RFC 9112 section 3.2.2), too. */
static const char *
path_of(const char *target)
{
	size_t scheme = strncasecmp(target, "http://", 7) == 0	  ? 7
			: strncasecmp(target, "https://", 8) == 0 ? 8
								  : 0;

	if (scheme == 0)
		return target;
	target += scheme + strcspn(target + scheme, "/");
	return *target == '\0' ? "/" : target;
}

static enum MHD_Result
queue(struct http_request *r)
{
	enum MHD_Result result = r->http->queue(r->mhd, r->status, r->response);

	MHD_destroy_response(r->response);
	r->response = NULL;
	return result;
}

/* Part of the body. What is over the cap is read and dropped for a while. */
static enum MHD_Result
receive(struct http_request *r, const char *data, size_t *len)
{
	size_t n = *len;

	*len = 0;
	r->http->progress = true;
	if (r->discarded == 0 && buf_add(&r->body, data, n) == 0)
		return MHD_YES;
	r->discarded += n;
	buf_done(&r->body);
	return r->discarded > DISCARD_FACTOR * (r->http->config.max_body + n)
		   ? MHD_NO
		   : MHD_YES;
}

static void
hand_over(struct http_request *r)
{
	struct http *h = r->http;

	r->handed_over = true;
	h->open++;
	if (r->conn != NULL)
		r->conn->waiting = true;
	if (r->is_coded) {
		http_add_header(r, "Connection", "close");
		http_fail_text(r, HTTP_E_VALIDATION,
		    "The only transfer coding is chunked.");
	} else if (r->lengths > 1) {
		/* Whoever stands before us may have believed the other one. */
		http_add_header(r, "Connection", "close");
		http_fail_text(r, HTTP_E_VALIDATION,
		    "The length of the body is given more than once.");
	} else if (r->discarded > 0)
		http_fail_text(r, HTTP_E_TOO_LARGE, "The body is too large.");
	else if (r->has_nul)
		http_fail_text(r, HTTP_E_VALIDATION,
		    "Neither the path nor the query may hold a NUL.");
	else
		h->config.handler(h->config.arg, r);
}

/* Headers are there, the body is not. */
static enum MHD_Result
begin(struct http_request *r, const char *url, const char *method)
{
	r->method = method;
	r->path = path_of(url);
	if (is_cramped(r))
		return refuse_cramped(r);
	(void)MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, on_framing, r);
	if (!r->is_coded && r->lengths <= 1 && !announces_too_much(r))
		return MHD_YES;
	r->discarded = 1;
	hand_over(r);
	return queue(r);
}

static enum MHD_Result
/* NOLINTNEXTLINE(readability-function-size): the library's prototype */
on_access(void *cls, struct MHD_Connection *mhd, const char *url,
    const char *method, const char *version, const char *data, size_t *len,
    void **context)
{
	struct http_request *r = *context;

	(void)cls;
	(void)mhd;
	(void)version;
	if (r == NULL)
		return MHD_NO; /* out of memory at the request line */
	if (r->method == NULL)
		return begin(r, url, method);
	if (*len > 0)
		return receive(r, data, len);
	if (!r->handed_over)
		hand_over(r);
	/* Not answered yet: asked again on the next MHD_run, which costs less
	 * than suspending and resuming (an epoll_ctl pair and a write). */
	return r->response != NULL ? queue(r) : MHD_YES;
}

/* ---- runs ------------------------------------------------------------- */

static bool
has_work(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (h->progress)
		return true;
	/* Requests that wait for their answer always look like work. */
	return h->open == 0 && MHD_get_timeout(h->daemon, &ms) == MHD_YES &&
	       ms == 0;
}

/*
 * libmicrohttpd takes one step of each ready connection per MHD_run (one read,
 * or one write), and its epoll set is edge-triggered: without further runs
 * what it left would lie there until the next packet.
 */
static void
run(struct http *h)
{
	uint64_t one = 1;
	unsigned turns = 0;

	if (h->running)
		return; /* the MHD_run that called us queues the reply */
	h->running = true;
	h->dirty = false;
	do {
		h->progress = false;
		(void)MHD_run(h->daemon);
	} while (has_work(h) && ++turns < TURNS_MAX);
	h->running = false;
	if (h->config.on_turn != NULL)
		h->config.on_turn(h->config.arg);
	if (turns == TURNS_MAX && write(h->again_fd, &one, sizeof(one)) < 0)
		log_warn("http: cannot wake the loop: %s", strerror(errno));
}

void
http_flush(struct http *h)
{
	if (h->dirty)
		run(h);
}

static void
on_readable(void *arg)
{
	run(arg);
}

static void
on_again(void *arg)
{
	struct http *h = arg;
	uint64_t ignored;

	if (read(h->again_fd, &ignored, sizeof(ignored)) < 0)
		return;
	run(h);
}

/* ---- opening and closing ---------------------------------------------- */

static int
open_socket(struct http *h)
{
	h->listen_fd = http_listen(h->config.address);
	if (h->listen_fd < 0)
		return h->listen_fd;
	return http_listen_address(
	    h->listen_fd, h->address, sizeof(h->address));
}

static void
on_log(void *cls, const char *format, va_list ap)
{
	char text[512];

	(void)cls;
	if (!log_enabled(LOG_AT_DEBUG))
		return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)vsnprintf(text, sizeof(text), format, ap);
#pragma GCC diagnostic pop
	log_debug("http: %s", text);
}

static int
open_daemon(struct http *h)
{
	const union MHD_DaemonInfo *info;

	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL,
	    NULL, on_access, h,
	    /* first, so that it sees what the others complain about */
	    MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, /**/
	    MHD_OPTION_LISTEN_SOCKET, h->listen_fd,   /**/
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)h->config.connections,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    h->config.pool_bytes ? h->config.pool_bytes : (size_t)POOL_BYTES,
	    MHD_OPTION_CONNECTION_TIMEOUT, 0u, /* the reaper's matter */
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,   /**/
	    MHD_OPTION_NOTIFY_CONNECTION, http_conn_notify, h, /**/
	    MHD_OPTION_URI_LOG_CALLBACK, on_request_line, h,   /**/
	    MHD_OPTION_NOTIFY_COMPLETED, on_request_end, h,    /**/
	    MHD_OPTION_END);
	if (h->daemon == NULL)
		return -EIO;
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL)
		return -EIO;
	h->epoll_fd = info->epoll_fd;
	return loop_add_fd(h->loop, h->epoll_fd, on_readable, h);
}

int
http_new(
    struct loop *loop, const struct http_config *config, struct http **ret_http)
{
	struct http *h = calloc(1, sizeof(*h));
	int r;

	if (h == NULL)
		return -ENOMEM;
	h->loop = loop;
	h->config = *config;
	h->listen_fd = h->epoll_fd = h->timer = -1;
	h->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	id_maker_init(&h->ids);
	h->queue = http_refusal_real();
	set_value = http_refusal_real_value();
	r = h->queue == NULL || set_value == NULL ? -ENOSYS : 0;
	if (r == 0)
		r = h->again_fd < 0 ? -errno : open_socket(h);
	if (r == 0)
		r = open_daemon(h);
	if (r == 0)
		r = loop_add_fd(loop, h->again_fd, on_again, h);
	if (r == 0)
		r = h->timer = loop_add_timer(loop, REAP_MS, http_conn_reap, h);
	if (r < 0) {
		http_free(h);
		return r;
	}
	*ret_http = h;
	return 0;
}

void
http_quiesce(struct http *h)
{
	if (h->quiesced)
		return;
	/* Closed, not only left alone: else the kernel goes on accepting. What
	 * it had accepted by now is taken in first. */
	run(h);
	h->quiesced = true;
	(void)MHD_quiesce_daemon(h->daemon);
	close(h->listen_fd);
}

uint64_t
http_open(const struct http *h)
{
	return h->open;
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	if (h->timer >= 0)
		loop_del_timer(h->loop, h->timer);
	if (h->epoll_fd >= 0)
		loop_del_fd(h->loop, h->epoll_fd);
	h->running = true; /* no MHD_run while it closes */
	if (h->daemon != NULL)
		MHD_stop_daemon(h->daemon); /* closes listen_fd, if it has it */
	else if (h->listen_fd >= 0)
		close(h->listen_fd);
	if (h->again_fd >= 0) {
		loop_del_fd(h->loop, h->again_fd);
		close(h->again_fd);
	}
	free(h);
}

const char *
http_address(const struct http *h)
{
	return h->address;
}
