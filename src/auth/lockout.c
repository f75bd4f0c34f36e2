#include "auth/lockout.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"

#define SETS 2048
#define WAYS 8

struct failures {
	uint64_t key; /* 0: free */
	uint64_t last_guess;
	int64_t last_ms;
	int64_t locked_until_ms;
	unsigned count;
};

struct lockout {
	struct lockout_options options;
	uint8_t hash_key[16];
	pthread_mutex_t mutex;
	struct failures table[SETS][WAYS];
};

struct lockout *lockout_new(const struct lockout_options *options)
{
	struct lockout *lockout = calloc(1, sizeof *lockout);

	if (!lockout)
		abort();
	lockout->options = *options;
	random_bytes(lockout->hash_key, sizeof lockout->hash_key);
	pthread_mutex_init(&lockout->mutex, NULL);
	return lockout;
}

void lockout_free(struct lockout *lockout)
{
	if (!lockout)
		return;
	pthread_mutex_destroy(&lockout->mutex);
	free(lockout);
}

/* The lowest bit is set, so that no key is 0. */
static uint64_t key_of(const struct lockout *lockout, const uint8_t *network, size_t len, struct slice account)
{
	uint64_t parts[2] = {siphash(lockout->hash_key, slice_of((const char *)network, len)),
			     siphash(lockout->hash_key, account)};

	return siphash(lockout->hash_key, slice_of((const char *)parts, sizeof parts)) | 1;
}

struct lockout_keys lockout_keys(const struct lockout *lockout, struct slice account, const struct net_address *peer)
{
	/* IPv6: who has one address has 64 bits of them (RFC 6177). */
	size_t len = peer->family == AF_INET ? 4 : peer->family == AF_INET6 ? 8 : 0;
	struct lockout_keys keys = {.account = key_of(lockout, peer->bytes, len, account)};

	if (len > 0 && !net_address_is_loopback(peer))
		keys.network = key_of(lockout, peer->bytes, len, SLICE_EMPTY);
	return keys;
}

static bool is_over(const struct lockout *lockout, const struct failures *failures, int64_t now_ms)
{
	return failures->key == 0 ||
	       (failures->locked_until_ms <= now_ms && failures->last_ms + lockout->options.lockout_ms <= now_ms);
}

static struct failures *find(struct lockout *lockout, uint64_t key, int64_t now_ms)
{
	struct failures *set = lockout->table[(key >> 1) % SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (key != 0 && set[i].key == key)
			return is_over(lockout, &set[i], now_ms) ? NULL : &set[i];
	return NULL;
}

static struct failures *find_or_make(struct lockout *lockout, uint64_t key, int64_t now_ms)
{
	struct failures *found = find(lockout, key, now_ms);
	struct failures *set = lockout->table[(key >> 1) % SETS];

	for (unsigned i = 0; !found && i < WAYS; i++)
		if (set[i].key == key)
			found = &set[i];
	for (unsigned i = 0; !found && i < WAYS; i++)
		if (is_over(lockout, &set[i], now_ms))
			found = &set[i];
	if (!found)
		found = &set[random_u64() % WAYS];
	if (found->key != key || is_over(lockout, found, now_ms))
		*found = (struct failures){.key = key, .last_ms = now_ms};
	return found;
}

static bool is_locked(struct lockout *lockout, uint64_t key, int64_t now_ms)
{
	const struct failures *failures = find(lockout, key, now_ms);

	return failures && failures->locked_until_ms > now_ms;
}

bool lockout_is_locked(struct lockout *lockout, struct lockout_keys keys, int64_t now_ms)
{
	pthread_mutex_lock(&lockout->mutex);
	bool locked = is_locked(lockout, keys.account, now_ms) || is_locked(lockout, keys.network, now_ms);

	pthread_mutex_unlock(&lockout->mutex);
	return locked;
}

bool lockout_is_known_guess(struct lockout *lockout, struct lockout_keys keys, uint64_t guess, int64_t now_ms)
{
	pthread_mutex_lock(&lockout->mutex);
	const struct failures *failures = find(lockout, keys.account, now_ms);
	bool known = failures && guess != 0 && failures->last_guess == guess;

	pthread_mutex_unlock(&lockout->mutex);
	return known;
}

static int delay_after(const struct lockout *lockout, unsigned count, unsigned factor)
{
	unsigned from = lockout->options.failures_before_delay * factor;

	if (count < from)
		return 0;
	unsigned doublings = (count - from) / factor;
	int64_t delay = doublings > 16 ? LOCKOUT_DELAY_MAX_MS : (int64_t)lockout->options.delay_ms << doublings;

	return delay > LOCKOUT_DELAY_MAX_MS ? LOCKOUT_DELAY_MAX_MS : (int)delay;
}

/* After a lock-out has passed the count begins anew. */
static int count_failure(struct lockout *lockout, uint64_t key, uint64_t guess, unsigned factor, int64_t now_ms)
{
	struct failures *failures = find_or_make(lockout, key, now_ms);

	if (failures->locked_until_ms != 0 && failures->locked_until_ms <= now_ms) {
		failures->count = 0;
		failures->locked_until_ms = 0;
	}
	failures->count++;
	failures->last_ms = now_ms;
	failures->last_guess = guess;
	if (failures->count >= lockout->options.failures_before_lockout * factor)
		failures->locked_until_ms = now_ms + lockout->options.lockout_ms;
	return delay_after(lockout, failures->count, factor);
}

int lockout_failure(struct lockout *lockout, struct lockout_keys keys, uint64_t guess, int64_t now_ms)
{
	int delay = 0, network_delay = 0;

	pthread_mutex_lock(&lockout->mutex);
	const struct failures *before = find(lockout, keys.account, now_ms);

	if (before && guess != 0 && before->last_guess == guess) {
		delay = delay_after(lockout, before->count, 1);
	} else {
		delay = count_failure(lockout, keys.account, guess, 1, now_ms);
		if (keys.network != 0)
			network_delay = count_failure(lockout, keys.network, 0, LOCKOUT_NETWORK_FACTOR, now_ms);
	}
	pthread_mutex_unlock(&lockout->mutex);
	return delay > network_delay ? delay : network_delay;
}

void lockout_success(struct lockout *lockout, struct lockout_keys keys)
{
	pthread_mutex_lock(&lockout->mutex);
	struct failures *set = lockout->table[(keys.account >> 1) % SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == keys.account)
			set[i] = (struct failures){0};
	pthread_mutex_unlock(&lockout->mutex);
}
