#include "common/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

extern char **environ;

enum config_kind {
	KIND_TEXT,
	KIND_NUMBER,
	KIND_MS,
	KIND_BYTES,
	KIND_BOOL,
};

struct config_row {
	const char *key;
	enum config_kind kind;
	size_t offset;
	const char *def;
	uint64_t min, max; /* 0, 0: any */
	const char *who;
	const char *help;
};

#define ROW(field, key, kind, def, min, max, who, help)                    \
	{ key, KIND_##kind, offsetof(struct config, field), def, min, max, \
		who, help },

static const struct config_row rows[] = { CONFIG_KEYS(ROW) };

#define ROWS (sizeof(rows) / sizeof(rows[0]))
#define NUMBER_DIGITS_MAX 19 /* fits 64 bits whatever the digits */

/* Digits at the front of text; how many, or 0 when there is no number. */
static size_t
read_digits(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = 0;

	while (n < text.len && text.data[n] >= '0' && text.data[n] <= '9') {
		if (n == NUMBER_DIGITS_MAX)
			return 0;
		value = value * 10 + (uint64_t)(text.data[n] - '0');
		n++;
	}
	*ret = value;
	return n;
}

int
config_parse_number(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = read_digits(text, &value);

	if (n == 0 || n != text.len)
		return -EINVAL;
	*ret = value;
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* A number and one of the units, which end with a NULL name. */
static int
parse_with_unit(struct slice text, const struct unit *units, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = read_digits(text, &value);
	struct slice rest = { text.data + n, text.len - n };

	if (n == 0)
		return -EINVAL;
	for (; units->name != NULL; units++) {
		if (!slice_is(rest, units->name))
			continue;
		if (value > UINT64_MAX / units->factor)
			return -EINVAL;
		*ret = value * units->factor;
		return 0;
	}
	return -EINVAL;
}

int
config_parse_ms(struct slice text, uint64_t *ret_ms)
{
	static const struct unit units[] = { { "ms", 1 },
		{ "s", CONFIG_SECOND }, { "m", CONFIG_MINUTE },
		{ "h", CONFIG_HOUR }, { "d", CONFIG_DAY }, { NULL, 0 } };

	return parse_with_unit(text, units, ret_ms);
}

static int
parse_bytes(struct slice text, uint64_t *ret)
{
	static const struct unit units[] = { { "", 1 }, { "k", 1024 },
		{ "m", CONFIG_MIB }, { "g", CONFIG_GIB }, { NULL, 0 } };

	return parse_with_unit(text, units, ret);
}

static const char *
describe(enum config_kind kind)
{
	switch (kind) {
	case KIND_TEXT:
		return "text";
	case KIND_NUMBER:
		return "a whole number";
	case KIND_MS:
		return "a time such as 250ms, 30s, 5m, 24h or 7d";
	case KIND_BYTES:
		return "a size such as 65536, 64k, 4m or 1g";
	case KIND_BOOL:
		return "0 or 1";
	}
	return "?";
}

static int
parse_value(const struct config_row *row, const char *text, void *member)
{
	struct slice s = slice_text(text);
	uint64_t value = 0;
	int r = -EINVAL;

	switch (row->kind) {
	case KIND_TEXT:
		*(const char **)member = text;
		return 0;
	case KIND_NUMBER:
	case KIND_BOOL:
		r = config_parse_number(s, &value);
		break;
	case KIND_MS:
		r = config_parse_ms(s, &value);
		break;
	case KIND_BYTES:
		r = parse_bytes(s, &value);
		break;
	}
	if (r < 0 || value < row->min || (row->max != 0 && value > row->max))
		return -EINVAL;
	if (row->kind == KIND_BOOL)
		*(bool *)member = value != 0;
	else
		*(uint64_t *)member = value;
	return 0;
}

static const struct config_row *
find_row(struct slice key)
{
	for (size_t i = 0; i < ROWS; i++)
		if (slice_is(key, rows[i].key))
			return &rows[i];
	return NULL;
}

static int
load_row(struct config *c, const struct config_row *row, const char *text)
{
	if (parse_value(row, text, (char *)c + row->offset) == 0)
		return 0;
	if (row->max != 0)
		log_error("%s=%s: must be %s, from %" PRIu64 " to %" PRIu64
			  "%s",
		    row->key, text, describe(row->kind), row->min, row->max,
		    row->kind == KIND_MS ? " ms" : "");
	else
		log_error(
		    "%s=%s: must be %s", row->key, text, describe(row->kind));
	return -EINVAL;
}

int
config_load(struct config *c)
{
	int result = 0;

	for (size_t i = 0; i < ROWS; i++)
		if (load_row(c, &rows[i], rows[i].def) < 0)
			result = -EINVAL;
	for (char **e = environ; *e != NULL; e++) {
		const char *equals = strchr(*e, '=');
		const struct config_row *row;

		if (strncmp(*e, "SLUICE_", 7) != 0 || equals == NULL)
			continue;
		row = find_row((struct slice){
		    (const uint8_t *)*e, (size_t)(equals - *e) });
		if (row == NULL) {
			log_error("%.*s: no such setting; --help lists them",
			    (int)(equals - *e), *e);
			result = -EINVAL;
		} else if (load_row(c, row, equals + 1) < 0) {
			result = -EINVAL;
		}
	}
	return result;
}

static bool
used_by(const struct config_row *row, enum stage stage)
{
	static const char letters[STAGE_MAX] = {
		[STAGE_INGEST] = 'i',
		[STAGE_ROUTER] = 'r',
		[STAGE_LOGGER] = 'l',
		[STAGE_DELIVERER] = 'd',
		[STAGE_API] = 'a',
	};

	return strchr(row->who, letters[stage]) != NULL;
}

int
config_help(enum stage stage, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ROWS; i++)
		if (used_by(&rows[i], stage))
			r = buf_addf(out, "  %s (%s%s)\n      %s\n",
			    rows[i].key,
			    rows[i].def[0] ? "default " : "not set",
			    rows[i].def, rows[i].help);
	return r;
}

int
config_show(const struct config *c, enum stage stage, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ROWS; i++) {
		const char *member = (const char *)c + rows[i].offset;

		if (!used_by(&rows[i], stage))
			continue;
		switch (rows[i].kind) {
		case KIND_TEXT:
			r = buf_addf(out, "%s=%s\n", rows[i].key,
			    *(const char *const *)member);
			break;
		case KIND_BOOL:
			r = buf_addf(
			    out, "%s=%d\n", rows[i].key, *(const bool *)member);
			break;
		case KIND_MS:
			r = buf_addf(out, "%s=%" PRIu64 "ms\n", rows[i].key,
			    *(const uint64_t *)member);
			break;
		case KIND_NUMBER:
		case KIND_BYTES:
			r = buf_addf(out, "%s=%" PRIu64 "\n", rows[i].key,
			    *(const uint64_t *)member);
			break;
		}
	}
	return r;
}

static int
document_who(const struct config_row *row, struct buf *out)
{
	const char *comma = "";
	int r = 0;

	for (unsigned s = STAGE_NONE + 1; r == 0 && s < STAGE_MAX; s++) {
		if (!used_by(row, (enum stage)s))
			continue;
		r = buf_addf(out, "%s%s", comma, stage_name((enum stage)s));
		comma = ", ";
	}
	return r;
}

int
config_document(struct buf *out)
{
	int r = buf_add_text(out,
	    "# Configuration\n\nWritten by `build/*/bin/sluice-messages "
	    "config` from `common/config_keys.h`; do not edit.\n\nSettings are "
	    "environment variables. A `SLUICE_` variable that is not listed "
	    "here is an error.\nTimes take a unit (`250ms`, `30s`, `5m`, "
	    "`24h`, `7d`), sizes may (`64k`, `4m`, `1g`).\n\n"
	    "| key | default | used by | meaning |\n|---|---|---|---|\n");

	for (size_t i = 0; r == 0 && i < ROWS; i++) {
		r = buf_addf(out, "| `%s` | %s%s%s | ", rows[i].key,
		    rows[i].def[0] ? "`" : "", rows[i].def,
		    rows[i].def[0] ? "`" : "");
		if (r == 0)
			r = document_who(&rows[i], out);
		if (r == 0)
			r = buf_addf(out, " | %s |\n", rows[i].help);
	}
	return r;
}

int
config_path(const struct config *c, const char *set, const char *below,
    char path[PATH_MAX])
{
	int len = set[0] != '\0'
		      ? snprintf(path, PATH_MAX, "%s", set)
		      : snprintf(path, PATH_MAX, "%s/%s", c->data, below);

	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

char *
config_url(const char *set, const char *bound)
{
	char *url = NULL;
	size_t len;

	if (set[0] != '\0')
		url = strdup(set);
	else if (asprintf(&url, "http://%s", bound) < 0)
		url = NULL;
	for (len = url != NULL ? strlen(url) : 0;
	    len > 0 && url[len - 1] == '/'; len--)
		url[len - 1] = '\0';
	return url;
}

int
config_link(const struct config *c, enum stage stage, char text[PATH_MAX])
{
	const char *set = stage == STAGE_INGEST	  ? c->ingest_link
			  : stage == STAGE_LOGGER ? c->logger_link
						  : c->api_link;
	int len = set[0] != '\0'
		      ? snprintf(text, PATH_MAX, "%s", set)
		      : snprintf(text, PATH_MAX, "ipc://%s/run/%s.sock",
			    c->data, stage_name(stage));

	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int
config_peers(const struct config *c, enum stage stage, char text[PATH_MAX])
{
	const char *set = stage == STAGE_INGEST	  ? c->ingest_peers
			  : stage == STAGE_LOGGER ? c->logger_peers
						  : c->api_peers;
	int len;

	if (set[0] == '\0')
		return config_link(c, stage, text);
	len = snprintf(text, PATH_MAX, "%s", set);
	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}
