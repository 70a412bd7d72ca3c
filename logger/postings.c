#include "logger/postings.h"

#include <errno.h>
#include <string.h>

#include "logger/varint.h"

/* An entry: the key, the length of what follows, the check with its length in
 * front, the ordinals. */

int
postings_add(struct buf *block, const struct postings_entry *e)
{
	static const struct log_check none = { 0 };
	const struct log_check *check = e->check != NULL ? e->check : &none;
	uint8_t head[sizeof(e->key) + VARINT_MAX_BYTES];
	struct buf set;
	uint8_t *end;
	int r;

	buf_init(&set, POSTINGS_BLOCK_MAX);
	r = ordinals_encode(e->ordinals, e->count, &set);
	memcpy(head, &e->key, sizeof(e->key));
	end = varint_put(
	    head + sizeof(e->key), 1 + (uint64_t)check->len + set.len);
	if (r == 0)
		r = buf_add(block, head, (size_t)(end - head));
	if (r == 0)
		r = buf_add(block, check, 1 + (size_t)check->len);
	if (r == 0)
		r = buf_add(block, set.data, set.len);
	buf_done(&set);
	return r;
}

/* Takes an entry off the front of *block. */
static int
get_entry(struct slice *block, uint64_t *ret_key, struct slice *ret_rest)
{
	uint64_t len;
	int r;

	if (block->len < sizeof(*ret_key))
		return -EBADMSG;
	memcpy(ret_key, block->data, sizeof(*ret_key));
	block->data += sizeof(*ret_key);
	block->len -= sizeof(*ret_key);
	r = varint_get(block, &len);
	if (r < 0 || len < 1 || len > block->len)
		return -EBADMSG;
	*ret_rest = (struct slice){ block->data, (size_t)len };
	block->data += len;
	block->len -= len;
	return 0;
}

static bool
check_same(const struct log_check *check, struct slice kept)
{
	return check->len > 0 && check->len == kept.len &&
	       memcmp(check->bytes, kept.data, kept.len) == 0;
}

int
postings_find(struct slice block, uint64_t key, const struct log_check *check,
    struct ordinals *set)
{
	while (block.len > 0) {
		struct slice rest, kept;
		uint64_t found;
		int r = get_entry(&block, &found, &rest);

		if (r < 0)
			return r;
		if (found > key)
			break;
		if (found != key)
			continue;
		kept = (struct slice){ rest.data + 1, rest.data[0] };
		if (kept.len + 1 > rest.len)
			return -EBADMSG;
		if (check != NULL && !check_same(check, kept))
			break;
		return ordinals_decode((struct slice){ kept.data + kept.len,
					   rest.len - 1 - kept.len },
		    set);
	}
	return 0;
}
