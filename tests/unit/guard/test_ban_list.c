#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "guard/ban_keeper.h"

#define NOW_MS 1000

static struct net_prefix prefix(const char *text)
{
	struct net_prefix prefix;

	assert_true(net_prefix_parse(slice_from_cstr(text), &prefix));
	return prefix;
}

static int64_t until(struct ban_list *list, const char *address)
{
	struct net_address peer;

	assert_true(net_address_parse(slice_from_cstr(address), &peer));
	return ban_list_until(list, &peer, NOW_MS);
}

static void networks_of_all_lengths(void **state)
{
	struct ban_list *list = ban_list_new(NULL, 0);
	const struct ban bans[] = {
		{prefix("192.0.2.77"), 2000},      {prefix("198.51.100.0/24"), 3000}, {prefix("203.0.113.129/25"), 4000},
		{prefix("2001:db8:1::/48"), 5000}, {prefix("2001:db8:2::5"), 6000},   {prefix("192.0.2.99"), 1000},
	};

	(void)state;
	assert_int_equal(until(list, "192.0.2.77"), 0);
	ban_list_replace(list, bans, sizeof(bans) / sizeof(bans[0]));
	assert_int_equal(until(list, "192.0.2.77"), 2000);
	assert_int_equal(until(list, "192.0.2.78"), 0);
	assert_int_equal(until(list, "198.51.100.255"), 3000);
	assert_int_equal(until(list, "198.51.101.0"), 0);
	assert_int_equal(until(list, "203.0.113.200"), 4000);
	assert_int_equal(until(list, "203.0.113.1"), 0);
	assert_int_equal(until(list, "2001:db8:1:ffff::1"), 5000);
	assert_int_equal(until(list, "2001:db8:2::5"), 6000);
	assert_int_equal(until(list, "2001:db8:2::6"), 0);
	/* Over. */
	assert_int_equal(until(list, "192.0.2.99"), 0);
	ban_list_replace(list, bans + 1, 1);
	assert_int_equal(until(list, "192.0.2.77"), 0);
	assert_int_equal(until(list, "198.51.100.1"), 3000);
	ban_list_free(list);
}

static void the_longest_ban_counts(void **state)
{
	struct ban_list *list = ban_list_new(NULL, 0);
	const struct ban bans[] = {{prefix("192.0.2.0/24"), INT64_MAX}, {prefix("192.0.2.1"), 2000}};

	(void)state;
	ban_list_replace(list, bans, 2);
	assert_true(until(list, "192.0.2.1") == INT64_MAX);
	ban_list_free(list);
}

static void the_exempt_are_never_banned(void **state)
{
	struct net_prefix exempt = prefix("192.0.2.0/28");
	struct ban_list *list = ban_list_new(&exempt, 1);
	const struct ban bans[] = {{prefix("192.0.2.0/24"), 2000}, {prefix("0.0.0.0/0"), 3000}};

	(void)state;
	ban_list_replace(list, bans, 2);
	assert_int_equal(until(list, "192.0.2.3"), 0);
	assert_int_equal(until(list, "192.0.2.16"), 3000);
	assert_int_equal(until(list, "10.0.0.1"), 3000);
	assert_int_equal(until(list, "::1"), 0);
	ban_list_free(list);
}

static void texts(void **state)
{
	static const struct {
		const char *in, *out;
	} table[] = {
		{"192.0.2.77/24", "192.0.2.0/24"}, {"192.0.2.77/32", "192.0.2.77"},      {"2001:db8::ff:1/64", "2001:db8::/64"},
		{"2001:db8::1", "2001:db8::1"},    {"192.0.2.255/25", "192.0.2.128/25"},
	};
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct net_prefix given = prefix(table[i].in), canonical = ban_prefix_canonical(&given);
		struct slice text = ban_prefix_text(&arena, &canonical);

		assert_string_equal(slice_cstr(&arena, text), table[i].out);
	}
	struct net_address peer;

	assert_true(net_address_parse(SLICE("2001:db8::ff:1"), &peer));
	struct net_prefix network = ban_network_of(&peer);

	assert_true(slice_eq(ban_prefix_text(&arena, &network), SLICE("2001:db8::/64")));
}

/* ---- the keeper ---- */

static _Atomic int fetches;
static _Atomic int64_t until_now_ms;

/* The first time the other role is not there yet. */
static bool fetch(void *context, struct arena *arena, struct ban **bans, size_t *count)
{
	(void)context;
	if (atomic_fetch_add(&fetches, 1) == 0)
		return false;
	*bans = ARENA_NEW(arena, struct ban);
	**bans = (struct ban){prefix("192.0.2.1"), until_now_ms};
	*count = 1;
	return true;
}

static bool comes_to(struct ban_list *list, int64_t wanted)
{
	for (int i = 0; i < 3000; i++) {
		if (until(list, "192.0.2.1") == wanted)
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return false;
}

static void the_keeper_brings_what_is_new(void **state)
{
	struct ban_list *list = ban_list_new(NULL, 0);
	struct log log;
	struct ban_keeper *keeper;

	(void)state;
	log_init(&log, 2, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	until_now_ms = 5000;
	keeper = ban_keeper_new(list, fetch, NULL, &log);
	assert_non_null(keeper);
	assert_true(comes_to(list, 5000));
	assert_true(fetches >= 2);
	until_now_ms = 7000;
	ban_keeper_wake(keeper);
	assert_true(comes_to(list, 7000));
	ban_keeper_stop(keeper);
	ban_keeper_wake(keeper);
	ban_keeper_free(keeper);
	ban_list_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_of_all_lengths),       cmocka_unit_test(the_longest_ban_counts),
		cmocka_unit_test(the_exempt_are_never_banned),   cmocka_unit_test(texts),
		cmocka_unit_test(the_keeper_brings_what_is_new),
	};

	return cmocka_run_group_tests_name("guard/ban_list", tests, NULL, NULL);
}
