#include "common/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static uint64_t
read_us(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) < 0)
		return 0; /* cannot fail for the two clocks used here */
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

uint64_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

uint64_t
clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

uint64_t
clock_wall_ms(void)
{
	return clock_wall_us() / 1000;
}

void
clock_text(uint64_t wall_ms, char text[CLOCK_TEXT_SIZE])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm = { 0 };

	(void)gmtime_r(&seconds, &tm);
	(void)snprintf(text, CLOCK_TEXT_SIZE,
	    "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
	    (unsigned)(tm.tm_year + 1900) % 10000,
	    (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100,
	    (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
	    (unsigned)tm.tm_sec % 100, (unsigned)(wall_ms % 1000));
}

/* Reads exactly digits digits at *at, within [min, max]. */
static bool
number(
    const char **at, const char *end, unsigned digits, int range[2], int *ret)
{
	int value = 0;

	for (unsigned i = 0; i < digits; i++, (*at)++) {
		if (*at == end || **at < '0' || **at > '9')
			return false;
		value = value * 10 + (**at - '0');
	}
	if (value < range[0] || value > range[1])
		return false;
	*ret = value;
	return true;
}

static bool
take(const char **at, const char *end, char c)
{
	if (*at == end || **at != c)
		return false;
	(*at)++;
	return true;
}

/* ".820": any number of digits, three count. */
static bool
fraction(const char **at, const char *end, unsigned *ret_ms)
{
	unsigned ms = 0, scale = 100, seen = 0;

	for (; *at != end && **at >= '0' && **at <= '9'; (*at)++, seen++) {
		ms += (unsigned)(**at - '0') * scale;
		scale /= 10;
	}
	*ret_ms = ms;
	return seen > 0;
}

/* "Z", "+02:00", "-0530" or nothing (UTC). */
static bool
offset(const char **at, const char *end, long *ret_seconds)
{
	int hours = 0, minutes = 0;
	bool west;

	*ret_seconds = 0;
	if (*at == end || take(at, end, 'Z') || take(at, end, 'z'))
		return true;
	west = **at == '-';
	if (!take(at, end, '+') && !take(at, end, '-'))
		return false;
	if (!number(at, end, 2, (int[]){ 0, 23 }, &hours))
		return false;
	(void)take(at, end, ':');
	if (!number(at, end, 2, (int[]){ 0, 59 }, &minutes))
		return false;
	*ret_seconds = (hours * 3600L + minutes * 60L) * (west ? -1 : 1);
	return true;
}

static bool
day_of(const char **at, const char *end, struct tm *tm)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	int year, month, last;

	if (!number(at, end, 4, (int[]){ 1970, 9999 }, &year) ||
	    !take(at, end, '-') ||
	    !number(at, end, 2, (int[]){ 1, 12 }, &month) ||
	    !take(at, end, '-'))
		return false;
	last = days[month - 1];
	if (month == 2 && (year % 4 != 0 || (year % 100 == 0 && year % 400)))
		last = 28;
	if (!number(at, end, 2, (int[]){ 1, last }, &tm->tm_mday))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	return true;
}

/* "00:55", "00:55:31" or "00:55:31.820". */
static bool
time_of(const char **at, const char *end, struct tm *tm, unsigned *ret_ms)
{
	if (!number(at, end, 2, (int[]){ 0, 23 }, &tm->tm_hour) ||
	    !take(at, end, ':') ||
	    !number(at, end, 2, (int[]){ 0, 59 }, &tm->tm_min))
		return false;
	if (!take(at, end, ':'))
		return true;
	if (!number(at, end, 2, (int[]){ 0, 60 }, &tm->tm_sec))
		return false;
	return !take(at, end, '.') || fraction(at, end, ret_ms);
}

int
clock_parse(struct slice text, uint64_t *ret_wall_ms)
{
	const char *at = (const char *)text.data;
	const char *end = at == NULL ? NULL : at + text.len;
	struct tm tm = { 0 };
	unsigned ms = 0;
	long east = 0;
	time_t seconds;

	if (!day_of(&at, end, &tm))
		return -EINVAL;
	if (at != end) {
		if (!take(&at, end, 'T') && !take(&at, end, 't') &&
		    !take(&at, end, ' '))
			return -EINVAL;
		if (!time_of(&at, end, &tm, &ms) || !offset(&at, end, &east) ||
		    at != end)
			return -EINVAL;
	}
	seconds = timegm(&tm) - east;
	if (seconds < 0)
		return -EINVAL;
	*ret_wall_ms = (uint64_t)seconds * 1000 + ms;
	return 0;
}
