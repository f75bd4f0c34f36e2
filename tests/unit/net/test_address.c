#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/conn.h"

static void assert_text(struct slice got, const char *expected)
{
	assert_int_equal(got.len, strlen(expected));
	assert_memory_equal(got.data, expected, got.len);
}

static void parsed_and_written(void **state)
{
	static const struct {
		const char *text, *written, *literal;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", "[192.0.2.1]"},
		{"0.0.0.0", "0.0.0.0", "[0.0.0.0]"},
		{"2001:DB8::1", "2001:db8::1", "[IPv6:2001:db8::1]"},
		{"::", "::", "[IPv6:::]"},
		{"::ffff:192.0.2.7", "192.0.2.7", "[192.0.2.7]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf out SCOPED_BUF;
		struct net_address address;

		buf_init(&out, NULL, 0);
		assert_true(net_address_parse(slice_from_cstr(cases[i].text), &address));
		net_address_format(&out, &address);
		assert_text(buf_slice(&out), cases[i].written);
		buf_clear(&out);
		net_address_format_literal(&out, &address);
		assert_text(buf_slice(&out), cases[i].literal);
	}
}

static void refused(void **state)
{
	static const char *cases[] = {
		"",           "1",          "1.2.3",
		"1.2.3.4.5",  "256.0.0.1",  "1.2.3.4 ",
		" 1.2.3.4",   "01.2.3.4",   "a.b.c.d",
		"1.2.3.4:25", ":",          ":::",
		"1::2::3",    "fe80::1%lo", "[::1]",
		"::1/64",     "12345::",    "0x7f.1",
		"1.2.3.-4",   "::1.2.3",    "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
	struct net_address address;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (net_address_parse(slice_from_cstr(cases[i]), &address))
			fail_msg("accepted: %s", cases[i]);
	assert_false(net_address_parse(SLICE("1.2.3.4\0"), &address));
}

static void socket_addresses(void **state)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(25)};
	struct sockaddr_storage storage = {0};
	struct net_address address, again;

	(void)state;
	assert_true(net_address_parse(SLICE("2001:db8::5"), &address));
	address.port = 587;
	assert_int_equal(net_address_to_sockaddr(&address, &storage), sizeof(struct sockaddr_in6));
	again = net_address_from_sockaddr(&storage);
	assert_memory_equal(&again, &address, sizeof(address));
	assert_true(net_address_parse(SLICE("198.51.100.9"), &address));
	address.port = 65535;
	assert_int_equal(net_address_to_sockaddr(&address, &storage), sizeof(struct sockaddr_in));
	again = net_address_from_sockaddr(&storage);
	assert_memory_equal(&again, &address, sizeof(address));

	/* RFC 4291 section 2.5.5.2 */
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr), 1);
	memcpy(&storage, &in6, sizeof(in6));
	again = net_address_from_sockaddr(&storage);
	assert_int_equal(again.family, AF_INET);
	assert_int_equal(again.port, 25);
	assert_memory_equal(again.bytes, "\xc0\x00\x02\x01", 4);

	storage.ss_family = AF_UNIX;
	again = net_address_from_sockaddr(&storage);
	assert_int_equal(again.family, 0);
	assert_int_equal(net_address_to_sockaddr(&again, &storage), 0);
}

static void unknown(void **state)
{
	struct buf out SCOPED_BUF;
	struct net_address none = {0};

	(void)state;
	buf_init(&out, NULL, 0);
	net_address_format(&out, &none);
	assert_text(buf_slice(&out), "unknown");
	assert_false(net_address_is_loopback(&none));
}

static void loopback(void **state)
{
	static const struct {
		const char *text;
		bool is_loopback;
	} cases[] = {{"127.0.0.1", true}, {"127.255.0.9", true},      {"128.0.0.1", false}, {"::1", true},
		     {"::2", false},      {"::ffff:127.0.0.1", true}, {"7f00:1::", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct net_address address;

		assert_true(net_address_parse(slice_from_cstr(cases[i].text), &address));
		assert_int_equal(net_address_is_loopback(&address), cases[i].is_loopback);
	}
}

static void prefixes(void **state)
{
	static const struct {
		const char *prefix, *address;
		bool contains;
	} cases[] = {
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/24", "192.0.3.0", false},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.128/25", "192.0.2.200", true},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "192.0.2.1", false},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"2001:db8::1", "2001:db8::1", true},
		{"2001:db8::1/128", "2001:db8::2", false},
		{"::ffff:10.0.0.0/104", "10.9.9.9", true},
		{"::ffff:10.0.0.0/104", "11.0.0.0", false},
		{"10.0.0.7/8", "10.200.0.1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct net_prefix prefix;
		struct net_address address;

		assert_true(net_prefix_parse(slice_from_cstr(cases[i].prefix), &prefix));
		assert_true(net_address_parse(slice_from_cstr(cases[i].address), &address));
		if (net_prefix_contains(&prefix, &address) != cases[i].contains)
			fail_msg("%s in %s", cases[i].address, cases[i].prefix);
	}
}

static void bad_prefixes(void **state)
{
	static const char *cases[] = {"",
				      "/",
				      "/8",
				      "10.0.0.0/",
				      "10.0.0.0/33",
				      "10.0.0.0/-1",
				      "10.0.0.0/8/8",
				      "10.0.0.0/ 8",
				      "::/129",
				      "::ffff:10.0.0.0/95",
				      "10/8",
				      "10.0.0.0/4294967296"};
	struct net_prefix prefix;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (net_prefix_parse(slice_from_cstr(cases[i]), &prefix))
			fail_msg("accepted: %s", cases[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsed_and_written), cmocka_unit_test(refused),
		cmocka_unit_test(socket_addresses),   cmocka_unit_test(unknown),
		cmocka_unit_test(loopback),           cmocka_unit_test(prefixes),
		cmocka_unit_test(bad_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
