/*
 * What log_index.c (opening, the writer's side), log_view.c (the readers'),
 * log_fill.c and log_settle.c (the thread) share; nobody else includes it.
 */
#ifndef SLUICE_LOGGER_LOG_INDEX_PRIVATE_H
#define SLUICE_LOGGER_LOG_INDEX_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "logger/log_feed.h"
#include "logger/log_index.h"

#define LOG_BATCH_EVENTS 1024
#define LOG_BATCH_DELIVERIES 4096
#define LOG_ADD_MAX 512	      /* deliveries added under the lock at once */
#define LOG_PENDING_MAX 65536 /* looked at again; more stay PENDING */
#define LOG_LEAVE_MIN 64
#define LOG_LEAVE_MAX 2048
#define LOG_LOOKS 4

/* A sealed segment, as far as the thread keeps it in memory. */
struct log_entry {
	uint64_t id, min_event, max_event;
};

struct log_pending {
	struct log_position at;
	uint64_t segment;
	uint32_t ordinal;
	uint32_t delay_ms;
	uint64_t look_ms; /* monotonic */
};

/* A delivery on its way into a segment. */
struct log_new {
	uint32_t event; /* its place in the batch */
	uint32_t subscription;
	uint32_t state;
	uint64_t key;
};

/* States of one part of a sealed segment, while they are changed. */
struct log_editing {
	bool loaded, changed;
	uint64_t segment;
	uint32_t part;
	struct log_states states;
};

/* The part that was searched for a delivery last. */
struct log_found {
	bool has_sealed, has_places;
	struct log_sealed sealed;
	uint32_t part;
	struct log_place places[LOG_PART];
};

struct log_index {
	char *path; /* of the index */
	char *store_path;
	pthread_t thread;
	bool started;

	/* Held by whoever looks at these, shortly; the thread alone changes
	 * them. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
	bool usable;
	uint64_t generation; /* another with each file that is made */
	uint64_t seed;	     /* of the keys in it */
	struct log_segment *open;
	/* Being committed to the file, which may have it already: searched,
	 * too. NULL otherwise. */
	struct log_segment *sealing;
	uint64_t last_event;  /* all up to it are in */
	uint64_t last_change; /* the same */

	/* The fence: what is wanted, what the last transaction that ended
	 * knew, whether one is under way. */
	_Atomic uint64_t wanted, granted;
	_Atomic bool writing;
	_Atomic uint64_t store_event, store_change; /* committed */
	_Atomic uint64_t settled;
	_Atomic uint64_t recent;   /* events behind it are */
	_Atomic uint64_t identity; /* the store's, or to be; 0: given up */
	_Atomic bool forgotten;	   /* the store names none */
	_Atomic bool suspect;	   /* a reader found it broken */
	_Atomic uint32_t again_ms;
	_Atomic uint64_t segments, pendings;
	_Atomic uint32_t segment_max;

	/* The thread's own. */
	struct log_file *file;
	struct log_feed *feed;
	struct log_entry *entries; /* by id */
	size_t entry_count, entry_cap;
	size_t entry_looked; /* at last for events that are all gone */
	uint64_t reach;
	struct log_pending *pending;
	size_t pending_count, pending_cap;
	uint64_t settle_ms, look_ms;
	/* The newest in the store at the last looks, round and round. */
	uint64_t seen[LOG_LOOKS];
	unsigned look;
	uint32_t leave;	 /* so many of the newest are not read yet */
	uint32_t read;	 /* deliveries, since that was decided */
	uint32_t untold; /* of these, no attempt had ended */
	bool file_begun; /* a transaction of the file is under way */
	/* Deliveries that were added to events already sealed are in the open
	 * segment: until it is sealed, notes from here on are needed. */
	bool late;
	uint64_t late_change;
	struct log_editing editing;
	struct log_found found;
	struct log_event events[LOG_BATCH_EVENTS];
	size_t event_count;
	struct log_new news[LOG_BATCH_DELIVERIES];
	size_t new_count;
	struct log_change changes[LOG_BATCH_DELIVERIES];
};

/* A new file, to which the thread has to add all there is; nothing is noted
 * yet. Usable when it returns 0. */
int log_begin_new(struct log_index *x, uint64_t last_event,
    uint64_t last_change) SL_MUST_CHECK;
int log_entry_add(struct log_index *x, const struct log_entry *e) SL_MUST_CHECK;

/* ---- log_fill.c, the thread --------------------------------------------- */

void *log_fill_run(void *arg);
/* Begins to change the file, unless that is under way. */
int log_begin_file(struct log_index *x) SL_MUST_CHECK;
void log_undo_file(struct log_index *x);
/* All that a commit of the file says about itself. */
int log_set_marks(
    struct log_index *x, uint64_t event, uint64_t change) SL_MUST_CHECK;
bool log_is_full(struct log_index *x);
/* Puts the open segment into the file and begins the next. Every event up to
 * `event` is in this segment or those before. */
int log_seal(struct log_index *x, uint64_t event) SL_MUST_CHECK;
/* Into the open segment, which is not full; under the lock. */
int log_add_new(struct log_index *x, const struct log_new *n) SL_MUST_CHECK;

/* ---- log_settle.c ------------------------------------------------------- */

/* It is looked at again; when there is no room, it stays PENDING, which is
 * right, too. */
void log_add_pending(struct log_index *x, const struct log_position *at,
    uint64_t segment, uint32_t ordinal);
/* After a start: those that are pending in the file. */
int log_load_pending(struct log_index *x) SL_MUST_CHECK;
/* Writes back what is being edited. */
int log_end_editing(struct log_index *x) SL_MUST_CHECK;
/* Changes and pending deliveries, in one commit, when it is time. */
int log_settle(struct log_index *x) SL_MUST_CHECK;

#endif
