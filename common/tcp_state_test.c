#include "common/tcp_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Two ends of a connection. */
static void
connect_ends(int ends[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(listener >= 0 && ends[0] >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(
	    getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(ends[0], (struct sockaddr *)&at, len), 0);
	ends[1] = accept(listener, NULL, NULL);
	assert_true(ends[1] >= 0);
	close(listener);
}

static void
wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, 5000), 1);
}

static void
test_it(void **state)
{
	bool half_closed = true;
	uint64_t received = 1;
	char bytes[8];
	int ends[2];

	(void)state;
	connect_ends(ends);
	assert_int_equal(tcp_state(ends[1], &received, &half_closed), 0);
	assert_int_equal(received, 0);
	assert_false(half_closed);
	/* Also when they are read. */
	assert_int_equal(send(ends[0], "12345", 5, 0), 5);
	assert_int_equal(recv(ends[1], bytes, 5, MSG_WAITALL), 5);
	assert_int_equal(tcp_state(ends[1], &received, &half_closed), 0);
	assert_int_equal(received, 5);
	assert_false(half_closed);
	assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
	wait_for(ends[1], POLLRDHUP);
	assert_int_equal(tcp_state(ends[1], &received, &half_closed), 0);
	assert_true(half_closed);
	assert_int_equal(
	    tcp_state(STDIN_FILENO, &received, &half_closed), -ENOTSOCK);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_it) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
