/* TLSA records of a host: where they may stand, when they count (RFC 7672 section 2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "relay/dane.h"

static const char DIGEST[] = "0123456789abcdef0123456789abcdef";

/* What the DNS says: one name with records. */
struct world {
	const char *name;
	enum status status; /* of that name */
	bool is_secure;
	struct dns_tlsa records[3];
	size_t count;
	enum status alias_status;
	bool alias_is_secure;
	char asked[600]; /* names, separated by a space */
};

static enum status find_tlsa(void *context, struct arena *arena, struct slice name, struct dns_tlsa **records, size_t *count,
			     bool *secure)
{
	struct world *world = context;
	size_t length = strlen(world->asked);

	snprintf(world->asked + length, sizeof(world->asked) - length, "%s%.*s", length ? " " : "", SLICE_ARG(name));
	*secure = world->is_secure;
	*count = 0;
	if (!slice_eq(name, slice_from_cstr(world->name)))
		return STATUS_NOT_FOUND;
	*records = ARENA_ARRAY(arena, struct dns_tlsa, world->count + 1);
	memcpy(*records, world->records, world->count * sizeof(**records));
	*count = world->count;
	return world->status;
}

static enum status find_alias(void *context, struct arena *arena, struct slice name, bool *secure)
{
	const struct world *world = context;

	(void)arena;
	(void)name;
	*secure = world->alias_is_secure;
	return world->alias_status;
}

static struct dns_tlsa record(uint8_t usage, uint8_t selector, uint8_t matching, size_t len)
{
	return (struct dns_tlsa){usage, selector, matching, slice_of(DIGEST, len)};
}

static struct route_host good_host(void)
{
	return (struct route_host){
		.name = SLICE("mx.a.test"),
		.address = {.family = AF_INET, .port = 25},
		.name_is_secure = true,
		.address_is_secure = true,
		.canonical = SLICE_EMPTY,
	};
}

static struct world good_world(void)
{
	return (struct world){
		.name = "_25._tcp.mx.a.test",
		.is_secure = true,
		.records = {record(3, 1, 1, 32)},
		.count = 1,
		.alias_status = STATUS_NOT_FOUND,
	};
}

static struct dane find(struct world *world, const struct route_host *host)
{
	const struct resolver resolver = {.context = world, .tlsa = find_tlsa, .alias = find_alias};
	static struct arena arena;
	struct dane dane;

	arena_free(&arena);
	world->asked[0] = '\0';
	dane_find(&resolver, &arena, host, &dane);
	return dane;
}

static void secure_records_count(void **state)
{
	struct route_host host = good_host();
	struct world world = good_world();
	struct dane dane = find(&world, &host);

	(void)state;
	assert_int_equal(dane.outcome, DANE_USABLE);
	assert_true(slice_eq(dane.base, SLICE("mx.a.test")));
	assert_int_equal(dane.count, 1);
	host.address.port = 587;
	assert_int_equal(find(&world, &host).outcome, DANE_ABSENT);
	assert_string_equal(world.asked, "_587._tcp.mx.a.test");
}

static void all_of_the_way_must_be_secure(void **state)
{
	struct route_host host = good_host();
	struct world world = good_world();

	(void)state;
	host.name_is_secure = false; /* RFC 7672 section 2.2.1 */
	assert_int_equal(find(&world, &host).outcome, DANE_ABSENT);
	assert_string_equal(world.asked, "");
	host = good_host();
	host.address_is_secure = false;
	assert_int_equal(find(&world, &host).outcome, DANE_ABSENT);
	assert_string_equal(world.asked, "");
	host = good_host();
	world.is_secure = false;
	assert_int_equal(find(&world, &host).outcome, DANE_ABSENT);
	host.name = SLICE("[192.0.2.1]");
	assert_int_equal(find(&world, &host).outcome, DANE_ABSENT);
}

static void trouble_is_no_absence(void **state)
{
	struct route_host host = good_host();
	struct world world = good_world();

	(void)state;
	world.status = STATUS_TEMPORARY;
	assert_int_equal(find(&world, &host).outcome, DANE_TROUBLE);
}

static void aliases(void **state)
{
	struct route_host host = good_host();
	struct world world = good_world();
	struct dane dane;

	(void)state;
	host.canonical = SLICE("real.b.test");
	world.name = "_25._tcp.real.b.test";
	dane = find(&world, &host);
	assert_int_equal(dane.outcome, DANE_USABLE);
	assert_true(slice_eq(dane.base, SLICE("real.b.test")));
	assert_string_equal(world.asked, "_25._tcp.real.b.test");
	world.name = "_25._tcp.mx.a.test"; /* not at the end of the chain: at its beginning */
	dane = find(&world, &host);
	assert_int_equal(dane.outcome, DANE_USABLE);
	assert_true(slice_eq(dane.base, SLICE("mx.a.test")));
	assert_string_equal(world.asked, "_25._tcp.real.b.test _25._tcp.mx.a.test");
	/* A chain that leaves the secure zone: the name itself counts, if its alias record is secure. */
	host.address_is_secure = false;
	world.alias_status = STATUS_OK;
	world.alias_is_secure = true;
	assert_int_equal(find(&world, &host).outcome, DANE_USABLE);
	assert_string_equal(world.asked, "_25._tcp.mx.a.test");
	world.alias_is_secure = false;
	assert_int_equal(find(&world, &host).outcome, DANE_ABSENT);
	world.alias_status = STATUS_TEMPORARY;
	assert_int_equal(find(&world, &host).outcome, DANE_TROUBLE);
}

static void unusable_records(void **state)
{
	static const struct {
		uint8_t usage, selector, matching;
		size_t len;
		bool is_usable;
	} TABLE[] = {
		{3, 1, 1, 32, true},  {3, 0, 1, 32, true},  {2, 0, 1, 32, true},  {2, 1, 1, 32, true},
		{0, 0, 1, 32, false}, {1, 1, 1, 32, false}, {4, 1, 1, 32, false}, {3, 2, 1, 32, false},
		{3, 1, 1, 31, false}, {3, 1, 2, 32, false}, {3, 1, 3, 32, false}, {3, 1, 0, 32, false}, /* no key */
	};
	struct route_host host = good_host();
	struct world world = good_world();

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		world.records[0] = record(TABLE[i].usage, TABLE[i].selector, TABLE[i].matching, TABLE[i].len);
		assert_int_equal(find(&world, &host).outcome, TABLE[i].is_usable ? DANE_USABLE : DANE_UNUSABLE);
	}
	world.records[1] = record(3, 1, 1, 32);
	world.count = 2;
	assert_int_equal(find(&world, &host).outcome, DANE_USABLE);
	assert_int_equal(find(&world, &host).count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secure_records_count), cmocka_unit_test(all_of_the_way_must_be_secure),
		cmocka_unit_test(trouble_is_no_absence), cmocka_unit_test(aliases),
		cmocka_unit_test(unusable_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
