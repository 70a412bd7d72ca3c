/*
 * Secrets at rest and on the way: AES-256-GCM under the master key.
 *
 * A sealed secret is version byte, 12-byte random nonce, ciphertext, 16-byte
 * tag (NIST SP 800-38D); `what` (for example "key:17") is authenticated with
 * it, so a sealed value cannot be moved to another place. The api seals; only
 * ingest, the deliverer and the api open. The logger and the router pass
 * sealed values on and never see a secret.
 *
 * The master key is 32 random bytes in a file of mode 0600. Whoever comes
 * first makes it, whole or not at all (temporary file and link(2)).
 */
#ifndef SLUICE_SEAL_H
#define SLUICE_SEAL_H

#include "common/attributes.h"
#include "common/buf.h"

#define SEAL_KEY_SIZE 32
#define SEAL_OVERHEAD 29 /* version, nonce, tag */
#define SEAL_SECRET_MAX 4096

struct seal {
	uint8_t key[SEAL_KEY_SIZE];
};

/*
 * Reads the master key, making file and folders when they are absent.
 * -EINVAL when the file is not 32 bytes, -EPERM when others may read it, else
 * the errno of the call that failed.
 */
int seal_load(struct seal *s, const char *path) SL_MUST_CHECK;
/* A key for one purpose: HMAC-SHA256(master, purpose). */
void seal_derive(
    const struct seal *s, const char *purpose, uint8_t key[SEAL_KEY_SIZE]);
int seal_close(const struct seal *s, const char *what, struct slice secret,
    struct buf *out) SL_MUST_CHECK;
/* Appends the secret; -EBADMSG when it was not sealed by us for `what`. */
int seal_open(const struct seal *s, const char *what, struct slice sealed,
    struct buf *out) SL_MUST_CHECK;

#endif
