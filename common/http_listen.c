#include "common/http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/config.h"

#define BACKLOG 1024
#define HOST_TEXT 128

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

int
http_listen_address(int fd, char *ret, size_t size)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port,
		sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	(void)snprintf(ret, size,
	    ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

int
http_listen(const char *address)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *found = NULL;
	const char *port = NULL;
	char host[HOST_TEXT];
	int r;

	r = split_address(address, host, sizeof(host), &port);
	if (r < 0)
		return r;
	if (getaddrinfo(
		strcmp(host, "*") ? host : NULL, port, &hints, &found) != 0)
		return -EINVAL;
	r = listen_at(found);
	freeaddrinfo(found);
	return r;
}
