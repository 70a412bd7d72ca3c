/*
 * The skeleton on real processes: this program runs itself as a stage of no
 * work, which PROC_TEST makes behave in one way or another.
 */
#include "common/proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

#define TEXT_SIZE 65536
#define PATIENCE_MS 20000

/* ---- the stage -------------------------------------------------------- */

static bool
behaves(const char *how)
{
	const char *set = getenv("PROC_TEST");

	return set != NULL && !strcmp(set, how);
}

static void
on_fail_timer(void *arg)
{
	log_error("the disk is gone");
	proc_fail(arg);
}

static int
stage_open(struct proc *p)
{
	if (behaves("open-fails")) {
		log_error("cannot open");
		return -EIO;
	}
	if (behaves("fails")) {
		int timer = loop_add_timer(p->loop, 50, on_fail_timer, p);

		if (timer < 0)
			return timer;
	}
	p->state = p;
	return 0;
}

/* Ready when the file "go" lies in SLUICE_DATA. */
static bool
stage_ready(struct proc *p, struct buf *why)
{
	char path[PATH_MAX];

	if (!behaves("waits"))
		return true;
	if (config_path(&p->config, "", "go", path) == 0 &&
	    access(path, F_OK) == 0)
		return true;
	(void)!buf_add_text(why, "no go");
	return false;
}

static int
stage_describe(struct proc *p, struct buf *out)
{
	return buf_addf(out, " instance=%s", p->instance);
}

static void
stage_drain(struct proc *p)
{
	if (!p->draining)
		log_error("not draining");
	log_info("drain called");
}

static bool
stage_drained(struct proc *p)
{
	(void)p;
	return !behaves("never-drained");
}

static void
stage_close(struct proc *p)
{
	log_info("closed with%s state", p->state ? "" : "out");
}

static int
stage_metrics(struct proc *p, struct buf *out)
{
	(void)p;
	return buf_add_text(out, "sluice_test_total 1\n");
}

static int
stage_command(struct proc *p, int argc, char **argv)
{
	if (strcmp(argv[0], "say") != 0)
		return -1;
	printf("%s of %d in %s\n", argc > 1 ? argv[1] : "nothing", argc,
	    p->config.data);
	return argc > 1 ? 0 : 7;
}

static const struct proc_ops stage = {
	.stage = STAGE_ROUTER,
	.open = stage_open,
	.ready = stage_ready,
	.describe = stage_describe,
	.drain = stage_drain,
	.drained = stage_drained,
	.close = stage_close,
	.metrics = stage_metrics,
	.command = stage_command,
	.command_help = "       sluice-router say WORD\n",
};

/* ---- running it ------------------------------------------------------- */

/* One process of the stage, and all it said. */
struct child {
	pid_t pid;
	int out, err;
	char said[TEXT_SIZE], logged[TEXT_SIZE];
};

static char folder[64];

static void
spawn(
    struct child *c, const char *behaviour, const char *word, const char *word2)
{
	int out[2], err[2];

	memset(c, 0, sizeof(*c));
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		setenv("PROC_TEST", behaviour, 1);
		execl("/proc/self/exe", "stage", word, word2, (char *)NULL);
		_exit(99);
	}
	close(out[1]);
	close(err[1]);
	c->out = out[0];
	c->err = err[0];
}

/* Adds what there is to be read; false at the end. */
static bool
listen_to(int fd, char *text)
{
	size_t len = strlen(text);
	ssize_t n = read(fd, text + len, TEXT_SIZE - 1 - len);

	if (n <= 0)
		return false;
	text[len + (size_t)n] = '\0';
	return true;
}

/* Until it has said or logged this. */
static void
wait_for(struct child *c, const char *text)
{
	uint64_t until = clock_mono_ms() + PATIENCE_MS;

	while (!strstr(c->said, text) && !strstr(c->logged, text)) {
		struct pollfd fds[2] = { { c->out, POLLIN, 0 },
			{ c->err, POLLIN, 0 } };
		bool open = false;

		assert_true(clock_mono_ms() < until);
		if (poll(fds, 2, 1000) <= 0)
			continue;
		if (fds[0].revents)
			open = listen_to(c->out, c->said) || open;
		if (fds[1].revents)
			open = listen_to(c->err, c->logged) || open;
		if (!open)
			fail_msg("it ended without \"%s\": %s%s", text, c->said,
			    c->logged);
	}
}

/* Its exit status, or minus the signal. */
static int
reap(struct child *c)
{
	int status;

	while (listen_to(c->out, c->said))
		;
	while (listen_to(c->err, c->logged))
		;
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(c->out);
	close(c->err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int
run(struct child *c, const char *behaviour, const char *word, const char *word2)
{
	spawn(c, behaviour, word, word2);
	return reap(c);
}

/* The status of GET path at its admin port; the answer goes into text. */
static int
ask(const struct child *c, const char *path, char *text)
{
	const char *at = strstr(c->said, "admin=127.0.0.1:");
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	char request[128];
	uint64_t port = 0;
	int fd, len;

	assert_non_null(at);
	at += strlen("admin=127.0.0.1:");
	assert_int_equal(
	    config_parse_number(
		(struct slice){ (const uint8_t *)at, strspn(at, "0123456789") },
		&port),
	    0);
	to.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	len = snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(write(fd, request, (size_t)len), len);
	text[0] = '\0';
	while (listen_to(fd, text))
		;
	close(fd);
	assert_int_equal(strncmp(text, "HTTP/1.1 ", 9), 0);
	return (text[9] - '0') * 100 + (text[10] - '0') * 10 + text[11] - '0';
}

static void
rest_of_line(const char *said, const char *before, char *ret, size_t size)
{
	const char *at = strstr(said, before);

	assert_non_null(at);
	at += strlen(before);
	(void)snprintf(ret, size, "%.*s", (int)strcspn(at, " \n"), at);
}

/* ---- tests ------------------------------------------------------------ */

static void
arguments(void **state)
{
	struct child c;

	(void)state;
	assert_int_equal(run(&c, "", "--help", NULL), 0);
	assert_non_null(strstr(c.said, "Usage: sluice-router"));
	assert_non_null(strstr(c.said, "say WORD"));
	assert_non_null(strstr(c.said, "SLUICE_LOGGER_PEERS"));
	assert_null(strstr(c.said, "SLUICE_ACCEPT_LOG"));
	assert_int_equal(run(&c, "", "--version", NULL), 0);
	assert_non_null(strstr(c.said, "sluice-router "));
	assert_int_equal(run(&c, "", "--show-config", NULL), 0);
	assert_non_null(strstr(c.said, "SLUICE_DRAIN=25000ms\n"));
	assert_int_equal(run(&c, "", "--healthcheck", NULL), 1);
	assert_non_null(strstr(c.logged, "has no fixed port"));
	assert_int_equal(run(&c, "", "--halp", NULL), 2);
	assert_non_null(strstr(c.logged, "--halp: unknown argument"));
	assert_string_equal(c.said, "");
	assert_int_equal(run(&c, "", "--help", "me"), 2);
	assert_int_equal(run(&c, "", "say", "hello"), 0);
	assert_non_null(strstr(c.said, "hello of 2 in "));
	assert_int_equal(run(&c, "", "say", NULL), 7);
}

static void
wrong_configuration(void **state)
{
	struct child c;

	(void)state;
	setenv("SLUICE_DRAIN", "soon", 1);
	assert_int_equal(run(&c, "", NULL, NULL), 2);
	assert_non_null(strstr(c.logged, "SLUICE_DRAIN=soon"));
	/* help is given all the same */
	assert_int_equal(run(&c, "", "--help", NULL), 0);
	unsetenv("SLUICE_DRAIN");
	setenv("SLUICE_LOG_LEVEL", "loud", 1);
	assert_int_equal(run(&c, "", NULL, NULL), 2);
	assert_non_null(strstr(c.logged, "SLUICE_LOG_LEVEL=loud"));
	unsetenv("SLUICE_LOG_LEVEL");
	setenv("SLUICE_ADMIN_HTTP", "nowhere", 1);
	assert_int_equal(run(&c, "", NULL, NULL), 1);
	assert_non_null(strstr(c.logged, "SLUICE_ADMIN_HTTP=nowhere"));
	setenv("SLUICE_ADMIN_HTTP", "127.0.0.1:0", 1);
	setenv("SLUICE_DATA", "/dev/null/var", 1);
	assert_int_equal(run(&c, "", NULL, NULL), 1);
	assert_non_null(strstr(c.logged, "/dev/null/var"));
	assert_non_null(strstr(c.logged, "SLUICE_DATA"));
	setenv("SLUICE_DATA", folder, 1);
}

static void
a_life(void **state)
{
	char text[TEXT_SIZE];
	struct child c;

	(void)state;
	spawn(&c, "", NULL, NULL);
	wait_for(&c, "\n");
	assert_non_null(strstr(c.said, "ready router admin=127.0.0.1:"));
	assert_int_equal(ask(&c, "/healthz", text), 200);
	assert_int_equal(ask(&c, "/readyz", text), 200);
	assert_int_equal(ask(&c, "/metrics", text), 200);
	assert_non_null(strstr(text, "sluice_test_total 1"));
	assert_non_null(strstr(text, "text/plain; version=0.0.4"));
	assert_int_equal(ask(&c, "/else", text), 404);
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&c), 0);
	assert_non_null(strstr(c.logged, "drain called"));
	assert_non_null(strstr(c.logged, "drained"));
	assert_non_null(strstr(c.logged, "closed with state"));
}

/* One that nobody uses just now. */
static unsigned
free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

/* Alive at once, ready later, and announced only then. */
static void
ready_when_it_says_so(void **state)
{
	char text[TEXT_SIZE], path[PATH_MAX];
	char address[64];
	unsigned port = free_port();
	struct child c;
	int fd;

	(void)state;
	(void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	setenv("SLUICE_ADMIN_HTTP", address, 1);
	spawn(&c, "waits", NULL, NULL);
	(void)snprintf(c.said, sizeof(c.said), "admin=%s ", address);
	for (uint64_t until = clock_mono_ms() + PATIENCE_MS;;) {
		struct sockaddr_in to = { .sin_family = AF_INET,
			.sin_port = htons((uint16_t)port),
			.sin_addr = { htonl(INADDR_LOOPBACK) } };

		assert_true(clock_mono_ms() < until);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
			break;
		close(fd);
		poll(NULL, 0, 20);
	}
	close(fd);
	assert_int_equal(ask(&c, "/healthz", text), 200);
	assert_int_equal(ask(&c, "/readyz", text), 503);
	assert_non_null(strstr(text, "no go"));
	assert_null(strstr(c.said, "ready"));
	(void)snprintf(path, sizeof(path), "%s/go", folder);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	wait_for(&c, "ready router");
	assert_int_equal(ask(&c, "/readyz", text), 200);
	kill(c.pid, SIGINT);
	assert_int_equal(reap(&c), 0);
	(void)unlink(path);
	setenv("SLUICE_ADMIN_HTTP", "127.0.0.1:0", 1);
}

static void
a_second_signal_ends_it(void **state)
{
	char text[TEXT_SIZE];
	struct child c;

	(void)state;
	spawn(&c, "never-drained", NULL, NULL);
	wait_for(&c, "ready");
	kill(c.pid, SIGTERM);
	wait_for(&c, "drain called");
	assert_int_equal(ask(&c, "/readyz", text), 503);
	assert_non_null(strstr(text, "draining"));
	assert_int_equal(ask(&c, "/healthz", text), 200);
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&c), 0);
	assert_non_null(strstr(c.logged, "second signal"));
	assert_non_null(strstr(c.logged, "closed with state"));
}

static void
draining_has_an_end(void **state)
{
	struct child c;

	(void)state;
	setenv("SLUICE_DRAIN", "300ms", 1);
	spawn(&c, "never-drained", NULL, NULL);
	wait_for(&c, "ready");
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&c), 0);
	assert_non_null(strstr(c.logged, "SLUICE_DRAIN is over"));
	unsetenv("SLUICE_DRAIN");
}

static void
failures_exit_with_1(void **state)
{
	struct child c;

	(void)state;
	assert_int_equal(run(&c, "open-fails", NULL, NULL), 1);
	assert_non_null(strstr(c.logged, "closed without state"));
	assert_null(strstr(c.said, "ready"));
	assert_int_equal(run(&c, "fails", NULL, NULL), 1);
	assert_non_null(strstr(c.logged, "the disk is gone"));
	assert_non_null(strstr(c.logged, "closed with state"));
}

/* Each takes the lowest free slot; a killed one leaves its slot behind. */
static void
instances_have_slots(void **state)
{
	char first[128], second[128], third[128];
	struct child a, b, c;

	(void)state;
	spawn(&a, "", NULL, NULL);
	wait_for(&a, "\n");
	spawn(&b, "", NULL, NULL);
	wait_for(&b, "\n");
	rest_of_line(a.said, "instance=", first, sizeof(first));
	rest_of_line(b.said, "instance=", second, sizeof(second));
	assert_non_null(strstr(first, "/router-1"));
	assert_non_null(strstr(second, "/router-2"));
	kill(a.pid, SIGKILL);
	assert_int_equal(reap(&a), -SIGKILL);
	spawn(&c, "", NULL, NULL);
	wait_for(&c, "\n");
	rest_of_line(c.said, "instance=", third, sizeof(third));
	assert_string_equal(third, first);
	kill(b.pid, SIGTERM);
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&b), 0);
	assert_int_equal(reap(&c), 0);
	setenv("SLUICE_INSTANCE", "mine", 1);
	spawn(&a, "", NULL, NULL);
	wait_for(&a, "instance=mine\n");
	kill(a.pid, SIGTERM);
	assert_int_equal(reap(&a), 0);
	setenv("SLUICE_INSTANCE",
	    "0123456789012345678901234567890123456789012345678901234567890123",
	    1);
	assert_int_equal(run(&a, "", NULL, NULL), 1);
	assert_non_null(strstr(a.logged, "SLUICE_INSTANCE"));
	unsetenv("SLUICE_INSTANCE");
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/sluice-proc-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	setenv("SLUICE_DATA", folder, 1);
	setenv("SLUICE_ADMIN_HTTP", "127.0.0.1:0", 1);
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const parts[] = { "/run/router-1.slot",
		"/run/router-2.slot", "/run", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%s%s", folder, parts[i]);
		(void)remove(path);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(wrong_configuration),
		cmocka_unit_test(a_life),
		cmocka_unit_test(ready_when_it_says_so),
		cmocka_unit_test(a_second_signal_ends_it),
		cmocka_unit_test(draining_has_an_end),
		cmocka_unit_test(failures_exit_with_1),
		cmocka_unit_test(instances_have_slots),
	};

	if (getenv("PROC_TEST") != NULL)
		return proc_main(&stage, argc, argv);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
