#include "deliverer/test_receiver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 512
#define REQUESTS_MAX 8192
#define REQUEST_BYTES (2 * 1024 * 1024)
#define WAIT_S 20

struct connection {
	int fd; /* 0: free */
	bool hanging, flowing;
	char *in;
	size_t len;
};

struct receiver {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int listener, wake;
	unsigned port;
	atomic_bool stop, released;
	struct connection connections[CONNECTIONS_MAX];
	char *requests[REQUESTS_MAX];
	size_t count;
};

static void
hang_up(struct connection *c)
{
	close(c->fd);
	free(c->in);
	*c = (struct connection){ .fd = 0 };
}

static void
put(struct connection *c, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void
answer(struct connection *c, unsigned status, const char *headers,
    const char *body, size_t said)
{
	char text[1024];
	int len = snprintf(text, sizeof(text),
	    "HTTP/1.1 %u Because\r\ncontent-length: %zu\r\n%s\r\n%s", status,
	    said, headers, body);

	put(c, text, (size_t)len);
}

static void
flow(struct connection *c, unsigned status)
{
	char text[128];
	int len = snprintf(text, sizeof(text),
	    "HTTP/1.1 %u Because\r\nconnection: close\r\n\r\n", status);

	put(c, text, (size_t)len);
	c->flowing = true;
}

/* The decimal number at the start of the text. */
static unsigned
number(const char *text)
{
	unsigned n = 0;

	while (*text == ' ')
		text++;
	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (unsigned)(*text - '0');
	return n;
}

static void
respond(struct receiver *r, struct connection *c, const char *path)
{
	if (!strncmp(path, "/status/", 8)) {
		unsigned status = number(path + 8);

		answer(c, status,
		    status / 100 == 3 ? "location: /status/200\r\n" : "",
		    "thanks", 6);
	} else if (!strncmp(path, "/disable/", 9)) {
		answer(c, number(path + 9), "webhook-delivery: disable\r\n", "",
		    0);
	} else if (!strncmp(path, "/after/", 7)) {
		char headers[64];

		(void)snprintf(headers, sizeof(headers), "retry-after: %u\r\n",
		    number(path + 11));
		answer(c, number(path + 7), headers, "", 0);
	} else if (!strncmp(path, "/flow/", 6)) {
		flow(c, number(path + 6));
	} else if (!strncmp(path, "/bytes/", 7)) {
		answer(c, number(path + 7), "", "a\xff\xc3z", 4);
	} else if (!strncmp(path, "/cut/", 5)) {
		answer(c, number(path + 5), "", "half", 8);
		hang_up(c);
	} else if (!strcmp(path, "/hang")) {
		if (atomic_load(&r->released))
			answer(c, 200, "", "", 0);
		else
			c->hanging = true;
	} else if (!strcmp(path, "/garbage")) {
		put(c, "how do you do?\r\n\r\n", 18);
		hang_up(c);
	} else {
		hang_up(c);
	}
}

static void
record(struct receiver *r, const char *request, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy == NULL)
		abort();
	memcpy(copy, request, len);
	copy[len] = '\0';
	pthread_mutex_lock(&r->lock);
	if (r->count < REQUESTS_MAX)
		r->requests[r->count++] = copy;
	else
		free(copy);
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

/* Length of the whole request when it is there, else 0. */
static size_t
whole(const struct connection *c)
{
	const char *end = strstr(c->in, "\r\n\r\n");
	const char *length = strcasestr(c->in, "\r\ncontent-length:");
	size_t len;

	if (end == NULL)
		return 0;
	len = (size_t)(end + 4 - c->in);
	if (length != NULL && length < end)
		len += number(length + 17);
	return c->len >= len ? len : 0;
}

static void
on_bytes(struct receiver *r, struct connection *c)
{
	char path[256];
	const char *from, *to;
	size_t len = whole(c);

	if (len == 0)
		return;
	from = strchr(c->in, ' ');
	to = from == NULL ? NULL : strchr(from + 1, ' ');
	if (to == NULL || (size_t)(to - from) > sizeof(path)) {
		hang_up(c);
		return;
	}
	(void)snprintf(
	    path, sizeof(path), "%.*s", (int)(to - from - 1), from + 1);
	record(r, c->in, len);
	c->len = 0;
	c->in[0] = '\0';
	respond(r, c, path);
}

static void
on_readable(struct receiver *r, struct connection *c)
{
	ssize_t n;

	if (c->in == NULL)
		c->in = calloc(1, REQUEST_BYTES + 1);
	if (c->in == NULL)
		abort();
	n = recv(c->fd, c->in + c->len, REQUEST_BYTES - c->len, 0);
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->len += (size_t)n;
	c->in[c->len] = '\0';
	on_bytes(r, c);
}

static void
on_connect(struct receiver *r)
{
	int fd = accept(r->listener, NULL, NULL);

	if (fd < 0)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (r->connections[i].fd == 0) {
			r->connections[i].fd = fd;
			return;
		}
	close(fd);
}

static void
pour(struct connection *c)
{
	char drops[4096];
	ssize_t n;

	memset(drops, 'x', sizeof(drops));
	n = send(c->fd, drops, sizeof(drops), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		hang_up(c);
}

static void
release(struct receiver *r)
{
	uint64_t ignored;

	if (read(r->wake, &ignored, sizeof(ignored)) < 0)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &r->connections[i];

		if (c->fd == 0 || !c->hanging)
			continue;
		c->hanging = false;
		answer(c, 200, "", "", 0);
	}
}

static void *
run(void *arg)
{
	struct receiver *r = arg;
	struct pollfd fds[CONNECTIONS_MAX + 2];

	while (!atomic_load(&r->stop)) {
		fds[0] = (struct pollfd){ r->listener, POLLIN, 0 };
		fds[1] = (struct pollfd){ r->wake, POLLIN, 0 };
		for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
			struct connection *c = &r->connections[i];

			fds[i + 2] = (struct pollfd){ c->fd == 0 ? -1 : c->fd,
				(short)(c->flowing ? POLLOUT : POLLIN), 0 };
		}
		if (poll(fds, CONNECTIONS_MAX + 2, -1) < 0)
			continue;
		if (fds[1].revents)
			release(r);
		for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
			struct connection *c = &r->connections[i];

			if (fds[i + 2].revents == 0 || c->fd == 0)
				continue;
			if (c->flowing)
				pour(c);
			else
				on_readable(r, c);
		}
		if (fds[0].revents)
			on_connect(r);
	}
	return NULL;
}

struct receiver *
receiver_new(void)
{
	struct receiver *r = calloc(1, sizeof(*r));
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(in);

	if (r == NULL)
		abort();
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	r->wake = eventfd(0, EFD_CLOEXEC);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r->wake < 0 || r->listener < 0 ||
	    bind(r->listener, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    listen(r->listener, CONNECTIONS_MAX) < 0 ||
	    getsockname(r->listener, (struct sockaddr *)&in, &len) < 0 ||
	    pthread_create(&r->thread, NULL, run, r) != 0)
		abort();
	r->port = ntohs(in.sin_port);
	return r;
}

static void
wake(struct receiver *r)
{
	uint64_t one = 1;

	if (write(r->wake, &one, sizeof(one)) < 0)
		abort();
}

void
receiver_free(struct receiver *r)
{
	atomic_store(&r->stop, true);
	wake(r);
	pthread_join(r->thread, NULL);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (r->connections[i].fd != 0)
			hang_up(&r->connections[i]);
	for (size_t i = 0; i < r->count; i++)
		free(r->requests[i]);
	close(r->listener);
	close(r->wake);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

unsigned
receiver_port(const struct receiver *r)
{
	return r->port;
}

bool
receiver_wait(struct receiver *r, size_t count)
{
	struct timespec until;
	bool there;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&r->lock);
	while (r->count < count &&
	       pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0)
		;
	there = r->count >= count;
	pthread_mutex_unlock(&r->lock);
	return there;
}

size_t
receiver_count(struct receiver *r)
{
	size_t count;

	pthread_mutex_lock(&r->lock);
	count = r->count;
	pthread_mutex_unlock(&r->lock);
	return count;
}

char *
receiver_request(struct receiver *r, size_t index)
{
	char *copy = NULL;

	pthread_mutex_lock(&r->lock);
	if (index < r->count)
		copy = strdup(r->requests[index]);
	pthread_mutex_unlock(&r->lock);
	return copy;
}

void
receiver_release(struct receiver *r)
{
	atomic_store(&r->released, true);
	wake(r);
}
