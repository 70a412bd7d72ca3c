#include "common/healthcheck.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Answers one connection with a fixed text. */
struct server {
	int fd;
	const char *answer;
	char asked[512];
	char address[32];
	pthread_t thread;
};

static void *
serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->fd, NULL, NULL);

	if (fd < 0)
		return NULL;
	if (recv(fd, s->asked, sizeof(s->asked) - 1, 0) > 0)
		(void)!write(fd, s->answer, strlen(s->answer));
	close(fd);
	return NULL;
}

static void
start(struct server *s, const char *host, const char *answer)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	*s = (struct server){ .answer = answer };
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(
	    bind(s->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->fd, 1), 0);
	assert_int_equal(
	    getsockname(s->fd, (struct sockaddr *)&address, &size), 0);
	snprintf(s->address, sizeof(s->address), "%s:%u", host,
	    ntohs(address.sin_port));
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void
stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
}

static int
ask(const char *host, const char *answer)
{
	struct server s;
	int r;

	start(&s, host, answer);
	r = healthcheck_ask(s.address, "/healthz");
	stop(&s);
	assert_non_null(strstr(s.asked, "GET /healthz HTTP/1.1\r\n"));
	return r;
}

static void
test_answers(void **state)
{
	(void)state;
	assert_int_equal(
	    ask("127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
	    0);
	assert_int_equal(ask("0.0.0.0", "HTTP/1.1 200 OK\r\n\r\n"), 0);
	assert_int_equal(
	    ask("127.0.0.1", "HTTP/1.1 503 Service Unavailable\r\n\r\n"),
	    -EPROTO);
	assert_int_equal(ask("127.0.0.1", "ready\n"), -EPROTO);
	assert_int_equal(ask("127.0.0.1", ""), -EPROTO);
}

static void
test_nobody_there(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	char text[32];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	/* Bound, so that nobody else has the port; but not listening. */
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(
	    getsockname(fd, (struct sockaddr *)&address, &size), 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
	assert_int_equal(healthcheck_ask(text, "/healthz"), -ECONNREFUSED);
	close(fd);
}

static void
test_addresses(void **state)
{
	static const char *const wrong[] = { "", "localhost",
		"127.0.0.1:", "127.0.0.1:0", "[::]:0" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(
		    healthcheck_ask(wrong[i], "/healthz"), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
