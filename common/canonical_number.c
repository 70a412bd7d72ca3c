#include "common/canonical_number.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_DIGITS 15 /* every decimal of so many survives a double */
#define MOST_DIGITS 17	/* no double needs more */
#define SAFE_EXPONENT 290
#define EXPONENT_MAX 100000
#define TEXT_MAX 64

/* value = 0.DIGITS times ten to the point; no zeros at either end. */
struct decimal {
	bool negative;
	char digits[MOST_DIGITS + 1];
	int count; /* MOST_DIGITS + 1: more than we keep */
	int point;
};

static int
read_exponent(const uint8_t *p, const uint8_t *end)
{
	bool negative = *p == '-';
	int value = 0;

	if (*p == '-' || *p == '+')
		p++;
	for (; p < end && value < EXPONENT_MAX; p++)
		value = value * 10 + (*p - '0');
	return negative ? -value : value;
}

static void
add_digit(struct decimal *d, uint8_t c, int *zeros)
{
	if (c == '0') {
		*zeros += d->count > 0;
		return;
	}
	for (; *zeros > 0; (*zeros)--)
		if (d->count <= MOST_DIGITS)
			d->digits[d->count++] = '0';
	if (d->count <= MOST_DIGITS)
		d->digits[d->count++] = (char)c;
}

static void
read_decimal(struct slice raw, struct decimal *d)
{
	const uint8_t *p = raw.data, *end = raw.data + raw.len;
	bool after_point = false;
	int zeros = 0;

	*d = (struct decimal){ .negative = *p == '-' };
	p += d->negative;
	for (; p < end && (*p | 0x20) != 'e'; p++) {
		if (*p == '.') {
			after_point = true;
			continue;
		}
		add_digit(d, *p, &zeros);
		if (after_point)
			d->point -= d->count == 0;
		else
			d->point += d->count > 0;
	}
	if (p < end)
		d->point += read_exponent(p + 1, end);
}

/* Does the shortest text of the nearest double have the same digits? */
static bool
survives(struct slice raw, const struct decimal *d)
{
	char text[TEXT_MAX], shortest[TEXT_MAX];
	struct decimal back;
	double value;

	if (d->count > MOST_DIGITS || raw.len >= sizeof(text))
		return false;
	if (d->count <= EXACT_DIGITS && d->point > -SAFE_EXPONENT &&
	    d->point < SAFE_EXPONENT)
		return true;
	memcpy(text, raw.data, raw.len);
	text[raw.len] = '\0';
	value = strtod(text, NULL);
	if (value - value != 0 || value == 0)
		return false;
	for (int digits = 1; digits <= MOST_DIGITS; digits++) {
		snprintf(shortest, sizeof(shortest), "%.*e", digits - 1, value);
		if (strtod(shortest, NULL) == value)
			break;
	}
	read_decimal(
	    (struct slice){ (const uint8_t *)shortest, strlen(shortest) },
	    &back);
	return back.count == d->count && back.point == d->point &&
	       memcmp(back.digits, d->digits, (size_t)d->count) == 0;
}

static int
add_zeros(struct buf *out, int count)
{
	return buf_add(out, "000000000000000000000", (size_t)count);
}

static int
write_plain(const struct decimal *d, struct buf *out)
{
	size_t whole = (size_t)d->point, count = (size_t)d->count;
	int r;

	if (d->point >= d->count) {
		r = buf_add(out, d->digits, count);
		return r < 0 ? r : add_zeros(out, d->point - d->count);
	}
	if (d->point > 0) {
		r = buf_add(out, d->digits, whole);
		if (r == 0)
			r = buf_add(out, ".", 1);
		if (r == 0)
			r = buf_add(out, d->digits + whole, count - whole);
		return r;
	}
	r = buf_add(out, "0.", 2);
	if (r == 0)
		r = add_zeros(out, -d->point);
	return r < 0 ? r : buf_add(out, d->digits, count);
}

static int
write_exponent(const struct decimal *d, struct buf *out)
{
	int r = buf_add(out, d->digits, 1);

	if (r == 0 && d->count > 1)
		r = buf_add(out, ".", 1);
	if (r == 0)
		r = buf_add(out, d->digits + 1, (size_t)d->count - 1);
	return r < 0 ? r : buf_addf(out, "e%+d", d->point - 1);
}

static bool
is_short_integer(struct slice raw)
{
	if (raw.len > EXACT_DIGITS || raw.data[0] == '-')
		return false;
	for (size_t i = 0; i < raw.len; i++)
		if (raw.data[i] < '0' || raw.data[i] > '9')
			return false;
	return true;
}

int
canonical_number(struct slice raw, struct buf *out)
{
	struct decimal d;
	int r;

	if (is_short_integer(raw))
		return buf_add(out, raw.data, raw.len);
	read_decimal(raw, &d);
	if (d.count == 0)
		return buf_add(out, "0", 1);
	if (!survives(raw, &d))
		return buf_add(out, raw.data, raw.len);
	r = d.negative ? buf_add(out, "-", 1) : 0;
	if (r < 0)
		return r;
	/* The bounds are those of Number::toString. */
	if (d.point > -6 && d.point <= 21)
		return write_plain(&d, out);
	return write_exponent(&d, out);
}
