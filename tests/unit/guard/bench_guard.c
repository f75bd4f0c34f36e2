/* What the questions on the way of every connection and message cost. */
#include <stdio.h>

#include "base/clock.h"
#include "guard/ban_list.h"
#include "guard/limiter.h"

#define ROUNDS 2000000
#define BANS   50000

static void report(const char *what, int64_t start_ms)
{
	printf("%-28s %5lld ns\n", what, (long long)((clock_monotonic_ms() - start_ms) * 1000000 / ROUNDS));
}

static struct net_address address(uint32_t number)
{
	struct net_address address = {.family = AF_INET};

	for (int i = 0; i < 4; i++)
		address.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
	return address;
}

static void bench_limiter(void)
{
	struct limiter *limiter = limiter_new();
	struct rate rate = {1000, 60};
	int64_t start_ms = clock_monotonic_ms();
	unsigned refused = 0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct net_address peer = address(i * 2654435761u % 100000);

		refused += !limiter_take(limiter, limiter_key_address(limiter, 1, &peer), rate, start_ms);
	}
	report("rate, one bucket", start_ms);
	if (refused > ROUNDS)
		printf("%u\n", refused);
	limiter_free(limiter);
}

static void bench_bans(size_t count)
{
	static struct ban bans[BANS];
	struct ban_list *list = ban_list_new(NULL, 0);
	unsigned found = 0;

	for (uint32_t i = 0; i < count; i++)
		bans[i] = (struct ban){{address(i * 2654435761u), 32}, INT64_MAX};
	ban_list_replace(list, bans, count);
	int64_t start_ms = clock_monotonic_ms();

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct net_address peer = address(i * 40503u);

		found += ban_list_until(list, &peer, 1) != 0;
	}
	report(count ? "ban, of 50,000" : "ban, none there", start_ms);
	if (found > ROUNDS)
		printf("%u\n", found);
	ban_list_free(list);
}

int main(void)
{
	bench_limiter();
	bench_bans(0);
	bench_bans(BANS);
	return 0;
}
