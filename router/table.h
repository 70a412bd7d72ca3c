/*
 * uthash as the router uses it: an add that finds no memory leaves hh.tbl
 * NULL instead of ending the process, and the hash is ours (uthash's own does
 * not compile without a warning under clang).
 *
 * People outside choose the texts that are hashed, so the hash starts from
 * where the process happens to be loaded: nobody can prepare collisions.
 */
#ifndef SLUICE_ROUTER_TABLE_H
#define SLUICE_ROUTER_TABLE_H

#include <stddef.h>
#include <stdint.h>

uint32_t table_hash(const void *key, size_t len);

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(key, len, hash) ((hash) = table_hash((key), (len)))
#include <uthash.h>

#endif
