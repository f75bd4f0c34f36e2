#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guard/limiter.h"

#define START_MS 5000000

static const struct rate ten_a_minute = {10, 60};

static int setup(void **state)
{
	*state = limiter_new();
	return 0;
}

static int teardown(void **state)
{
	limiter_free(*state);
	return 0;
}

static unsigned taken(struct limiter *limiter, uint64_t key, struct rate rate, unsigned tries, int64_t now_ms)
{
	unsigned count = 0;

	while (tries-- > 0)
		count += limiter_take(limiter, key, rate, now_ms);
	return count;
}

static void a_burst_and_then_one_by_one(void **state)
{
	struct limiter *limiter = *state;
	uint64_t key = limiter_key(limiter, 1, SLICE("alice"));

	assert_int_equal(taken(limiter, key, ten_a_minute, 20, START_MS), 10);
	assert_int_equal(taken(limiter, key, ten_a_minute, 5, START_MS + 5999), 0);
	assert_int_equal(taken(limiter, key, ten_a_minute, 5, START_MS + 6000), 1);
	assert_int_equal(taken(limiter, key, ten_a_minute, 5, START_MS + 18000), 2);
	/* A minute without a question fills it again, and no more than that. */
	assert_int_equal(taken(limiter, key, ten_a_minute, 50, START_MS + 18000 + 3600000), 10);
}

static void no_limit(void **state)
{
	struct limiter *limiter = *state;

	assert_int_equal(taken(limiter, limiter_key(limiter, 1, SLICE("x")), (struct rate){0, 60}, 1000, START_MS), 1000);
}

static void each_has_its_own(void **state)
{
	struct limiter *limiter = *state;
	struct net_address a = {.family = AF_INET, .bytes = {192, 0, 2, 1}}, b = {.family = AF_INET, .bytes = {192, 0, 2, 2}},
			   other = {.family = AF_INET, .bytes = {192, 0, 3, 1}};

	assert_int_equal(taken(limiter, limiter_key(limiter, 1, SLICE("alice")), ten_a_minute, 20, START_MS), 10);
	assert_int_equal(taken(limiter, limiter_key(limiter, 2, SLICE("alice")), ten_a_minute, 20, START_MS), 10);
	assert_int_equal(taken(limiter, limiter_key(limiter, 1, SLICE("bob")), ten_a_minute, 20, START_MS), 10);
	assert_true(limiter_key_address(limiter, 1, &a) != limiter_key_address(limiter, 1, &b));
	assert_true(limiter_key_network(limiter, 1, &a) == limiter_key_network(limiter, 1, &b));
	assert_true(limiter_key_network(limiter, 1, &a) != limiter_key_network(limiter, 1, &other));
	assert_true(limiter_key_network(limiter, 1, &a) != limiter_key_address(limiter, 1, &a));
	assert_true(limiter_key_network(limiter, 1, &a) != limiter_key_network(limiter, 2, &a));
}

static void ipv6_networks(void **state)
{
	struct limiter *limiter = *state;
	struct net_address a = {.family = AF_INET6, .bytes = {0x20, 1, [7] = 5, [15] = 1}},
			   b = {.family = AF_INET6, .bytes = {0x20, 1, [7] = 5, [15] = 2}},
			   other = {.family = AF_INET6, .bytes = {0x20, 1, [7] = 6, [15] = 1}};

	assert_true(limiter_key_network(limiter, 1, &a) == limiter_key_network(limiter, 1, &b));
	assert_true(limiter_key_network(limiter, 1, &a) != limiter_key_network(limiter, 1, &other));
	assert_true(limiter_key_address(limiter, 1, &a) != limiter_key_address(limiter, 1, &b));
}

/* Whoever is over a limit isn't freed by a flood of others who are not. */
static void a_flood_of_keys_frees_nobody(void **state)
{
	struct limiter *limiter = *state;
	uint64_t guilty = limiter_key(limiter, 1, SLICE("guilty"));

	assert_int_equal(taken(limiter, guilty, ten_a_minute, 10, START_MS), 10);
	for (uint32_t i = 0; i < 1000000; i++) {
		uint64_t key = limiter_key(limiter, 1, slice_of((const char *)&i, sizeof(i)));

		assert_true(limiter_take(limiter, key, ten_a_minute, START_MS) || key == guilty);
	}
	assert_int_equal(taken(limiter, guilty, ten_a_minute, 1, START_MS), 0);
}

/* ---- shared ---- */

static const uint8_t secret[16] = "all of them know";

/* What comes slowly is nobody else's affair; what comes fast is told once. */
static void what_matters_is_told(void **state)
{
	static const struct rate rate = {640, 64};
	struct limiter *limiter = *state;
	struct limiter_taken told[10];

	limiter_share(limiter, secret);
	uint64_t key = limiter_key(limiter, 1, SLICE("busy")), slow = limiter_key(limiter, 1, SLICE("slow"));

	for (int i = 0; i < 100; i++)
		assert_int_equal(taken(limiter, slow, rate, 1, START_MS + i * 10000), 1);
	int64_t now_ms = START_MS + 1000000;

	assert_int_equal(taken(limiter, key, rate, 10, now_ms), 10);
	assert_int_equal(limiter_collect(limiter, told, 10, now_ms), 0);
	assert_int_equal(taken(limiter, key, rate, 5, now_ms), 5);
	assert_int_equal(limiter_collect(limiter, told, 10, now_ms), 1);
	assert_true(told[0].key == key && told[0].count == 15 && told[0].interval_us == 100000);
	assert_int_equal(limiter_collect(limiter, told, 10, now_ms), 0);
	/* The rest of the window is told as it comes; in the next one it begins anew. */
	assert_int_equal(taken(limiter, key, rate, 1, now_ms + 1000), 1);
	assert_int_equal(limiter_collect(limiter, told, 10, now_ms + 1000), 1);
	assert_int_equal(told[0].count, 1);
	assert_int_equal(taken(limiter, key, rate, 1, now_ms + 17000), 1);
	assert_int_equal(limiter_collect(limiter, told, 10, now_ms + 17000), 0);
}

static void others_empty_a_bucket(void **state)
{
	struct limiter *limiter = *state;
	uint64_t key = limiter_key(limiter, 1, SLICE("x"));

	assert_int_equal(taken(limiter, key, ten_a_minute, 2, START_MS), 2);
	/* Six are taken in all, of which four by others; two more have not been told. */
	limiter_raise(limiter, key, INT64_C(36000000), START_MS);
	assert_int_equal(taken(limiter, key, ten_a_minute, 10, START_MS), 2);
	/* It is never filled up by what others say, nor made where there is none. */
	limiter_raise(limiter, key, 0, START_MS);
	limiter_raise(limiter, key + 2, INT64_C(60000000), START_MS);
	assert_int_equal(taken(limiter, key, ten_a_minute, 10, START_MS), 0);
	assert_int_equal(taken(limiter, key + 2, ten_a_minute, 20, START_MS), 10);
}

static void all_who_know_the_secret_have_the_same_keys(void **state)
{
	struct limiter *one = *state, *other = limiter_new();

	assert_true(limiter_key(one, 1, SLICE("x")) != limiter_key(other, 1, SLICE("x")));
	limiter_share(one, secret);
	limiter_share(other, secret);
	assert_true(limiter_key(one, 1, SLICE("x")) == limiter_key(other, 1, SLICE("x")));
	assert_true(limiter_key(one, 1, SLICE("x")) != limiter_key(other, 2, SLICE("x")));
	limiter_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_burst_and_then_one_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(no_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(each_has_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(ipv6_networks, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_of_keys_frees_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(what_matters_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(others_empty_a_bucket, setup, teardown),
		cmocka_unit_test_setup_teardown(all_who_know_the_secret_have_the_same_keys, setup, teardown),
	};

	return cmocka_run_group_tests_name("guard/limiter", tests, NULL, NULL);
}
