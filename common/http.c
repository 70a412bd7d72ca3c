#include "common/http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "common/config.h"
#include "common/http_query.h"
#include "common/http_refusal.h"
#include "common/log.h"
#include "common/tcp_state.h"

#define POOL_BYTES 8192 /* larger pools cost a memset per request */
/* Of the pool, what libmicrohttpd keeps for each header, and what the head of
 * any of our answers takes. */
#define HEADER_RECORD 64
#define ANSWER_HEAD 512
#define REAP_MS 1000  /* how exact the deadlines are */
#define IDLE_MS 75000 /* a connection without a request is closed */
#define LOOK_TURNS 4  /* of the reaper, until it looks again at one */
/* So many timeouts may taking an answer take. */
#define ANSWER_FACTOR 4
#define DISCARD_FACTOR                                       \
	8 /* of an over-long body this much is read, so that \
	   * the client gets to see its 413 */
#define ADDRESS_TEXT 128
#define ERROR_MAX (64 * 1024) /* an error's body */
#define BACKLOG 1024
#define TURNS_MAX 64 /* MHD_runs before others in the loop have their turn */

/* One TCP connection, from accept to close. */
struct conn {
	struct conn *prev, *next;
	int fd;
	uint64_t since_ms; /* of waiting for a request to arrive whole */
	uint64_t received; /* bytes, when its last request was over */
	bool counted;	   /* received is known */
	bool partial;	   /* of a request line, a part has arrived */
	bool started;	   /* a request line has arrived */
	bool waiting;	   /* handed over: the deadline is not the client's */
	bool answered;	   /* since then it is the client's to take it */
	bool reaped;
	struct http_request *request; /* from its first line to its end */
};

struct http {
	struct loop *loop;
	struct http_config config;
	struct MHD_Daemon *daemon;
	http_queue_fn *queue; /* MHD_queue_response */
	int listen_fd;
	bool quiesced;
	int epoll_fd;
	int timer;
	int again_fd;  /* eventfd: the last turn left work */
	bool running;  /* inside MHD_run */
	bool dirty;    /* replies wait for an MHD_run */
	bool progress; /* this MHD_run moved something: there may be more */
	uint64_t open;
	struct conn *conns;
	uint64_t turn; /* of the reaper */
	struct id_maker ids;
	char address[ADDRESS_TEXT];
};

struct header {
	struct header *next;
	char *name, *value;
};

struct http_request {
	struct http *http;
	struct MHD_Connection *mhd;
	struct conn *conn;
	const char *method, *path;
	struct http_query query;
	struct buf body;
	uint64_t discarded;
	struct id id;
	struct header *headers;
	struct MHD_Response *response;
	unsigned status;
	unsigned lengths; /* so often is said where the body ends */
	bool is_coded;	  /* in a way that is not understood */
	bool has_nul;	  /* "%00", which would end the texts of the request */
	bool handed_over;
	bool answered;
	void *data;
	char target[]; /* as it came; the library decodes its own in place */
};

static void request_free(struct http_request *r);

/* ---- connections ------------------------------------------------------ */

static void
conn_open(struct http *h, struct MHD_Connection *mhd, void **context)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct conn *c = calloc(1, sizeof(*c));

	*context = c;
	if (c == NULL)
		return;
	c->fd = info == NULL ? -1 : info->connect_fd;
	c->since_ms = loop_now_ms(h->loop);
	c->counted = true; /* none */
	c->next = h->conns;
	if (c->next != NULL)
		c->next->prev = c;
	h->conns = c;
}

static void
conn_close(struct http *h, struct conn *c)
{
	if (c == NULL)
		return;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		h->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	/* libmicrohttpd does not tell of its end when it gave up twice. */
	if (c->request != NULL && !c->request->handed_over)
		request_free(c->request);
	free(c);
}

static void
on_connection(void *cls, struct MHD_Connection *mhd, void **context,
    enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		conn_open(cls, mhd, context);
	else
		conn_close(cls, *context);
}

static struct conn *
conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

static uint64_t
limit_ms(const struct http *h, const struct conn *c)
{
	if (c->answered)
		return ANSWER_FACTOR * h->config.timeout_ms;
	return c->started || c->partial ? h->config.timeout_ms : IDLE_MS;
}

/*
 * libmicrohttpd tells of a request when its first line is whole. Has a part of
 * one come, its deadline begins; will no more come, it is over. Of a connection
 * that was used before, what came together with the request before counts as
 * part of that.
 */
static bool
look(struct http *h, struct conn *c)
{
	bool half_closed = false;
	uint64_t received = 0;

	if (tcp_state(c->fd, &received, &half_closed) < 0)
		return true;
	if (!c->counted) {
		c->received = received;
		c->counted = true;
	}
	if (!c->partial && received > c->received) {
		c->partial = true;
		c->since_ms = loop_now_ms(h->loop);
	}
	return !half_closed;
}

static bool
is_over(struct http *h, struct conn *c, uint64_t turn)
{
	if (c->waiting || c->reaped)
		return false;
	/* Some at each turn: a look is a call into the kernel. */
	if (!c->started && !c->answered &&
	    (turn + (uint64_t)c->fd) % LOOK_TURNS == 0 && !look(h, c))
		return true;
	return loop_now_ms(h->loop) > c->since_ms + limit_ms(h, c);
}

static void
on_reaper(void *arg)
{
	struct http *h = arg;

	if (h->conns == NULL)
		return;
	h->turn++;
	for (struct conn *c = h->conns; c != NULL; c = c->next) {
		if (!is_over(h, c, h->turn))
			continue;
		c->reaped = true;
		if ((c->started || c->partial) && !c->answered)
			/* libmicrohttpd cannot answer before a request is
			 * whole. Nothing else was sent yet. */
			http_refusal_send(c->fd, HTTP_E_TIMEOUT,
			    "The request did not arrive in time.",
			    id_make(&h->ids));
		(void)shutdown(c->fd, SHUT_RDWR);
	}
	h->dirty = true;
	http_flush(h);
}

/* ---- requests --------------------------------------------------------- */

static void
request_free(struct http_request *r)
{
	while (r->headers != NULL) {
		struct header *next = r->headers->next;

		free(r->headers->name);
		free(r->headers->value);
		free(r->headers);
		r->headers = next;
	}
	if (r->response != NULL)
		MHD_destroy_response(r->response);
	http_query_done(&r->query);
	buf_done(&r->body);
	free(r);
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
	r->conn = conn_of(mhd);
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
	request_free(r);
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
	/* It finds a query where we did not: behind a NUL. */
	if (MHD_get_connection_values(
		r->mhd, MHD_GET_ARGUMENT_KIND, NULL, NULL) > 0)
		r->has_nul = true;
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

/* ---- replies ---------------------------------------------------------- */

static void
answer(struct http_request *r, unsigned status, const char *content_type,
    struct MHD_Response *response)
{
	char id[ID_TEXT_SIZE];

	r->answered = true;
	r->http->open--;
	r->http->dirty = true;
	if (r->conn != NULL) {
		r->conn->waiting = false;
		r->conn->answered = true;
		r->conn->since_ms = loop_now_ms(r->http->loop);
	}
	if (response == NULL) { /* out of memory: an empty answer needs none */
		status = 500;
		response = MHD_create_response_from_buffer(
		    0, NULL, MHD_RESPMEM_PERSISTENT);
	}
	if (response == NULL)
		return; /* the client sees its connection time out */
	id_text(r->id, id);
	(void)MHD_add_response_header(response, "Content-Type", content_type);
	(void)MHD_add_response_header(response, "Request-Id", id);
	for (struct header *e = r->headers; e != NULL; e = e->next)
		(void)MHD_add_response_header(response, e->name, e->value);
	r->status = status;
	r->response = response;
}

void
http_reply(struct http_request *r, unsigned status, const char *content_type,
    struct slice body)
{
	/* The copying mode only reads what it is given. */
	union {
		const uint8_t *in;
		void *out;
	} cast = { .in = body.data };

	answer(r, status, content_type,
	    MHD_create_response_from_buffer(
		body.len, cast.out, MHD_RESPMEM_MUST_COPY));
}

void
http_reply_take(struct http_request *r, unsigned status,
    const char *content_type, struct buf *body)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    body->len, body->data, MHD_RESPMEM_MUST_FREE);

	if (response == NULL)
		buf_done(body);
	else
		buf_init(body, body->max_bytes);
	answer(r, status, content_type, response);
}

void
http_add_header(struct http_request *r, const char *name, const char *value)
{
	struct header *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return;
	e->name = strdup(name);
	e->value = strdup(value);
	if (e->name == NULL || e->value == NULL) {
		free(e->name);
		free(e->value);
		free(e);
		return;
	}
	e->next = r->headers;
	r->headers = e;
}

void
http_fail(struct http_request *r, enum http_error error, const char *message,
    json_t *detail)
{
	struct buf body;

	/* Rates are per second, too. */
	if (error == HTTP_E_UNAVAILABLE || error == HTTP_E_RATE)
		http_add_header(r, "Retry-After", "1");
	buf_init(&body, ERROR_MAX);
	if (http_error_body(error, message, detail, &body) < 0)
		buf_clear(&body);
	http_reply_take(r, http_error_status(error), "application/json", &body);
	buf_done(&body);
}

void
http_fail_text(
    struct http_request *r, enum http_error error, const char *detail)
{
	http_fail(r, error, NULL, json_string(detail));
}

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

/* ---- reading a request ------------------------------------------------ */

const char *
http_method(const struct http_request *r)
{
	return r->method;
}

const char *
http_path(const struct http_request *r)
{
	return r->path;
}

const char *
http_target(const struct http_request *r)
{
	return r->target;
}

struct slice
http_body(const struct http_request *r)
{
	return buf_slice(&r->body);
}

const char *
http_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

struct each {
	bool (*fn)(void *arg, const char *name, const char *value);
	void *arg;
};

static enum MHD_Result
on_header(
    void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct each *each = cls;

	(void)kind;
	return each->fn(each->arg, name, value == NULL ? "" : value) ? MHD_YES
								     : MHD_NO;
}

void
http_each_query(const struct http_request *r,
    bool (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	http_query_each(&r->query, fn, arg);
}

void
http_each_header(const struct http_request *r,
    bool (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	struct each each = { fn, arg };

	(void)MHD_get_connection_values(
	    r->mhd, MHD_HEADER_KIND, on_header, &each);
}

struct find {
	const char *name;
	const char *value;
};

static bool
find_exact(void *arg, const char *name, const char *value)
{
	struct find *find = arg;

	if (strcmp(name, find->name) != 0)
		return true;
	find->value = value;
	return false;
}

const char *
http_query(const struct http_request *r, const char *name)
{
	struct find find = { name, NULL };

	http_each_query(r, find_exact, &find);
	return find.value;
}

bool
http_sends_json(const struct http_request *r)
{
	static const char json[] = "application/json", made_of_it[] = "+json";
	const size_t suffix = sizeof(made_of_it) - 1;
	const char *type = http_header(r, "Content-Type");
	size_t len = type == NULL ? 0 : strcspn(type, "; \t");

	return len == 0 ||
	       (len == sizeof(json) - 1 && strncasecmp(type, json, len) == 0) ||
	       (len > suffix &&
		   strncasecmp(type + len - suffix, made_of_it, suffix) == 0);
}

struct id
http_request_id(const struct http_request *r)
{
	return r->id;
}

void
http_set_data(struct http_request *r, void *data)
{
	r->data = data;
}

void *
http_data(const struct http_request *r)
{
	return r->data;
}

/* ---- opening and closing ---------------------------------------------- */

/* "127.0.0.1:8080", "[::1]:8080", "*:8080", "localhost:0". */
static int
split_address(
    const char *address, char *host, size_t size, const char **ret_port)
{
	const char *colon = strrchr(address, ':');
	uint64_t port;
	size_t len;

	/* getaddrinfo() takes 70000 for 4464. */
	if (colon == NULL ||
	    config_parse_number(slice_text(colon + 1), &port) < 0 ||
	    port > UINT16_MAX)
		return -EINVAL;
	len = (size_t)(colon - address);
	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (len == 0 || len >= size)
		return -EINVAL;
	memcpy(host, address, len);
	host[len] = '\0';
	*ret_port = colon + 1;
	return 0;
}

static int
listen_at(const struct addrinfo *ai)
{
	int one = 1, r;
	int fd = socket(ai->ai_family,
	    ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int
note_address(struct http *h)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	char host[64], port[16];

	if (getsockname(h->listen_fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port,
		sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	(void)snprintf(h->address, sizeof(h->address),
	    ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

static int
open_socket(struct http *h)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *found = NULL;
	const char *port = NULL;
	char host[ADDRESS_TEXT];
	int r;

	r = split_address(h->config.address, host, sizeof(host), &port);
	if (r < 0)
		return r;
	if (getaddrinfo(
		strcmp(host, "*") ? host : NULL, port, &hints, &found) != 0)
		return -EINVAL;
	h->listen_fd = listen_at(found);
	freeaddrinfo(found);
	return h->listen_fd < 0 ? h->listen_fd : note_address(h);
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
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,  /**/
	    MHD_OPTION_URI_LOG_CALLBACK, on_request_line, h, /**/
	    MHD_OPTION_NOTIFY_COMPLETED, on_request_end, h,  /**/
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
	r = h->queue == NULL ? -ENOSYS : 0;
	if (r == 0)
		r = h->again_fd < 0 ? -errno : open_socket(h);
	if (r == 0)
		r = open_daemon(h);
	if (r == 0)
		r = loop_add_fd(loop, h->again_fd, on_again, h);
	if (r == 0)
		r = h->timer = loop_add_timer(loop, REAP_MS, on_reaper, h);
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
