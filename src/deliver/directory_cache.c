/* A table of fixed places: an address has one, and takes it from whoever had it. An entry counts only for the generation it was read
 * in: dropping all is raising a number, and a look-up that the drop overtook leaves nothing behind. */
#include "deliver/directory_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"

#define PLACES      512
#define KEEP_MS     800
#define TARGETS_MAX 16 /* of an alias that is worth keeping */

struct place {
	struct arena arena; /* of key and entry */
	struct slice key;
	struct directory_entry entry;
	uint64_t generation;
	int64_t until_ms;
};

struct directory_cache {
	struct store *store;
	char separator;
	uint8_t hash_key[16];
	pthread_mutex_t lock; /* of all below */
	uint64_t generation;
	struct place places[PLACES];
};

struct directory_cache *directory_cache_new(struct store *store, char separator)
{
	struct directory_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		abort();
	cache->store = store;
	cache->separator = separator;
	cache->generation = 1;
	random_bytes(cache->hash_key, sizeof(cache->hash_key));
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void directory_cache_free(struct directory_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < PLACES; i++)
		arena_free(&cache->places[i].arena);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

void directory_cache_drop(struct directory_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	cache->generation++;
	pthread_mutex_unlock(&cache->lock);
}

static void copy_entry(struct arena *arena, const struct directory_entry *from, struct directory_entry *to)
{
	*to = *from;
	to->account.address = slice_dup(arena, from->account.address);
	to->account.name = slice_dup(arena, from->account.name);
	to->targets = ARENA_ARRAY(arena, struct slice, from->target_count);
	for (size_t i = 0; i < from->target_count; i++)
		to->targets[i] = slice_dup(arena, from->targets[i]);
	to->senders = ARENA_ARRAY(arena, struct slice, from->sender_count);
	for (size_t i = 0; i < from->sender_count; i++)
		to->senders[i] = slice_dup(arena, from->senders[i]);
}

static struct place *place_of(struct directory_cache *cache, struct slice address)
{
	return &cache->places[siphash(cache->hash_key, address) % PLACES];
}

static bool recall(struct directory_cache *cache, struct arena *arena, struct slice address, struct directory_entry *entry,
		   uint64_t *generation)
{
	struct place *place = place_of(cache, address);
	int64_t now_ms = clock_monotonic_ms();
	bool known;

	pthread_mutex_lock(&cache->lock);
	*generation = cache->generation;
	known = place->generation == cache->generation && now_ms < place->until_ms && slice_eq(place->key, address);
	if (known)
		copy_entry(arena, &place->entry, entry);
	pthread_mutex_unlock(&cache->lock);
	return known;
}

static void remember(struct directory_cache *cache, struct slice address, const struct directory_entry *entry,
		     uint64_t generation)
{
	struct place *place = place_of(cache, address);
	int64_t until_ms = clock_monotonic_ms() + KEEP_MS;

	if (entry->target_count > TARGETS_MAX || entry->sender_count > TARGETS_MAX)
		return;
	pthread_mutex_lock(&cache->lock);
	if (generation == cache->generation) {
		arena_reset(&place->arena);
		place->key = slice_dup(&place->arena, address);
		copy_entry(&place->arena, entry, &place->entry);
		place->generation = generation;
		place->until_ms = until_ms;
	}
	pthread_mutex_unlock(&cache->lock);
}

enum status directory_cache_look_up(struct directory_cache *cache, struct arena *arena, struct slice address,
				    struct directory_entry *entry)
{
	uint64_t generation;
	enum status status;

	if (recall(cache, arena, address, entry, &generation))
		return STATUS_OK;
	status = directory_look_up(cache->store, arena, address, cache->separator, entry);
	if (status == STATUS_OK)
		remember(cache, address, entry, generation);
	return status;
}
