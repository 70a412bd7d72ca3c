/*
 * What a connector's file says, between connector_file.c, which reads it, and
 * connector.c, which reads calls by it.
 */
#ifndef SLUICE_CONNECTOR_PRIVATE_H
#define SLUICE_CONNECTOR_PRIVATE_H

#include <jansson.h>

#include "ingest/connector.h"
#include "ingest/signature.h"

enum source_kind { SOURCE_HEADER, SOURCE_QUERY, SOURCE_ITEM, SOURCE_BODY };

struct source {
	unsigned count;
	struct source_part {
		enum source_kind kind;
		const char *text; /* a name or a pointer, owned by the json */
	} parts[CONNECTOR_PARTS_MAX];
};

struct sources {
	unsigned count;
	struct source list[CONNECTOR_SOURCES_MAX];
};

struct media_type {
	const char *name;
	enum connector_body body;
};

struct connector {
	json_t *file; /* owns every text below */
	const char *id;
	const char *items;
	const json_t *events; /* NULL: none */
	const json_t *unified_apis;
	bool unified, ignores_case, answers_empty;
	struct sources fields[CONNECTOR_FIELD_MAX];
	unsigned media_type_count;
	struct media_type media_types[CONNECTOR_MEDIA_TYPES_MAX];
	struct signature *signature; /* NULL: none */
	uint64_t accepted, unmapped, refused[SIGNATURE_RESULT_MAX];
	uint64_t unmapped_logged_ms, refused_logged_ms;
};

/* FOLDER/NAME, which ends with .json. -EINVAL and others, after the reason was
 * logged. */
int connector_file_load(
    const char *folder, const char *name, struct connector **ret) SL_MUST_CHECK;
void connector_file_free(struct connector *c);

#endif
