#include "common/healthcheck.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"

#define HOST_SIZE 256
#define REQUEST_SIZE 512
#define STATUS_LINE "HTTP/1.1 200"

/* Host without brackets and port of "host:port". */
static int
split(const char *address, char host[HOST_SIZE], const char **ret_port)
{
	const char *colon = strrchr(address, ':');
	struct slice name;

	if (colon == NULL || colon[1] == '\0' || strcmp(colon, ":0") == 0)
		return -EINVAL;
	name.data = (const uint8_t *)address;
	name.len = (size_t)(colon - address);
	if (name.len >= 2 && address[0] == '[' && colon[-1] == ']') {
		name.data++;
		name.len -= 2;
	}
	if (slice_is(name, "0.0.0.0"))
		name = slice_text("127.0.0.1");
	else if (slice_is(name, "::"))
		name = slice_text("::1");
	*ret_port = colon + 1;
	return slice_copy(name, host, HOST_SIZE);
}

static int
wait_for(int fd, short what, uint64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = what };
	uint64_t now = clock_mono_ms();

	if (now >= deadline_ms)
		return -ETIMEDOUT;
	switch (poll(&p, 1, (int)(deadline_ms - now))) {
	case -1:
		return -errno;
	case 0:
		return -ETIMEDOUT;
	}
	return 0;
}

static int
dial(const struct addrinfo *ai, uint64_t deadline_ms, int *ret_fd)
{
	int error = 0, r = 0;
	socklen_t size = sizeof(error);
	int fd = socket(
	    ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0)
		r = errno == EINPROGRESS ? wait_for(fd, POLLOUT, deadline_ms)
					 : -errno;
	if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		r = -errno;
	if (r == 0 && error != 0)
		r = -error;
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* The status line is short and comes in one piece, or it is not ours. */
static int
exchange(int fd, const char *path, uint64_t deadline_ms)
{
	char text[REQUEST_SIZE];
	ssize_t got;
	int len = snprintf(text, sizeof(text),
	    "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	    path);
	int r;

	if (len < 0 || (size_t)len >= sizeof(text))
		return -EINVAL;
	if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		return -EPROTO;
	r = wait_for(fd, POLLIN, deadline_ms);
	if (r < 0)
		return r;
	got = recv(fd, text, sizeof(text), 0);
	if (got < 0)
		return -errno;
	if ((size_t)got < sizeof(STATUS_LINE) - 1 ||
	    memcmp(text, STATUS_LINE, sizeof(STATUS_LINE) - 1) != 0)
		return -EPROTO;
	return 0;
}

int
healthcheck_ask(const char *address, const char *path)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV };
	uint64_t deadline_ms = clock_mono_ms() + HEALTHCHECK_TIMEOUT_MS;
	struct addrinfo *ai = NULL;
	char host[HOST_SIZE];
	const char *port;
	int fd = -1, r;

	r = split(address, host, &port);
	if (r < 0)
		return r;
	if (getaddrinfo(host, port, &hints, &ai) != 0)
		return -EHOSTUNREACH;
	r = dial(ai, deadline_ms, &fd);
	freeaddrinfo(ai);
	if (r < 0)
		return r;
	r = exchange(fd, path, deadline_ms);
	close(fd);
	return r;
}
