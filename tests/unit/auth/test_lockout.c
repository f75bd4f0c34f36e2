#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/exchange.h"
#include "auth/lockout.h"
#include "auth/remember.h"

#define START_MS 1000000

static const struct lockout_options options = {
	.failures_before_delay = 3,
	.failures_before_lockout = 5,
	.lockout_ms = 60000,
	.delay_ms = 1000,
};

static struct net_address ipv4(uint8_t last)
{
	return (struct net_address){.family = AF_INET, .bytes = {192, 0, 2, last}};
}

static struct net_address ipv6(uint8_t network, uint8_t host)
{
	return (struct net_address){.family = AF_INET6, .bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, network, [15] = host}};
}

static struct lockout_keys keys_of(struct lockout *lockout, const char *account, struct net_address peer)
{
	return lockout_keys(lockout, slice_from_cstr(account), &peer);
}

static void delays_grow_until_lockout(void **state)
{
	static const int delays[] = {0, 0, 1000, 2000, 4000};
	struct lockout *lockout = lockout_new(&options);
	struct lockout_keys keys = keys_of(lockout, "alice", ipv4(1));

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_false(lockout_is_locked(lockout, keys, START_MS));
		assert_int_equal(lockout_failure(lockout, keys, i + 1, START_MS), delays[i]);
	}
	assert_true(lockout_is_locked(lockout, keys, START_MS));
	assert_true(lockout_is_locked(lockout, keys, START_MS + 59999));
	assert_false(lockout_is_locked(lockout, keys, START_MS + 60000));
	/* Neither another account nor another address is locked out. */
	assert_false(lockout_is_locked(lockout, keys_of(lockout, "bob", ipv4(1)), START_MS));
	assert_false(lockout_is_locked(lockout, keys_of(lockout, "alice", ipv4(2)), START_MS));
	/* It begins anew. */
	assert_int_equal(lockout_failure(lockout, keys, 9, START_MS + 60000), 0);
	lockout_free(lockout);
}

static void the_same_guess_counts_once(void **state)
{
	struct lockout *lockout = lockout_new(&options);
	struct lockout_keys keys = keys_of(lockout, "alice", ipv4(1));

	(void)state;
	assert_false(lockout_is_known_guess(lockout, keys, 7, START_MS));
	for (int i = 0; i < 100; i++)
		assert_int_equal(lockout_failure(lockout, keys, 7, START_MS), 0);
	assert_true(lockout_is_known_guess(lockout, keys, 7, START_MS));
	assert_false(lockout_is_known_guess(lockout, keys, 8, START_MS));
	assert_false(lockout_is_known_guess(lockout, keys, 0, START_MS));
	assert_false(lockout_is_locked(lockout, keys, START_MS));
	for (int i = 0; i < 5; i++)
		lockout_failure(lockout, keys, 0, START_MS);
	assert_true(lockout_is_locked(lockout, keys, START_MS));
	lockout_free(lockout);
}

static void success_and_time_forget(void **state)
{
	struct lockout *lockout = lockout_new(&options);
	struct lockout_keys keys = keys_of(lockout, "alice", ipv4(1));

	(void)state;
	for (uint64_t i = 1; i < 5; i++)
		lockout_failure(lockout, keys, i, START_MS);
	lockout_success(lockout, keys);
	assert_int_equal(lockout_failure(lockout, keys, 10, START_MS), 0);
	for (uint64_t i = 1; i < 4; i++)
		lockout_failure(lockout, keys, i, START_MS);
	assert_int_equal(lockout_failure(lockout, keys, 11, START_MS + 60000), 0);
	assert_false(lockout_is_locked(lockout, keys, START_MS + 60000));
	lockout_free(lockout);
}

/* One who guesses one password of each of many accounts. */
static void networks_are_locked_out(void **state)
{
	struct lockout *lockout = lockout_new(&options);
	char name[32];

	(void)state;
	for (int i = 0; i < 25; i++) {
		snprintf(name, sizeof name, "user%d", i);
		struct lockout_keys keys = keys_of(lockout, name, ipv6(1, (uint8_t)i));

		assert_false(lockout_is_locked(lockout, keys, START_MS));
		lockout_failure(lockout, keys, 1, START_MS);
		lockout_success(lockout, keys);
	}
	assert_true(lockout_is_locked(lockout, keys_of(lockout, "new", ipv6(1, 200)), START_MS));
	assert_false(lockout_is_locked(lockout, keys_of(lockout, "new", ipv6(2, 200)), START_MS));
	lockout_free(lockout);
}

static void loopback_has_no_network(void **state)
{
	struct lockout *lockout = lockout_new(&options);
	struct net_address loopback = {.family = AF_INET, .bytes = {127, 0, 0, 1}}, none = {0};

	(void)state;
	assert_int_equal(keys_of(lockout, "alice", loopback).network, 0);
	assert_int_equal(keys_of(lockout, "alice", none).network, 0);
	assert_int_not_equal(keys_of(lockout, "alice", ipv4(1)).network, 0);
	lockout_free(lockout);
}

/* A flood from many networks takes no more memory, and a lock-out in the middle of it still works. */
static void a_flood_changes_nothing(void **state)
{
	struct lockout *lockout = lockout_new(&options);
	struct net_address peer = ipv6(0, 0);

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		memcpy(peer.bytes + 4, &i, sizeof i);
		lockout_failure(lockout, keys_of(lockout, "alice", peer), 1, START_MS);
	}
	struct lockout_keys keys = keys_of(lockout, "bob", ipv4(9));

	for (uint64_t i = 1; i <= 5; i++)
		lockout_failure(lockout, keys, i, START_MS);
	assert_true(lockout_is_locked(lockout, keys, START_MS));
	lockout_free(lockout);
}

static struct remember_tag tag_of(struct remember *remember, const char *address, uint64_t version, const char *password)
{
	struct remember_tag tag;

	assert_true(remember_make_tag(remember, slice_from_cstr(address), version, slice_from_cstr(password), &tag));
	return tag;
}

static void remembering(void **state)
{
	struct remember *remember = remember_new(300000);
	struct remember_tag tag = tag_of(remember, "a@b", 1, "secret");
	struct remember_tag others[] = {
		tag_of(remember, "a@b", 2, "secret"),
		tag_of(remember, "a@b", 1, "Secret"),
		tag_of(remember, "a@bs", 1, "ecret"),
		tag_of(remember, "A@b", 1, "secret"),
	};

	(void)state;
	assert_false(remember_has(remember, &tag, START_MS));
	remember_add(remember, &tag, SLICE("a@b"), START_MS);
	assert_true(remember_has(remember, &tag, START_MS));
	for (size_t i = 0; i < 4; i++)
		assert_false(remember_has(remember, &others[i], START_MS));
	/* Each use prolongs it, but not for ever. */
	int64_t now = START_MS;

	while (remember_has(remember, &tag, now) && now < START_MS + 100 * 300000)
		now += 299999;
	assert_true(now > START_MS + 300000 && now <= START_MS + (REMEMBER_AT_MOST + 1) * 300000);
	remember_add(remember, &tag, SLICE("a@b"), START_MS);
	assert_false(remember_has(remember, &tag, START_MS + 300000));
	remember_free(remember);
}

static void forgetting(void **state)
{
	struct remember *remember = remember_new(300000);
	struct remember_tag one = tag_of(remember, "a@b", 1, "secret"), two = tag_of(remember, "b@b", 2, "secret");

	(void)state;
	remember_add(remember, &one, SLICE("a@b"), START_MS);
	remember_add(remember, &two, SLICE("b@b"), START_MS);
	remember_forget(remember, SLICE("a@b"));
	assert_false(remember_has(remember, &one, START_MS));
	assert_true(remember_has(remember, &two, START_MS));
	remember_forget(remember, SLICE_EMPTY);
	assert_false(remember_has(remember, &two, START_MS));
	remember_free(remember);

	remember = remember_new(-1000);
	one = tag_of(remember, "a@b", 1, "secret");
	remember_add(remember, &one, SLICE("a@b"), START_MS);
	assert_false(remember_has(remember, &one, START_MS));
	remember_free(remember);
}

static void keys_differ_between_processes(void **state)
{
	struct remember *one = remember_new(1000), *two = remember_new(1000);
	struct remember_tag a = tag_of(one, "a@b", 1, "secret"), b = tag_of(two, "a@b", 1, "secret");

	(void)state;
	assert_memory_not_equal(&a, &b, sizeof a);
	remember_free(one);
	remember_free(two);
}

static void exchanges_are_bounded(void **state)
{
	struct exchange_list *list = exchange_list_new(4);
	uint64_t ids[6];

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct exchange *exchange = exchange_new(1, START_MS + i);

		ids[i] = exchange->id;
		exchange_put(list, exchange, START_MS + i);
	}
	assert_int_equal(exchange_list_count(list), 4);
	assert_null(exchange_take(list, ids[1], 1, START_MS));
	assert_null(exchange_take(list, ids[2], 2, START_MS)); /* another role's */
	struct exchange *taken = exchange_take(list, ids[2], 1, START_MS);

	assert_non_null(taken);
	assert_null(exchange_take(list, ids[2], 1, START_MS));
	exchange_put(list, taken, START_MS);
	assert_null(exchange_take(list, ids[3], 1, START_MS + EXCHANGE_LIFE_MS + 3));
	exchange_put(list, exchange_new(1, START_MS + EXCHANGE_LIFE_MS + 4), START_MS + EXCHANGE_LIFE_MS + 4);
	assert_true(exchange_list_count(list) < 4);
	exchange_list_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_grow_until_lockout),
		cmocka_unit_test(the_same_guess_counts_once),
		cmocka_unit_test(success_and_time_forget),
		cmocka_unit_test(networks_are_locked_out),
		cmocka_unit_test(loopback_has_no_network),
		cmocka_unit_test(a_flood_changes_nothing),
		cmocka_unit_test(remembering),
		cmocka_unit_test(forgetting),
		cmocka_unit_test(keys_differ_between_processes),
		cmocka_unit_test(exchanges_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
