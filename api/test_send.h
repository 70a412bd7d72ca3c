/*
 * A test of a webhook: an event for it alone, delivered and logged like any
 * other but once (MSG_FLAG_ONCE), at once, whether the webhook is enabled or
 * not, and without counting against a quota. The first face answers when it is
 * on its way (hook_test_send.c), the second with what came of it.
 */
#ifndef SLUICE_API_TEST_SEND_H
#define SLUICE_API_TEST_SEND_H

#include "api/call.h"

#define TEST_SEND_TYPE "apideck.webhook.test"
/* The attempt may last 10 s; this is a little later. */
#define TEST_SEND_MS 12000
#define TEST_SEND_LOOK_MS 100

struct test_send_result {
	struct id event;
	bool success;
	unsigned status; /* 0: no answer */
	char message[LIMIT_NAME_TEXT + 1];
};
/* Puts the event into the outbox; type: of the event. */
int test_send_post(struct call *c, const struct directory_hook *hook,
    const char *type, struct id custody) SL_MUST_CHECK;
/* Answers the call. */
typedef void test_send_fn(
    struct call *c, const struct test_send_result *result);

/*
 * Sends it, and later calls then with what came of it; or answers the call when
 * it cannot be sent. Takes c->kept and c->cancel. The event stays when the
 * client goes away.
 */
void test_send(
    struct call *c, const struct directory_hook *hook, test_send_fn *then);

#endif
