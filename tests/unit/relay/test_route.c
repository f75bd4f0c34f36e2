/* From a domain to addresses: RFC 5321 section 5.1, RFC 7505, with a DNS of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay/route.h"

struct record {
	const char *domain;
	int preference; /* -1: an address */
	const char *value;
};

static const struct record RECORDS[] = {
	{"two.example", 20, "mx2.example"},
	{"two.example", 10, "MX1.example"},
	{"mx1.example", -1, "192.0.2.1"},
	{"mx1.example", -1, "2001:db8::1"},
	{"mx2.example", -1, "192.0.2.2"},
	{"implicit.example", -1, "192.0.2.3"},
	{"null.example", 0, ""},
	{"equal.example", 10, "mx1.example"},
	{"equal.example", 10, "mx2.example"},
	{"dangling.example", 10, "nowhere.example"},
	{"half.example", 10, "nowhere.example"},
	{"half.example", 20, "mx2.example"},
	{"flaky.example", 10, "trouble.example"},
	{"flakyhalf.example", 10, "trouble.example"},
	{"flakyhalf.example", 20, "mx2.example"},
	{"us.example", 10, "me.example"},
	{"us.example", 20, "mx1.example"},
	{"backup.example", 10, "mx1.example"},
	{"backup.example", 20, "me.example"},
	{"backup.example", 20, "mx2.example"},
	{"backup.example", 30, "mx2.example"},
	{"byaddress.example", 10, "other-name.example"},
	{"other-name.example", -1, "192.0.2.9"},
	{"me.example", -1, "192.0.2.9"},
	{"ours.example", -1, "192.0.2.9"},
	{"literal.example", 10, "192.0.2.7"},
	{"empty.example", -2, ""},
};

static bool names(const struct record *record, struct slice domain)
{
	return slice_eq(slice_from_cstr(record->domain), domain);
}

static enum status fake_mx(void *context, struct arena *arena, struct slice domain, struct dns_mx **records, size_t *count,
			   bool *secure, bool *exists)
{
	(void)context;
	*count = 0;
	*exists = *secure = false;
	*records = ARENA_ARRAY(arena, struct dns_mx, 10);
	if (slice_eq(domain, SLICE("servfail.example")))
		return STATUS_TEMPORARY;
	for (size_t i = 0; i < sizeof(RECORDS) / sizeof(RECORDS[0]); i++)
		if (names(&RECORDS[i], domain)) {
			*exists = true;
			if (RECORDS[i].preference >= 0)
				(*records)[(*count)++] =
					(struct dns_mx){(uint16_t)RECORDS[i].preference, slice_from_cstr(RECORDS[i].value)};
		}
	return *count > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

static enum status fake_host(void *context, struct arena *arena, struct slice name, struct dns_host *host)
{
	(void)context;
	*host = (struct dns_host){.addresses = ARENA_ARRAY(arena, struct net_address, 10), .canonical = SLICE_EMPTY};
	if (slice_eq(name, SLICE("trouble.example")))
		return STATUS_TEMPORARY;
	for (size_t i = 0; i < sizeof(RECORDS) / sizeof(RECORDS[0]); i++)
		if (names(&RECORDS[i], name) && RECORDS[i].preference == -1)
			assert_true(net_address_parse(slice_from_cstr(RECORDS[i].value), &host->addresses[host->count++]));
	return host->count > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

static void find(struct arena *arena, const char *hop, struct route *route)
{
	static const struct resolver RESOLVER = {.mx = fake_mx, .host = fake_host};
	const struct net_address own = {.family = AF_INET, .bytes = {192, 0, 2, 9}, .port = 25};
	const struct route_options options = {SLICE("me.example"), 25, &own, 1, 0};

	route_find(&RESOLVER, &options, arena, slice_from_cstr(hop), route);
}

/* "name address:port, ..." */
static struct slice describe(struct arena *arena, const struct route *route)
{
	struct buf text;

	buf_init(&text, arena, 0);
	for (size_t i = 0; i < route->count; i++) {
		buf_printf(&text, "%s%.*s ", i ? ", " : "", SLICE_ARG(route->hosts[i].name));
		net_address_format(&text, &route->hosts[i].address);
		buf_printf(&text, ":%u", route->hosts[i].address.port);
	}
	if (route->count == 0)
		buf_printf(&text, "%u %.*s", route->failure.code, SLICE_ARG(route->failure.enhanced));
	buf_add_byte(&text, '\0');
	return buf_slice(&text);
}

static void table(void **state)
{
	static const struct {
		const char *hop, *expected;
	} TABLE[] = {
		{"two.example", "mx1.example 2001:db8::1:25, mx1.example 192.0.2.1:25, mx2.example 192.0.2.2:25"},
		{"implicit.example", "implicit.example 192.0.2.3:25"},
		{"null.example", "556 5.1.10"},
		{"missing.example", "550 5.1.2"},
		{"empty.example", "550 5.4.4"},
		{"dangling.example", "550 5.4.4"},
		{"half.example", "mx2.example 192.0.2.2:25"},
		{"servfail.example", "451 4.4.3"},
		{"flaky.example", "451 4.4.3"},
		{"flakyhalf.example", "mx2.example 192.0.2.2:25"},
		{"us.example", "554 5.4.6"},
		{"backup.example", "mx1.example 2001:db8::1:25, mx1.example 192.0.2.1:25"},
		{"byaddress.example", "554 5.4.6"},
		{"ours.example", "554 5.4.6"},
		{"literal.example", "192.0.2.7 192.0.2.7:25"},
		{"[192.0.2.5]", "[192.0.2.5] 192.0.2.5:25"},
		{"[ipv6:2001:db8::5]", "[ipv6:2001:db8::5] 2001:db8::5:25"},
		{"[192.0.2.9]", "554 5.4.6"},
		{"[192.0.2.9]:587", "[192.0.2.9] 192.0.2.9:587"}, /* another port: another server */
		{"[2001:db8::5]:587", "[2001:db8::5] 2001:db8::5:587"},
		{"127.0.0.1:2525", "127.0.0.1 127.0.0.1:2525"},
		{"two.example:587", "550 5.4.4"}, /* a host with a port has no MX */
		{"mx2.example:587", "mx2.example 192.0.2.2:587"},
		{"trouble.example:587", "451 4.4.3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct arena arena SCOPED_ARENA;
		struct route route;

		find(&arena, TABLE[i].hop, &route);
		assert_string_equal(describe(&arena, &route).data, TABLE[i].expected);
	}
}

static void equals_take_turns(void **state)
{
	unsigned first[2] = {0};

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct arena arena SCOPED_ARENA;
		struct route route;

		find(&arena, "equal.example", &route);
		assert_int_equal(route.count, 3);
		first[slice_eq(route.hosts[0].name, SLICE("mx1.example"))]++;
	}
	assert_true(first[0] > 40 && first[1] > 40);
}

static void parts(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice host;
	uint16_t port;

	(void)state;
	assert_true(slice_eq(route_domain_of(&arena, SLICE("\"a@b\"@Example.ORG")), SLICE("example.org")));
	assert_int_equal(route_domain_of(&arena, SLICE("nobody")).len, 0);
	assert_true(route_parse_host_port(SLICE("relay.example:587"), &host, &port));
	assert_true(slice_eq(host, SLICE("relay.example")));
	assert_int_equal(port, 587);
	assert_false(route_parse_host_port(SLICE("relay.example"), &host, &port));
	assert_false(route_parse_host_port(SLICE("relay.example:0"), &host, &port));
	assert_false(route_parse_host_port(SLICE("relay.example:65536"), &host, &port));
	assert_false(route_parse_host_port(SLICE("[ipv6:2001:db8::5]"), &host, &port));
	assert_false(route_parse_host_port(SLICE(":25"), &host, &port));
}

static void wishes(void **state)
{
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (int i = TLS_WISH_NONE; i <= TLS_WISH_OPTIONAL; i++) {
		enum tls_wish wish;
		struct slice hop = route_join_wish(&arena, SLICE("example.org"), (enum tls_wish)i);

		assert_int_equal(hop.len > 11, i != TLS_WISH_NONE);
		assert_true(slice_eq(route_split_wish(hop, &wish), SLICE("example.org")));
		assert_int_equal(wish, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(equals_take_turns),
					   cmocka_unit_test(parts), cmocka_unit_test(wishes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
