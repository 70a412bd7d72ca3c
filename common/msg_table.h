/*
 * The rows behind msg.h, for the modules that walk them: the codec, its
 * documentation and its tests. Everybody else uses msg.h alone.
 */
#ifndef SLUICE_MSG_TABLE_H
#define SLUICE_MSG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

enum msg_kind {
	MSG_KIND_NONE,
	MSG_KIND_U64,
	MSG_KIND_BOOL,
	MSG_KIND_TEXT,
	MSG_KIND_BYTES,
	MSG_KIND_LIST,
	MSG_KIND_MAX
};

struct msg_field {
	const char *name; /* NULL: no field has this key */
	enum msg_kind kind;
	size_t offset; /* in struct msg */
	uint64_t max;
	const char *text;
};

#define MSG_USES_MAX 32 /* fields of one message: a bit each of 32 */

struct msg_use {
	uint8_t key; /* 0 ends the uses */
	bool required;
	enum msg_type record; /* of a list */
};

struct msg_shape {
	const char *name;
	enum msg_lane lane;
	const char *text;
	struct msg_use uses[MSG_USES_MAX];
};

extern const struct msg_field msg_fields[MSG_KEY_MAX];
extern const struct msg_shape msg_shapes[MSG_TYPE_MAX];

#endif
