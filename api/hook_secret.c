#include "api/hook_options.h"

#include <errno.h>
#include <string.h>

#include "api/form.h"
#include "api/webhooks.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/crypto.h"

#define SECRET_MIN 8
#define SECRET_MAX 256
#define SECRET_BYTES 24
#define HOUR_MS UINT64_C(3600000)

/* secret NULL: the application's key signs, which is not told. */
static json_t *
show(const struct directory_hook *hook, struct slice secret)
{
	return json_pack("{s:o,s:o}", "secret",
	    secret.data == NULL ? json_null() : call_text(secret),
	    "previous_valid_until",
	    hook->secret_until_ms == 0 ? json_null()
				       : call_time(hook->secret_until_ms));
}

void
hook_secret_get(struct call *c)
{
	struct directory_hook hook;
	struct buf secret;
	json_t *data = NULL;
	int r;

	if (!webhooks_find(c, &hook))
		return;
	buf_init(&secret, SEAL_SECRET_MAX);
	r = directory_hook_secret(c->api->directory, &hook, &secret);
	if (r == 0)
		data = show(&hook, buf_slice(&secret));
	else if (r == -ENOENT)
		data = show(&hook, (struct slice){ NULL, 0 });
	if (secret.data != NULL)
		explicit_bzero(secret.data, secret.cap);
	buf_done(&secret);
	if (data == NULL)
		call_error(c, r < 0 ? r : -ENOMEM);
	else
		call_data(c, 200, data);
}

/* A Standard Webhooks secret. */
static int
make_secret(char text[SECRET_MAX + 1])
{
	uint8_t bytes[SECRET_BYTES];
	struct buf made;
	int r;

	crypto_random(bytes, sizeof(bytes));
	buf_init(&made, SECRET_MAX);
	r = buf_add_text(&made, "whsec_");
	if (r == 0)
		r = crypto_base64(
		    (struct slice){ bytes, sizeof(bytes) }, &made);
	if (r == 0)
		r = slice_copy(buf_slice(&made), text, SECRET_MAX + 1);
	buf_done(&made);
	return r;
}

struct rotation {
	char secret[SECRET_MAX + 1]; /* "": one is made */
	json_int_t hours;
};

static json_t *
read_body(const json_t *body, struct rotation *ret)
{
	const json_t *hours;
	struct form f;

	*ret = (struct rotation){ .hours = HOOK_OVERLAP_H };
	form_init(&f, body, false);
	if (form_text(&f, "secret", FORM_OPTIONAL, SECRET_MIN, ret->secret,
		sizeof(ret->secret)) &&
	    strlen(ret->secret) < SECRET_MIN)
		form_complain(&f, "secret", "must not have a NUL");
	hours = form_value(&f, "overlap_hours", FORM_OPTIONAL);
	if (hours != NULL)
		ret->hours = json_integer_value(hours);
	if (hours != NULL && (!json_is_integer(hours) || ret->hours < 0 ||
				 ret->hours > HOOK_OVERLAP_MAX_H))
		form_complain(&f, "overlap_hours",
		    "must be a whole number from 0 to 720");
	return form_end(&f);
}

static uint64_t
overlap_end(json_int_t hours)
{
	return hours == 0 ? 0 : clock_wall_ms() + (uint64_t)hours * HOUR_MS;
}

static void
answer(struct call *c, const struct directory_hook *hook, int r,
    struct slice secret)
{
	if (r == -EMSGSIZE)
		call_fail_text(c, HTTP_E_STATE,
		    "The secret before is too long to sign beside another: "
		    "ask with overlap_hours 0.");
	else if (r < 0)
		call_error(c, r);
	else
		call_written(c, hook->number, false, 200, show(hook, secret));
}

static void
rotate(struct call *c, struct directory_hook *hook, struct rotation *rotation)
{
	int r = 0;

	if (rotation->secret[0] == '\0')
		r = make_secret(rotation->secret);
	if (r == 0)
		r = directory_hook_rotate(c->api->directory, hook,
		    slice_text(rotation->secret), overlap_end(rotation->hours));
	answer(c, hook, r, slice_text(rotation->secret));
}

void
hook_secret_rotate(struct call *c)
{
	struct directory_hook hook;
	struct rotation rotation = { .hours = HOOK_OVERLAP_H };
	json_t *detail = NULL;

	if (http_body(c->request).len > 0) {
		json_t *body = call_body(c);

		if (body == NULL)
			return; /* answered; the call is gone */
		c->body = body;
		detail = read_body(c->body, &rotation);
	}
	if (detail != NULL) {
		call_fail(c, HTTP_E_VALIDATION, NULL, detail);
		return;
	}
	if (webhooks_find(c, &hook) && call_can_write(c))
		rotate(c, &hook, &rotation);
	explicit_bzero(&rotation, sizeof(rotation));
}

/* ?overlap_hours=; a DELETE has no body. False after the call was answered. */
static bool
read_hours(struct call *c, json_int_t *ret)
{
	const char *text = http_query(c->request, "overlap_hours");
	uint64_t hours = HOOK_OVERLAP_H;

	if (text != NULL &&
	    (config_parse_number(slice_text(text), &hours) < 0 ||
		hours > HOOK_OVERLAP_MAX_H)) {
		call_fail(c, HTTP_E_VALIDATION, NULL,
		    json_pack("{s:[{s:s}]}", "invalid", "overlap_hours",
			"must be a whole number from 0 to 720"));
		return false;
	}
	*ret = (json_int_t)hours;
	return true;
}

void
hook_secret_delete(struct call *c)
{
	struct slice none = { NULL, 0 };
	struct directory_hook hook;
	json_int_t hours;
	int r;

	if (!read_hours(c, &hours) || !webhooks_find(c, &hook) ||
	    !call_can_write(c))
		return;
	r = directory_hook_drop_secret(
	    c->api->directory, &hook, overlap_end(hours));
	if (r == -ENOENT)
		call_data(c, 200, show(&hook, none));
	else
		answer(c, &hook, r, none);
}
