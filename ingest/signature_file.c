#include "ingest/signature_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define TOLERANCE_S 300

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
		"prefix", "signed", "timestamp", "uri_decodes", "list", NULL };
	bool has_timestamp;
	int r = check_members(json, names);

	if (r == 0)
		r = read_text(json, "header", &s->where);
	if (r == 0)
		r = read_text(json, "list", &s->list);
	if (r == 0)
		r = read_text(json, "uri_decodes", &s->uri_decodes);
	if (r == 0)
		r = read_parts(s, json_object_get(json, "signed"));
	if (r == 0)
		r = read_timestamp(s, json_object_get(json, "timestamp"));
	if (r < 0)
		return r;
	if (s->where == NULL)
		return complain("header is missing");
	if (s->uri_decodes != NULL && count_parts(s, PART_URI) == 0)
		return complain("uri_decodes is of the uri, which must be "
				"signed");
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
