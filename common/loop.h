/*
 * The one event loop of a process, on CZMQ's zloop.
 *
 * Everything runs in the thread that calls loop_run(), one handler at a time;
 * no handler may wait for a disk or a peer. Only loop_stop() may be called
 * from a handler of a signal.
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

/* Every every_ms from now on, until deleted. Returns its number, or -ENOMEM. */
int loop_add_timer(
    struct loop *l, unsigned every_ms, loop_fn *fn, void *arg) SL_MUST_CHECK;
void loop_del_timer(struct loop *l, int timer);

uint64_t loop_now_ms(struct loop *l);

/* Returns when loop_stop() was called, with 0, or -EIO when zloop failed. */
int loop_run(struct loop *l) SL_MUST_CHECK;
void loop_stop(struct loop *l);

#endif
