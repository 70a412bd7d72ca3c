/*
 * The one event loop of a process, on zmq_poll().
 *
 * Everything runs in the thread that calls loop_run(), one handler at a time;
 * no handler may wait for a disk or a peer. Handlers may add and delete
 * anything, themselves too. In one turn descriptors and sockets come first,
 * then timers. Only loop_stop() may be called from a handler of a signal.
 *
 * Why not CZMQ's zloop (4.2.1): any signal ends zloop_start(), starting it
 * again puts off every timer, a timer deleted in a timer's handler is then read
 * after it was freed, timers run before sockets, and after a stop of 10 s a
 * timer of 100 ms fires a hundred times.
 *
 * loop_now_ms() is the time that deadlines are made of: monotonic ms minus
 * every pause in which this loop did not turn for more than LOOP_GAP_MS (the
 * process was stopped, or a handler took long). A deadline made of it moves by
 * itself when we were the ones asleep, so nobody is judged for our silence.
 */
#ifndef SLUICE_LOOP_H
#define SLUICE_LOOP_H

#include <stdint.h>

#include <czmq.h>

#include "common/attributes.h"

#define LOOP_GAP_MS 1000
#define LOOP_TICK_MS 250 /* turns at least this often */

struct loop;

typedef void loop_fn(void *arg);

/* NULL when memory is out. */
struct loop *loop_new(void);
void loop_free(struct loop *l);

/* fn runs whenever fd (or the socket) is readable; it should drain it, within
 * reason. Neither is owned. -ENOMEM. */
int loop_add_fd(struct loop *l, int fd, loop_fn *fn, void *arg) SL_MUST_CHECK;
void loop_del_fd(struct loop *l, int fd);
int loop_add_sock(
    struct loop *l, zsock_t *sock, loop_fn *fn, void *arg) SL_MUST_CHECK;
void loop_del_sock(struct loop *l, zsock_t *sock);

/* Every every_ms from now on, until deleted; late ones are not made up for.
 * Returns its number (above 0), or -ENOMEM. */
int loop_add_timer(
    struct loop *l, unsigned every_ms, loop_fn *fn, void *arg) SL_MUST_CHECK;
/* A number of no timer (0, negative) deletes nothing. */
void loop_del_timer(struct loop *l, int timer);

uint64_t loop_now_ms(struct loop *l);

/* Returns when loop_stop() was called, with 0 (and may be run again), or -EIO
 * when zmq_poll() failed, or -ENOMEM. */
int loop_run(struct loop *l) SL_MUST_CHECK;
void loop_stop(struct loop *l);

#endif
