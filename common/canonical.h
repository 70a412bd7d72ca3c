/*
 * The one form in which JSON leaves the gateway: exactly what JavaScript's
 * JSON.stringify() gives for the document with the keys of every object
 * sorted, so that a receiver that verifies the raw bytes and one that parses,
 * sorts and writes again agree on the signature.
 *
 * - compact; keys in order of their UTF-16 code units, as sort() does. Keys
 *   that look like array indexes ("0" to "4294967294") come first, by number,
 *   because every JavaScript object lists them so whatever the order they were
 *   put in; a receiver in another language that sorts them as text must verify
 *   the raw bytes. Of several members of one name the last one stays.
 * - strings unescaped but for quote, backslash, control characters (\b \t \n
 *   \f \r, else \u00xx in lower case) and lone surrogates (\udxxx).
 * - numbers as Number.prototype.toString() writes them (1.10 is 1.1, 1E2 is
 *   100, -0 is 0) when a double holds every digit, else as they came.
 *
 * A struct canonical holds the scratch memory for sorting; embedded by value,
 * reused, one owner, any thread.
 */
#ifndef SLUICE_CANONICAL_H
#define SLUICE_CANONICAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/json.h"

struct canonical {
	uint32_t *keys; /* of the objects being written, a stack */
	uint32_t count, cap;
};

void canonical_init(struct canonical *c);
void canonical_done(struct canonical *c);

/* Appends node, which must be one of j's. -ENOMEM, or what buf says. */
int canonical_write(struct canonical *c, const struct json *j, uint32_t node,
    struct buf *out) SL_MUST_CHECK;
/* Parses, and appends the whole document: for those who need nothing of it.
 * Also what json_parse() says. */
int canonical_document(struct canonical *c, struct json *j, struct slice text,
    struct buf *out) SL_MUST_CHECK;

/*
 * The keys of an object in canonical order, without those that a later one of
 * the same name overrides; each value is the node after its key. They stay
 * until canonical_release(), which takes them off again (last in, first out).
 */
int canonical_keys(struct canonical *c, const struct json *j, uint32_t node,
    uint32_t *ret_first, uint32_t *ret_count) SL_MUST_CHECK;
void canonical_release(struct canonical *c, uint32_t first);
/* <0, 0, >0: where the key stands beside a name in canonical order. */
int canonical_compare(const struct json *j, uint32_t key, const char *name);

/* Appends plain UTF-8 text as a JSON string, quotes included. */
int canonical_string(struct slice text, struct buf *out) SL_MUST_CHECK;

#endif
