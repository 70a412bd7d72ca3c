#include "logger/log_kinds.h"

#include <errno.h>
#include <string.h>

static struct log_check
check_of(const struct log_event *e, enum log_field field,
    const struct log_check *check)
{
	static const struct log_check none = { 0 };

	return e->keys[field] != 0 ? *check : none;
}

static bool
same(const struct log_check *a, const struct log_check *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static bool
same_kind(const struct log_kind *a, const struct log_kind *b)
{
	return a->app == b->app && same(&a->api, &b->api) &&
	       same(&a->prefix, &b->prefix);
}

void
log_kinds_add(struct log_kinds *k, const struct log_event *e)
{
	const struct log_kind kind = { e->app,
		check_of(e, LOG_FIELD_API, &e->api),
		check_of(e, LOG_FIELD_PREFIX, &e->prefix) };

	if (k->many || (k->count > 0 && same_kind(&k->list[k->last], &kind)))
		return;
	for (uint32_t i = 0; i < k->count; i++)
		if (same_kind(&k->list[i], &kind)) {
			k->last = i;
			return;
		}
	k->many = k->count == LOG_SEGMENT_KINDS_MAX;
	if (k->many)
		return;
	k->last = k->count;
	k->list[k->count++] = kind;
}

struct slice
log_kinds_kept(const struct log_kinds *k)
{
	if (k->many)
		return slice_text("");
	return (struct slice){ (const uint8_t *)k->list,
		k->count * sizeof(k->list[0]) };
}

int
log_kinds_get(struct log_kinds *k, struct slice kept)
{
	size_t count = kept.len / sizeof(k->list[0]);

	if (count > LOG_SEGMENT_KINDS_MAX || kept.len % sizeof(k->list[0]) != 0)
		return -EBADMSG;
	k->many = count == 0;
	k->count = (uint32_t)count;
	k->last = 0;
	if (count > 0)
		memcpy(k->list, kept.data, kept.len);
	for (size_t i = 0; i < count; i++)
		if (k->list[i].api.len > LOG_CHECK_MAX ||
		    k->list[i].prefix.len > LOG_CHECK_MAX)
			return -EBADMSG;
	return 0;
}

/* The words that take the kind away. */
static uint64_t
words_of(const struct log_kind *kind, const struct log_excluded *excluded,
    unsigned count)
{
	uint64_t words = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct log_check *word = &excluded[i].check;

		if (word->len > 0 &&
		    (same(&kind->api, word) || same(&kind->prefix, word)))
			words |= UINT64_C(1) << i;
	}
	return words;
}

bool
log_kinds_left(const struct log_kinds *k, uint32_t app,
    const struct log_excluded *excluded, unsigned count, uint64_t *ret_words)
{
	bool left = k->many;

	*ret_words = k->many ? UINT64_MAX : 0;
	for (uint32_t i = 0; !k->many && i < k->count; i++) {
		uint64_t words;

		if (k->list[i].app != app)
			continue;
		words = words_of(&k->list[i], excluded, count);
		*ret_words |= words;
		left = left || words == 0;
	}
	return left;
}
