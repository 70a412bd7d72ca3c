/*
 * Dedupe keys of the newest events, in memory: a hash table over one fixed
 * allocation of RECENT_MAX entries. Adding a key again moves it to the newer
 * event. One thread; embedded by value.
 */
#ifndef SLUICE_LOGGER_RECENT_H
#define SLUICE_LOGGER_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "logger/table.h"

#define RECENT_KEY_SIZE 32
#define RECENT_MAX 32768 /* entries of 64 bytes: 2 MiB a run */

struct recent_entry {
	struct table_node node;
	uint64_t event;
	uint8_t key[RECENT_KEY_SIZE];
};

struct recent {
	struct table table;
	struct recent_entry *entries; /* count of RECENT_MAX are used */
	size_t count;
};

int recent_init(struct recent *r) SL_MUST_CHECK;
void recent_done(struct recent *r);
void recent_clear(struct recent *r);
/* The event that has the key; 0: none. */
uint64_t recent_find(const struct recent *r, struct slice key);
/* -ENOBUFS: full, and the key is not there yet. */
int recent_add(
    struct recent *r, struct slice key, uint64_t event) SL_MUST_CHECK;
/* Puts the entries in the order of their keys; nothing may be found or added
 * after that, until recent_clear(). Finding by recent_search() instead. */
void recent_sort(struct recent *r);
uint64_t recent_search(const struct recent *r, struct slice key);

#endif
