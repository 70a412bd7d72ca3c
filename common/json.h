/*
 * Reads a JSON document (RFC 8259) into a flat run of nodes: no allocation per
 * value, nothing copied. It checks everything: UTF-8, escapes, numbers, depth
 * (LIMIT_JSON_DEPTH), and that nothing but white space follows. A lone
 * surrogate escape (\ud83d) is let through, as JSON.parse does.
 *
 * A node is named by its index; the root is node 0. Its children follow it in
 * document order, and node.next is the index after its last descendant; the
 * children of an object are key, value, key, value. Nodes and the text they
 * point into are valid until the next json_parse().
 *
 * A struct json is embedded by value and reused for document after document.
 * One owner, any thread.
 */
#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"

/* A large document's nodes are given back after it. */
#define JSON_NODES_KEPT 8192
#define JSON_TEXT_MAX (64u * 1024 * 1024)
#define JSON_NONE UINT32_MAX

enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_FALSE,
	JSON_KIND_TRUE,
	JSON_KIND_NUMBER,
	JSON_KIND_STRING,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

struct json_node {
	uint32_t start;	     /* of the text; of a string: after the quote */
	uint32_t len;	     /* of a string: without the quotes */
	uint32_t next;	     /* index after the last descendant */
	uint32_t count : 28; /* members or elements */
	uint32_t kind : 3;
	uint32_t escaped : 1; /* the string has a backslash in it */
};

struct json {
	struct slice text;
	struct json_node *nodes;
	uint32_t count, cap;
	uint32_t error_at; /* byte of the first error */
};

void json_init(struct json *j);
void json_done(struct json *j);
/* -EBADMSG: not JSON; -E2BIG: too deep or too long; -ENOMEM. */
int json_parse(struct json *j, struct slice text) SL_MUST_CHECK;

enum json_kind json_kind(const struct json *j, uint32_t node);
/* As written, strings without their quotes. */
struct slice json_raw(const struct json *j, uint32_t node);
/* The value of a member; of several of that name the last. JSON_NONE when
 * there is none, or node is no object (or JSON_NONE itself). */
uint32_t json_member(const struct json *j, uint32_t node, const char *name);
/* RFC 6901 below node: "" is node itself, "/a/0/b" goes down. */
uint32_t json_pointer(const struct json *j, uint32_t node, const char *pointer);
/*
 * Appends the value as plain text: a string decoded (lone surrogates become
 * U+FFFD), a number or true or false as written. -EINVAL for null, objects,
 * arrays, JSON_NONE and strings with a NUL in them; else what buf says.
 */
int json_text(
    const struct json *j, uint32_t node, struct buf *out) SL_MUST_CHECK;

/*
 * A string as UTF-16 code units, which is how JavaScript compares.
 */
struct json_units {
	const uint8_t *at, *end;
	uint32_t pending; /* the low surrogate still to come; 0: none */
};
struct json_units json_units(struct slice raw);
/* -1 at the end. */
int32_t json_next_unit(struct json_units *u);

#endif
