/*
 * The directory: applications, API keys, subscriptions and connections. This
 * process is its only owner; everybody else follows its numbered changes.
 *
 * Every write is one transaction that gives the records it touched, and the
 * application they belong to, one change number: max(last + 1, unix us). What
 * is removed stays as a mark without its secrets for DIRECTORY_MARK_MS, so
 * that the feed can tell of it. A command (`sluice-api app create`) may write
 * beside the running process; directory_refresh() sees that.
 *
 * Calls go to the disk and return when the change is durable. Loop thread
 * only. Records are plain values; nothing in them is owned elsewhere.
 *
 * Errors: -ENOENT no such record, -EEXIST it is taken, -EBUSY another process
 * is writing, -ENOSPC, -ENOMEM; -EIO and -EBADMSG mean that the file cannot be
 * trusted and the process should end.
 */
#ifndef SLUICE_API_DIRECTORY_H
#define SLUICE_API_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buf.h"
#include "common/crypto.h"
#include "common/id.h"
#include "common/limits.h"
#include "common/seal.h"

#define DIRECTORY_MARK_MS (UINT64_C(24) * 60 * 60 * 1000)
#define DIRECTORY_DESCRIPTION_TEXT 1024
#define DIRECTORY_WORD_TEXT 32
#define DIRECTORY_KEYS_MAX 32
/* Entries of one change: none touches more. */
#define DIRECTORY_CHANGE_MAX 256
/* A snapshot part ends when it has grown past this. */
#define DIRECTORY_PART_BYTES (256u * 1024)

struct directory;

struct directory_app {
	uint32_t app;
	char id[LIMIT_ID_TEXT + 1];
	char name[LIMIT_NAME_TEXT + 1];
	uint64_t quota;	       /* events a month; 0: no limit */
	uint64_t quota_number; /* of the last change of the quota */
	uint64_t rate;	       /* requests a second; 0: no limit */
	uint64_t limited; /* month (directory_month()) whose quota is used up */
	uint64_t number;
	uint64_t created_ms;
	uint64_t updated_ms;
};

struct directory_hook {
	uint32_t subscription; /* never reused */
	uint32_t app;
	char id[LIMIT_ID_TEXT + 1]; /* public; made by directory_hook_add() */
	bool has_description;
	char description[DIRECTORY_DESCRIPTION_TEXT + 1];
	/* "": of none, so that `*` is every event of the application; shown
	 * as vault */
	char unified_api[LIMIT_API_TEXT + 1];
	char url[LIMIT_URL_TEXT + 1];
	char events[LIMIT_EVENTS_TEXT + 1]; /* comma between */
	bool enabled;
	char reason[DIRECTORY_WORD_TEXT + 1]; /* disabled_reason */
	char cause[LIMIT_NAME_TEXT + 1];      /* why in truth, for people */
	uint64_t born;			      /* number of its creation */
	uint64_t touched; /* number of its last enabling or change of URL */
	bool has_secret;  /* of its own */
	/* It had one, which signs beside the application's key for a while. */
	bool secret_back;
	uint64_t secret_until_ms; /* the one before signs too until then */
	char schedule[LIMIT_SCHEDULE_TEXT + 1]; /* "": the default */
	char scopes[LIMIT_SCOPES_TEXT + 1];	/* JSON; "": none */
	uint64_t timeout_ms;			/* 0: the default */
	uint64_t rate; /* attempts a second; 0: no limit */
	bool ordered;  /* deliveries leave in the order of commit */
	uint8_t headers[LIMIT_HEADERS_SEALED]; /* as the deliverer gets them */
	size_t headers_len;		       /* 0: none */
	bool http2;
	uint64_t number;
	uint64_t created_ms;
	uint64_t updated_ms;
};

struct directory_connection {
	uint32_t connection;
	uint32_t app;
	char id[LIMIT_ID_TEXT + 1];
	char lookup[LIMIT_API_TEXT + 1]; /* in its token */
	char consumer_id[LIMIT_CONSUMER_TEXT + 1];
	char unified_api[LIMIT_API_TEXT + 1];
	char service_id[LIMIT_SERVICE_TEXT + 1];
	char name[LIMIT_NAME_TEXT + 1];
	char icon[LIMIT_URL_TEXT + 1];
	char logo[LIMIT_URL_TEXT + 1];
	char website[LIMIT_URL_TEXT + 1];
	char tag_line[DIRECTORY_DESCRIPTION_TEXT + 1];
	char auth_type[DIRECTORY_WORD_TEXT + 1];
	char state[DIRECTORY_WORD_TEXT + 1];
	bool enabled;
	bool has_secret;
	uint64_t born; /* tokens minted at an earlier number are void */
	uint64_t number;
	uint64_t created_ms;
	uint64_t updated_ms;
};

/* What is told of a write of a connection: an event that is put into the
 * outbox in the same transaction. */
struct directory_news {
	const char *type; /* vault.connection.created */
	struct id custody;
	struct id request_id;
	bool revokes; /* the connection's tokens are void from now on */
};

/*
 * Opens or makes the database. owner: this is the process that serves it, of
 * which there is one: -EBUSY when another has it. seal is kept by pointer.
 * -EPROTO: the file belongs to a newer version. -EKEYREJECTED: its secrets were
 * sealed with another master key.
 */
int directory_open(const char *path, const struct seal *seal, bool owner,
    struct directory **ret) SL_MUST_CHECK;
void directory_close(struct directory *d);
/* Number of the last change known here. */
uint64_t directory_number(const struct directory *d);
/* Looks whether another process wrote. */
int directory_refresh(struct directory *d) SL_MUST_CHECK;

/* key absent: one is made. Appends the key's text to ret_key. */
int directory_app_create(struct directory *d, const char *id, const char *name,
    struct slice key, struct buf *ret_key) SL_MUST_CHECK;
int directory_app_each(struct directory *d,
    void (*fn)(void *arg, const struct directory_app *app),
    void *arg) SL_MUST_CHECK;
/* The application whose key has this SHA-256. */
int directory_app_of_key(struct directory *d,
    const uint8_t hash[CRYPTO_HASH_SIZE],
    struct directory_app *ret) SL_MUST_CHECK;

/* The public id of a key, and whose it is: a login keeps no key. */
int directory_key_id(struct directory *d, const uint8_t hash[CRYPTO_HASH_SIZE],
    char *id, size_t size) SL_MUST_CHECK;
int directory_app_of_key_id(struct directory *d, const char *id,
    struct directory_app *ret) SL_MUST_CHECK;

/* What signs a delivery, still sealed: the subscription's own secret, or the
 * application's signing key. Appends it. */
int directory_signing_secret(struct directory *d, uint32_t app,
    uint32_t subscription, struct buf *sealed) SL_MUST_CHECK;

/* Completes hook: subscription, id, numbers, times. */
int directory_hook_add(
    struct directory *d, struct directory_hook *hook) SL_MUST_CHECK;
int directory_hook_get(struct directory *d, uint32_t app, const char *id,
    struct directory_hook *ret) SL_MUST_CHECK;
int directory_hook_find(struct directory *d, uint32_t app,
    uint32_t subscription, struct directory_hook *ret) SL_MUST_CHECK;
/* The same with a secret of its own. */
int directory_hook_add_secret(struct directory *d, struct directory_hook *hook,
    struct slice secret) SL_MUST_CHECK;
/* Sealed; absent: it has none. */
struct slice directory_hook_headers(const struct directory_hook *hook);
/* Stores description, unified_api, url, events, scopes, enabled, reason, cause.
 * touch: counts as enabling or change of URL. */
int directory_hook_set(
    struct directory *d, struct directory_hook *hook, bool touch) SL_MUST_CHECK;
/* The same, and the secret; absent: it is left as it is. */
int directory_hook_set_secret(struct directory *d, struct directory_hook *hook,
    bool touch, struct slice secret) SL_MUST_CHECK;
int directory_hook_remove(
    struct directory *d, struct directory_hook *hook) SL_MUST_CHECK;

/*
 * Pages, by number ascending: at most limit records after `after`; fn may not
 * call the directory. ret_more: there are others behind them.
 */
struct directory_page {
	uint32_t app;
	uint64_t after;
	unsigned limit;
	bool more;	   /* out */
	uint64_t last;	   /* out: of the last record given to fn */
	uint64_t previous; /* out: `after` of the page before this one */
	uint64_t total;	   /* out: of all pages */
};
int directory_hook_page(struct directory *d, struct directory_page *page,
    void (*fn)(void *arg, const struct directory_hook *hook),
    void *arg) SL_MUST_CHECK;

/* What lists may be ordered by. */
enum directory_by {
	DIRECTORY_BY_NUMBER,
	DIRECTORY_BY_APP,
	DIRECTORY_BY_DESCRIPTION,
	DIRECTORY_BY_URL,
	DIRECTORY_BY_EVENTS,
	DIRECTORY_BY_SCOPES,
	DIRECTORY_BY_CREATED,
	DIRECTORY_BY_UPDATED,
	DIRECTORY_BY_MAX
};
#define DIRECTORY_ORDER_MAX 16
struct directory_order {
	unsigned count; /* 0: by number */
	struct {
		enum directory_by column;
		bool descending;
	} by[DIRECTORY_ORDER_MAX];
};
/* All of an application, until fn says false. fn may read the directory. */
int directory_hook_list(struct directory *d, uint32_t app,
    const struct directory_order *order,
    bool (*fn)(void *arg, const struct directory_hook *hook),
    void *arg) SL_MUST_CHECK;
/* Its own secret, opened; appended. -ENOENT: it has none. */
int directory_hook_secret(struct directory *d,
    const struct directory_hook *hook, struct buf *secret) SL_MUST_CHECK;
int directory_connection_page(struct directory *d, struct directory_page *page,
    void (*fn)(void *arg, const struct directory_connection *c),
    void *arg) SL_MUST_CHECK;

/*
 * A new secret of its own. What signed before, its own or the application's
 * key, signs too until until_ms (wall; 0: not at all): both are sealed in one,
 * with a NUL between. -EMSGSIZE: they are too long together.
 */
int directory_hook_rotate(struct directory *d, struct directory_hook *hook,
    struct slice fresh, uint64_t until_ms) SL_MUST_CHECK;
/* No secret of its own any more: the application's key signs again, and the
 * one that is dropped beside it, as in a rotation. -ENOENT: it has none.
 * -EMSGSIZE likewise. */
int directory_hook_drop_secret(struct directory *d, struct directory_hook *hook,
    uint64_t until_ms) SL_MUST_CHECK;
/* Ends one rotation that is over. -ENOENT: none is. */
int directory_hook_settle(struct directory *d, uint64_t now_ms) SL_MUST_CHECK;

/* Keys of an application, oldest first. */
struct directory_key {
	char id[LIMIT_ID_TEXT + 1];
	bool signing;
	uint64_t created_ms;
};
int directory_key_each(struct directory *d, uint32_t app,
    void (*fn)(void *arg, const struct directory_key *key),
    void *arg) SL_MUST_CHECK;
/* key absent: one is made. Its text is appended to ret_key. -EEXIST: in use;
 * -E2BIG: the application has DIRECTORY_KEYS_MAX. */
int directory_key_add(struct directory *d, uint32_t app, struct slice key,
    struct buf *ret_key, struct directory_key *ret,
    uint64_t *ret_number) SL_MUST_CHECK;
/* -EPERM: it signs, so another must before it may go. */
int directory_key_remove(struct directory *d, uint32_t app, const char *id,
    uint64_t *ret_number) SL_MUST_CHECK;
/* From now on this one signs deliveries, and no other. */
int directory_key_sign(struct directory *d, uint32_t app, const char *id,
    uint64_t *ret_number) SL_MUST_CHECK;

int directory_app_get(struct directory *d, const char *id,
    struct directory_app *ret) SL_MUST_CHECK;
int directory_app_find(
    struct directory *d, uint32_t app, struct directory_app *ret) SL_MUST_CHECK;
/* Stores quota and rate; another quota lifts the limit. */
int directory_app_set(
    struct directory *d, struct directory_app *app) SL_MUST_CHECK;
/* The quota of this month is used up. -ENOENT: no such application. */
int directory_app_limit(
    struct directory *d, uint32_t app, uint64_t month) SL_MUST_CHECK;
/* Lifts one limit of an earlier month. -ENOENT: there is none. */
int directory_app_lift(struct directory *d, uint64_t month) SL_MUST_CHECK;
/* Months since the year 0 (UTC). */
uint64_t directory_month(uint64_t wall_ms);

/* secret: absent for none. news NULL: nothing is told. -EEXIST: the consumer
 * has this connection. */
int directory_connection_add(struct directory *d,
    struct directory_connection *c, struct slice secret,
    const struct directory_news *news) SL_MUST_CHECK;
int directory_connection_get(struct directory *d, uint32_t app, const char *id,
    struct directory_connection *ret) SL_MUST_CHECK;
/* -ENOENT when that consumer, or any for an empty consumer_id, has none. */
int directory_connection_name(struct directory *d, uint32_t app,
    struct slice service_id, struct slice consumer_id,
    char name[LIMIT_NAME_TEXT + 1]) SL_MUST_CHECK;
/* Stores everything that is shown but its keys. secret NULL: left as it is;
 * absent: taken away. */
int directory_connection_set(struct directory *d,
    struct directory_connection *c, const struct slice *secret,
    const struct directory_news *news) SL_MUST_CHECK;
int directory_connection_remove(struct directory *d,
    struct directory_connection *c,
    const struct directory_news *news) SL_MUST_CHECK;

/*
 * The outbox: events that this process sends to the routers like an ingest,
 * each until a router has completed it. The custody id is made with the row,
 * so that sending it again makes no second event.
 */
struct directory_letter {
	uint64_t seq; /* in the order they were written */
	uint64_t made_ms;
	struct buf *event; /* the packed EVENT is appended */
};
/* A transaction of its own. */
int directory_outbox_add(struct directory *d, uint32_t app, struct id custody,
    struct slice event) SL_MUST_CHECK;
/* The first after seq that was not refused. -ENOENT: none. */
int directory_outbox_next(struct directory *d, uint64_t after,
    struct directory_letter *ret) SL_MUST_CHECK;
int directory_outbox_remove(struct directory *d, uint64_t seq) SL_MUST_CHECK;
/* Keeps it for people to look at, but sends it no more. */
int directory_outbox_refuse(
    struct directory *d, uint64_t seq, struct slice reason) SL_MUST_CHECK;

/*
 * The feed: records as MSG_ENTRY, packed one after the other into entries.
 * A snapshot starts with a zero place and ends when place->kind is 0 again.
 */
struct directory_place {
	unsigned kind; /* enum msg_entry_kind */
	uint64_t after;
};
int directory_snapshot(struct directory *d, struct directory_place *place,
    struct buf *entries, uint32_t *ret_count) SL_MUST_CHECK;
/* The first change after the number. -ENOENT: none. */
int directory_change(struct directory *d, uint64_t after, uint64_t *ret_number,
    struct buf *entries, uint32_t *ret_count) SL_MUST_CHECK;

/* Random letters and digits: public ids, lookup ids, keys. size with NUL. */
void directory_random_text(char *text, size_t size);

#endif
