#include "ingest/signature.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/config.h"
#include "common/crypto.h"
#include "common/hex.h"
#include "common/seal.h"
#include "ingest/signature_private.h"

#define BASE64_SIZE 44 /* of a hash */
#define TOKEN_MAX SEAL_SECRET_MAX

/* What one call has of a signature. */
struct shown {
	unsigned count;
	struct slice signatures[SIGNATURE_LIST_MAX];
	struct slice timestamp;
};

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

/* One of what is shown is the MAC of the call. */
static bool
is_right(const struct signature *s, struct slice secret,
    const struct signature_call *call, const struct shown *shown)
{
	uint8_t mac[CRYPTO_HASH_SIZE];
	bool right = false;

	compute(s, secret, call, shown->timestamp, mac);
	for (unsigned i = 0; i < shown->count; i++) {
		struct slice text = shown->signatures[i];

		right |= take_prefix(s, &text) && is_text_of(s, text, mac);
	}
	return right;
}

/* The target with those escapes decoded; false when there are none. */
static bool
decode_target(const char *characters, struct slice target, struct buf *out)
{
	bool decoded = false;
	size_t i = 0;

	if (buf_reserve(out, target.len) < 0)
		return false;
	while (i < target.len) {
		int byte = hex_escape(
		    (struct slice){ target.data + i, target.len - i });

		if (byte > 0 && strchr(characters, byte) != NULL) {
			decoded = true;
			out->data[out->len++] = (uint8_t)byte;
			i += HEX_ESCAPE_SIZE;
		} else {
			out->data[out->len++] = target.data[i++];
		}
	}
	return decoded;
}

static bool
is_right_decoded(const struct signature *s, struct slice secret,
    const struct signature_call *call, const struct shown *shown)
{
	struct signature_call other = *call;
	struct buf target;
	bool right = false;

	if (s->uri_decodes == NULL || call->target.len == 0)
		return false;
	buf_init(&target, call->target.len);
	if (decode_target(s->uri_decodes, call->target, &target)) {
		other.target = buf_slice(&target);
		right = is_right(s, secret, &other, shown);
	}
	buf_done(&target);
	return right;
}

static enum signature_result
check_hmac(const struct signature *s, struct slice secret,
    const struct signature_call *call)
{
	struct shown shown = { .count = 0 };
	enum signature_result result = find_shown(s, call, &shown);

	if (result == SIGNATURE_RIGHT)
		result = check_timestamp(s, call, shown.timestamp);
	if (result != SIGNATURE_RIGHT)
		return result;
	return is_right(s, secret, call, &shown) ||
		       is_right_decoded(s, secret, call, &shown)
		   ? SIGNATURE_RIGHT
		   : SIGNATURE_WRONG;
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
