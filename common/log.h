/*
 * One line per fact on stderr: `TIME LEVEL NAME: text`, text as key=value
 * pairs where it can be. A line is one write(2) of at most LOG_LINE_MAX bytes
 * (longer text is cut with "..."), so lines of many processes stay whole; a
 * control character in it becomes "?", so that no text looks like two lines.
 * stderr is put in no special mode: whoever reads it must keep up, and what
 * cannot be written at once is dropped and counted. Keeps errno. Thread-safe.
 * Secrets, tokens and bodies are never logged.
 */
#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H

#include "common/attributes.h"

enum log_level {
	LOG_AT_DEBUG,
	LOG_AT_INFO,
	LOG_AT_WARN,
	LOG_AT_ERROR,
	LOG_AT_MAX
};

#define LOG_LINE_MAX 2048 /* below PIPE_BUF: one write stays atomic */

/* name is kept, not copied: a string constant. */
void log_init(const char *name, enum log_level level);
void log_write(enum log_level level, const char *format, ...) SL_PRINTF(2, 3);
/* Lines at level are written; lets a caller skip costly arguments. */
int log_enabled(enum log_level level);

/* Lines that could not be written. */
unsigned long log_dropped(void);

#define log_debug(...)                                        \
	do {                                                  \
		if (log_enabled(LOG_AT_DEBUG))                \
			log_write(LOG_AT_DEBUG, __VA_ARGS__); \
	} while (0)
#define log_info(...) log_write(LOG_AT_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_AT_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_AT_ERROR, __VA_ARGS__)

#endif
