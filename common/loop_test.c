#include "common/loop.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"

/* Every test's own world; no test needs all of it. */
struct world {
	struct loop *loop;
	int fd[4];
	int timer[4];
	unsigned count[4];
	unsigned stop_at;
	zsock_t *sock[2];
	uint64_t times[4];
};

static struct world *
world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->loop = loop_new();
	assert_non_null(w->loop);
	for (int i = 0; i < 4; i++) {
		w->fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_true(w->fd[i] >= 0);
	}
	return w;
}

static void
world_free(struct world *w)
{
	loop_free(w->loop);
	for (int i = 0; i < 4; i++)
		close(w->fd[i]);
	free(w);
}

static void
ring(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void
quiet(int fd)
{
	uint64_t value;

	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
}

static void
stop(void *arg)
{
	loop_stop(((struct world *)arg)->loop);
}

static void
count_0(void *arg)
{
	struct world *w = arg;

	if (++w->count[0] == w->stop_at)
		loop_stop(w->loop);
}

static void
count_1(void *arg)
{
	((struct world *)arg)->count[1]++;
}

static void
timers_come_round(void **state)
{
	struct world *w = world_new();
	uint64_t start = clock_mono_ms(), took;

	(void)state;
	w->stop_at = 10;
	assert_true(loop_add_timer(w->loop, 10, count_0, w) > 0);
	assert_true(loop_add_timer(w->loop, 20, count_1, w) > 0);
	assert_int_equal(loop_run(w->loop), 0);
	took = clock_mono_ms() - start;
	assert_true(took >= 99);
	/* on a loaded machine all takes longer, but in step */
	assert_in_range(w->count[1], 1, took / 20 + 1);
	/* a stopped loop may be run again */
	w->stop_at = 12;
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->count[0], 12);
	/* a stop that came before the run is not forgotten */
	loop_stop(w->loop);
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->count[0], 12);
	world_free(w);
}

static void
hear_fd(void *arg)
{
	struct world *w = arg;

	quiet(w->fd[0]);
	if (++w->count[0] == 3)
		loop_stop(w->loop);
	else
		ring(w->fd[0]);
}

static void
hear_sock(void *arg)
{
	struct world *w = arg;
	char *text = zstr_recv(w->sock[1]);

	assert_string_equal(text, "hello");
	zstr_free(&text);
	w->count[1]++;
	ring(w->fd[0]);
}

static void
fds_and_sockets_wake_it(void **state)
{
	struct world *w = world_new();

	(void)state;
	w->sock[0] = zsock_new_pair("@inproc://loop-test");
	w->sock[1] = zsock_new_pair(">inproc://loop-test");
	assert_int_equal(loop_add_fd(w->loop, w->fd[0], hear_fd, w), 0);
	assert_int_equal(loop_add_sock(w->loop, w->sock[1], hear_sock, w), 0);
	zstr_send(w->sock[0], "hello");
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->count[0], 3);
	assert_int_equal(w->count[1], 1);
	loop_del_sock(w->loop, w->sock[1]);
	zsock_destroy(&w->sock[0]);
	zsock_destroy(&w->sock[1]);
	world_free(w);
}

static void
never(void *arg)
{
	(void)arg;
	fail_msg("a deleted handler ran");
}

/* Whichever of the two comes first deletes the other and itself. */
static void
delete_both_fds(void *arg)
{
	struct world *w = arg;

	w->count[0]++;
	loop_del_fd(w->loop, w->fd[0]);
	loop_del_fd(w->loop, w->fd[1]);
}

static void
an_fd_handler_deletes_its_neighbour(void **state)
{
	struct world *w = world_new();

	(void)state;
	ring(w->fd[0]);
	ring(w->fd[1]);
	assert_int_equal(loop_add_fd(w->loop, w->fd[0], delete_both_fds, w), 0);
	assert_int_equal(loop_add_fd(w->loop, w->fd[1], delete_both_fds, w), 0);
	assert_true(loop_add_timer(w->loop, 30, stop, w) > 0);
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->count[0], 1);
	world_free(w);
}

static void
delete_all_timers(void *arg)
{
	struct world *w = arg;

	w->count[0]++;
	for (int i = 0; i < 4; i++)
		loop_del_timer(w->loop, w->timer[i]);
	loop_del_fd(w->loop, w->fd[0]);
}

/* All are due in one turn, and at the loop's own tick: one runs. */
static void
a_timer_deletes_its_neighbours(void **state)
{
	struct world *w = world_new();

	(void)state;
	for (int i = 0; i < 4; i++) {
		w->timer[i] =
		    loop_add_timer(w->loop, LOOP_TICK_MS, delete_all_timers, w);
		assert_true(w->timer[i] > 0);
	}
	assert_true(loop_add_timer(w->loop, 3 * LOOP_TICK_MS, stop, w) > 0);
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->count[0], 1);
	world_free(w);
}

static void
delete_and_add(void *arg)
{
	struct world *w = arg;

	quiet(w->fd[0]);
	loop_del_fd(w->loop, w->fd[0]);
	assert_int_equal(loop_add_fd(w->loop, w->fd[0], hear_fd, w), 0);
	loop_del_timer(w->loop, w->timer[0]);
	w->timer[0] = loop_add_timer(w->loop, 1, count_1, w);
	assert_true(w->timer[0] > 0);
	ring(w->fd[0]);
}

static void
a_handler_replaces_itself(void **state)
{
	struct world *w = world_new();

	(void)state;
	w->timer[0] = loop_add_timer(w->loop, 10, never, w);
	assert_int_equal(loop_add_fd(w->loop, w->fd[0], delete_and_add, w), 0);
	ring(w->fd[0]);
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->count[0], 3);
	world_free(w);
}

static void
deleting_before_it_runs(void **state)
{
	struct world *w = world_new();
	int timer;

	(void)state;
	timer = loop_add_timer(w->loop, 1, never, w);
	assert_int_equal(loop_add_fd(w->loop, w->fd[0], never, w), 0);
	ring(w->fd[0]);
	loop_del_timer(w->loop, timer);
	loop_del_fd(w->loop, w->fd[0]);
	world_free(w); /* never ran at all */

	w = world_new();
	timer = loop_add_timer(w->loop, 1, never, w);
	assert_int_equal(loop_add_fd(w->loop, w->fd[0], hear_fd, w), 0);
	loop_del_timer(w->loop, timer);
	loop_del_timer(w->loop, timer);
	loop_del_timer(w->loop, 0); /* "none": not the fd */
	loop_del_timer(w->loop, -ENOMEM);
	loop_del_fd(w->loop, w->fd[3]);
	ring(w->fd[0]);
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->count[0], 3);
	world_free(w);
	loop_free(NULL);
}

/* A process without stdin may well get 0 for an eventfd; that is not the 0 in
 * a socket's place. */
static void
fd_zero_is_no_socket(void **state)
{
	struct world *w = world_new();
	int saved = dup(0);

	(void)state;
	assert_int_equal(dup2(w->fd[1], 0), 0);
	w->sock[0] = zsock_new_pair("@inproc://loop-zero");
	w->sock[1] = zsock_new_pair(">inproc://loop-zero");
	assert_int_equal(loop_add_sock(w->loop, w->sock[1], hear_sock, w), 0);
	assert_int_equal(loop_add_fd(w->loop, w->fd[0], hear_fd, w), 0);
	assert_int_equal(loop_add_fd(w->loop, 0, never, w), 0);
	loop_del_fd(w->loop, 0);
	zstr_send(w->sock[0], "hello");
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->count[1], 1);
	loop_del_sock(w->loop, w->sock[1]);
	zsock_destroy(&w->sock[0]);
	zsock_destroy(&w->sock[1]);
	if (saved >= 0) {
		dup2(saved, 0);
		close(saved);
	} else {
		close(0);
	}
	world_free(w);
}

static volatile sig_atomic_t alarms;

static void
on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* Signals interrupt the poll all the time; timers keep theirs. */
static void
signals_do_not_end_it(void **state)
{
	struct world *w = world_new();
	struct sigaction act = { .sa_handler = on_alarm }, before;
	struct itimerval every = { { 0, 5000 }, { 0, 5000 } }, off = { 0 };

	(void)state;
	sigaction(SIGALRM, &act, &before);
	setitimer(ITIMER_REAL, &every, NULL);
	w->stop_at = 5;
	assert_true(loop_add_timer(w->loop, 40, count_0, w) > 0);
	assert_int_equal(loop_run(w->loop), 0);
	setitimer(ITIMER_REAL, &off, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(w->count[0], 5);
	assert_true(alarms > 5);
	world_free(w);
}

static struct world *signalled;

static void
stop_on_signal(int sig)
{
	(void)sig;
	loop_stop(signalled->loop);
}

static void
a_signal_may_stop_it(void **state)
{
	struct world *w = world_new();
	struct sigaction act = { .sa_handler = stop_on_signal }, before;
	struct itimerval once = { { 0, 0 }, { 0, 20000 } };

	(void)state;
	signalled = w;
	sigaction(SIGALRM, &act, &before);
	setitimer(ITIMER_REAL, &once, NULL);
	assert_int_equal(loop_run(w->loop), 0);
	sigaction(SIGALRM, &before, NULL);
	world_free(w);
}

static void
oversleep(void *arg)
{
	struct world *w = arg;

	w->count[0]++;
	if (w->count[0] == 1) {
		while (clock_mono_ms() < w->times[0] + 300)
			poll(NULL, 0, 50);
		w->times[1] = clock_mono_ms();
	} else if (w->count[0] == 4) {
		w->times[2] = clock_mono_ms();
		loop_stop(w->loop);
	}
}

/* After a handler of 300 ms a timer of 20 ms is not run 15 times at once. */
static void
late_timers_are_not_made_up_for(void **state)
{
	struct world *w = world_new();

	(void)state;
	w->times[0] = clock_mono_ms();
	assert_true(loop_add_timer(w->loop, 20, oversleep, w) > 0);
	assert_int_equal(loop_run(w->loop), 0);
	assert_true(w->times[2] - w->times[1] >= 20);
	world_free(w);
}

static void
note_order(void *arg)
{
	struct world *w = arg;

	w->count[2]++;
	assert_int_equal(w->count[1], 1);
	stop(w);
}

static void
note_fd(void *arg)
{
	struct world *w = arg;

	quiet(w->fd[0]);
	w->count[1]++;
}

/* Both are waiting: the fd is heard before the timer judges. */
static void
fds_come_before_timers(void **state)
{
	struct world *w = world_new();

	(void)state;
	assert_true(loop_add_timer(w->loop, 1, note_order, w) > 0);
	assert_int_equal(loop_add_fd(w->loop, w->fd[0], note_fd, w), 0);
	ring(w->fd[0]);
	poll(NULL, 0, 5);
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->count[2], 1);
	world_free(w);
}

/* ---- the gap ---- */

static void
report(void *arg)
{
	struct world *w = arg;
	uint64_t pair[2] = { loop_now_ms(w->loop), clock_mono_ms() };

	if (write(w->fd[0], pair, sizeof(pair)) != sizeof(pair))
		loop_stop(w->loop);
}

static void
child(int pipe_end)
{
	struct world w = { .loop = loop_new(), .fd = { pipe_end } };

	if (loop_add_timer(w.loop, 20, report, &w) < 0)
		_exit(1);
	_exit(loop_run(w.loop) == 0 ? 0 : 1);
}

static void
next_report(int fd, uint64_t pair[2])
{
	assert_int_equal(
	    read(fd, pair, 2 * sizeof(uint64_t)), 2 * sizeof(uint64_t));
}

/* A process stopped for a while: its deadlines move by that while. */
static void
loop_time_stands_still_while_stopped(void **state)
{
	uint64_t before[2], after[2];
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		child(ends[1]);
	}
	assert_true(pid > 0);
	close(ends[1]);
	next_report(ends[0], before);
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	poll(NULL, 0, LOOP_GAP_MS + 500);
	kill(pid, SIGCONT);
	do {
		next_report(ends[0], after);
	} while (after[1] < before[1] + LOOP_GAP_MS + 500);
	/* at most a few turns of loop time went by, and it never goes back */
	assert_true(after[0] >= before[0]);
	assert_true(after[0] - before[0] < LOOP_GAP_MS);
	/* and it goes on */
	next_report(ends[0], before);
	assert_true(before[0] > after[0]);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ends[0]);
}

static void
long_handler(void *arg)
{
	struct world *w = arg;
	uint64_t start = clock_mono_ms();

	w->times[0] = loop_now_ms(w->loop);
	while (clock_mono_ms() < start + LOOP_GAP_MS + 100)
		poll(NULL, 0, 100);
	w->times[1] = loop_now_ms(w->loop);
	stop(w);
}

static void
a_long_handler_is_a_gap_too(void **state)
{
	struct world *w = world_new();

	(void)state;
	assert_true(loop_add_timer(w->loop, 1, long_handler, w) > 0);
	assert_int_equal(loop_run(w->loop), 0);
	assert_in_range(w->times[1] - w->times[0], 0, LOOP_TICK_MS);
	world_free(w);
}

/* Nothing to do costs nothing. */
static void
idle_is_idle(void **state)
{
	struct world *w = world_new();
	struct timespec before, after;
	int64_t us;

	(void)state;
	assert_int_equal(loop_add_fd(w->loop, w->fd[0], never, w), 0);
	assert_true(loop_add_timer(w->loop, 500, stop, w) > 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	assert_int_equal(loop_run(w->loop), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	us = (after.tv_sec - before.tv_sec) * 1000000 +
	     (after.tv_nsec - before.tv_nsec) / 1000;
	assert_true(us < 20000);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_time_stands_still_while_stopped),
		cmocka_unit_test(timers_come_round),
		cmocka_unit_test(fds_and_sockets_wake_it),
		cmocka_unit_test(an_fd_handler_deletes_its_neighbour),
		cmocka_unit_test(a_timer_deletes_its_neighbours),
		cmocka_unit_test(a_handler_replaces_itself),
		cmocka_unit_test(deleting_before_it_runs),
		cmocka_unit_test(fd_zero_is_no_socket),
		cmocka_unit_test(signals_do_not_end_it),
		cmocka_unit_test(a_signal_may_stop_it),
		cmocka_unit_test(late_timers_are_not_made_up_for),
		cmocka_unit_test(fds_come_before_timers),
		cmocka_unit_test(a_long_handler_is_a_gap_too),
		cmocka_unit_test(idle_is_idle),
	};
	int failed;

	zsys_handler_set(NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	zsys_shutdown();
	return failed;
}
