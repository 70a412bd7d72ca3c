/*
 * For tests: a subscriber on loopback, in a thread of its own, that keeps what
 * it was sent. The path says how it answers:
 *
 * /status/N      status N
 * /after/N/S     status N with Retry-After: S
 * /flow/N        status N, a body without an end
 * /bytes/N       status N and bytes that are no UTF-8
 * /cut/N         status N, then closed in the middle of the body
 * /hang          no answer before receiver_release(); then 200
 * /close         closed without an answer
 * /garbage       something that is no HTTP
 */
#ifndef SLUICE_DELIVERER_TEST_RECEIVER_H
#define SLUICE_DELIVERER_TEST_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>

struct receiver;

struct receiver *receiver_new(void);
void receiver_free(struct receiver *r);
unsigned receiver_port(const struct receiver *r);
/* Waits until it was sent `count` requests in all; false after 20 s. */
bool receiver_wait(struct receiver *r, size_t count);
size_t receiver_count(struct receiver *r);
/* Head and body of the request, a copy to free. */
char *receiver_request(struct receiver *r, size_t index);
/* Answers what hangs, and hangs no more. */
void receiver_release(struct receiver *r);

#endif
