/*
 * What ingest must know of the directory to say who a caller is: applications,
 * API keys, subscriptions and connections, as the api's replica brings them.
 *
 * The owner feeds it from its replica's callbacks. Until a snapshot is whole,
 * what directory_load() read from the cache of an earlier process is in force;
 * with neither, nothing can be said of anybody (directory_known() is false).
 *
 * Entries found are valid until the next directory_apply() or _sweep().
 * One owner, one thread.
 */
#ifndef SLUICE_DIRECTORY_H
#define SLUICE_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/msg.h"

/* Of the cache: far above a million connections. */
#define DIRECTORY_CACHE_MAX (512u * 1024 * 1024)

struct directory;

struct directory_entry {
	struct directory_entry *next[2]; /* in the two tables */
	uint64_t hashes[2];
	uint64_t generation;
	uint64_t number;
	uint64_t born; /* of a connection: older tokens are void */
	enum msg_entry_kind kind;
	uint32_t app;
	uint32_t subscription;
	bool enabled;
	bool limited;	      /* of an application: its quota is used up */
	uint64_t quota, rate; /* of an application; 0: none */
	struct slice id, lookup, unified_api, consumer_id, service_id, key_hash;
	struct slice secret; /* of a connection: its inbound one, sealed */
	uint8_t text[];	     /* all of them */
};

/* NULL when memory is out. */
struct directory *directory_new(void);
void directory_free(struct directory *d);

/* An ENTRY: added, replaced or, if deleted, removed. -ENOMEM. */
int directory_apply(struct directory *d, const struct msg *entry,
    uint64_t generation) SL_MUST_CHECK;
/* Removes what is older than generation. */
void directory_sweep(struct directory *d, uint64_t generation);
/* The content is whole as of number. */
void directory_set_number(struct directory *d, uint64_t number);
bool directory_known(const struct directory *d);
uint64_t directory_number(const struct directory *d);

/* NULL when there is none. */
const struct directory_entry *directory_app(
    const struct directory *d, uint32_t app);
const struct directory_entry *directory_subscription(
    const struct directory *d, uint32_t subscription);
const struct directory_entry *directory_subscription_by_id(
    const struct directory *d, struct slice id);
const struct directory_entry *directory_key(
    const struct directory *d, const uint8_t hash[32]);
const struct directory_entry *directory_connection(
    const struct directory *d, struct slice lookup);

/* The whole content as bytes, for the cache. */
int directory_save(const struct directory *d, struct buf *out) SL_MUST_CHECK;
/* -EBADMSG: these are no such bytes; the directory is then empty. */
int directory_load(struct directory *d, struct slice bytes) SL_MUST_CHECK;
uint64_t directory_count(const struct directory *d);

#endif
