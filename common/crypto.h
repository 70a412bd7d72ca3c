/*
 * Hashes, HMAC, random bytes and their text forms, on OpenSSL's EVP.
 * Nothing here keeps state between calls but one MAC context per thread, which
 * is what makes an HMAC of 1 kB cost about a microsecond. Failure of OpenSSL
 * itself (out of memory, no provider) ends the process: no caller could go on.
 */
#ifndef SLUICE_CRYPTO_H
#define SLUICE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

#define CRYPTO_HASH_SIZE 32 /* SHA-256, FIPS 180-4 */
#define CRYPTO_HEX_SIZE (2 * CRYPTO_HASH_SIZE + 1)

/* The kernel's, so that a thread may still ask while the process exits. */
void crypto_random(void *bytes, size_t len);
void crypto_sha256(struct slice data, uint8_t hash[CRYPTO_HASH_SIZE]);
/* HMAC-SHA256 (RFC 2104) over the parts one after the other. */
void crypto_hmac(struct slice key, const struct slice *parts, size_t count,
    uint8_t mac[CRYPTO_HASH_SIZE]);
/* Constant time; false when the lengths differ. */
bool crypto_same(struct slice a, struct slice b);

/* Lower-case hex with a NUL; text has room for 2 * len + 1. */
void crypto_hex(struct slice data, char *text);
/* RFC 4648 section 4, padded. */
int crypto_base64(struct slice data, struct buf *out) SL_MUST_CHECK;
/* RFC 4648 section 5, unpadded: tokens and cursors. */
int crypto_base64url(struct slice data, struct buf *out) SL_MUST_CHECK;
/*
 * Reads either alphabet, padded or not. -EINVAL on anything else; what was
 * added to out by then is removed again.
 */
int crypto_unbase64(struct slice text, struct buf *out) SL_MUST_CHECK;

#endif
