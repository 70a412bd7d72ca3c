#include "logger/log_states.h"

#include <errno.h>
#include <string.h>

#include "logger/varint.h"

#define SUCCESS 1u
#define STATUS_SHIFT 1
#define ATTEMPTS_SHIFT 11
#define ATTEMPTS_MAX 0xfffffu /* this and more: not known exactly */
#define NO_CODE UINT8_MAX     /* the code of OTHER, and of no other kind */

uint32_t
log_state(bool success, uint32_t status, uint32_t attempts)
{
	if (status > LOG_STATUS_MAX)
		status = LOG_STATUS_MAX;
	if (attempts > ATTEMPTS_MAX)
		attempts = ATTEMPTS_MAX;
	return (success ? SUCCESS : 0) | status << STATUS_SHIFT |
	       attempts << ATTEMPTS_SHIFT;
}

bool
log_state_untold(uint32_t state)
{
	return (state & LOG_STATE_PENDING) != 0 ||
	       (state & (SUCCESS | ATTEMPTS_MAX << ATTEMPTS_SHIFT)) == 0;
}

bool
log_state_matches(const struct log_state_filter *f, uint32_t state)
{
	uint32_t status = state >> STATUS_SHIFT & LOG_STATUS_MAX;
	uint32_t attempts = state >> ATTEMPTS_SHIFT & ATTEMPTS_MAX;

	if (state & LOG_STATE_PENDING)
		return true;
	if (f->by_success && f->success != ((state & SUCCESS) != 0))
		return false;
	if (f->by_status && status < LOG_STATUS_MAX &&
	    !(f->statuses[status / 64] >> status % 64 & 1))
		return false;
	return f->attempts == 0 || attempts == ATTEMPTS_MAX ||
	       attempts == f->attempts;
}

static uint8_t
code_of(struct log_states *s, uint32_t state)
{
	for (uint32_t i = 0; i < s->kind_count; i++)
		if (s->kinds[i] == state)
			return (uint8_t)i;
	if (state == LOG_STATE_OTHER || s->kind_count == NO_CODE)
		return NO_CODE;
	s->kinds[s->kind_count] = state;
	return (uint8_t)s->kind_count++;
}

void
log_states_fill(struct log_states *s, const uint32_t *states, uint32_t count)
{
	s->count = count;
	s->kind_count = 0;
	s->kinds[NO_CODE] = LOG_STATE_OTHER;
	for (uint32_t i = 0; i < count; i++)
		s->codes[i] = i > 0 && states[i] == states[i - 1]
				  ? s->codes[i - 1]
				  : code_of(s, states[i]);
}

void
log_states_set(struct log_states *s, uint32_t at, uint32_t state)
{
	s->codes[at] = code_of(s, state);
}

/* Kinds that changes have left without a delivery are not kept. */
static void
used_kinds(const struct log_states *s, struct log_states *ret)
{
	uint8_t map[LOG_KINDS_MAX];
	bool used[LOG_KINDS_MAX] = { false };

	for (uint32_t i = 0; i < s->count; i++)
		used[s->codes[i]] = true;
	ret->kind_count = 0;
	for (uint32_t k = 0; k < s->kind_count; k++)
		if (used[k]) {
			ret->kinds[ret->kind_count] = s->kinds[k];
			map[k] = (uint8_t)ret->kind_count++;
		}
	map[NO_CODE] = NO_CODE;
	ret->count = s->count;
	for (uint32_t i = 0; i < s->count; i++)
		ret->codes[i] = map[s->codes[i]];
}

int
log_states_encode(const struct log_states *s, struct buf *out)
{
	uint8_t bytes[1 + VARINT_MAX_BYTES], *at;
	struct log_states kept;
	int r;

	used_kinds(s, &kept);
	at = varint_put(bytes, kept.kind_count);
	r = buf_add(out, bytes, (size_t)(at - bytes));
	for (uint32_t i = 0; r == 0 && i < kept.kind_count; i++) {
		at = varint_put(bytes, kept.kinds[i]);
		r = buf_add(out, bytes, (size_t)(at - bytes));
	}
	for (uint32_t i = 0, next; r == 0 && i < kept.count; i = next) {
		for (next = i + 1; next < kept.count; next++)
			if (kept.codes[next] != kept.codes[i])
				break;
		bytes[0] = kept.codes[i];
		at = varint_put(bytes + 1, next - i);
		r = buf_add(out, bytes, (size_t)(at - bytes));
	}
	return r;
}

/* Takes the kinds off the front; OTHER has a place of its own. */
static int
get_kinds(struct slice *kept, uint32_t kinds[LOG_KINDS_MAX], uint64_t *ret)
{
	uint64_t kind = 0;
	int r = varint_get(kept, ret);

	if (r == 0 && *ret > NO_CODE)
		r = -EBADMSG;
	for (uint64_t i = 0; r == 0 && i < *ret; i++) {
		r = varint_get(kept, &kind);
		kinds[i] = (uint32_t)kind;
	}
	kinds[NO_CODE] = LOG_STATE_OTHER;
	return r;
}

static int
get_run(struct slice *kept, uint64_t kinds, uint32_t count, uint8_t *ret_code,
    uint64_t *ret_len)
{
	*ret_code = kept->data[0];
	kept->data++;
	kept->len--;
	if (varint_get(kept, ret_len) < 0 ||
	    *ret_len > LOG_STATES_MAX - (uint64_t)count ||
	    (*ret_code >= kinds && *ret_code != NO_CODE))
		return -EBADMSG;
	return 0;
}

int
log_states_decode(struct slice kept, struct log_states *ret)
{
	uint64_t kinds, len;
	uint8_t code;
	int r = get_kinds(&kept, ret->kinds, &kinds);

	ret->count = 0;
	while (r == 0 && kept.len > 0) {
		r = get_run(&kept, kinds, ret->count, &code, &len);
		if (r < 0)
			break;
		memset(ret->codes + ret->count, code, len);
		ret->count += (uint32_t)len;
	}
	ret->kind_count = r == 0 ? (uint32_t)kinds : 0;
	return r;
}

int
log_states_match(struct slice kept, const struct log_state_filter *f,
    uint32_t base, struct ordinals *set)
{
	uint32_t list[LOG_KINDS_MAX];
	bool matches[LOG_KINDS_MAX];
	uint32_t count = 0;
	uint64_t kinds, len;
	uint8_t code;
	int r = get_kinds(&kept, list, &kinds);

	for (uint64_t i = 0; r == 0 && i < kinds; i++)
		matches[i] = log_state_matches(f, list[i]);
	matches[NO_CODE] = true;
	while (r == 0 && kept.len > 0) {
		r = get_run(&kept, kinds, count, &code, &len);
		if (r < 0)
			break;
		if (matches[code])
			ordinals_add(
			    set, base + count, base + count + (uint32_t)len);
		count += (uint32_t)len;
	}
	return r;
}
