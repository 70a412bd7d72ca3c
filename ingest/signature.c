#include "ingest/signature.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/seal.h"

#define TOLERANCE_S 300
#define BASE64_SIZE 44 /* of a hash */
#define TOKEN_MAX SEAL_SECRET_MAX

enum scheme { SCHEME_HMAC, SCHEME_TOKEN };
enum encoding { ENCODING_PLAIN, ENCODING_HEX, ENCODING_BASE64 };
enum place { PLACE_HEADER, PLACE_BODY, PLACE_ITEM };

enum part_kind {
	PART_BODY,
	PART_TIMESTAMP,
	PART_METHOD,
	PART_URI,
	PART_TEXT,
};

struct part {
	enum part_kind kind;
	const char *text;
};

/* All texts are the file's. */
struct signature {
	enum scheme scheme;
	enum encoding encoding;
	enum place place;
	const char *where; /* header or pointer */
	const char *prefix;
	const char *list; /* key of the signatures in a list; NULL: no list */
	const char *timestamp_header, *timestamp_list; /* one, or none */
	uint64_t unit_ms, tolerance_ms;
	unsigned count;
	struct part parts[SIGNATURE_PARTS_MAX];
};

/* What one call has of a signature. */
struct shown {
	unsigned count;
	struct slice signatures[SIGNATURE_LIST_MAX];
	struct slice timestamp;
};

/* ---- reading a file ------------------------------------------------- */

static int
complain(const char *what)
{
	log_error("signature: %s", what);
	return -EINVAL;
}

/* Every member is one of names, which ends with NULL. */
static int
check_members(const json_t *json, const char *const *names)
{
	size_t known = 0;

	for (; *names != NULL; names++)
		known += json_object_get(json, *names) != NULL;
	return known == json_object_size(json)
		   ? 0
		   : complain("it has a member that is not known");
}

/* A text that is not empty; absent: *ret is left alone. */
static int
read_text(const json_t *json, const char *name, const char **ret)
{
	const json_t *value = json_object_get(json, name);

	if (value == NULL)
		return 0;
	if (json_string_length(value) == 0) {
		log_error("signature: %s must be a text", name);
		return -EINVAL;
	}
	*ret = json_string_value(value);
	return 0;
}

static int
read_part(const json_t *json, struct part *part)
{
	static const char *const words[] = {
		[PART_BODY] = "body",
		[PART_TIMESTAMP] = "timestamp",
		[PART_METHOD] = "method",
		[PART_URI] = "uri",
	};
	const char *word = json_string_value(json);

	for (size_t i = 0; word != NULL && i < sizeof(words) / sizeof(*words);
	     i++) {
		if (strcmp(word, words[i]) == 0) {
			part->kind = (enum part_kind)i;
			return 0;
		}
	}
	part->kind = PART_TEXT;
	part->text = json_string_value(json_object_get(json, "text"));
	return part->text != NULL && json_object_size(json) == 1
		   ? 0
		   : complain("a part of what is signed is not known");
}

static unsigned
count_parts(const struct signature *s, enum part_kind kind)
{
	unsigned count = 0;

	for (unsigned i = 0; i < s->count; i++)
		count += s->parts[i].kind == kind;
	return count;
}

static int
read_parts(struct signature *s, const json_t *list)
{
	size_t count = json_array_size(list);
	int r = 0;

	if (list == NULL) {
		s->parts[0].kind = PART_BODY;
		s->count = 1;
		return 0;
	}
	if (count == 0 || count > SIGNATURE_PARTS_MAX)
		return complain("signed must be a list of 1 to 8 parts");
	for (size_t i = 0; r == 0 && i < count; i++)
		r = read_part(json_array_get(list, i), &s->parts[i]);
	s->count = (unsigned)count;
	return r;
}

static int
read_timestamp(struct signature *s, const json_t *json)
{
	static const char *const names[] = { "header", "list", "unit",
		"tolerance_s", NULL };
	const json_t *tolerance = json_object_get(json, "tolerance_s");
	json_int_t seconds =
	    tolerance == NULL ? TOLERANCE_S : json_integer_value(tolerance);
	const char *unit = "";
	int r;

	if (json == NULL)
		return 0;
	r = check_members(json, names);
	if (r == 0)
		r = read_text(json, "header", &s->timestamp_header);
	if (r == 0)
		r = read_text(json, "list", &s->timestamp_list);
	if (r == 0)
		r = read_text(json, "unit", &unit);
	if (r < 0)
		return r;
	if ((s->timestamp_header == NULL) == (s->timestamp_list == NULL) ||
	    (s->timestamp_list != NULL && s->list == NULL))
		return complain("timestamp needs a header, or a list's key");
	if (strcmp(unit, "s") != 0 && strcmp(unit, "ms") != 0)
		return complain("unit must be s or ms");
	if (seconds < 1 || seconds > SIGNATURE_TOLERANCE_MAX_S)
		return complain("tolerance_s must be 1 to 86400");
	s->unit_ms = strcmp(unit, "s") == 0 ? 1000 : 1;
	s->tolerance_ms = (uint64_t)seconds * 1000;
	return 0;
}

static int
read_encoding(struct signature *s, const json_t *json)
{
	const char *text = NULL;
	int r = read_text(json, "encoding", &text);

	if (r < 0)
		return r;
	if (text != NULL && strcmp(text, "base64") == 0)
		s->encoding = ENCODING_BASE64;
	else if (text != NULL && strcmp(text, "hex") == 0 &&
		 s->scheme == SCHEME_HMAC)
		s->encoding = ENCODING_HEX;
	else if (text != NULL || s->scheme == SCHEME_HMAC)
		return complain("encoding must be hex or base64");
	return 0;
}

static int
read_hmac(struct signature *s, const json_t *json)
{
	static const char *const names[] = { "scheme", "header", "encoding",
		"prefix", "signed", "timestamp", "list", NULL };
	bool has_timestamp;
	int r = check_members(json, names);

	if (r == 0)
		r = read_text(json, "header", &s->where);
	if (r == 0)
		r = read_text(json, "list", &s->list);
	if (r == 0)
		r = read_parts(s, json_object_get(json, "signed"));
	if (r == 0)
		r = read_timestamp(s, json_object_get(json, "timestamp"));
	if (r < 0)
		return r;
	if (s->where == NULL)
		return complain("header is missing");
	has_timestamp = s->timestamp_header != NULL || s->timestamp_list;
	if (count_parts(s, PART_BODY) != 1 ||
	    count_parts(s, PART_TIMESTAMP) != (has_timestamp ? 1 : 0))
		return complain("the body must be signed, once, and so must "
				"the timestamp if there is one");
	return 0;
}

static int
read_token(struct signature *s, const json_t *json)
{
	static const char *const names[] = { "scheme", "header", "body", "item",
		"prefix", "encoding", NULL };
	static const char *const places[] = {
		[PLACE_HEADER] = "header",
		[PLACE_BODY] = "body",
		[PLACE_ITEM] = "item",
	};
	unsigned count = 0;
	int r = check_members(json, names);

	for (size_t i = 0; r == 0 && i < sizeof(places) / sizeof(*places);
	     i++) {
		if (json_object_get(json, places[i]) == NULL)
			continue;
		count++;
		s->place = (enum place)i;
		r = read_text(json, places[i], &s->where);
	}
	if (r < 0)
		return r;
	return count == 1 ? 0 : complain("one of header, body, item is needed");
}

int
signature_read(const json_t *json, struct signature **ret)
{
	const char *scheme = json_string_value(json_object_get(json, "scheme"));
	struct signature *s;
	int r;

	*ret = NULL;
	if (json == NULL)
		return 0;
	if (scheme == NULL)
		return complain("scheme is missing");
	if (strcmp(scheme, "none") == 0)
		return json_object_size(json) == 1
			   ? 0
			   : complain("none has no other members");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->prefix = "";
	s->scheme = strcmp(scheme, "token") == 0 ? SCHEME_TOKEN : SCHEME_HMAC;
	if (s->scheme == SCHEME_HMAC && strcmp(scheme, "hmac-sha256") != 0)
		r = complain("the scheme is not known");
	else
		r = s->scheme == SCHEME_TOKEN ? read_token(s, json)
					      : read_hmac(s, json);
	if (r == 0)
		r = read_text(json, "prefix", &s->prefix);
	if (r == 0)
		r = read_encoding(s, json);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void
signature_free(struct signature *s)
{
	free(s);
}

bool
signature_is_in_body(const struct signature *s)
{
	return s != NULL && s->place != PLACE_HEADER;
}

/* ---- an HMAC -------------------------------------------------------- */

static struct slice
trim(struct slice s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = (struct slice){ s.data + 1, s.len - 1 };
	while (s.len > 0 &&
	       (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* The value of key=value; absent when the key is another. */
static struct slice
value_of(struct slice element, const char *key)
{
	size_t len = strlen(key);

	if (element.len <= len || memcmp(element.data, key, len) != 0 ||
	    element.data[len] != '=')
		return (struct slice){ 0 };
	return (struct slice){ element.data + len + 1, element.len - len - 1 };
}

static enum signature_result
read_list(const struct signature *s, struct slice text, struct shown *shown)
{
	unsigned count = 0;

	while (text.len > 0) {
		const uint8_t *comma = memchr(text.data, ',', text.len);
		size_t len =
		    comma == NULL ? text.len : (size_t)(comma - text.data);
		struct slice element = trim((struct slice){ text.data, len });
		struct slice signature = value_of(element, s->list);

		if (count++ == SIGNATURE_LIST_MAX)
			return SIGNATURE_WRONG;
		if (signature.data != NULL)
			shown->signatures[shown->count++] = signature;
		else if (s->timestamp_list != NULL &&
			 shown->timestamp.data == NULL)
			shown->timestamp = value_of(element, s->timestamp_list);
		len += comma != NULL;
		text = (struct slice){ text.data + len, text.len - len };
	}
	return SIGNATURE_RIGHT;
}

/* The text without the prefix; false when it has another beginning. */
static bool
take_prefix(const struct signature *s, struct slice *text)
{
	size_t len = strlen(s->prefix);

	if (text->len < len || memcmp(text->data, s->prefix, len) != 0)
		return false;
	*text = (struct slice){ text->data + len, text->len - len };
	return true;
}

static enum signature_result
find_shown(const struct signature *s, const struct signature_call *call,
    struct shown *shown)
{
	const char *text = call->header(call->arg, s->where);
	enum signature_result result = SIGNATURE_RIGHT;

	if (text == NULL || *text == '\0')
		return SIGNATURE_MISSING;
	if (s->list != NULL)
		result = read_list(s, slice_text(text), shown);
	else
		shown->signatures[shown->count++] = slice_text(text);
	if (s->timestamp_header != NULL)
		shown->timestamp =
		    slice_text(call->header(call->arg, s->timestamp_header));
	if (result != SIGNATURE_RIGHT)
		return result;
	return shown->count == 0 ? SIGNATURE_MISSING : SIGNATURE_RIGHT;
}

static enum signature_result
check_timestamp(const struct signature *s, const struct signature_call *call,
    struct slice text)
{
	uint64_t value, apart;

	if (s->unit_ms == 0)
		return SIGNATURE_RIGHT;
	if (text.len == 0)
		return SIGNATURE_MISSING;
	if (config_parse_number(text, &value) < 0 ||
	    value > UINT64_MAX / s->unit_ms)
		return SIGNATURE_WRONG;
	value *= s->unit_ms;
	apart =
	    value > call->now_ms ? value - call->now_ms : call->now_ms - value;
	return apart <= s->tolerance_ms ? SIGNATURE_RIGHT : SIGNATURE_STALE;
}

static void
compute(const struct signature *s, struct slice secret,
    const struct signature_call *call, struct slice timestamp,
    uint8_t mac[CRYPTO_HASH_SIZE])
{
	struct slice list[SIGNATURE_PARTS_MAX * 2];
	size_t count = 0;

	for (unsigned i = 0; i < s->count; i++) {
		switch (s->parts[i].kind) {
		case PART_BODY:
			list[count++] = call->body;
			break;
		case PART_TIMESTAMP:
			list[count++] = timestamp;
			break;
		case PART_METHOD:
			list[count++] = slice_text(call->method);
			break;
		case PART_URI:
			list[count++] = call->base;
			list[count++] = call->target;
			break;
		case PART_TEXT:
			list[count++] = slice_text(s->parts[i].text);
			break;
		}
	}
	crypto_hmac(secret, list, count, mac);
}

/* text is the MAC, written as it should be. */
static bool
is_text_of(const struct signature *s, struct slice text,
    const uint8_t mac[CRYPTO_HASH_SIZE])
{
	struct slice bytes = { mac, CRYPTO_HASH_SIZE };
	char want[CRYPTO_HEX_SIZE], got[CRYPTO_HEX_SIZE];
	struct buf out;
	bool same;

	if (s->encoding == ENCODING_BASE64) {
		buf_init(&out, BASE64_SIZE);
		same = crypto_base64(bytes, &out) == 0 &&
		       crypto_same(buf_slice(&out), text);
		buf_done(&out);
		return same;
	}
	if (text.len != CRYPTO_HEX_SIZE - 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = (char)text.data[i];

		got[i] = (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
	}
	got[text.len] = '\0';
	crypto_hex(bytes, want);
	return crypto_same(
	    slice_text(want), (struct slice){ (const uint8_t *)got, text.len });
}

static enum signature_result
check_hmac(const struct signature *s, struct slice secret,
    const struct signature_call *call)
{
	struct shown shown = { .count = 0 };
	enum signature_result result = find_shown(s, call, &shown);
	uint8_t mac[CRYPTO_HASH_SIZE];
	bool right = false;

	if (result == SIGNATURE_RIGHT)
		result = check_timestamp(s, call, shown.timestamp);
	if (result != SIGNATURE_RIGHT)
		return result;
	compute(s, secret, call, shown.timestamp, mac);
	for (unsigned i = 0; i < shown.count; i++) {
		struct slice text = shown.signatures[i];

		right |= take_prefix(s, &text) && is_text_of(s, text, mac);
	}
	return right ? SIGNATURE_RIGHT : SIGNATURE_WRONG;
}

/* ---- a token -------------------------------------------------------- */

static enum signature_result
check_text(const struct signature *s, struct slice secret, struct slice text)
{
	struct buf plain;
	bool right;

	if (text.len == 0)
		return SIGNATURE_MISSING;
	if (!take_prefix(s, &text))
		return SIGNATURE_WRONG;
	if (s->encoding == ENCODING_PLAIN)
		return crypto_same(secret, text) ? SIGNATURE_RIGHT
						 : SIGNATURE_WRONG;
	buf_init(&plain, TOKEN_MAX);
	right = crypto_unbase64(text, &plain) == 0 &&
		crypto_same(secret, buf_slice(&plain));
	buf_done(&plain);
	return right ? SIGNATURE_RIGHT : SIGNATURE_WRONG;
}

/* The text at the pointer below node. */
static enum signature_result
check_node(const struct signature *s, struct slice secret,
    const struct signature_call *call, uint32_t node)
{
	enum signature_result result;
	struct buf text;
	int r;

	/* What follows a prefix; base64 is a third longer than what it says. */
	buf_init(&text, 2 * TOKEN_MAX);
	r = json_text(
	    call->json, json_pointer(call->json, node, s->where), &text);
	if (r == -EINVAL)
		result = SIGNATURE_MISSING;
	else if (r < 0)
		result = SIGNATURE_WRONG;
	else
		result = check_text(s, secret, buf_slice(&text));
	buf_done(&text);
	return result;
}

/* Of several events each must have it; where there is none, none has it. */
static enum signature_result
check_items(const struct signature *s, struct slice secret,
    const struct signature_call *call)
{
	const struct json *j = call->json;
	enum signature_result result = SIGNATURE_MISSING;
	uint32_t at, count;

	if (call->items == JSON_NONE)
		return SIGNATURE_MISSING;
	if (json_kind(j, call->items) != JSON_KIND_ARRAY)
		return check_node(s, secret, call, call->items);
	at = call->items + 1;
	for (count = j->nodes[call->items].count; count > 0; count--) {
		result = check_node(s, secret, call, at);
		if (result != SIGNATURE_RIGHT)
			break;
		at = j->nodes[at].next;
	}
	return result;
}

enum signature_result
signature_check(const struct signature *s, struct slice secret,
    const struct signature_call *call)
{
	if (s == NULL)
		return SIGNATURE_UNDECLARED;
	if (s->scheme == SCHEME_HMAC)
		return check_hmac(s, secret, call);
	switch (s->place) {
	case PLACE_HEADER:
		return check_text(
		    s, secret, slice_text(call->header(call->arg, s->where)));
	case PLACE_BODY:
		return check_node(s, secret, call, 0);
	case PLACE_ITEM:
		break;
	}
	return check_items(s, secret, call);
}

const char *
signature_result_name(enum signature_result result)
{
	static const char *const names[SIGNATURE_RESULT_MAX] = {
		[SIGNATURE_RIGHT] = "right",
		[SIGNATURE_MISSING] = "missing",
		[SIGNATURE_WRONG] = "wrong",
		[SIGNATURE_STALE] = "stale",
		[SIGNATURE_UNDECLARED] = "undeclared",
		[SIGNATURE_UNREADABLE] = "unreadable",
	};

	return names[result];
}
