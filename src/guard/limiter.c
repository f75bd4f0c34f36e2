#include "guard/limiter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/random.h"

#define SETS  8192
#define WAYS  8
#define LOCKS 64

/* How much of a rate is worth telling others. */
#define TOLD_FRACTION   16
#define WINDOWS_A_PERIOD 4

struct bucket {
	uint64_t key;    /* 0: none */
	int64_t full_us; /* when it will be full again */
	/* Since window_us so much was taken; `untold` of it has not been told. */
	int64_t window_us, interval_us;
	uint32_t taken, untold;
	uint32_t worth_telling; /* taken in a window */
};

struct limiter {
	uint8_t own_key[16], shared_key[16];
	const uint8_t *_Atomic hash_key; /* one of them */
	pthread_mutex_t locks[LOCKS];
	struct bucket sets[SETS][WAYS];
};

struct limiter *limiter_new(void)
{
	struct limiter *limiter = calloc(1, sizeof(*limiter));

	if (!limiter)
		abort();
	random_bytes(limiter->own_key, sizeof(limiter->own_key));
	atomic_store(&limiter->hash_key, limiter->own_key);
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
	const uint8_t *hash_key = atomic_load_explicit(&limiter->hash_key, memory_order_acquire);
	uint64_t parts[2] = {what, siphash(hash_key, whom)};

	return siphash(hash_key, slice_of((const char *)parts, sizeof(parts))) | 1;
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

/* *full_us: the bucket's if one is taken. False: that is too late. */
static bool has_one(const struct bucket *bucket, struct rate rate, int64_t now_ms, int64_t *full_us)
{
	int64_t now_us = now_ms * 1000, period_us = rate.per_s * INT64_C(1000000);

	*full_us = (bucket->full_us > now_us ? bucket->full_us : now_us) + period_us / rate.count;
	return *full_us <= now_us + period_us;
}

bool limiter_has(struct limiter *limiter, uint64_t key, struct rate rate, int64_t now_ms)
{
	size_t set = (key >> 1) % SETS;
	const struct bucket *bucket = NULL;
	int64_t full_us;

	if (rate.count == 0)
		return true;
	pthread_mutex_lock(&limiter->locks[set % LOCKS]);
	for (unsigned i = 0; i < WAYS && !bucket; i++)
		if (limiter->sets[set][i].key == key)
			bucket = &limiter->sets[set][i];
	bool has = !bucket || has_one(bucket, rate, now_ms, &full_us);

	pthread_mutex_unlock(&limiter->locks[set % LOCKS]);
	return has;
}

/* Windows are short, so that what comes slowly is never told; in one, all that comes after the first sixteenth is. */
static void count_taken(struct bucket *bucket, struct rate rate, int64_t now_us)
{
	int64_t period_us = rate.per_s * INT64_C(1000000);

	if (now_us - bucket->window_us >= period_us / WINDOWS_A_PERIOD) {
		bucket->window_us = now_us;
		bucket->taken = bucket->untold = 0;
	}
	bucket->interval_us = period_us / rate.count;
	bucket->worth_telling = rate.count / TOLD_FRACTION / WINDOWS_A_PERIOD;
	bucket->taken++;
	bucket->untold++;
}

bool limiter_take(struct limiter *limiter, uint64_t key, struct rate rate, int64_t now_ms)
{
	size_t set = (key >> 1) % SETS;
	int64_t full_us;

	if (rate.count == 0)
		return true;
	pthread_mutex_lock(&limiter->locks[set % LOCKS]);
	struct bucket *bucket = find(limiter->sets[set], key);
	bool takes = has_one(bucket, rate, now_ms, &full_us);

	if (takes) {
		bucket->full_us = full_us;
		count_taken(bucket, rate, now_ms * 1000);
	}
	pthread_mutex_unlock(&limiter->locks[set % LOCKS]);
	return takes;
}

/* ---- shared ---- */

void limiter_share(struct limiter *limiter, const uint8_t secret[16])
{
	memcpy(limiter->shared_key, secret, sizeof(limiter->shared_key));
	atomic_store_explicit(&limiter->hash_key, limiter->shared_key, memory_order_release);
}

static void tell(struct bucket *bucket, struct limiter_taken *taken)
{
	*taken = (struct limiter_taken){bucket->key, bucket->untold, bucket->interval_us};
	bucket->untold = 0;
}

size_t limiter_collect(struct limiter *limiter, struct limiter_taken *taken, size_t max, int64_t now_ms)
{
	size_t count = 0;

	for (size_t set = 0; set < SETS && count < max; set++) {
		pthread_mutex_lock(&limiter->locks[set % LOCKS]);
		for (unsigned i = 0; i < WAYS && count < max; i++) {
			struct bucket *bucket = &limiter->sets[set][i];

			if (bucket->untold > 0 && bucket->taken > bucket->worth_telling && bucket->full_us > now_ms * 1000)
				tell(bucket, &taken[count++]);
		}
		pthread_mutex_unlock(&limiter->locks[set % LOCKS]);
	}
	return count;
}

void limiter_raise(struct limiter *limiter, uint64_t key, int64_t full_in_us, int64_t now_ms)
{
	size_t set = (key >> 1) % SETS;

	pthread_mutex_lock(&limiter->locks[set % LOCKS]);
	for (unsigned i = 0; i < WAYS; i++) {
		struct bucket *bucket = &limiter->sets[set][i];
		/* What was taken while the others were asked isn't in it. */
		int64_t full_us = now_ms * 1000 + full_in_us + bucket->untold * bucket->interval_us;

		if (bucket->key == key && full_us > bucket->full_us)
			bucket->full_us = full_us;
	}
	pthread_mutex_unlock(&limiter->locks[set % LOCKS]);
}
