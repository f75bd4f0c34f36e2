/* The guard's client and its service with a store between them, and no role in between: what ipc does is played here. */
#include "../store/store_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "guard/client.h"
#include "guard/rate_exchange.h"
#include "guard/service.h"
#include "guard/wire.h"

static struct guard_service *service;
static _Atomic int bans_announced;
static _Atomic int alarms;
static bool role_is_down;

void ipc_announce(struct ipc *ipc, struct slice kind, struct slice payload)
{
	(void)ipc;
	if (slice_eq(kind, SLICE("ban")))
		bans_announced++;
	else if (slice_eq(kind, SLICE("offence")))
		guard_service_offence(service, payload);
	else
		fail();
}

enum status ipc_call(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms,
		     struct arena *arena, struct slice *reply)
{
	struct ipc_request request = {.from = ROLE_SMTP, .type = type, .payload = payload, .fd = fd};
	struct buf out;

	(void)ipc;
	(void)timeout_ms;
	if (role_is_down)
		return STATUS_TEMPORARY;
	assert_int_equal(to, ROLE_DELIVER);
	assert_true(guard_service_answers(type));
	buf_init(&out, arena, IPC_FRAME_MAX);
	enum status status = guard_service_handle(service, &request, arena, &out);

	assert_true(buf_ok(&out));
	*reply = buf_slice(&out);
	return status;
}

static void alarm_raised(void *context, const struct guard_alarm *alarm)
{
	(void)context;
	assert_true(slice_eq(alarm->login, SLICE("alice@example.test")));
	assert_int_equal(alarm->limits.messages_per_hour, 3);
	alarms++;
}

static struct net_prefix exempt;

static int setup(void **state)
{
	if (fixture_setup(state) != 0)
		return -1;
	struct fixture *f = *state;
	struct guard_service_options options = {
		.growth = {.first_ms = 600000, .longest_ms = 6000000, .remember_ms = 6000000},
		.exempt = &exempt,
		.exempt_count = 1,
		.limits = {.messages_per_hour = 3},
		.greylisting = {.wait_ms = 300000, .window_ms = 86400000, .remember_ms = 86400000},
		.shares_rates = true,
		.alarm = alarm_raised,
	};

	bans_announced = alarms = 0;
	role_is_down = false;
	assert_true(net_prefix_parse(SLICE("203.0.113.0/24"), &exempt));
	service = guard_service_new(&options, f->store, NULL, &f->log);
	return 0;
}

static int teardown(void **state)
{
	guard_service_free(service);
	return fixture_teardown(state);
}

static struct net_address address(const char *text)
{
	struct net_address address;

	assert_true(net_address_parse(slice_from_cstr(text), &address));
	return address;
}

static bool comes_to(const _Atomic int *value, int wanted)
{
	for (int i = 0; i < 3000 && *value < wanted; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	return *value == wanted;
}

static void offences_become_bans(void **state)
{
	struct fixture *f = *state;
	struct net_address one = address("192.0.2.9"), two = address("2001:db8::9"), friend = address("203.0.113.9");
	struct ban *bans;
	size_t count;

	assert_true(guard_fetch_bans(NULL, &f->arena, &bans, &count));
	assert_int_equal(count, 0);
	guard_report(NULL, &friend, SLICE("unknown recipients"));
	guard_report(NULL, &one, SLICE("unknown recipients"));
	assert_true(comes_to(&bans_announced, 1));
	guard_report(NULL, &two, SLICE("wrong passwords"));
	assert_true(comes_to(&bans_announced, 2));
	assert_true(guard_fetch_bans(NULL, &f->arena, &bans, &count));
	assert_int_equal(count, 2);
	assert_true(net_prefix_contains(&bans[0].network, &one) && bans[0].network.bits == 32);
	assert_true(net_prefix_contains(&bans[1].network, &two) && bans[1].network.bits == 64);
	assert_true(bans[0].until_ms > clock_wall_ms());
	assert_true(guard_read_bans(f->store, &f->arena, &bans, &count));
	assert_int_equal(count, 2);
	role_is_down = true;
	assert_false(guard_fetch_bans(NULL, &f->arena, &bans, &count));
}

static void more_bans_than_fit_into_a_frame(void **state)
{
	struct fixture *f = *state;
	struct ban *bans;
	size_t count;

	for (unsigned i = 0; i < GUARD_BANS_PER_PAGE + 10; i++) {
		char text[32];
		int len = snprintf(text, sizeof(text), "10.0.%u.%u", i / 256, i % 256);
		struct ban_row row = {slice_of(text, (size_t)len), SLICE("test"), 1, BANS_FOREVER, 1};

		assert_int_equal(bans_set(f->store, &row), STATUS_OK);
	}
	assert_true(guard_fetch_bans(NULL, &f->arena, &bans, &count));
	assert_int_equal(count, GUARD_BANS_PER_PAGE + 10);
}

static void an_account_that_sends_too_much(void **state)
{
	struct fixture *f = *state;
	struct slice login = SLICE("alice@example.test");

	for (int i = 0; i < 3; i++)
		assert_int_equal(guard_spend(NULL, &f->arena, f->alice, login, 5), STATUS_OK);
	assert_int_equal(guard_spend(NULL, &f->arena, f->alice, login, 5), STATUS_LIMIT);
	assert_int_equal(guard_spend(NULL, &f->arena, f->alice, login, 5), STATUS_LIMIT);
	assert_true(comes_to(&alarms, 1));
	assert_int_equal(guard_spend(NULL, &f->arena, f->bob, SLICE("bob@example.test"), 5), STATUS_OK);
	role_is_down = true;
	assert_int_equal(guard_spend(NULL, &f->arena, f->bob, SLICE("bob@example.test"), 5), STATUS_TEMPORARY);
}

static enum status greylist(struct fixture *f, const char *peer, const char *sender, const char *recipient, int64_t *wait_ms)
{
	struct net_address from = address(peer);

	return guard_greylist(NULL, &f->arena, &from, slice_from_cstr(sender), slice_from_cstr(recipient), wait_ms);
}

static void triplets_are_networks_and_addresses(void **state)
{
	struct fixture *f = *state;
	int64_t first, again;

	assert_int_equal(greylist(f, "192.0.2.1", "a@remote.test", "alice@example.test", &first), STATUS_LIMIT);
	assert_int_equal(first, 300000);
	/* The same, from another host of that network, in other letters: it has been waiting for a while. */
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	assert_int_equal(greylist(f, "192.0.2.200", "A@Remote.test", "Alice@example.test", &again), STATUS_LIMIT);
	assert_true(again < first);
	assert_int_equal(greylist(f, "192.0.3.1", "a@remote.test", "alice@example.test", &again), STATUS_LIMIT);
	assert_int_equal(again, first);
	assert_int_equal(greylist(f, "192.0.2.1", "b@remote.test", "alice@example.test", &again), STATUS_LIMIT);
	assert_int_equal(again, first);
}

static bool ask_service(void *context, struct arena *arena, const struct guard_rate *taken, size_t count,
			struct guard_rates *answer)
{
	unsigned *asked = context;

	++*asked;
	return guard_exchange_rates(NULL, arena, taken, count, answer);
}

/* Two nodes, each with a door of its own: what one lets in, the other doesn't. */
static void nodes_share_rates(void **state)
{
	static const struct rate rate = {16, 86400};
	struct fixture *f = *state;
	struct limiter *limiters[2] = {limiter_new(), limiter_new()};
	struct rate_exchange *exchanges[2];
	struct net_address peer = {.family = AF_INET, .bytes = {192, 0, 2, 1}};
	unsigned asked[2] = {0}, taken[2] = {0};
	int64_t now_ms = clock_monotonic_ms();

	for (int i = 0; i < 2; i++)
		exchanges[i] = rate_exchange_new(limiters[i], ask_service, &asked[i], &f->log);
	/* The first time they hear that there are others, and of which name buckets are. */
	role_is_down = true;
	assert_true(rate_exchange_once(exchanges[0]));
	role_is_down = false;
	for (int i = 0; i < 2; i++)
		assert_true(rate_exchange_once(exchanges[i]));
	uint64_t key = limiter_key_address(limiters[0], 1, &peer);

	assert_true(key == limiter_key_address(limiters[1], 1, &peer));
	for (int i = 0; i < 6; i++)
		for (int node = 0; node < 2; node++)
			taken[node] += limiter_take(limiters[node], key, rate, now_ms);
	assert_true(taken[0] == 6 && taken[1] == 6);
	assert_true(rate_exchange_once(exchanges[0]) && rate_exchange_once(exchanges[1]));
	/* The second has heard of all twelve; the first hears when it has something to tell. */
	while (limiter_take(limiters[1], key, rate, now_ms))
		taken[1]++;
	assert_true(taken[1] == 10 || taken[1] == 9); /* a moment has passed, and not the same for all clocks */
	assert_true(limiter_take(limiters[0], key, rate, now_ms));
	assert_true(rate_exchange_once(exchanges[1]) && rate_exchange_once(exchanges[0]));
	assert_false(limiter_take(limiters[0], key, rate, now_ms));
	/* Nobody is asked for nothing. */
	unsigned before = asked[0];

	assert_true(rate_exchange_once(exchanges[0]));
	assert_int_equal(asked[0], before);
	for (int i = 0; i < 2; i++) {
		rate_exchange_free(exchanges[i]);
		limiter_free(limiters[i]);
	}
}

static void nonsense_is_refused(void **state)
{
	struct fixture *f = *state;
	struct slice reply;

	for (uint32_t type = GUARD_REQUEST_BANS; type < GUARD_REQUEST_END; type++)
		assert_int_equal(ipc_call(NULL, ROLE_DELIVER, type, SLICE("\xff\xff\xff\xffxx"), -1, 1, &f->arena, &reply),
				 STATUS_PEER);
	guard_service_offence(service, SLICE("nonsense"));
	assert_false(guard_service_answers(1));
	assert_false(guard_service_answers(GUARD_REQUEST_END));
}

#define TEST(test)                                 \
	{                                          \
#test, test, setup, teardown, NULL \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(offences_become_bans),
		TEST(more_bans_than_fit_into_a_frame),
		TEST(an_account_that_sends_too_much),
		TEST(triplets_are_networks_and_addresses),
		TEST(nodes_share_rates),
		TEST(nonsense_is_refused),
	};

	return FIXTURE_MAIN(argc, argv, "guard/service", tests);
}
