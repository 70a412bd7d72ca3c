#include "common/hex.h"

int
hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
hex_escape(struct slice text)
{
	int high, low;

	if (text.len < HEX_ESCAPE_SIZE || text.data[0] != '%')
		return -1;
	high = hex_digit(text.data[1]);
	low = hex_digit(text.data[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}
