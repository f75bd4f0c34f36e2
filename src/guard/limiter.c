#include "guard/limiter.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"

#define SETS  8192
#define WAYS  8
#define LOCKS 64

struct bucket {
	uint64_t key;    /* 0: none */
	int64_t full_us; /* when it will be full again */
};

struct limiter {
	uint8_t hash_key[16];
	pthread_mutex_t locks[LOCKS];
	struct bucket sets[SETS][WAYS];
};

struct limiter *limiter_new(void)
{
	struct limiter *limiter = calloc(1, sizeof(*limiter));

	if (!limiter)
		abort();
	random_bytes(limiter->hash_key, sizeof(limiter->hash_key));
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&limiter->locks[i], NULL);
	return limiter;
}

void limiter_free(struct limiter *limiter)
{
	for (size_t i = 0; limiter && i < LOCKS; i++)
		pthread_mutex_destroy(&limiter->locks[i]);
	free(limiter);
}

uint64_t limiter_key(const struct limiter *limiter, unsigned what, struct slice whom)
{
	uint64_t parts[2] = {what, siphash(limiter->hash_key, whom)};

	return siphash(limiter->hash_key, slice_of((const char *)parts, sizeof(parts))) | 1;
}

static uint64_t key_of_bytes(const struct limiter *limiter, unsigned what, const struct net_address *address, size_t len)
{
	/* Of two families, and of address and network, the same bytes are different keys. */
	return limiter_key(limiter, what << 8 | (unsigned)len, slice_of((const char *)address->bytes, len));
}

uint64_t limiter_key_address(const struct limiter *limiter, unsigned what, const struct net_address *address)
{
	return key_of_bytes(limiter, what, address, address->family == AF_INET ? 4 : 16);
}

uint64_t limiter_key_network(const struct limiter *limiter, unsigned what, const struct net_address *address)
{
	return key_of_bytes(limiter, what, address, address->family == AF_INET ? 3 : 8);
}

static struct bucket *find(struct bucket *set, uint64_t key)
{
	struct bucket *fullest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].full_us < fullest->full_us)
			fullest = &set[i];
	}
	*fullest = (struct bucket){.key = key};
	return fullest;
}

bool limiter_take(struct limiter *limiter, uint64_t key, struct rate rate, int64_t now_ms)
{
	size_t set = (key >> 1) % SETS;
	int64_t now_us = now_ms * 1000, period_us = rate.per_s * INT64_C(1000000), full_us;

	if (rate.count == 0)
		return true;
	pthread_mutex_lock(&limiter->locks[set % LOCKS]);
	struct bucket *bucket = find(limiter->sets[set], key);

	full_us = (bucket->full_us > now_us ? bucket->full_us : now_us) + period_us / rate.count;
	bool takes = full_us <= now_us + period_us;

	if (takes)
		bucket->full_us = full_us;
	pthread_mutex_unlock(&limiter->locks[set % LOCKS]);
	return takes;
}
