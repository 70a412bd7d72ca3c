/*
 * HTTP over real sockets: the server in this thread's loop, a client of plain
 * blocking sockets in another, which runs a script and then stops the loop.
 */
#include "common/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/config.h"

#define MAX_BODY 100000
#define TIMEOUT_MS 300
#define LIMIT 8 /* connections */
#define HELD_MAX 16
#define BIG_BYTES (16 * 1024 * 1024)
#define PATIENCE_S 20 /* of the client: then it is a failure */

struct server {
	struct loop *loop;
	struct http *http;
	int done_fd;
	struct http_request *held[HELD_MAX];
	unsigned held_count;
	unsigned gone, handled;
	uint8_t *big;
};

struct client;
typedef void script_fn(struct client *c);

struct client {
	struct server *server;
	script_fn *script;
	int port;
	char failure[512]; /* "" while all is well */
};

/* ---- the server ------------------------------------------------------- */

static bool
show_query(void *arg, const char *name, const char *value)
{
	return buf_addf(arg, "[%s=%s]", name, value) == 0;
}

/* Says what came in. */
static void
echo(struct http_request *r)
{
	const char *header = http_header(r, "x-tESt");
	const char *query = http_query(r, "Name");
	struct buf text;

	buf_init(&text, MAX_BODY + 4096);
	assert_int_equal(
	    buf_addf(&text, "%s %s x-test=%s Name=%s ", http_method(r),
		http_path(r), header ? header : "none", query ? query : "none"),
	    0);
	http_each_query(r, show_query, &text);
	assert_int_equal(buf_addf(&text, " body=%zu:", http_body(r).len), 0);
	assert_int_equal(
	    buf_add(&text, http_body(r).data, http_body(r).len), 0);
	http_add_header(r, "X-One", "1");
	http_add_header(r, "X-Split", "a\r\nX-Injected: b");
	http_reply_take(r, 200, "text/plain", &text);
	buf_done(&text);
}

static void
on_request(void *arg, struct http_request *r)
{
	struct server *s = arg;
	const char *path = http_path(r);

	s->handled++;
	assert_null(http_data(r));
	http_set_data(r, s);
	if (strncmp(path, "/later", 6) == 0 || strcmp(path, "/hold") == 0) {
		assert_true(s->held_count < HELD_MAX);
		s->held[s->held_count++] = r;
	} else if (strcmp(path, "/big") == 0) {
		http_reply(r, 200, "application/octet-stream",
		    (struct slice){ s->big, BIG_BYTES });
	} else if (strcmp(path, "/empty") == 0) {
		http_reply(r, 204, "text/plain", (struct slice){ NULL, 0 });
	} else if (strcmp(path, "/as it+came") == 0) {
		http_reply(r, 200, "text/plain", slice_text(http_target(r)));
	} else if (strcmp(path, "/fail") == 0) {
		http_fail_text(r, HTTP_E_UNAVAILABLE, "later");
	} else {
		echo(r);
	}
}

static void
forget(struct server *s, const struct http_request *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->held_count; i++)
		if (s->held[i] != r)
			s->held[n++] = s->held[i];
	s->held_count = n;
}

static void
on_gone(void *arg, struct http_request *r)
{
	struct server *s = arg;

	assert_ptr_equal(http_data(r), s);
	s->gone++;
	forget(s, r);
}

/* Answers what waits at /later. */
static void
answer_held(void *arg)
{
	struct server *s = arg;
	struct http_request *held[HELD_MAX];
	unsigned count = s->held_count;

	memcpy(held, s->held, sizeof(held));
	for (unsigned i = 0; i < count; i++) {
		if (strncmp(http_path(held[i]), "/later", 6) != 0)
			continue;
		forget(s, held[i]);
		echo(held[i]);
	}
	http_flush(s->http);
}

static void
on_done(void *arg)
{
	struct server *s = arg;
	uint64_t quiet;

	(void)!read(s->done_fd, &quiet, sizeof(quiet));
	loop_stop(s->loop);
}

static struct server *
server_new(void)
{
	struct server *s = calloc(1, sizeof(*s));
	struct http_config config = {
		.address = "127.0.0.1:0",
		.connections = LIMIT,
		.timeout_ms = TIMEOUT_MS,
		.max_body = MAX_BODY,
		.handler = on_request,
		.on_gone = on_gone,
		.arg = s,
	};

	assert_non_null(s);
	s->big = calloc(1, BIG_BYTES);
	assert_non_null(s->big);
	s->loop = loop_new();
	assert_non_null(s->loop);
	s->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(loop_add_fd(s->loop, s->done_fd, on_done, s), 0);
	assert_int_equal(http_new(s->loop, &config, &s->http), 0);
	assert_true(loop_add_timer(s->loop, 50, answer_held, s) > 0);
	return s;
}

static void
server_free(struct server *s)
{
	http_free(s->http);
	loop_free(s->loop);
	close(s->done_fd);
	free(s->big);
	free(s);
}

static int
port_of(const struct server *s)
{
	uint64_t port = 0;
	const char *colon = strrchr(http_address(s->http), ':');

	assert_non_null(colon);
	assert_int_equal(config_parse_number(slice_text(colon + 1), &port), 0);
	return (int)port;
}

/* ---- the client ------------------------------------------------------- */

static void *
client_main(void *arg)
{
	struct client *c = arg;
	uint64_t one = 1;

	c->script(c);
	(void)!write(c->server->done_fd, &one, sizeof(one));
	return NULL;
}

static void
run_script(struct server *s, script_fn *script)
{
	struct client c = { .server = s, .script = script };
	pthread_t thread;

	c.port = port_of(s);
	assert_int_equal(pthread_create(&thread, NULL, client_main, &c), 0);
	assert_int_equal(loop_run(s->loop), 0);
	pthread_join(thread, NULL);
	if (c.failure[0] != '\0')
		fail_msg("%s", c.failure);
}

static void
play(script_fn *script)
{
	struct server *s = server_new();

	run_script(s, script);
	server_free(s);
}

/* Only the first failure counts; the script goes on. */
static void
blame(struct client *c, int line, const char *what, const char *got)
{
	if (c->failure[0] == '\0')
		(void)snprintf(c->failure, sizeof(c->failure),
		    "line %d: %s; got: %.300s", line, what, got ? got : "");
}

#define WANT(c, condition, got)                              \
	do {                                                 \
		if (!(condition))                            \
			blame(c, __LINE__, #condition, got); \
	} while (0)

static int
dial(const struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)c->port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* As much as the server takes. */
static size_t
say(int fd, const char *text, size_t len)
{
	size_t sent = 0;

	while (sent < len) {
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	return sent;
}

static void
say_text(int fd, const char *text)
{
	(void)say(fd, text, strlen(text));
}

struct answer {
	int status; /* 0: no answer came */
	char head[8192];
	char *body; /* to be freed */
	size_t len;
};

static size_t
length_in(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length: ");
	uint64_t len = 0;
	size_t digits;

	if (at == NULL)
		return 0;
	at += strlen("\r\ncontent-length: ");
	digits = strspn(at, "0123456789");
	if (config_parse_number(
		(struct slice){ (const uint8_t *)at, digits }, &len) < 0)
		return 0;
	return (size_t)len;
}

/* One answer with a Content-Length, or as far as it comes. */
static struct answer
hear(int fd, bool has_body)
{
	struct answer a = { 0 };
	size_t n = 0;

	while (n < sizeof(a.head) - 1 && recv(fd, a.head + n, 1, 0) == 1) {
		a.head[++n] = '\0';
		if (n >= 4 && memcmp(a.head + n - 4, "\r\n\r\n", 4) == 0)
			break;
	}
	if (strncmp(a.head, "HTTP/1.1 ", 9) != 0)
		return a;
	a.status = (a.head[9] - '0') * 100 + (a.head[10] - '0') * 10 +
		   (a.head[11] - '0');
	a.len = has_body ? length_in(a.head) : 0;
	a.body = calloc(1, a.len + 1);
	for (size_t got = 0; a.body != NULL && got < a.len;) {
		ssize_t more = recv(fd, a.body + got, a.len - got, 0);

		if (more <= 0) {
			a.len = got;
			break;
		}
		got += (size_t)more;
	}
	return a;
}

/* True when the server closes, and nothing but that comes. */
static bool
is_closed(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void
expect(struct client *c, int fd, int status, const char *body)
{
	struct answer a = hear(fd, true);

	WANT(c, a.status == status, a.head);
	if (body != NULL)
		WANT(c, a.body != NULL && strcmp(a.body, body) == 0, a.body);
	free(a.body);
}

/* ---- scripts ---------------------------------------------------------- */

#define POST_A "POST /a HTTP/1.1\r\nHost: h\r\n"
#define ECHO_HI "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
#define ECHOED_HI "POST /a x-test=none Name=none  body=2:hi"

static void
script_keep_alive(struct client *c)
{
	int fd = dial(c);

	for (int i = 0; i < 5; i++) {
		say_text(fd, ECHO_HI);
		expect(c, fd, 200, ECHOED_HI);
	}
	say_text(fd, "GET /bye HTTP/1.1\r\nHost: h\r\n"
		     "Connection: close\r\n\r\n");
	expect(c, fd, 200, NULL);
	WANT(c, is_closed(fd), "");
	close(fd);
	fd = dial(c);
	say_text(fd, "GET /old HTTP/1.0\r\n\r\n");
	expect(c, fd, 200, "GET /old x-test=none Name=none  body=0:");
	WANT(c, is_closed(fd), "");
	close(fd);
}

static void
keep_alive(void **state)
{
	(void)state;
	play(script_keep_alive);
}

static void
script_pipelined(struct client *c)
{
	int fd = dial(c);

	say_text(fd,
	    ECHO_HI ECHO_HI "GET /later-1 HTTP/1.1\r\nHost: h\r\n\r\n" ECHO_HI
			    "GET /later-2 HTTP/1.1\r\nHost: h\r\n\r\n" ECHO_HI);
	expect(c, fd, 200, ECHOED_HI);
	expect(c, fd, 200, ECHOED_HI);
	expect(c, fd, 200, "GET /later-1 x-test=none Name=none  body=0:");
	expect(c, fd, 200, ECHOED_HI);
	expect(c, fd, 200, "GET /later-2 x-test=none Name=none  body=0:");
	expect(c, fd, 200, ECHOED_HI);
	close(fd);
}

static void
pipelined(void **state)
{
	(void)state;
	play(script_pipelined);
}

static void
script_pieces(struct client *c)
{
	static const char request[] =
	    "POST /p?Name=%41b+c&name=low&x&Name=two HTTP/1.1\r\nHost: h\r\n"
	    "X-Test: Val ue\r\nContent-Length: 5\r\n\r\nhello";
	int fd = dial(c);

	/* byte by byte, as TCP may bring it */
	for (size_t i = 0; i < sizeof(request) - 1; i++)
		(void)say(fd, request + i, 1);
	expect(c, fd, 200,
	    "POST /p x-test=Val ue Name=Ab c "
	    "[Name=Ab c][name=low][x=][Name=two] body=5:hello");
	say_text(fd, "POST /c HTTP/1.1\r\nHost: h\r\n"
		     "Transfer-Encoding: chunked\r\n\r\n"
		     "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n");
	expect(c, fd, 200, "POST /c x-test=none Name=none  body=4:abcd");
	say_text(
	    fd, "GET /as%20it+came?a=%41&&b+c HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(c, fd, 200, "/as%20it+came?a=%41&&b+c");
	/* what a proxy is asked (RFC 9112 section 3.2.2) */
	say_text(fd,
	    "GET http://else.where:80/p/q?Name=v HTTP/1.1\r\nHost: h\r\n"
	    "X-Test: \t a b \t\r\n\r\n");
	expect(c, fd, 200, "GET /p/q x-test=a b Name=v [Name=v] body=0:");
	say_text(fd, "GET HTTPS://else.where HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(c, fd, 200, "GET / x-test=none Name=none  body=0:");
	close(fd);
}

static void
pieces_and_chunks(void **state)
{
	(void)state;
	play(script_pieces);
}

static void
script_other_methods(struct client *c)
{
	int fd = dial(c);
	struct answer a;

	say_text(fd, "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n");
	a = hear(fd, false);
	WANT(c, a.status == 200, a.head);
	WANT(c, length_in(a.head) > 0, a.head);
	free(a.body);
	say_text(fd, "OPTIONS /o HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(c, fd, 200, "OPTIONS /o x-test=none Name=none  body=0:");
	say_text(fd, "PATCH /x HTTP/1.1\r\nHost: h\r\n"
		     "Content-Length: 1\r\n\r\nz");
	expect(c, fd, 200, "PATCH /x x-test=none Name=none  body=1:z");
	say_text(fd, "DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(c, fd, 200, "DELETE /x x-test=none Name=none  body=0:");
	say_text(fd, "GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(c, fd, 204, "");
	close(fd);
}

static void
other_methods(void **state)
{
	(void)state;
	play(script_other_methods);
}

static void
script_headers(struct client *c)
{
	char id[2][37] = { "", "" };
	int fd = dial(c);

	for (int i = 0; i < 2; i++) {
		struct answer a;
		const char *at;
		struct id parsed;

		say_text(fd, ECHO_HI);
		a = hear(fd, true);
		at = strstr(a.head, "\r\nRequest-Id: ");
		WANT(c, at != NULL, a.head);
		if (at != NULL)
			memcpy(id[i], at + 14, 36);
		WANT(c, id_parse(slice_text(id[i]), &parsed) == 0, id[i]);
		WANT(c, strstr(a.head, "\r\nContent-Type: text/plain\r\n"),
		    a.head);
		WANT(c, strstr(a.head, "\r\nX-One: 1\r\n"), a.head);
		WANT(c, strstr(a.head, "Injected") == NULL, a.head);
		free(a.body);
	}
	WANT(c, strcmp(id[0], id[1]) != 0, id[0]);
	say_text(fd, "GET /fail HTTP/1.1\r\nHost: h\r\n\r\n");
	{
		struct answer a = hear(fd, true);

		WANT(c, a.status == 503, a.head);
		WANT(c, strstr(a.head, "\r\nRetry-After: 1\r\n"), a.head);
		WANT(c, strstr(a.head, "application/json"), a.head);
		WANT(c, a.body && strstr(a.body, "\"later\""), a.body);
		free(a.body);
	}
	close(fd);
}

static void
headers_of_the_answer(void **state)
{
	(void)state;
	play(script_headers);
}

/* ---- too large -------------------------------------------------------- */

static char letters[8 * MAX_BODY];

static void
post(int fd, size_t len)
{
	char head[128];
	int n = snprintf(head, sizeof(head),
	    "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", len);

	(void)say(fd, head, (size_t)n);
	(void)say(fd, letters, len);
}

static void
post_chunked(int fd, size_t len)
{
	char size[32];

	say_text(fd, "POST /a HTTP/1.1\r\nHost: h\r\n"
		     "Transfer-Encoding: chunked\r\n\r\n");
	while (len > 0) {
		size_t part = len < 5000 ? len : 5000;
		int n = snprintf(size, sizeof(size), "%zx\r\n", part);

		(void)say(fd, size, (size_t)n);
		(void)say(fd, letters, part);
		say_text(fd, "\r\n");
		len -= part;
	}
	say_text(fd, "0\r\n\r\n");
}

static void
script_too_large(struct client *c)
{
	static const size_t lengths[] = { MAX_BODY + 1, 2 * MAX_BODY,
		6 * MAX_BODY };
	int fd = dial(c);
	struct answer a;

	memset(letters, 'q', sizeof(letters));
	post(fd, MAX_BODY);
	a = hear(fd, true);
	WANT(c, a.status == 200 && a.len > MAX_BODY, a.head);
	free(a.body);
	post_chunked(fd, MAX_BODY);
	a = hear(fd, true);
	WANT(c, a.status == 200 && a.len > MAX_BODY, a.head);
	free(a.body);
	close(fd);
	/* a client that sends all before it reads sees its 413 */
	for (size_t i = 0; i < 3; i++) {
		fd = dial(c);
		post(fd, lengths[i]);
		expect(c, fd, 413, NULL);
		close(fd);
		fd = dial(c);
		post_chunked(fd, lengths[i]);
		expect(c, fd, 413, NULL);
		close(fd);
	}
	/* one that asks first is told before it sends */
	fd = dial(c);
	say_text(fd, "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
		     "Content-Length: 999999999999\r\n\r\n");
	expect(c, fd, 413, NULL);
	close(fd);
	/* and nobody is read for ever */
	fd = dial(c);
	say_text(fd, "POST /a HTTP/1.1\r\nHost: h\r\n"
		     "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 1000; i++) {
		char size[32];
		int n =
		    snprintf(size, sizeof(size), "%zx\r\n", sizeof(letters));

		if (say(fd, size, (size_t)n) < (size_t)n ||
		    say(fd, letters, sizeof(letters)) < sizeof(letters) ||
		    say(fd, "\r\n", 2) < 2)
			break;
		WANT(c, i < 900, "still read");
	}
	close(fd);
}

static void
too_large(void **state)
{
	(void)state;
	play(script_too_large);
}

static void
script_large_headers(struct client *c)
{
	int fd;

	for (size_t len = 1000; len < 200000; len *= 2) {
		char *head = malloc(len + 100);
		struct answer a;
		int n;

		if (head == NULL)
			return;
		n = snprintf(head, len + 100,
		    "GET /a HTTP/1.1\r\nHost: h\r\nX-Long: %0*d\r\n\r\n",
		    (int)len, 1);
		fd = dial(c);
		(void)say(fd, head, (size_t)n);
		free(head);
		a = hear(fd, true);
		if (len <= 4000)
			WANT(c, a.status == 200, a.head);
		else
			WANT(c,
			    a.status == 431 || a.status == 413 ||
				a.status == 0 || len < 8192,
			    a.head);
		free(a.body);
		close(fd);
	}
	fd = dial(c);
	say_text(fd, ECHO_HI);
	expect(c, fd, 200, ECHOED_HI);
	close(fd);
}

static void
large_headers(void **state)
{
	(void)state;
	play(script_large_headers);
}

/* ---- too slow --------------------------------------------------------- */

#define DRIPS 5

/* Some that never come to an end: in the headers, the body, a chunk, the first
 * line, and in that on a connection that had a request before. */
static void
script_slow_drip(struct client *c)
{
	static const char *const starts[] = {
		"POST /a HTTP/1.1\r\nHost: h\r\nX-Drip: ",
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n",
		POST_A "Transfer-Encoding: chunked\r\n\r\n100\r\n",
		"POST /a",
	};
	uint64_t start = clock_mono_ms();
	int fd[DRIPS], left = DRIPS;

	for (int i = 0; i < DRIPS; i++) {
		fd[i] = dial(c);
		if (i == DRIPS - 1) {
			say_text(fd[i], ECHO_HI);
			expect(c, fd[i], 200, ECHOED_HI);
		}
		say_text(fd[i], starts[i < 4 ? i : 3]);
	}
	while (left > 0 && clock_mono_ms() - start < 1000 * PATIENCE_S) {
		for (int i = 0; i < DRIPS; i++) {
			struct pollfd pfd = { fd[i], POLLIN, 0 };

			if (fd[i] < 0)
				continue;
			if (poll(&pfd, 1, 20) == 0) {
				(void)say(fd[i], "x", 1);
				continue;
			}
			expect(c, fd[i], 408, NULL);
			WANT(c, clock_mono_ms() - start >= TIMEOUT_MS, "soon");
			close(fd[i]);
			fd[i] = -1;
			left--;
		}
	}
	WANT(c, left == 0, "no answer");
	WANT(c, clock_mono_ms() - start < TIMEOUT_MS + 10000, "late");
}

static void
slow_drip(void **state)
{
	(void)state;
	play(script_slow_drip);
}

/* Whoever does not read his answer keeps no connection for ever. */
static void
script_slow_reader(struct client *c)
{
	uint64_t start = clock_mono_ms();
	struct answer a;
	int fd = dial(c), other;

	say_text(fd, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
	while (http_open(c->server->http) != 0 && /* a look, not a count */
	       clock_mono_ms() - start < 1000)
		poll(NULL, 0, 10);
	poll(NULL, 0, 4 * TIMEOUT_MS + 1500);
	a = hear(fd, true);
	WANT(c, a.status == 200, a.head);
	WANT(c, a.len < BIG_BYTES, "all of it");
	/* nothing but the answer was ever put into it */
	WANT(c, a.body == NULL || memmem(a.body, a.len, "408", 3) == NULL,
	    a.body);
	free(a.body);
	close(fd);
	/* one who reads gets it all */
	other = dial(c);
	say_text(other, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
	a = hear(other, true);
	WANT(c, a.status == 200 && a.len == BIG_BYTES, a.head);
	free(a.body);
	close(other);
}

static void
slow_reader(void **state)
{
	(void)state;
	play(script_slow_reader);
}

/* While others wait for their answer, nobody else does. */
static void
script_held_beside(struct client *c)
{
	uint64_t start;
	int held[2] = { dial(c), dial(c) };
	int fd;

	memset(letters, 'q', sizeof(letters));
	say_text(held[0], "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	say_text(held[1], "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	start = clock_mono_ms();
	for (int i = 0; i < 5; i++) {
		struct answer a;
		char head[4200];
		int n;

		fd = dial(c);
		n = snprintf(head, sizeof(head),
		    "POST /a HTTP/1.1\r\nHost: h\r\nX-Long: %04000d\r\n"
		    "Content-Length: %d\r\n\r\n",
		    1, MAX_BODY);
		(void)say(fd, head, (size_t)n);
		(void)say(fd, letters, MAX_BODY);
		a = hear(fd, true);
		WANT(c, a.status == 200 && a.len > MAX_BODY, a.head);
		free(a.body);
		say_text(fd, ECHO_HI ECHO_HI ECHO_HI);
		for (int k = 0; k < 3; k++)
			expect(c, fd, 200, ECHOED_HI);
		close(fd);
	}
	WANT(c, clock_mono_ms() - start < 4000, "slow");
	close(held[0]);
	close(held[1]);
}

static void
held_requests_hold_nobody_else(void **state)
{
	(void)state;
	play(script_held_beside);
}

/* ---- coming and going ------------------------------------------------- */

static void
script_gone(struct client *c)
{
	int fd;

	/* after the request, in the middle of it, right away */
	for (int i = 0; i < 3; i++) {
		fd = dial(c);
		say_text(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
		close(fd);
		fd = dial(c);
		say_text(fd, "POST /a HTTP/1.1\r\nContent-Length: 50\r\n\r\nx");
		close(fd);
		fd = dial(c);
		close(fd);
		fd = dial(c);
		say_text(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER,
		    &(struct linger){ 1, 0 }, sizeof(struct linger));
		close(fd); /* with a reset */
	}
	fd = dial(c);
	say_text(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(c, fd, 200, "GET /later x-test=none Name=none  body=0:");
	close(fd);
}

static void
gone_before_the_answer(void **state)
{
	struct server *s = server_new();

	(void)state;
	run_script(s, script_gone);
	assert_int_equal(http_open(s->http), s->held_count);
	server_free(s);
}

static void
script_garbage(struct client *c)
{
	static const char *const garbage[] = {
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not TLS here\r\n",
		"GET /\x01\x02 HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n"
		"\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n"
		"\r\nab",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		"fffffffffffffffff\r\n",
		"GET /a%00b%zz%2 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a?%zz=%00&&&==& HTTP/1.1\r\nHost: h\r\n\r\n",
	};
	int fd;

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		struct answer a;

		fd = dial(c);
		/* what is no request may be waited on until it is idle */
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO,
		    &(struct timeval){ .tv_usec = 200000 },
		    sizeof(struct timeval));
		say_text(fd, garbage[i]);
		(void)shutdown(fd, SHUT_WR);
		a = hear(fd, true);
		free(a.body);
		close(fd);
	}
	fd = dial(c);
	say_text(fd, ECHO_HI);
	expect(c, fd, 200, ECHOED_HI);
	close(fd);
}

static void
garbage_harms_nobody(void **state)
{
	(void)state;
	play(script_garbage);
}

static void
script_limit(struct client *c)
{
	int fd[LIMIT], over;

	for (int i = 0; i < LIMIT; i++) {
		fd[i] = dial(c);
		say_text(fd[i], ECHO_HI);
		expect(c, fd[i], 200, ECHOED_HI);
	}
	over = dial(c);
	say_text(over, ECHO_HI);
	close(fd[0]);
	fd[0] = -1;
	/* it is closed, or served now that there is room */
	{
		struct answer a = hear(over, true);

		WANT(c, a.status == 0 || a.status == 200, a.head);
		free(a.body);
	}
	close(over);
	for (int i = 1; i < LIMIT; i++) {
		say_text(fd[i], ECHO_HI);
		expect(c, fd[i], 200, ECHOED_HI);
		close(fd[i]);
	}
	over = dial(c);
	say_text(over, ECHO_HI);
	expect(c, over, 200, ECHOED_HI);
	close(over);
}

static void
more_than_the_limit(void **state)
{
	(void)state;
	play(script_limit);
}

static void
script_hold_three(struct client *c)
{
	int fd[3];

	for (int i = 0; i < 3; i++) {
		fd[i] = dial(c);
		say_text(fd[i], "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	/* the connections stay open: the thread ends, the process does not */
	fd[0] = dial(c);
	say_text(fd[0], ECHO_HI);
	expect(c, fd[0], 200, ECHOED_HI);
	close(fd[0]);
}

/* Closing tells of each request that waits, once. */
static void
freed_with_open_requests(void **state)
{
	struct server *s = server_new();

	(void)state;
	run_script(s, script_hold_three);
	assert_int_equal(s->held_count, 3);
	assert_int_equal(http_open(s->http), 3);
	http_free(s->http);
	s->http = NULL;
	assert_int_equal(s->gone, 3);
	assert_int_equal(s->held_count, 0);
	server_free(s);
}

static void
quiesce_now(void *arg)
{
	struct server *s = arg;

	http_quiesce(s->http);
	http_quiesce(s->http);
}

static void
script_quiesce(struct client *c)
{
	int fd = dial(c), refused;
	uint64_t start = clock_mono_ms();

	say_text(fd, "GET /later-q HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(c, fd, 200, "GET /later-q x-test=none Name=none  body=0:");
	/* the timer of 300 ms closes the door behind us */
	do {
		refused = dial(c);
		if (refused >= 0)
			close(refused);
		poll(NULL, 0, 20);
	} while (refused >= 0 && clock_mono_ms() - start < 5000);
	WANT(c, refused < 0, "still open");
	/* who is inside goes on */
	say_text(fd, "GET /later-r HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(c, fd, 200, "GET /later-r x-test=none Name=none  body=0:");
	close(fd);
}

static void
quiesced(void **state)
{
	struct server *s = server_new();

	(void)state;
	assert_true(loop_add_timer(s->loop, 300, quiesce_now, s) > 0);
	run_script(s, script_quiesce);
	server_free(s);
}

static void
addresses(void **state)
{
	static const char *const bad[] = { "", "8080", ":8080", "127.0.0.1",
		"127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000",
		"300.0.0.1:80", "::1:80:x" };
	struct server *s = server_new();
	struct http_config config = { .address = http_address(s->http),
		.connections = 1,
		.timeout_ms = 1000,
		.max_body = 1,
		.handler = on_request,
		.arg = s };
	struct http *h = NULL;

	(void)state;
	assert_non_null(strstr(http_address(s->http), "127.0.0.1:"));
	assert_int_equal(http_new(s->loop, &config, &h), -EADDRINUSE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config.address = bad[i];
		if (http_new(s->loop, &config, &h) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_null(h);
	config.address = "*:0";
	assert_int_equal(http_new(s->loop, &config, &h), 0);
	http_free(h);
	config.address = "localhost:0";
	assert_int_equal(http_new(s->loop, &config, &h), 0);
	http_free(h);
	http_free(NULL);
	server_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keep_alive),
		cmocka_unit_test(pipelined),
		cmocka_unit_test(pieces_and_chunks),
		cmocka_unit_test(other_methods),
		cmocka_unit_test(headers_of_the_answer),
		cmocka_unit_test(too_large),
		cmocka_unit_test(large_headers),
		cmocka_unit_test(slow_drip),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(held_requests_hold_nobody_else),
		cmocka_unit_test(gone_before_the_answer),
		cmocka_unit_test(garbage_harms_nobody),
		cmocka_unit_test(more_than_the_limit),
		cmocka_unit_test(freed_with_open_requests),
		cmocka_unit_test(quiesced),
		cmocka_unit_test(addresses),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
