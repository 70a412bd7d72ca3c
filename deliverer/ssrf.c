#include "deliverer/ssrf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define V4_BYTES 4
#define V6_BYTES 16

/* IPv4 is kept v4-mapped, so that one comparison serves both. */
struct net {
	uint8_t bytes[V6_BYTES];
	unsigned bits;
};

struct listener {
	uint8_t bytes[V6_BYTES];
	unsigned port;
};

struct ssrf {
	struct net nets[SSRF_NETS_MAX];
	size_t net_count;
	struct listener listeners[SSRF_LISTENERS_MAX];
	size_t listener_count;
};

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	0xff };

#define V4(a, b, c, d, len) \
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d }, 96 + (len) }
#define V6(a, b, c, d, e, f, len) { { a, b, c, d, e, f }, len }

/* IANA IPv4 special-purpose registry, multicast and class E included. */
static const struct net closed_v4[] = {
	V4(0, 0, 0, 0, 8),
	V4(10, 0, 0, 0, 8),
	V4(100, 64, 0, 0, 10),
	V4(127, 0, 0, 0, 8),
	V4(169, 254, 0, 0, 16),
	V4(172, 16, 0, 0, 12),
	V4(192, 0, 0, 0, 24),
	V4(192, 0, 2, 0, 24),
	V4(192, 88, 99, 0, 24),
	V4(192, 168, 0, 0, 16),
	V4(198, 18, 0, 0, 15),
	V4(198, 51, 100, 0, 24),
	V4(203, 0, 113, 0, 24),
	V4(224, 0, 0, 0, 4),
	V4(240, 0, 0, 0, 4),
};

static const struct net global_v6 = V6(0x20, 0, 0, 0, 0, 0, 3);

/* What is not global inside 2000::/3; 2001::/23 has Teredo in it. */
static const struct net closed_v6[] = {
	V6(0x20, 0x01, 0, 0, 0, 0, 23),
	V6(0x20, 0x01, 0x0d, 0xb8, 0, 0, 32),
	V6(0x3f, 0xff, 0, 0, 0, 0, 20),
};

static const struct net six_to_four = V6(0x20, 0x02, 0, 0, 0, 0, 16);
static const struct net nat64 = V6(0, 0x64, 0xff, 0x9b, 0, 0, 96);

static bool
inside(const uint8_t bytes[V6_BYTES], const struct net *net)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	if (memcmp(bytes, net->bytes, whole) != 0)
		return false;
	return rest == 0 ||
	       ((bytes[whole] ^ net->bytes[whole]) >> (8 - rest)) == 0;
}

static bool
inside_any(const uint8_t bytes[V6_BYTES], const struct net *nets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (inside(bytes, &nets[i]))
			return true;
	return false;
}

static void
map_v4(const uint8_t v4[V4_BYTES], uint8_t bytes[V6_BYTES])
{
	memcpy(bytes, mapped_prefix, sizeof(mapped_prefix));
	memcpy(bytes + sizeof(mapped_prefix), v4, V4_BYTES);
}

static bool
is_mapped(const uint8_t bytes[V6_BYTES])
{
	return !memcmp(bytes, mapped_prefix, sizeof(mapped_prefix));
}

/* Replaces 6to4 and NAT64 by the IPv4 address that would be reached. */
static void
unwrap(uint8_t bytes[V6_BYTES])
{
	uint8_t v4[V4_BYTES];

	if (inside(bytes, &six_to_four))
		memcpy(v4, bytes + 2, sizeof(v4));
	else if (inside(bytes, &nat64))
		memcpy(v4, bytes + 12, sizeof(v4));
	else
		return;
	map_v4(v4, bytes);
}

static bool
is_public(const uint8_t bytes[V6_BYTES])
{
	if (is_mapped(bytes))
		return !inside_any(
		    bytes, closed_v4, sizeof(closed_v4) / sizeof(closed_v4[0]));
	return inside(bytes, &global_v6) &&
	       !inside_any(
		   bytes, closed_v6, sizeof(closed_v6) / sizeof(closed_v6[0]));
}

/* 0.0.0.0 and :: reach this machine, whatever else they mean. */
static bool
is_unspecified(const uint8_t bytes[V6_BYTES])
{
	static const uint8_t none[V6_BYTES];
	static const uint8_t no_v4[V4_BYTES];

	return !memcmp(bytes, none, V6_BYTES) ||
	       (is_mapped(bytes) && !memcmp(bytes + 12, no_v4, V4_BYTES));
}

static bool
is_loopback(const uint8_t bytes[V6_BYTES])
{
	static const uint8_t one[V6_BYTES] = { [15] = 1 };

	return !memcmp(bytes, one, V6_BYTES) ||
	       (is_mapped(bytes) && bytes[12] == 127);
}

static bool
is_listener(const struct ssrf *s, const uint8_t bytes[V6_BYTES], unsigned port)
{
	for (size_t i = 0; i < s->listener_count; i++) {
		const struct listener *l = &s->listeners[i];

		if (l->port != port)
			continue;
		if (!memcmp(l->bytes, bytes, V6_BYTES))
			return true;
		if (is_unspecified(l->bytes) && is_loopback(bytes))
			return true;
	}
	return false;
}

static bool
allows(const struct ssrf *s, uint8_t bytes[V6_BYTES], unsigned port)
{
	bool named = inside_any(bytes, s->nets, s->net_count);

	unwrap(bytes);
	if (is_unspecified(bytes) || is_listener(s, bytes, port))
		return false;
	return named || is_public(bytes) ||
	       inside_any(bytes, s->nets, s->net_count);
}

static bool
read_sockaddr(
    const struct sockaddr *address, uint8_t bytes[V6_BYTES], unsigned *ret_port)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		map_v4((const uint8_t *)&in.sin_addr, bytes);
		*ret_port = ntohs(in.sin_port);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, address, sizeof(in6));
		memcpy(bytes, &in6.sin6_addr, V6_BYTES);
		*ret_port = ntohs(in6.sin6_port);
		return true;
	}
	return false;
}

bool
ssrf_allows(const struct ssrf *s, const struct sockaddr *address)
{
	uint8_t bytes[V6_BYTES];
	unsigned port;

	return read_sockaddr(address, bytes, &port) && allows(s, bytes, port);
}

static bool
read_text(const char *text, uint8_t bytes[V6_BYTES])
{
	uint8_t v4[V4_BYTES];

	if (inet_pton(AF_INET, text, v4) == 1) {
		map_v4(v4, bytes);
		return true;
	}
	return inet_pton(AF_INET6, text, bytes) == 1;
}

bool
ssrf_allows_text(const struct ssrf *s, const char *ip, unsigned port)
{
	uint8_t bytes[V6_BYTES];

	return read_text(ip, bytes) && allows(s, bytes, port);
}

/* "10.0.0.0/8", "::1/128", or an address alone. */
static int
read_net(struct slice text, struct net *ret)
{
	const uint8_t *slash =
	    text.len == 0 ? NULL : memchr(text.data, '/', text.len);
	char address[INET6_ADDRSTRLEN];
	unsigned bits = 0, most;
	struct slice host = text;

	if (slash != NULL)
		host.len = (size_t)(slash - text.data);
	if (slice_copy(host, address, sizeof(address)) < 0 ||
	    !read_text(address, ret->bytes))
		return -EINVAL;
	most = memchr(host.data, ':', host.len) != NULL ? 128 : 32;
	if (slash != NULL) {
		const uint8_t *end = text.data + text.len;

		if (slash + 1 == end || end - slash > 4)
			return -EINVAL;
		for (const uint8_t *c = slash + 1; c < end; c++) {
			if (*c < '0' || *c > '9')
				return -EINVAL;
			bits = bits * 10 + (*c - '0');
		}
		if (bits > most)
			return -EINVAL;
	} else {
		bits = most;
	}
	ret->bits = bits + 128 - most;
	return 0;
}

static int
read_nets(struct ssrf *s, struct slice rest)
{
	while (rest.len > 0) {
		const uint8_t *comma = memchr(rest.data, ',', rest.len);
		struct slice one = rest;

		if (comma != NULL)
			one.len = (size_t)(comma - rest.data);
		if (s->net_count == SSRF_NETS_MAX ||
		    read_net(one, &s->nets[s->net_count]) < 0)
			return -EINVAL;
		s->net_count++;
		one.len += comma != NULL;
		rest.data += one.len;
		rest.len -= one.len;
	}
	return 0;
}

int
ssrf_new(const char *allow_net, struct ssrf **ret_ssrf)
{
	struct ssrf *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	if (read_nets(s, slice_text(allow_net)) < 0) {
		ssrf_free(s);
		return -EINVAL;
	}
	*ret_ssrf = s;
	return 0;
}

void
ssrf_free(struct ssrf *s)
{
	free(s);
}

static int
add_listener(struct ssrf *s, const struct sockaddr *address, unsigned port)
{
	struct listener *l = &s->listeners[s->listener_count];
	unsigned ignored;

	if (s->listener_count == SSRF_LISTENERS_MAX)
		return -ENOBUFS;
	if (!read_sockaddr(address, l->bytes, &ignored))
		return 0;
	l->port = port;
	s->listener_count++;
	return 0;
}

/* A wildcard listener answers on every address of the machine. */
static int
add_interfaces(struct ssrf *s, unsigned port)
{
	struct ifaddrs *all, *one;
	int r = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (one = all; r == 0 && one != NULL; one = one->ifa_next)
		if (one->ifa_addr != NULL)
			r = add_listener(s, one->ifa_addr, port);
	freeifaddrs(all);
	return r;
}

static int
add_address(struct ssrf *s, const struct sockaddr *address)
{
	uint8_t bytes[V6_BYTES];
	unsigned port;
	int r;

	if (!read_sockaddr(address, bytes, &port))
		return 0;
	r = add_listener(s, address, port);
	if (r == 0 && is_unspecified(bytes))
		r = add_interfaces(s, port);
	return r;
}

int
ssrf_add_listener(struct ssrf *s, const char *address)
{
	const char *colon = strrchr(address, ':');
	char host[NI_MAXHOST];
	struct slice name = slice_text(address);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;
	int r = 0;

	if (colon == NULL)
		return -EINVAL;
	name.len = (size_t)(colon - address);
	if (name.len > 2 && name.data[0] == '[' &&
	    name.data[name.len - 1] == ']') {
		name.data++;
		name.len -= 2;
	}
	if (slice_is(name, "*"))
		name = slice_text("0.0.0.0");
	if (name.len == 0 || slice_copy(name, host, sizeof(host)) < 0 ||
	    getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return -EINVAL;
	for (struct addrinfo *one = found; r == 0 && one != NULL;
	    one = one->ai_next)
		r = add_address(s, one->ai_addr);
	freeaddrinfo(found);
	return r;
}

static bool
starts(struct slice s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && !strncasecmp((const char *)s.data, text, len);
}

const char *
ssrf_check_url(struct slice url)
{
	size_t at;

	for (size_t i = 0; i < url.len; i++)
		if (url.data[i] <= ' ' || url.data[i] == 0x7f ||
		    url.data[i] == '\\')
			return "url: it has bytes that no URL has";
	if (starts(url, "http://"))
		at = strlen("http://");
	else if (starts(url, "https://"))
		at = strlen("https://");
	else
		return "url: only http and https are called";
	for (size_t i = at; i < url.len; i++) {
		if (url.data[i] == '/' || url.data[i] == '?' ||
		    url.data[i] == '#')
			return i > at ? NULL : "url: it names no host";
		if (url.data[i] == '@')
			return "url: user information is not sent";
	}
	return url.len > at ? NULL : "url: it names no host";
}
