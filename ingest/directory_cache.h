/*
 * The directory as it was, in a file: an ingest that starts while the api is
 * away knows its callers from it.
 *
 * Changes are written CACHE_DELAY_MS after the first of them, in a thread that
 * lives only for the write (no loop waits for a disk), whole or not at all.
 * Failing to write costs nothing but a log line: the file is a convenience.
 */
#ifndef SLUICE_DIRECTORY_CACHE_H
#define SLUICE_DIRECTORY_CACHE_H

#include "common/attributes.h"
#include "common/loop.h"
#include "ingest/directory.h"

#define CACHE_DELAY_MS 500

struct directory_cache;

/* Reads the file into the directory if there is one. Both pointers are kept,
 * the path is copied. -ENOMEM, -errno. */
int directory_cache_new(struct loop *loop, const char *path,
    struct directory *directory, struct directory_cache **ret) SL_MUST_CHECK;
/* Writes what is not written yet. */
void directory_cache_free(struct directory_cache *c);
/* The directory, which is whole, has changed. */
void directory_cache_changed(struct directory_cache *c);

#endif
