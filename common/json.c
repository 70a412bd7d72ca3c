#include "common/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "common/limits.h"

#define FIRST_NODES 256

struct reader {
	struct json *json;
	const uint8_t *start, *at, *end;
	unsigned depth;
	uint32_t open[LIMIT_JSON_DEPTH]; /* containers around us */
};

void
json_init(struct json *j)
{
	*j = (struct json){ 0 };
}

void
json_done(struct json *j)
{
	free(j->nodes);
	json_init(j);
}

static int
grow(struct json *j)
{
	uint32_t cap = j->cap ? j->cap * 2 : FIRST_NODES;
	struct json_node *nodes;

	if (cap <= j->cap) /* no text of JSON_TEXT_MAX comes near */
		return -ENOMEM;
	nodes = realloc(j->nodes, cap * sizeof(*nodes));
	if (nodes == NULL)
		return -ENOMEM;
	j->nodes = nodes;
	j->cap = cap;
	return 0;
}

static int
add_node(struct reader *r, enum json_kind kind, const uint8_t *start)
{
	struct json *j = r->json;

	if (j->count >= j->cap && grow(j) < 0)
		return -ENOMEM;
	j->nodes[j->count] = (struct json_node){
		.start = (uint32_t)(start - r->start),
		.len = (uint32_t)(r->at - start),
		.next = j->count + 1,
		.kind = kind & 7u,
	};
	j->count++;
	return 0;
}

static void
skip_space(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' ||
				     *r->at == '\r' || *r->at == '\t'))
		r->at++;
}

/* RFC 3629 section 4: length of the sequence at p, 0 when it is not one. */
static size_t
utf8_length(const uint8_t *p, const uint8_t *end)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t len;

	if (*p >= 0xc2 && *p <= 0xdf)
		len = 2;
	else if (*p >= 0xe0 && *p <= 0xef)
		len = 3;
	else if (*p >= 0xf0 && *p <= 0xf4)
		len = 4;
	else
		return 0;
	if ((size_t)(end - p) < len)
		return 0;
	if (*p == 0xe0)
		low = 0xa0;
	else if (*p == 0xed)
		high = 0x9f;
	else if (*p == 0xf0)
		low = 0x90;
	else if (*p == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

static int
skip_escape(struct reader *r)
{
	r->at++;
	if (r->at == r->end)
		return -EBADMSG;
	if (*r->at != 'u') {
		if (*r->at == '\0' || strchr("\"\\/bfnrt", *r->at) == NULL)
			return -EBADMSG;
		r->at++;
		return 0;
	}
	r->at++;
	if (r->end - r->at < 4)
		return -EBADMSG;
	for (int i = 0; i < 4; i++)
		if (hex_digit(r->at[i]) < 0)
			return -EBADMSG;
	r->at += 4;
	return 0;
}

/* Bytes of a string that need no look: ASCII but quote, backslash, control. */
static const uint8_t *
skip_plain(const uint8_t *p, const uint8_t *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t tops = UINT64_C(0x8080808080808080);
	uint64_t w, quote, slash;

	for (; end - p >= 8; p += 8) {
		memcpy(&w, p, 8);
		quote = w ^ (ones * '"');
		slash = w ^ (ones * '\\');
		/* Over-reports after a hit, never misses one. */
		if ((w | (w - ones * 0x20) | (quote - ones) | (slash - ones)) &
		    tops)
			break;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* At the opening quote. */
static int
read_string(struct reader *r)
{
	const uint8_t *start = ++r->at;
	bool escaped = false;
	size_t len;

	for (;;) {
		r->at = skip_plain(r->at, r->end);
		if (r->at == r->end || *r->at < 0x20)
			return -EBADMSG;
		if (*r->at == '"')
			break;
		if (*r->at == '\\') {
			escaped = true;
			if (skip_escape(r) < 0)
				return -EBADMSG;
			continue;
		}
		len = utf8_length(r->at, r->end);
		if (len == 0)
			return -EBADMSG;
		r->at += len;
	}
	if (add_node(r, JSON_KIND_STRING, start) < 0)
		return -ENOMEM;
	r->json->nodes[r->json->count - 1].escaped = escaped;
	r->at++;
	return 0;
}

static bool
skip_digits(struct reader *r)
{
	const uint8_t *from = r->at;

	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return r->at > from;
}

static int
read_number(struct reader *r)
{
	const uint8_t *start = r->at;

	if (*r->at == '-')
		r->at++;
	if (r->at < r->end && *r->at == '0')
		r->at++;
	else if (!skip_digits(r))
		return -EBADMSG;
	if (r->at < r->end && *r->at == '.') {
		r->at++;
		if (!skip_digits(r))
			return -EBADMSG;
	}
	if (r->at < r->end && (*r->at | 0x20) == 'e') {
		r->at++;
		if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
			r->at++;
		if (!skip_digits(r))
			return -EBADMSG;
	}
	return add_node(r, JSON_KIND_NUMBER, start);
}

static int
read_word(struct reader *r, const char *word, enum json_kind kind)
{
	const uint8_t *start = r->at;
	size_t len = strlen(word);

	if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
		return -EBADMSG;
	r->at += len;
	return add_node(r, kind, start);
}

static int
open_container(struct reader *r, enum json_kind kind)
{
	if (r->depth == LIMIT_JSON_DEPTH)
		return -E2BIG;
	if (add_node(r, kind, r->at) < 0)
		return -ENOMEM;
	r->open[r->depth++] = r->json->count - 1;
	r->at++;
	return 0;
}

static int
read_value(struct reader *r)
{
	if (r->at == r->end)
		return -EBADMSG;
	switch (*r->at) {
	case '"':
		return read_string(r);
	case '{':
		return open_container(r, JSON_KIND_OBJECT);
	case '[':
		return open_container(r, JSON_KIND_ARRAY);
	case 't':
		return read_word(r, "true", JSON_KIND_TRUE);
	case 'f':
		return read_word(r, "false", JSON_KIND_FALSE);
	case 'n':
		return read_word(r, "null", JSON_KIND_NULL);
	default:
		return read_number(r);
	}
}

static int
read_key(struct reader *r)
{
	int e;

	if (r->at == r->end || *r->at != '"')
		return -EBADMSG;
	e = read_string(r);
	if (e < 0)
		return e;
	skip_space(r);
	if (r->at == r->end || *r->at != ':')
		return -EBADMSG;
	r->at++;
	skip_space(r);
	return 0;
}

static void
close_container(struct reader *r)
{
	struct json_node *node = &r->json->nodes[r->open[--r->depth]];

	r->at++;
	node->len = (uint32_t)(r->at - r->start) - node->start;
	node->next = r->json->count;
}

/* Before an element of the innermost container, or at its end. */
static int
read_element(struct reader *r)
{
	struct json_node *node = &r->json->nodes[r->open[r->depth - 1]];
	bool object = node->kind == JSON_KIND_OBJECT;
	int e;

	if (r->at < r->end && *r->at == (object ? '}' : ']')) {
		close_container(r);
		return 0;
	}
	if (node->count > 0) {
		if (r->at == r->end || *r->at != ',')
			return -EBADMSG;
		r->at++;
		skip_space(r);
	}
	node->count = (node->count + 1) & 0xfffffffu;
	if (object) {
		e = read_key(r);
		if (e < 0)
			return e;
	}
	return read_value(r);
}

int
json_parse(struct json *j, struct slice text)
{
	struct reader r = { .json = j };
	int e;

	if (j->cap > JSON_NODES_KEPT) {
		free(j->nodes);
		j->nodes = NULL;
		j->cap = 0;
	}
	j->count = 0;
	j->text = text;
	if (text.len > JSON_TEXT_MAX)
		return -E2BIG;
	if (text.data == NULL)
		return -EBADMSG;
	r.start = r.at = text.data;
	r.end = text.data + text.len;
	skip_space(&r);
	e = read_value(&r);
	skip_space(&r);
	while (e == 0 && r.depth > 0) {
		e = read_element(&r);
		skip_space(&r);
	}
	if (e == 0 && r.at != r.end)
		e = -EBADMSG;
	if (e < 0) {
		j->error_at = (uint32_t)(r.at - r.start);
		j->count = 0;
	}
	return e;
}
