/*
 * The table behind match.h: from a pattern to all that joined it.
 *
 * Whoever joins embeds a struct places, which knows where it is, so that
 * leaving costs the same however many others are there. Joining the same
 * pattern again is no error and changes nothing, unless somebody else joined
 * in between. One thread.
 */
#ifndef SLUICE_ROUTER_INDEX_H
#define SLUICE_ROUTER_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/limits.h"

#define INDEX_VALUE_MAX LIMIT_ENTITY_TEXT

enum pattern_kind {
	PATTERN_NAME,  /* text is an event type */
	PATTERN_BELOW, /* text is crm.contact of crm.contact.* */
	PATTERN_ALL,   /* of *; text is the API it means */
	PATTERN_MAX
};

/* What is joined and looked up. With a tag other than 0 only events with that
 * value of the attribute of that tag are meant. */
struct pattern {
	uint32_t app;
	enum pattern_kind kind;
	uint8_t tag;
	struct slice text;  /* at most LIMIT_TYPE_TEXT bytes */
	struct slice value; /* at most INDEX_VALUE_MAX bytes */
};

struct place;

struct places {
	struct place *at;
	uint32_t count, cap;
	void *owner;
};

struct members {
	struct member *at;
	uint32_t count, cap;
};

struct member {
	struct places *who;
	uint32_t place; /* in its places */
};

struct index;

/* NULL when memory is out. */
struct index *index_new(void);
/* Everybody has left it before. */
void index_free(struct index *x);

/* -ENOMEM: nothing changed. A pattern over its caps is never found: nothing
 * is joined. */
int index_join(
    struct index *x, const struct pattern *p, struct places *who) SL_MUST_CHECK;
/* Leaves all that was joined and frees its memory. */
void index_leave(struct index *x, struct places *who);
/* In no order; NULL when there are none. Until the next join or leave. */
const struct members *index_find(
    const struct index *x, const struct pattern *p);
/* How many have joined a pattern of that kind and tag: with none there is no
 * need to look. tag < 8. */
size_t index_count(const struct index *x, enum pattern_kind kind, uint8_t tag);

#endif
