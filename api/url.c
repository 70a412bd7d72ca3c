#include "api/url.h"

#include <stddef.h>
#include <string.h>

#include "common/config.h"

/* Printable ASCII without what RFC 3986 leaves out. */
static bool
is_url_text(const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char ch = (unsigned char)*text;

		if (ch <= ' ' || ch >= 0x7f || strchr("\"<>\\^`{|}", ch))
			return false;
	}
	return true;
}

static bool
is_port(const char *text, size_t len)
{
	uint64_t port;

	if (len == 0)
		return true; /* "host:" is allowed and means the default */
	return config_parse_number(
		   (struct slice){ (const uint8_t *)text, len }, &port) == 0 &&
	       port >= 1 && port <= 65535;
}

static bool
is_name(const char *text, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._~%";

	return len > 0 && len <= 253 && strspn(text, letters) >= len;
}

/* host, [v6], host:port */
static bool
is_host(const char *text, size_t len)
{
	size_t host;

	if (len > 0 && text[0] == '[') {
		const char *end = memchr(text, ']', len);

		if (end == NULL || end - text < 3 ||
		    strspn(text + 1, "0123456789abcdefABCDEF:.") <
			(size_t)(end - text - 1))
			return false;
		host = (size_t)(end - text) + 1;
	} else {
		host = strcspn(text, ":");
		if (host > len)
			host = len;
		if (!is_name(text, host))
			return false;
	}
	if (host == len)
		return true;
	return text[host] == ':' && is_port(text + host + 1, len - host - 1);
}

bool
url_is_http(const char *text)
{
	size_t len;
	const char *at;

	if (!is_url_text(text))
		return false;
	if (strncmp(text, "http://", 7) == 0)
		text += 7;
	else if (strncmp(text, "https://", 8) == 0)
		text += 8;
	else
		return false;
	len = strcspn(text, "/?#");
	/* Name and password, which may hold a colon, end at the last @. */
	at = memrchr(text, '@', len);
	if (at != NULL) {
		len -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	return is_host(text, len);
}
