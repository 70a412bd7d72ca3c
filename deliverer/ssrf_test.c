#include "deliverer/ssrf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct ssrf *
make(const char *allow)
{
	struct ssrf *s = NULL;

	assert_int_equal(ssrf_new(allow, &s), 0);
	return s;
}

static void
check(const struct ssrf *s, const char *ip, bool want)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(80) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(80) };
	bool got;

	if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
		got = ssrf_allows(s, (const struct sockaddr *)&in);
	else if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
		got = ssrf_allows(s, (const struct sockaddr *)&in6);
	else
		got = !want;
	if (got != want || ssrf_allows_text(s, ip, 80) != want)
		fail_msg("%s: %d", ip, got);
}

/* First and last address of each closed range, and forms that carry one. */
static const char *const closed[] = { "0.0.0.0", "0.255.255.255", "10.0.0.0",
	"10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
	"127.255.255.255", "169.254.0.0", "169.254.169.254", "172.16.0.0",
	"172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.1",
	"192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0",
	"198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1",
	"239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1",
	"::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.1.2.3",
	"::ffff:0.0.0.0", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
	"100::1", "2001::1", "2001:0:4136:e378:8000:63bf::1",
	"2001:1ff:ffff::1", "2001:db8::1", "2002:7f00:1::1", "2002:c0a8:101::1",
	"3fff::1", "3fff:fff::1", "5f00::1", "fc00::1", "fdff::1", "fe80::1",
	"fec0::1", "ff02::1", "4000::1" };

static const char *const open_[] = { "1.1.1.1", "8.8.8.8", "9.255.255.255",
	"11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
	"128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0",
	"192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
	"198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::808:808",
	"2002:808:808::1", "2001:200::1", "2606:4700::1111", "2a00:1450::1",
	"2001:db9::1", "3ffe::1" };

static void
test_ranges(void **state)
{
	struct ssrf *s = make("");

	(void)state;
	for (size_t i = 0; i < COUNT(closed); i++)
		check(s, closed[i], false);
	for (size_t i = 0; i < COUNT(open_); i++)
		check(s, open_[i], true);
	ssrf_free(s);
}

static void
test_not_numeric(void **state)
{
	static const char *const bad[] = { "", "localhost", "1.1.1", "1",
		"0x7f.1", "fe80::1%lo", "8.8.8.8 " };
	struct ssrf *s = make("0.0.0.0/0,::/0");
	struct sockaddr_storage unix_ = { .ss_family = AF_UNIX };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(ssrf_allows_text(s, bad[i], 80));
	assert_false(ssrf_allows(s, (const struct sockaddr *)&unix_));
	ssrf_free(s);
}

static void
test_allow_net(void **state)
{
	struct ssrf *s = make("127.0.0.0/8,::1/128,10.1.2.3,fd00::/9");

	(void)state;
	check(s, "127.0.0.1", true);
	check(s, "::ffff:127.0.0.1", true);
	check(s, "64:ff9b::7f00:1", true);
	check(s, "::1", true);
	check(s, "::2", false);
	check(s, "10.1.2.3", true);
	check(s, "10.1.2.4", false);
	check(s, "fd7f:ffff::1", true);
	check(s, "fd80::1", false);
	check(s, "192.168.0.1", false);
	check(s, "8.8.8.8", true);
	check(s, "0.0.0.0", false);
	ssrf_free(s);
	s = make("0.0.0.0/0,::/0");
	check(s, "192.168.0.1", true);
	check(s, "fe80::1", true);
	/* these mean "this machine" and dodge the listeners: never */
	check(s, "0.0.0.0", false);
	check(s, "::", false);
	ssrf_free(s);
}

static void
test_bad_allow_net(void **state)
{
	static const char *const bad[] = { "x", "127.0.0.0/33", "::1/129",
		"127.0.0.0/", "127.0.0.0/8x", "/8", ",", "10.0.0.0/8,,::1",
		"127.0.0.0/0008", "127.0.0.0/-1", "localhost",
		"1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22" };
	struct ssrf *s = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(ssrf_new(bad[i], &s), -EINVAL);
	assert_null(s);
}

static void
test_listeners(void **state)
{
	struct ssrf *s = make("127.0.0.0/8,::1");

	(void)state;
	assert_int_equal(ssrf_add_listener(s, "127.0.0.1:8080"), 0);
	assert_int_equal(ssrf_add_listener(s, "[::1]:8081"), 0);
	assert_false(ssrf_allows_text(s, "127.0.0.1", 8080));
	assert_false(ssrf_allows_text(s, "::ffff:127.0.0.1", 8080));
	assert_false(ssrf_allows_text(s, "64:ff9b::7f00:1", 8080));
	assert_true(ssrf_allows_text(s, "127.0.0.1", 8081));
	assert_true(ssrf_allows_text(s, "127.0.0.2", 8080));
	assert_false(ssrf_allows_text(s, "::1", 8081));
	assert_int_equal(ssrf_add_listener(s, "0.0.0.0:8082"), 0);
	assert_false(ssrf_allows_text(s, "127.0.0.1", 8082));
	assert_false(ssrf_allows_text(s, "127.9.9.9", 8082));
	assert_false(ssrf_allows_text(s, "::1", 8082));
	assert_int_equal(ssrf_add_listener(s, "*:8083"), 0);
	assert_false(ssrf_allows_text(s, "127.0.0.1", 8083));
	assert_int_equal(ssrf_add_listener(s, "127.0.0.1"), -EINVAL);
	assert_int_equal(ssrf_add_listener(s, ":80"), -EINVAL);
	assert_int_equal(ssrf_add_listener(s, "127.0.0.1:x"), -EINVAL);
	ssrf_free(s);
}

static void
test_urls(void **state)
{
	static const char *const good[] = { "http://a", "https://a.b/c?d=e@f",
		"HTTP://1.2.3.4:8080/", "https://[::1]/x", "http://a?b@c",
		"http://a#b@c", "http://a/@" };
	static const char *const bad[] = { "", "a", "ftp://a", "file:///etc",
		"//a", "http:/a", "http://", "http:///a", "http://?a",
		"http://u@a", "http://u:p@a/", "http://a@", "http://a b",
		"http://a\\@b", "http://a/\r\nx: y", "gopher://a",
		"http://a\x7f" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (ssrf_check_url(slice_text(good[i])) != NULL)
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (ssrf_check_url(slice_text(bad[i])) == NULL)
			fail_msg("%s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_not_numeric),
		cmocka_unit_test(test_allow_net),
		cmocka_unit_test(test_bad_allow_net),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
