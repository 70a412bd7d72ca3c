/*
 * Configuration: environment variables, checked once at start.
 *
 * config_load() reads every key of config_keys.h from the environment. A key
 * that starts with SLUICE_ and is not in the table is an error, and so is a
 * value out of range; every error is logged with what would be right, and the
 * first makes the call fail. Values live as long as the environment.
 */
#ifndef SLUICE_CONFIG_H
#define SLUICE_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/config_keys.h"
#include "common/wiring.h"

#define CONFIG_MEMBER_TEXT const char *
#define CONFIG_MEMBER_NUMBER uint64_t
#define CONFIG_MEMBER_MS uint64_t
#define CONFIG_MEMBER_BYTES uint64_t
#define CONFIG_MEMBER_BOOL bool
#define CONFIG_MEMBER(field, key, kind, def, min, max, who, help) \
	CONFIG_MEMBER_##kind field;

struct config {
	CONFIG_KEYS(CONFIG_MEMBER)
};

/* -EINVAL, after the reasons were logged. */
int config_load(struct config *c) SL_MUST_CHECK;
/* --help and --show-config of one stage; docs/config.md of all of them. */
int config_help(enum stage stage, struct buf *out) SL_MUST_CHECK;
int config_show(
    const struct config *c, enum stage stage, struct buf *out) SL_MUST_CHECK;
int config_document(struct buf *out) SL_MUST_CHECK;

/* "3m", "250ms", "24h", "30d"; "10" alone is refused. */
int config_parse_ms(struct slice text, uint64_t *ret_ms) SL_MUST_CHECK;
/* A run of decimal digits and nothing else. */
int config_parse_number(struct slice text, uint64_t *ret) SL_MUST_CHECK;

/* A path below SLUICE_DATA, or `set` when that is not empty.
 * -ENAMETOOLONG. */
int config_path(const struct config *c, const char *set, const char *below,
    char path[PATH_MAX]) SL_MUST_CHECK;
/* A public URL without slashes at its end: `set`, or http://BOUND when that is
 * empty. Freed by the caller; NULL when memory is out. */
char *config_url(const char *set, const char *bound);
/* Address that a stage binds; list of addresses to find a stage at. */
int config_link(const struct config *c, enum stage stage,
    char text[PATH_MAX]) SL_MUST_CHECK;
int config_peers(const struct config *c, enum stage stage,
    char text[PATH_MAX]) SL_MUST_CHECK;

#endif
