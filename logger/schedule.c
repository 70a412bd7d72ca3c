#include "logger/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

static int
parse(struct slice text, struct schedule **ret)
{
	struct schedule *s = calloc(1, sizeof(*s) + text.len + 1);
	size_t at = 0;

	if (s == NULL)
		return -ENOMEM;
	if (text.len > 0)
		memcpy(s->text, text.data, text.len);
	s->len = text.len;
	while (at < s->len && s->count < SCHEDULE_GAPS_MAX) {
		size_t len = strcspn(s->text + at, ",");
		struct slice gap = { (const uint8_t *)s->text + at, len };

		if (config_parse_ms(gap, &s->gaps_ms[s->count]) < 0)
			break;
		s->count++;
		at += len + 1;
	}
	if (at < s->len || s->count == 0) {
		free(s);
		return -EINVAL;
	}
	*ret = s;
	return 0;
}

int
schedules_init(struct schedules *s, const char *text)
{
	int r;

	*s = (struct schedules){ 0 };
	r = parse(slice_text(text), &s->standard);
	s->first = s->standard;
	return r;
}

void
schedules_done(struct schedules *s)
{
	while (s->first != NULL) {
		struct schedule *next = s->first->next;

		free(s->first);
		s->first = next;
	}
}

const struct schedule *
schedules_get(struct schedules *s, struct slice text)
{
	struct schedule *found = NULL;

	if (text.len == 0)
		return s->standard;
	for (struct schedule *at = s->first; at != NULL; at = at->next)
		if (at->len == text.len &&
		    memcmp(at->text, text.data, text.len) == 0)
			return at;
	if (s->count >= SCHEDULES_MAX || parse(text, &found) < 0)
		return s->standard;
	found->next = s->first;
	s->first = found;
	s->count++;
	return found;
}

uint32_t
schedule_failed_enough(const struct schedule *s)
{
	/* n gaps are n + 1 attempts. */
	return s->count + 1 < SCHEDULE_FAILED_ENOUGH ? (uint32_t)s->count + 1
						     : SCHEDULE_FAILED_ENOUGH;
}
