/*
 * How a vendor shows that a call comes from it, as its connector declares it;
 * member "signature" of a connector's file:
 *
 *   {"scheme": "none"}            nothing is shown (so when absent)
 *
 *   {"scheme": "hmac-sha256",     HMAC-SHA256 under the connection's secret
 *    "header": NAME,              where it is
 *    "encoding": "hex" or "base64",
 *    "prefix": "sha256=",         before it in the header; absent: none
 *    "signed": [PART, ...],       what is signed, in order; absent: ["body"]
 *    "timestamp": {               when it was signed; absent: not said
 *      "header": NAME,            where; "list": KEY when it is in the list
 *      "unit": "s" or "ms",
 *      "tolerance_s": 300},       how far it may be from our clock
 *    "uri_decodes": ":/",         the URI may be signed with the escapes of
 *                                 these characters decoded, too (HubSpot's)
 *    "list": "v1"}                the header is a list, k=v,k=v (Stripe's):
 *                                 each v of this k is a signature, one of them
 *                                 must be right
 *
 *   {"scheme": "token",           the secret itself comes with the call, as
 *    "header": NAME,              one of: a header,
 *    "body": POINTER,             a text in the body,
 *    "item": POINTER,             a text in each event of it
 *    "prefix": "Basic ",          before it; absent: none
 *    "encoding": "base64"}        absent: as it is
 *
 * PART is "body" (the bytes as they came), "timestamp" (as it came), "method",
 * "uri" (SLUICE_INGEST_PUBLIC_URL and the target of the request line, as it
 * came: never the Host header) or {"text": TEXT}, which stands for itself.
 * Unknown members and parts are refused, and so is an HMAC that does not sign
 * the body, or has a timestamp and does not sign it.
 *
 * Comparisons take constant time. Pure, but for what read allocates.
 */
#ifndef SLUICE_SIGNATURE_H
#define SLUICE_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/json.h"

#define SIGNATURE_PARTS_MAX 8
#define SIGNATURE_LIST_MAX 32 /* elements of a list; with more it is wrong */
#define SIGNATURE_TOLERANCE_MAX_S 86400

enum signature_result {
	SIGNATURE_RIGHT,
	SIGNATURE_MISSING, /* it, or its timestamp */
	SIGNATURE_WRONG,
	SIGNATURE_STALE,      /* its timestamp is too far from now */
	SIGNATURE_UNDECLARED, /* "none": there is nothing to check */
	SIGNATURE_UNREADABLE, /* the caller's: it cannot open the secret */
	SIGNATURE_RESULT_MAX
};

struct signature;

/* What of a call may be signed. */
struct signature_call {
	const char *method;
	struct slice base, target; /* joined: the URI */
	struct slice body;
	uint64_t now_ms; /* wall time */
	/* NULL when there is none of that name. */
	const char *(*header)(const void *arg, const char *name);
	const void *arg;
	/* For signature_is_in_body(): the body, and its events. */
	const struct json *json;
	uint32_t items; /* an object, an array of them, or JSON_NONE */
};

/* json is kept by pointer (it must outlive ret); NULL is "none". -EINVAL, after
 * the reason was logged; -ENOMEM. *ret is NULL for "none". */
int signature_read(const json_t *json, struct signature **ret) SL_MUST_CHECK;
void signature_free(struct signature *s);
/* It can be checked only when the body was parsed. s: NULL is "none", here and
 * below. */
bool signature_is_in_body(const struct signature *s);
enum signature_result signature_check(const struct signature *s,
    struct slice secret, const struct signature_call *call);
/* "missing", "wrong", ... */
const char *signature_result_name(enum signature_result result);

#endif
