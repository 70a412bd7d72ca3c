/* Rotating and dropping the secret of a subscription. */
#include "api/directory_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void
wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_done(b);
}

/* What signs now for the subscription (0: what the application's key is),
 * opened, without what signed before it. */
static int
open_signing(
    struct directory *d, uint32_t app, uint32_t subscription, struct buf *out)
{
	struct buf sealed;
	char what[32];
	int r;

	buf_init(&sealed, SEAL_SECRET_MAX + SEAL_OVERHEAD);
	r = directory_signing_secret(d, app, subscription, &sealed);
	(void)snprintf(what, sizeof(what), "secret:%u", (unsigned)app);
	if (r == 0)
		r = seal_open(d->seal, what, buf_slice(&sealed), out);
	if (r == 0)
		out->len = strnlen((const char *)out->data, out->len);
	buf_done(&sealed);
	return r;
}

/* -EMSGSIZE: too long together. */
static int
join(struct slice now, struct slice before, struct buf *both)
{
	int r = buf_add(both, now.data, now.len);

	if (r == 0 && before.data != NULL)
		r = buf_add(both, "", 1);
	if (r == 0 && before.data != NULL)
		r = buf_add(both, before.data, before.len);
	return r == -ENOBUFS ? -EMSGSIZE : r;
}

int
directory_hook_rotate(struct directory *d, struct directory_hook *hook,
    struct slice fresh, uint64_t until_ms)
{
	struct buf before, both;
	int r = 0;

	buf_init(&before, SEAL_SECRET_MAX);
	buf_init(&both, SEAL_SECRET_MAX);
	if (until_ms > 0)
		r = open_signing(d, hook->app, hook->subscription, &before);
	if (r == 0)
		r = join(fresh, buf_slice(&before), &both);
	if (r == 0) {
		hook->secret_until_ms = until_ms;
		r = directory_hook_set_secret(d, hook, false, buf_slice(&both));
	}
	wipe(&before);
	wipe(&both);
	return r;
}

static int
clear_secret(struct directory *d, struct directory_hook *hook)
{
	struct slice none = { NULL, 0 };

	hook->secret_back = false;
	return sql_store_hook(d, hook, false, &none);
}

int
directory_hook_drop_secret(
    struct directory *d, struct directory_hook *hook, uint64_t until_ms)
{
	struct buf key, own, both;
	struct slice secret;
	int r;

	if (!hook->has_secret && !hook->secret_back)
		return -ENOENT;
	if (until_ms == 0)
		return clear_secret(d, hook);
	if (hook->secret_back)
		return -ENOENT;
	buf_init(&key, SEAL_SECRET_MAX);
	buf_init(&own, SEAL_SECRET_MAX);
	buf_init(&both, SEAL_SECRET_MAX);
	r = open_signing(d, hook->app, 0, &key);
	if (r == 0)
		r = directory_hook_secret(d, hook, &own);
	if (r == 0)
		r = join(buf_slice(&key), buf_slice(&own), &both);
	if (r == 0) {
		hook->secret_back = true;
		hook->secret_until_ms = until_ms;
		secret = buf_slice(&both);
		r = sql_store_hook(d, hook, false, &secret);
	}
	wipe(&key);
	wipe(&own);
	wipe(&both);
	return r;
}

int
directory_hook_settle(struct directory *d, uint64_t now_ms)
{
	struct directory_hook hook = { .subscription = 0 };
	uint64_t app = 0, subscription = 0;
	struct buf secret;
	int r;

	r = sql_number(d,
	    "SELECT subscription FROM subscriptions"
	    " WHERE secret_until_ms > 0 AND secret_until_ms <= ?1"
	    " AND deleted_ms = 0 LIMIT 1",
	    now_ms, 0, &subscription);
	if (r == 0)
		r = sql_number(d,
		    "SELECT app FROM subscriptions WHERE subscription = ?1",
		    subscription, 0, &app);
	if (r == 0)
		r = directory_hook_find(
		    d, (uint32_t)app, (uint32_t)subscription, &hook);
	if (r < 0)
		return r;
	if (hook.secret_back)
		return clear_secret(d, &hook);
	buf_init(&secret, SEAL_SECRET_MAX);
	r = directory_hook_secret(d, &hook, &secret);
	if (r == 0)
		r = directory_hook_set_secret(
		    d, &hook, false, buf_slice(&secret));
	wipe(&secret);
	return r;
}
