/*
 * A subscriber for tests under load: answers every POST and writes down, one
 * line each, what it got:
 *
 *     MICROSECONDS STATUS PATH IDEMPOTENCY-KEY SIGNATURE BODY
 *
 * The path says what it does: /hang/... never answers, /status/NNN/... answers
 * NNN, everything else 200; the validation call of a new subscription always
 * gets 200. Usage: receiver PORT_FILE RECORD_FILE [ADDRESS]. It
 * takes a free port on ADDRESS (127.0.0.1; tests with containers name the
 * host's on a network of theirs), writes it to PORT_FILE, and ends with
 * SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/http_refusal.h"
#include "common/limits.h"

#define CONNECTIONS_MAX 4096
#define WAIT_MAX_MS 1000
#define LINE_MAX_BYTES (LIMIT_TEMPLATE_BYTES + 8192)

struct request {
	struct buf body;
	bool hangs;
};

static const char *
header(struct MHD_Connection *c, const char *name)
{
	const char *value =
	    MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);

	return value == NULL || *value == '\0' ? "-" : value;
}

static unsigned
status_of(const char *path)
{
	static const char prefix[] = "/status/";
	unsigned status = 0;

	if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
		return 200;
	for (const char *p = path + sizeof(prefix) - 1; *p >= '0' && *p <= '9';
	    p++)
		status = status * 10 + (unsigned)(*p - '0');
	return status >= 200 && status <= 599 ? status : 200;
}

static bool
validates(struct MHD_Connection *c)
{
	return strcmp(header(c, "x-apideck-event-type"),
		   "apideck.subscription.created") == 0;
}

static void
record(int fd, struct MHD_Connection *c, const char *path, unsigned status,
    const struct buf *body)
{
	struct buf line;
	struct slice text = buf_slice(body);

	buf_init(&line, LINE_MAX_BYTES);
	if (buf_addf(&line, "%llu %u %s %s %s ",
		(unsigned long long)clock_mono_us(), status, path,
		header(c, "x-apideck-idempotency-key"),
		header(c, "x-apideck-signature")) == 0 &&
	    buf_add(&line, text.data, text.len) == 0 &&
	    buf_add_text(&line, "\n") == 0 &&
	    write(fd, buf_slice(&line).data, buf_slice(&line).len) < 0)
		perror("receiver: record");
	buf_done(&line);
}

/* The library's prototype. */
static enum MHD_Result
/* NOLINTNEXTLINE(readability-function-size) */
on_request(void *arg, struct MHD_Connection *c, const char *path,
    const char *method, const char *version, const char *data, size_t *len,
    void **state)
{
	struct request *r = *state;
	struct MHD_Response *response;
	unsigned status = validates(c) ? 200 : status_of(path);
	enum MHD_Result result;

	(void)method;
	(void)version;
	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			return MHD_NO;
		buf_init(&r->body, LIMIT_TEMPLATE_BYTES);
		*state = r;
		return MHD_YES;
	}
	if (*len > 0) {
		if (buf_add(&r->body, data, *len) != 0)
			return MHD_NO;
		*len = 0;
		return MHD_YES;
	}
	if (r->hangs)
		return MHD_YES;
	r->hangs = strncmp(path, "/hang/", 6) == 0 && !validates(c);
	record(*(const int *)arg, c, path, r->hangs ? 0 : status, &r->body);
	if (r->hangs) {
		MHD_suspend_connection(c);
		return MHD_YES;
	}
	response =
	    MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return MHD_NO;
	/* The plain name is what the library's own answers come through. */
	result = http_refusal_real()(c, status, response);
	MHD_destroy_response(response);
	return result;
}

static void
on_done(void *arg, struct MHD_Connection *c, void **state,
    enum MHD_RequestTerminationCode why)
{
	struct request *r = *state;

	(void)arg;
	(void)c;
	(void)why;
	if (r == NULL)
		return;
	buf_done(&r->body);
	free(r);
	*state = NULL;
}

static int
write_port(const char *path, unsigned port)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		return -errno;
	fprintf(f, "%u\n", port);
	return fclose(f) == 0 ? 0 : -errno;
}

/*
 * The library's own thread waits again, for ever, when 128 connections were
 * ready at once (0.9.75): its epoll set is looked at from outside.
 */
static int
serve(struct MHD_Daemon *daemon, int signals)
{
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[] = { { .events = POLLIN },
		{ .fd = signals, .events = POLLIN } };

	if (info == NULL)
		return 1;
	fds[0].fd = info->epoll_fd;
	while (fds[1].revents == 0) {
		MHD_UNSIGNED_LONG_LONG ms = WAIT_MAX_MS;

		if (MHD_run(daemon) != MHD_YES)
			return 1;
		if (MHD_get_timeout(daemon, &ms) != MHD_YES || ms > WAIT_MAX_MS)
			ms = WAIT_MAX_MS;
		(void)poll(fds, 2, (int)ms);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;
	sigset_t set;
	int fd, signals;

	if ((argc != 3 && argc != 4) ||
	    (argc == 4 &&
		inet_pton(AF_INET, argv[3], &address.sin_addr) != 1)) {
		fprintf(stderr,
		    "usage: receiver PORT_FILE RECORD_FILE [ADDRESS]\n");
		return 2;
	}
	fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0,
	    NULL, NULL, on_request, &fd, MHD_OPTION_SOCK_ADDR, &address,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL, MHD_OPTION_END);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0 || signals < 0 || daemon == NULL) {
		perror("receiver");
		return 1;
	}
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (info == NULL || write_port(argv[1], info->port) != 0)
		return 1;
	/* Hanging requests would have to be resumed before a proper stop. */
	_exit(serve(daemon, signals));
}
