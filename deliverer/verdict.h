/*
 * What an attempt came to: pure functions of the HTTP status and of how the
 * transfer ended.
 *
 * Any 2xx is delivered, whatever happened to the rest of the answer. 410 asks
 * for no more, and so does any other failure with the header "webhook-delivery:
 * disable". All else is a failure to try again: other statuses (a redirect
 * is never followed), no answer, an address that must not be called. A status
 * below 200 is no answer: status 0.
 */
#ifndef SLUICE_DELIVERER_VERDICT_H
#define SLUICE_DELIVERER_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "common/msg.h"

#define VERDICT_TEXT_SIZE 256

struct verdict_case {
	unsigned status; /* as libcurl saw it; 0: none */
	CURLcode code;
	bool refused;	     /* ssrf.h said no */
	bool unwanted;	     /* the answer said: webhook-delivery: disable */
	const char *problem; /* never sent, and why: bad URL, bad secret;
			      * NULL: it was sent */
	const char *detail;  /* libcurl's own words, or "" */
	uint64_t duration_ms;
};

/* DELIVERED, DISABLE or RETRY; whether it is tried again is retry.h's. */
enum msg_verdict verdict_of(const struct verdict_case *c);
/* The status to report. */
unsigned verdict_status(const struct verdict_case *c);
/* One line for people that starts with a fixed word; "" for a success. Never
 * tells an address that was refused. */
void verdict_text(const struct verdict_case *c, char text[VERDICT_TEXT_SIZE]);
/* Does this answer's Retry-After count? */
bool verdict_may_ask(const struct verdict_case *c);

#endif
