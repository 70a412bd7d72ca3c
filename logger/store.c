#include "logger/store.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

int
store_open(const char *where, struct store **ret)
{
	if (strstr(where, "://") != NULL) {
		log_error("store=%s error=\"only a path works in this build\"",
		    strncmp(where, "postgresql://", 13) ? "?" : "postgresql");
		return -ENOTSUP;
	}
	return store_sqlite_open(where, ret);
}

void
store_close(struct store *s)
{
	if (s != NULL)
		s->engine->close(s);
}

int
store_load(struct store *s, const struct store_loader *ops, void *arg)
{
	return s->engine->load(s, ops, arg);
}

int
store_apply(
    struct store *s, struct store_op *const *ops, size_t count, uint64_t now_ms)
{
	return s->engine->apply(s, ops, count, now_ms);
}

void
store_stats(struct store *s, struct store_stats *ret)
{
	s->engine->stats(s, ret);
}

int
store_reader_open(struct store *s, struct store_reader **ret)
{
	return s->engine->reader_open(s, ret);
}

void
store_reader_close(struct store_reader *r)
{
	if (r != NULL)
		r->engine->reader_close(r);
}

int
store_page(struct store_reader *r, const struct msg *query, struct buf *out)
{
	return r->engine->page(r, query, out);
}
