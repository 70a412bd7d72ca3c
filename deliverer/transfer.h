/*
 * POSTs in flight: threads that each drive one libcurl multi.
 *
 * The loop's thread fills in a struct transfer and gives it to
 * transfers_post(); exactly once it comes back through transfers_take() with
 * its result. A transfer is pinned to a thread by `pin`, so an endpoint's
 * connections and TLS sessions are all in one place. Those marked alone go to a
 * thread of their own that carries one at a time. Those over HTTP/2 have one as
 * well: what libcurl knows of a host (that it multiplexes, which connections
 * are kept) is not told apart by version in one multi, and their streams
 * cannot hold up anybody else.
 *
 * Self-fence. A POST starts only while its fence is open: the session it was
 * leased in has not ended, and the peer answered a PING sent less than
 * FENCE_MS ago. This is looked at when the transfer is taken up and again when
 * its connection stands, right before the request is written. What was not
 * started comes back unsent.
 *
 * Of fast transfers a thread carries TRANSFER_YOUNG at once, where libcurl
 * costs least; those in flight for more than TRANSFER_YOUNG_MS wait for a slow
 * subscriber, and do not count. Nothing here bounds what waits: the owner
 * posts no more than it has slots.
 */
#ifndef SLUICE_DELIVERER_TRANSFER_H
#define SLUICE_DELIVERER_TRANSFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/id.h"
#include "common/mailbox.h"
#include "common/seal.h"
#include "deliverer/body.h"
#include "deliverer/ssrf.h"
#include "deliverer/verdict.h"

#define FENCE_MS 3000
#define TRANSFER_YOUNG 128
#define TRANSFER_YOUNG_MS 50
/* Half of the window that HTTP/2 begins with (RFC 9113, 6.9.2): libcurl 7.88
 * loses answers that come while a body waits for a larger one, and may then
 * leave other streams of the connection hanging. */
#define TRANSFER_HTTP2_BODY_MAX (32 * 1024)
#define TRANSFER_THREADS_MAX 16
#define TRANSFER_APART 3 /* threads beside them: troubled, alone, http2 */

/* The right of a session to start POSTs. Written by the loop's thread. */
struct fence {
	_Atomic uint64_t heard_ms; /* link_peer_heard_ms() */
	atomic_bool ended;	   /* the peer declared the session dead */
	uint32_t refs;		   /* counted by the owner, not here */
};

enum unsent {
	UNSENT_NOT, /* it was sent, or at least tried */
	UNSENT_FENCED,
	UNSENT_DRAINED,
	UNSENT_FULL, /* never posted: the owner had no slot */
	UNSENT_MAX
};

struct transfer {
	struct mail mail; /* first, so that one is the other */
	/* What to do. Nothing of it changes until the transfer is back. */
	bool probe; /* goes first; carries no idempotency key */
	bool alone, troubled;
	bool http2; /* cleared by transfers_post() when it does not suit */
	uint32_t app;
	uint32_t pin;
	uint64_t timeout_ms; /* 0: the default */
	struct id id;	     /* webhook-id and idempotency key */
	const char *url;
	const char *event_type;
	struct slice secret;  /* sealed */
	struct slice headers; /* of the webhook's own, sealed; absent: none */
	struct body *body;
	struct fence *fence; /* NULL: none */
	/* What it came to. */
	enum unsent unsent;
	unsigned status;
	enum msg_verdict verdict; /* DELIVERED, DISABLE or RETRY */
	uint64_t retry_after_ms;  /* asked for by the subscriber; 0: not */
	uint64_t started_ms;	  /* clock_mono_ms() */
	uint64_t duration_ms;
	char error[VERDICT_TEXT_SIZE];
	struct buf response; /* freed by the owner */
};

struct transfers_config {
	unsigned threads;
	unsigned slots; /* at once in one thread */
	uint64_t timeout_ms;
	uint64_t connect_timeout_ms;
	const char *ca_file;	 /* kept by pointer; NULL: the system's */
	const struct ssrf *ssrf; /* kept by pointer */
	const struct seal *seal; /* copied */
};

struct transfers;

/* After curl_global_init(). -ENOMEM, -errno of threads and eventfds. */
int transfers_new(const struct transfers_config *config,
    struct transfers **ret_transfers) SL_MUST_CHECK;
/* Takes the transfer until it comes back. */
void transfers_post(struct transfers *ts, struct transfer *t);
/* Readable when some are back. */
int transfers_fd(const struct transfers *ts);
/* All that are back, each the mail of a transfer; NULL: none. */
struct mail *transfers_take(struct transfers *ts);
/* Start nothing any more, also of what is posted later. */
void transfers_drain(struct transfers *ts);
/* Cut what is in flight: it comes back as a failure without an answer. */
void transfers_abort(struct transfers *ts);
uint32_t transfers_in_flight(const struct transfers *ts);
/* Aborts and joins. What is back or was cut must be taken with
 * transfers_take() before transfers_free(). */
void transfers_stop(struct transfers *ts);
void transfers_free(struct transfers *ts);

bool fence_open(struct fence *f, uint64_t now_ms);

#endif
