/*
 * The tokens in execute and /w/ URLs, and those of logins: JWT (RFC 7519)
 * signed with HS256, and nothing else. The key is derived from the master key,
 * so ingest checks what the api minted without asking it.
 *
 * Claims, all optional but "k":
 *   k  kind: "i" integration (application and API), "c" connection or
 *      "s" a login's session at the api
 *   a  application number     s  subscription number   u  unified API
 *   l  lookup id of the connection; of a session, the id of its key
 *   n  directory number it was minted at: an ingest behind it waits
 *   e  expiry, seconds since 1970; absent means never
 */
#ifndef SLUICE_JWT_H
#define SLUICE_JWT_H

#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/seal.h"

#define JWT_TEXT_MAX 1024
#define JWT_CLAIM_MAX 64

enum jwt_kind { JWT_INTEGRATION = 1, JWT_CONNECTION, JWT_SESSION, JWT_MAX };

struct jwt {
	enum jwt_kind kind;
	uint64_t app;
	uint64_t subscription;
	uint64_t number;
	uint64_t expires_s; /* 0: never */
	char unified_api[JWT_CLAIM_MAX];
	char lookup[JWT_CLAIM_MAX];
};

struct jwt_key {
	uint8_t bytes[SEAL_KEY_SIZE];
};

void jwt_key_init(struct jwt_key *key, const struct seal *seal);
/* Appends the token's text. -EINVAL: a claim that JSON cannot carry (a number
 * above INT64_MAX, text that is no UTF-8). -EMSGSIZE: over JWT_TEXT_MAX. */
int jwt_mint(const struct jwt_key *key, const struct jwt *claims,
    struct buf *out) SL_MUST_CHECK;
/*
 * -EBADMSG: not a token, another algorithm, or a claim of the wrong kind.
 * -EACCES: the signature is wrong. -ETIME: expired at now_s.
 */
int jwt_check(const struct jwt_key *key, struct slice text, uint64_t now_s,
    struct jwt *ret_claims) SL_MUST_CHECK;

#endif
