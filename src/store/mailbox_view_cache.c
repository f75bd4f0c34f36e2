/* The views of a process: found by account and mailbox, and kept for a while when nobody has them open. */
#include "base/metrics.h"
#include "base/thread.h"
#include "store/mailbox_view_internal.h"
#include "store/store_internal.h"

#define DEFAULT_MAX_BYTES ((size_t)256 * 1024 * 1024)

struct mailbox_view_cache *mailbox_view_cache_new(struct store *store, size_t max_bytes)
{
	struct mailbox_view_cache *cache = view_must_alloc(calloc(1, sizeof(*cache)));

	cache->store = store;
	cache->max_bytes = max_bytes ? max_bytes : DEFAULT_MAX_BYTES;
	pthread_mutex_init(&cache->mutex, NULL);
	thread_condition_init(&cache->wake);
	return cache;
}

static void view_free(struct mailbox_view *view)
{
	arena_free(&view->keyword_arena);
	free(view->entries);
	free(view->tombstones);
	free(view->journal);
	pthread_mutex_destroy(&view->mutex);
	free(view);
}

/* Under the cache's mutex; nobody has it open. */
static void drop(struct mailbox_view_cache *cache, struct mailbox_view *view)
{
	HASH_DEL(cache->views, view);
	cache->bytes -= view->counted_bytes;
	view_free(view);
}

void mailbox_view_cache_free(struct mailbox_view_cache *cache)
{
	if (!cache)
		return;
	view_recent_end(cache);
	while (cache->unused) {
		struct mailbox_view *view = cache->unused;

		DL_DELETE(cache->unused, view);
		drop(cache, view);
	}
	pthread_cond_destroy(&cache->wake);
	pthread_mutex_destroy(&cache->mutex);
	free(cache);
}

struct mailbox_view_counts mailbox_view_cache_counts(struct mailbox_view_cache *cache)
{
	struct mailbox_view_counts counts;

	pthread_mutex_lock(&cache->mutex);
	counts = (struct mailbox_view_counts){HASH_COUNT(cache->views), cache->bytes, cache->loads};
	pthread_mutex_unlock(&cache->mutex);
	return counts;
}

static struct mailbox_view *view_new(struct mailbox_view_cache *cache, const struct view_key *key)
{
	struct mailbox_view *view = view_must_alloc(calloc(1, sizeof(*view)));

	view->key = *key;
	view->cache = cache;
	pthread_mutex_init(&view->mutex, NULL);
	arena_init(&view->keyword_arena, 0);
	return view;
}

struct mailbox_view *view_cache_acquire(struct mailbox_view_cache *cache, int64_t account, int64_t mailbox)
{
	struct view_key key = {account, mailbox};
	struct mailbox_view *view;

	pthread_mutex_lock(&cache->mutex);
	HASH_FIND(hh, cache->views, &key, sizeof(key), view);
	if (!view) {
		view = view_new(cache, &key);
		HASH_ADD(hh, cache->views, key, sizeof(key), view);
	} else {
		METRIC_ADD(cache->store->log, METRIC_VIEW_HITS, 0, 1);
		if (view->references == 0)
			DL_DELETE(cache->unused, view);
	}
	view->references++;
	pthread_mutex_unlock(&cache->mutex);
	return view;
}

void view_cache_release(struct mailbox_view *view, size_t bytes, bool keep)
{
	struct mailbox_view_cache *cache = view->cache;

	pthread_mutex_lock(&cache->mutex);
	cache->bytes += bytes - view->counted_bytes;
	view->counted_bytes = bytes;
	if (--view->references == 0) {
		if (keep)
			DL_APPEND(cache->unused, view);
		else
			drop(cache, view);
	}
	while (cache->unused && cache->bytes > cache->max_bytes) {
		struct mailbox_view *oldest = cache->unused;

		DL_DELETE(cache->unused, oldest);
		drop(cache, oldest);
	}
	pthread_mutex_unlock(&cache->mutex);
}

void view_cache_count_load(struct mailbox_view_cache *cache)
{
	METRIC_ADD(cache->store->log, METRIC_VIEW_LOADS, 0, 1);
	pthread_mutex_lock(&cache->mutex);
	cache->loads++;
	pthread_mutex_unlock(&cache->mutex);
}
