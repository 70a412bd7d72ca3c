/*
 * What a connector's file says of its vendor's signature, between
 * signature_file.c, which reads it, and signature.c, which checks calls by it.
 */
#ifndef SLUICE_SIGNATURE_PRIVATE_H
#define SLUICE_SIGNATURE_PRIVATE_H

#include "ingest/signature.h"

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
	const char *uri_decodes; /* characters; NULL: none */
	uint64_t unit_ms, tolerance_ms;
	unsigned count;
	struct part parts[SIGNATURE_PARTS_MAX];
};

#endif
