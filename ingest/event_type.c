#include "ingest/event_type.h"

#include <string.h>

#include "common/limits.h"

static const char *const apis[] = { "accounting", "ats", "calendar", "crm",
	"csp", "customer-support", "data-warehouse", "ecommerce", "email",
	"email-marketing", "expense-management", "file-storage", "form", "hris",
	"issue-tracking", "lead", "payroll", "pos", "procurement",
	"project-management", "script", "sms", "spreadsheet",
	"subscription-analytics", "team-messaging", "time-registration",
	"transactional-email", "vault" };

static const struct {
	const char *from, *to;
} spellings[] = {
	{ "pos.modifier_group.", "pos.modifier-group." },
	{ "crm.notes.", "crm.note." },
};

static bool
is_part(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-';
}

/* 0: not of that form. */
static unsigned
count_parts(struct slice type)
{
	unsigned parts = 1;
	size_t len = 0;

	if (type.len > LIMIT_TYPE_TEXT)
		return 0;
	for (size_t i = 0; i < type.len; i++) {
		if (type.data[i] == '.') {
			if (len == 0)
				return 0;
			parts++;
			len = 0;
		} else if (is_part(type.data[i])) {
			len++;
		} else {
			return 0;
		}
	}
	return len == 0 ? 0 : parts;
}

bool
event_type_is_valid(struct slice type)
{
	return count_parts(type) >= 2;
}

bool
event_type_is_known(struct slice type)
{
	struct slice api = event_type_api(type);

	if (count_parts(type) < 3)
		return false;
	for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++)
		if (slice_is(api, apis[i]))
			return true;
	return false;
}

bool
event_type_is_vault(struct slice type)
{
	return slice_is(event_type_api(type), "vault");
}

struct slice
event_type_api(struct slice type)
{
	const uint8_t *dot =
	    type.len == 0 ? NULL : memchr(type.data, '.', type.len);

	if (dot == NULL)
		return (struct slice){ 0 };
	return (struct slice){ type.data, (size_t)(dot - type.data) };
}

struct slice
event_type_entity(struct slice type)
{
	struct slice api = event_type_api(type), rest;
	const uint8_t *dot;

	if (api.data == NULL)
		return api;
	rest.data = type.data + api.len + 1;
	rest.len = type.len - api.len - 1;
	dot = rest.len == 0 ? NULL : memchr(rest.data, '.', rest.len);
	if (dot == NULL)
		return (struct slice){ 0 };
	return (struct slice){ rest.data, (size_t)(dot - rest.data) };
}

int
event_type_normalise(struct slice type, struct buf *out)
{
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		size_t len = strlen(spellings[i].from);
		int r;

		if (type.len < len ||
		    memcmp(type.data, spellings[i].from, len) != 0)
			continue;
		r = buf_add_text(out, spellings[i].to);
		return r < 0 ? r
			     : buf_add(out, type.data + len, type.len - len);
	}
	return buf_add(out, type.data, type.len);
}

static bool
is_vowel(uint8_t c)
{
	return c != '\0' && strchr("aeiou", c) != NULL;
}

int
event_type_plural(struct slice entity, struct buf *out)
{
	size_t start = out->len, len;
	int r = buf_add(out, entity.data, entity.len);

	if (r < 0)
		return r;
	for (size_t i = start; i < out->len; i++)
		if (out->data[i] == '_')
			out->data[i] = '-';
	len = out->len - start;
	if (len >= 2 && out->data[out->len - 1] == 'y' &&
	    !is_vowel(out->data[out->len - 2])) {
		out->len--;
		return buf_add_text(out, "ies");
	}
	return buf_add_text(out, "s");
}
