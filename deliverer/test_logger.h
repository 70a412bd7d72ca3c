/*
 * For tests: a logger as the deliverer sees it, in a thread of its own. It
 * binds an address, sends what it is told, completes what it receives and keeps
 * it. One deliverer is expected.
 */
#ifndef SLUICE_DELIVERER_TEST_LOGGER_H
#define SLUICE_DELIVERER_TEST_LOGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/msg.h"

struct logger;

struct logger *logger_new(const char *address);
/* Says BYE; what was received is gone. */
void logger_free(struct logger *l);
/* Packs and sends; waits for credit as long as it takes (20 s at most). */
bool logger_send(struct logger *l, const struct msg *m);
/* Waits until `count` messages of the type were received; false after 20 s. */
bool logger_wait(struct logger *l, enum msg_type type, size_t count);
size_t logger_count(struct logger *l, enum msg_type type);
/* The index-th of them, unpacked; its slices live as long as the logger. */
struct msg logger_message(struct logger *l, enum msg_type type, size_t index);
/* Its loop stands still until told otherwise: no PONG, no ack. */
void logger_block(struct logger *l, bool block);
/* Windows granted by the deliverer, as link_room() says. */
uint64_t logger_room(struct logger *l, enum msg_lane lane);
bool logger_wait_room(struct logger *l, enum msg_lane lane, uint64_t room);

#endif
