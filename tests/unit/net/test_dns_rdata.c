/* Record data of the DNS and names, as hostile as they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/dns_rdata.h"

#define assert_slice(got, expected) assert_true(slice_eq((got), SLICE(expected)))

#define TEN  "abcdefghij"
#define L63  TEN TEN TEN TEN TEN TEN "abc"
#define L61  TEN TEN TEN TEN TEN TEN "a"
#define N253 L63 "." L63 "." L63 "." L61

static void names_to_ask_for(void **state)
{
	static const struct {
		struct slice text;
		bool good;
	} cases[] = {
		{SLICE("example.org"), true},
		{SLICE("Example.ORG"), true},
		{SLICE("org"), true},
		{SLICE("_25._tcp.mx-1.example.org"), true},
		{SLICE("xn--bcher-kva.example"), true},
		{SLICE(L63 ".org"), true},
		{SLICE(N253), true},
		{SLICE(N253 "a"), false},
		{SLICE(L63 "d.org"), false},
		{SLICE(""), false},
		{SLICE("."), false},
		{SLICE("example.org."), false},
		{SLICE(".example.org"), false},
		{SLICE("example..org"), false},
		{SLICE("exa mple.org"), false},
		{SLICE("exa\\.mple.org"), false},
		{SLICE("exa\0mple.org"), false},
		{SLICE("b\xc3\xbc"
		       "cher.example"),
		 false},
	};
	struct arena arena SCOPED_ARENA;
	struct slice name;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (dns_name_check(&arena, cases[i].text, &name) != cases[i].good)
			fail_msg("case %zu", i);
	}
	assert_true(dns_name_check(&arena, SLICE("MX.Example.Org"), &name));
	assert_slice(name, "mx.example.org");
}

static void names_from_the_wire(void **state)
{
	static const struct {
		struct slice wire;
		const char *name; /* NULL: refused */
		size_t left;
	} cases[] = {
		{SLICE("\2mx\7Example\3ORG\0"), "mx.example.org", 0},
		{SLICE("\2mx\7example\3org\0more"), "mx.example.org", 4},
		{SLICE("\0"), "", 0},
		{SLICE("\5_name\4x-y/\0"), "_name.x-y/", 0},
		{SLICE("\77" L63 "\77" L63 "\77" L63 "\75" L61 "\0"), N253, 0},
		/* too long by one, by far */
		{SLICE("\77" L63 "\77" L63 "\77" L63 "\76" L61 "b\0"), NULL, 0},
		{SLICE("\77" L63 "\77" L63 "\77" L63 "\77" L63 "\77" L63 "\0"), NULL, 0},
		/* cut */
		{SLICE(""), NULL, 0},
		{SLICE("\3org"), NULL, 0},
		{SLICE("\4org"), NULL, 0},
		{SLICE("\3"), NULL, 0},
		/* pointers and reserved label types */
		{SLICE("\300\0"), NULL, 0},
		{SLICE("\2mx\300\14"), NULL, 0},
		{SLICE("\100" L63 "d\0"), NULL, 0},
		/* odd bytes: they would end up in logs and comparisons */
		{SLICE("\3a.b\3org\0"), NULL, 0},
		{SLICE("\3a b\3org\0"), NULL, 0},
		{SLICE("\3a\0b\3org\0"), NULL, 0},
		{SLICE("\3a\nb\3org\0"), NULL, 0},
		{SLICE("\2\xc3\xbc\3org\0"), NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena SCOPED_ARENA;
		struct slice wire = cases[i].wire, name;
		bool good = dns_name_from_wire(&arena, &wire, &name);

		if (good != (cases[i].name != NULL))
			fail_msg("case %zu", i);
		if (good && !slice_eq(name, slice_from_cstr(cases[i].name)))
			fail_msg("case %zu: %.*s", i, SLICE_ARG(name));
		if (good)
			assert_int_equal(wire.len, cases[i].left);
	}
}

static void names_of_addresses(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct net_address four = {AF_INET, {192, 0, 2, 10}, 25}, none = {0};
	struct net_address six = {AF_INET6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0x05, 0x67, 0x89, 0xab}, 0};
	struct slice name;

	(void)state;
	assert_true(dns_name_of_address(&arena, &four, &name));
	assert_slice(name, "10.2.0.192.in-addr.arpa");
	assert_true(dns_name_of_address(&arena, &six, &name));
	assert_slice(name, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	assert_false(dns_name_of_address(&arena, &none, &name));
}

static void mx_data(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct dns_mx mx;

	(void)state;
	assert_true(dns_rdata_mx(&arena, SLICE("\1\2\2MX\3org\0"), &mx));
	assert_int_equal(mx.preference, 258);
	assert_slice(mx.host, "mx.org");
	assert_true(dns_rdata_mx(&arena, SLICE("\xff\xff\0"), &mx));
	assert_int_equal(mx.preference, 65535);
	assert_int_equal(mx.host.len, 0);
	assert_false(dns_rdata_mx(&arena, SLICE(""), &mx));
	assert_false(dns_rdata_mx(&arena, SLICE("\0"), &mx));
	assert_false(dns_rdata_mx(&arena, SLICE("\0\12"), &mx));
	assert_false(dns_rdata_mx(&arena, SLICE("\0\12\2mx\3org"), &mx));
	assert_false(dns_rdata_mx(&arena, SLICE("\0\12\2mx\3org\0more"), &mx));
}

static void txt_data(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice text;

	(void)state;
	assert_true(dns_rdata_txt(&arena,
				  SLICE("\5v=spf\0\3"
					"1 a"),
				  &text));
	assert_slice(text, "v=spf1 a");
	assert_true(dns_rdata_txt(&arena, SLICE("\0"), &text));
	assert_int_equal(text.len, 0);
	assert_true(dns_rdata_txt(&arena, SLICE("\3a\0b"), &text));
	assert_slice(text, "a\0b");
	assert_false(dns_rdata_txt(&arena, SLICE(""), &text));
	assert_false(dns_rdata_txt(&arena, SLICE("\4abc"), &text));
	assert_false(dns_rdata_txt(&arena, SLICE("\3abc\377"), &text));
}

static void tlsa_data(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct dns_tlsa tlsa;

	(void)state;
	assert_true(dns_rdata_tlsa(&arena, SLICE("\3\1\2\0\377"), &tlsa));
	assert_int_equal(tlsa.usage, 3);
	assert_int_equal(tlsa.selector, 1);
	assert_int_equal(tlsa.matching, 2);
	assert_slice(tlsa.data, "\0\377");
	assert_false(dns_rdata_tlsa(&arena, SLICE("\3\1\2"), &tlsa));
	assert_false(dns_rdata_tlsa(&arena, SLICE("\3\1"), &tlsa));
	assert_false(dns_rdata_tlsa(&arena, SLICE(""), &tlsa));
}

static void ptr_data(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice name;

	(void)state;
	assert_true(dns_rdata_ptr(&arena, SLICE("\4Host\7example\0"), &name));
	assert_slice(name, "host.example");
	assert_false(dns_rdata_ptr(&arena, SLICE("\0"), &name));
	assert_false(dns_rdata_ptr(&arena, SLICE("\4host\0\0"), &name));
}

static void address_data(void **state)
{
	struct net_address address;

	(void)state;
	assert_true(dns_rdata_address(SLICE("\300\0\2\1"), &address));
	assert_int_equal(address.family, AF_INET);
	assert_memory_equal(address.bytes, "\300\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(address.port, 0);
	assert_true(dns_rdata_address(SLICE("\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), &address));
	assert_int_equal(address.family, AF_INET6);
	assert_memory_equal(address.bytes, "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	/* what would reach 127.0.0.1 must look like it */
	assert_true(dns_rdata_address(SLICE("\0\0\0\0\0\0\0\0\0\0\377\377\177\0\0\1"), &address));
	assert_int_equal(address.family, AF_INET);
	assert_memory_equal(address.bytes, "\177\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_false(dns_rdata_address(SLICE(""), &address));
	assert_false(dns_rdata_address(SLICE("\177\0\0"), &address));
	assert_false(dns_rdata_address(SLICE("\177\0\0\1\1"), &address));
}

static void preference_orders_stably(void **state)
{
	struct dns_mx records[] = {{30, SLICE("a")}, {10, SLICE("b")}, {30, SLICE("c")},
				   {0, SLICE("d")},  {10, SLICE("e")}, {65535, SLICE("f")}};
	char order[7] = "";

	(void)state;
	dns_mx_sort(records, 0);
	dns_mx_sort(records, 6);
	for (size_t i = 0; i < 6; i++)
		order[i] = records[i].host.data[0];
	assert_string_equal(order, "dbeacf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_to_ask_for),
		cmocka_unit_test(names_from_the_wire),
		cmocka_unit_test(names_of_addresses),
		cmocka_unit_test(mx_data),
		cmocka_unit_test(txt_data),
		cmocka_unit_test(tlsa_data),
		cmocka_unit_test(ptr_data),
		cmocka_unit_test(address_data),
		cmocka_unit_test(preference_orders_stably),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
