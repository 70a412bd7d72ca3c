#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

static const char *log_name = "sluice";
static enum log_level log_level = LOG_AT_INFO;
static atomic_ulong dropped;

static const char *const level_names[LOG_AT_MAX] = {
	[LOG_AT_DEBUG] = "debug",
	[LOG_AT_INFO] = "info",
	[LOG_AT_WARN] = "warn",
	[LOG_AT_ERROR] = "error",
};

void
log_init(const char *name, enum log_level level)
{
	log_name = name;
	log_level = level;
}

int
log_enabled(enum log_level level)
{
	return level >= log_level;
}

unsigned long
log_dropped(void)
{
	return atomic_load(&dropped);
}

/* What peers and callers sent must stay on its line, and off the terminal. */
static void
tame(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
}

void
log_write(enum log_level level, const char *format, ...)
{
	int saved = errno;
	char line[LOG_LINE_MAX];
	char when[CLOCK_TEXT_SIZE];
	va_list ap;
	int head, body;
	size_t len;

	if (!log_enabled(level))
		return;
	clock_text(clock_wall_ms(), when);
	head = snprintf(line, sizeof(line), "%s %s %s: ", when,
	    level_names[level], log_name);
	errno = saved;
	va_start(ap, format);
	body =
	    vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, ap);
	va_end(ap);
	if (body < 0)
		body = 0;
	len = (size_t)head + (size_t)body;
	if (len > sizeof(line) - 2) {
		len = sizeof(line) - 2;
		memcpy(line + len - 3, "...", 3);
	}
	tame(line, len);
	line[len] = '\n';
	if (write(STDERR_FILENO, line, len + 1) < 0)
		(void)atomic_fetch_add(&dropped, 1);
	errno = saved;
}
