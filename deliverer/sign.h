/*
 * Signatures of a body, under a secret that comes sealed.
 *
 * Two schemes travel side by side. x-apideck-signature is the lower-case hex
 * HMAC-SHA256 of the exact body under the secret's bytes. webhook-signature is
 * that of Standard Webhooks: "v1," and the base64 HMAC-SHA256 of
 * "ID.TIMESTAMP.BODY", under the decoded part of a secret that starts with
 * whsec_, else under the same bytes.
 *
 * While a secret is being rotated the one before comes behind it, after a NUL:
 * webhook-signature then has a second signature, under that one.
 *
 * A signer opens sealed secrets and remembers the last SIGN_CACHE of them; one
 * per thread. What it forgets is wiped.
 */
#ifndef SLUICE_DELIVERER_SIGN_H
#define SLUICE_DELIVERER_SIGN_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/crypto.h"
#include "common/seal.h"

#define SIGN_CACHE 512 /* opened secrets, a few hundred bytes each */
/* "v1," and base64 of 32 bytes, twice with a blank between, NUL */
#define SIGN_STANDARD_SIZE (2 * (3 + 44) + 1 + 1)

struct signer;

struct sign_input {
	uint32_t app;	     /* whose secret it is */
	struct slice sealed; /* for "secret:APP" */
	struct slice id;     /* webhook-id */
	uint64_t timestamp;  /* webhook-timestamp: seconds since 1970 */
	struct slice body;
};

struct sign_result {
	char apideck[CRYPTO_HEX_SIZE];
	char standard[SIGN_STANDARD_SIZE];
};

/* The seal is copied. NULL when memory is out. */
struct signer *signer_new(const struct seal *seal);
void signer_free(struct signer *s);
/* -EBADMSG: the secret was not sealed for this application by our master key,
 * or there is none. -ENOMEM. */
int sign_body(struct signer *s, const struct sign_input *in,
    struct sign_result *ret_result) SL_MUST_CHECK;

#endif
