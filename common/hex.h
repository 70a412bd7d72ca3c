/*
 * Hexadecimal digits, and the escapes of RFC 3986 section 2.1 (%XX). Either
 * case. Pure.
 */
#ifndef SLUICE_HEX_H
#define SLUICE_HEX_H

#include <stdint.h>

#include "common/buf.h"

#define HEX_ESCAPE_SIZE 3

/* 0 to 15; -1 when it is none. */
int hex_digit(uint8_t c);
/* The byte of the escape at the text's beginning; -1 when there is none. */
int hex_escape(struct slice text);

#endif
