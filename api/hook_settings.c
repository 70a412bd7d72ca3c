#include "api/hook_options.h"

#include <errno.h>
#include <string.h>

#include "api/form.h"
#include "api/headers_form.h"
#include "api/scopes_form.h"
#include "api/webhooks.h"
#include "common/config.h"

#define GAPS_MAX 64
#define TIMEOUT_MIN_MS 100
#define TIMEOUT_MAX_MS 120000 /* well within the life of a lease */
#define RATE_MAX 1000000

static json_t *
text_or_null(const char *text)
{
	return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *
number_or_null(uint64_t number)
{
	return number == 0 ? json_null() : json_integer((json_int_t)number);
}

static json_t *
show(const struct api *api, const struct directory_hook *hook)
{
	return json_pack("{s:o,s:o,s:o,s:b,s:o,s:o,s:b,s:b,s:o}", "schedule",
	    text_or_null(hook->schedule), "timeout_ms",
	    number_or_null(hook->timeout_ms), "rate",
	    number_or_null(hook->rate), "ordered", (int)hook->ordered, "scopes",
	    scopes_form_show(hook->scopes), "headers",
	    headers_form_show(&api->seal, hook), "http2", (int)hook->http2,
	    "own_secret", (int)hook->has_secret, "disabled_cause",
	    text_or_null(hook->cause));
}

void
hook_settings_get(struct call *c)
{
	struct directory_hook hook;

	if (webhooks_find(c, &hook))
		call_data(c, 200, show(c->api, &hook));
}

/* "3m,5m,1h" */
static bool
is_schedule(const char *text)
{
	uint64_t gap_ms;
	unsigned gaps = 0;

	for (;;) {
		size_t len = strcspn(text, ",");

		if (++gaps > GAPS_MAX ||
		    config_parse_ms(
			(struct slice){ (const uint8_t *)text, len }, &gap_ms) <
			0)
			return false;
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}

static void
read_schedule(struct form *f, struct directory_hook *hook)
{
	char text[LIMIT_SCHEDULE_TEXT + 1];

	if (json_is_null(json_object_get(f->body, "schedule"))) {
		(void)form_value(f, "schedule", FORM_OPTIONAL);
		hook->schedule[0] = '\0';
		return;
	}
	if (!form_text(f, "schedule", FORM_OPTIONAL, 1, text, sizeof(text)))
		return;
	if (is_schedule(text))
		memcpy(hook->schedule, text, sizeof(text));
	else
		form_complain(
		    f, "schedule", "must be gaps like 3m,5m,1h, 64 at most");
}

/* Null is the default. */
static void
read_number(
    struct form *f, const char *name, uint64_t min, uint64_t max, uint64_t *ret)
{
	const json_t *value = form_value(f, name, FORM_OPTIONAL);
	json_int_t number;

	if (value == NULL)
		return;
	if (json_is_null(value)) {
		*ret = 0;
		return;
	}
	number = json_integer_value(value);
	if (json_is_integer(value) && number >= (json_int_t)min &&
	    number <= (json_int_t)max)
		*ret = (uint64_t)number;
	else
		form_complain(f, name, "is no number, too small or too large");
}

static void
read_scopes(struct form *f, struct directory_hook *hook)
{
	const json_t *value = form_value(f, "scopes", FORM_OPTIONAL);
	const char *where = "", *wrong = NULL;

	if (value != NULL)
		wrong = scopes_form_read(value, hook->scopes, &where);
	if (wrong != NULL)
		form_complain(f, "scopes", wrong);
}

/* Null is false. */
static void
read_bool(struct form *f, const char *name, bool *ret)
{
	if (!json_is_null(json_object_get(f->body, name))) {
		(void)form_bool(f, name, FORM_OPTIONAL, ret);
		return;
	}
	(void)form_value(f, name, FORM_OPTIONAL);
	*ret = false;
}

void
hook_settings_update(struct call *c)
{
	struct directory_hook hook;
	json_t *body = call_body(c), *detail;
	struct form f;
	int r;

	if (body == NULL)
		return;
	c->body = body;
	if (!webhooks_find(c, &hook))
		return;
	form_init(&f, body, false);
	read_schedule(&f, &hook);
	read_number(
	    &f, "timeout_ms", TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, &hook.timeout_ms);
	read_number(&f, "rate", 1, RATE_MAX, &hook.rate);
	read_bool(&f, "ordered", &hook.ordered);
	read_scopes(&f, &hook);
	read_bool(&f, "http2", &hook.http2);
	r = headers_form_read(&f, &c->api->seal, &hook);
	detail = form_end(&f);
	if (detail != NULL) {
		call_fail(c, HTTP_E_VALIDATION, NULL, detail);
		return;
	}
	if (r == 0 && !call_can_write(c))
		return;
	if (r == 0)
		r = directory_hook_set(c->api->directory, &hook, false);
	if (r < 0)
		call_error(c, r);
	else
		call_written(c, hook.number, false, 200, show(c->api, &hook));
}
