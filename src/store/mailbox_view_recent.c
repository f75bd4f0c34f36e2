/* \Recent (RFC 3501 section 2.3.2): a mailbox's watermark says up to where messages have been told to some session. It is raised in the
 * view, so that sessions of this process agree at once, and written by a thread a little later: nobody's SELECT waits for a sync.
 */
#include "base/clock.h"
#include "base/thread.h"
#include "store/mailbox_view_internal.h"
#include "store/store_internal.h"

#define WRITE_DELAY_MS 5000
/* Ranges of one session; with more the oldest aren't shown as recent any more. */
#define RANGES_MAX 4096

/* ---- the writer ---- */

static int by_mailbox(const struct recent_claim *a, const struct recent_claim *b)
{
	if (a->key.account != b->key.account)
		return a->key.account < b->key.account ? -1 : 1;
	return (a->key.mailbox > b->key.mailbox) - (a->key.mailbox < b->key.mailbox);
}

static enum status write_claims(struct db *db, void *context)
{
	const struct recent_claim *const *claims = context;

	for (const struct recent_claim *claim = *claims; claim; claim = claim->hh.next) {
		struct db_query query = db_query(
			db, "UPDATE mailbox SET recent_uid = $3 WHERE account = $1 AND id = $2 AND recent_uid < $3");

		db_bind_i64(&query, claim->key.account);
		db_bind_i64(&query, claim->key.mailbox);
		db_bind_i64(&query, claim->uid);
		db_run(&query);
	}
	return db_status(db);
}

/* In one order, so that nodes don't wait for each other in a circle. */
static void write_and_free(struct mailbox_view_cache *cache, struct recent_claim *claims)
{
	struct recent_claim *claim, *next;
	enum status status;

	HASH_SORT(claims, by_mailbox);
	status = db_write(cache->store->pool, write_claims, &claims);
	if (status != STATUS_OK)
		LOG_WARNING(cache->store->log, "store.recent_not_written", LOG_INT("mailboxes", HASH_COUNT(claims)),
			    LOG_STR("status", status_name(status)));
	HASH_ITER(hh, claims, claim, next)
	{
		HASH_DEL(claims, claim);
		free(claim);
	}
}

static void *run_writer(void *context)
{
	struct mailbox_view_cache *cache = context;

	pthread_mutex_lock(&cache->mutex);
	while (!cache->ends || cache->claims) {
		int64_t until = clock_monotonic_ms() + WRITE_DELAY_MS;
		struct recent_claim *claims;

		while (!cache->ends && !cache->claims) {
			pthread_cond_wait(&cache->wake, &cache->mutex);
			until = clock_monotonic_ms() + WRITE_DELAY_MS;
		}
		while (!cache->ends && thread_wait_until(&cache->wake, &cache->mutex, until))
			;
		claims = cache->claims;
		cache->claims = NULL;
		pthread_mutex_unlock(&cache->mutex);
		if (claims)
			write_and_free(cache, claims);
		pthread_mutex_lock(&cache->mutex);
	}
	pthread_mutex_unlock(&cache->mutex);
	return NULL;
}

void view_recent_end(struct mailbox_view_cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	cache->ends = true;
	pthread_cond_signal(&cache->wake);
	pthread_mutex_unlock(&cache->mutex);
	if (cache->has_writer)
		pthread_join(cache->writer, NULL);
}

/* The thread begins with the first claim: a process that makes none has none. Without it claims hold as long as the process. */
static void claim(struct mailbox_view *view, uint32_t uid)
{
	struct mailbox_view_cache *cache = view->cache;
	struct recent_claim *claim;

	view->recent_uid = uid;
	pthread_mutex_lock(&cache->mutex);
	if (!cache->has_writer)
		cache->has_writer = thread_start(&cache->writer, 0, run_writer, cache);
	if (cache->has_writer) {
		HASH_FIND(hh, cache->claims, &view->key, sizeof(view->key), claim);
		if (!claim) {
			claim = view_must_alloc(calloc(1, sizeof(*claim)));
			claim->key = view->key;
			HASH_ADD(hh, cache->claims, key, sizeof(claim->key), claim);
		}
		claim->uid = uid;
		pthread_cond_signal(&cache->wake);
	}
	pthread_mutex_unlock(&cache->mutex);
}

/* What is waiting to be written, or what a view knows; 0: nothing. */
static uint32_t claimed_uid(struct mailbox_view_cache *cache, const struct view_key *key)
{
	struct recent_claim *claim;
	struct mailbox_view *view;
	uint32_t uid = 0;

	pthread_mutex_lock(&cache->mutex);
	HASH_FIND(hh, cache->claims, key, sizeof(*key), claim);
	HASH_FIND(hh, cache->views, key, sizeof(*key), view);
	if (view)
		uid = atomic_load(&view->recent_uid);
	if (claim && claim->uid > uid)
		uid = claim->uid;
	pthread_mutex_unlock(&cache->mutex);
	return uid;
}

/* ---- the view ---- */

void view_recent_heard(struct mailbox_view *view, const struct mailbox *mailbox)
{
	if (view->recent_uid == 0)
		view->recent_uid = claimed_uid(view->cache, &view->key);
	if (mailbox->recent_uid > view->recent_uid)
		view->recent_uid = mailbox->recent_uid;
}

static void add_range(struct mailbox_viewer *viewer, uint32_t first, uint32_t last)
{
	struct uid_range *end = viewer->recent_count ? &viewer->recent[viewer->recent_count - 1] : NULL;

	if (end && end->last + 1 == first) {
		end->last = last;
		return;
	}
	if (viewer->recent_count == RANGES_MAX) {
		viewer->recent_count /= 2;
		memmove(viewer->recent, viewer->recent + (RANGES_MAX - viewer->recent_count),
			viewer->recent_count * sizeof(*viewer->recent));
	}
	viewer->recent = view_grown(viewer->recent, &viewer->recent_capacity, viewer->recent_count + 1, sizeof(*viewer->recent));
	viewer->recent[viewer->recent_count++] = (struct uid_range){first, last};
}

void view_recent_told(struct mailbox_view *view, struct mailbox_viewer *viewer, uint32_t after)
{
	uint32_t first = view->recent_uid > after ? view->recent_uid : after + 1, last = viewer->known_uid;

	if (viewer->recency == VIEW_RECENT_NONE || first > last || last <= after)
		return;
	if (viewer->recency != VIEW_RECENT_TAKEN)
		add_range(viewer, first, last);
	if (viewer->recency != VIEW_RECENT_SHOWN)
		claim(view, last + 1);
}

/* The first range that ends at uid or behind it. */
static size_t range_at(const struct mailbox_viewer *viewer, uint32_t uid)
{
	size_t low = 0, high = viewer->recent_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (viewer->recent[middle].last < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t view_recent_flag(const struct mailbox_viewer *viewer, uint32_t uid)
{
	size_t at;

	if (viewer->recent_count == 0)
		return 0;
	at = range_at(viewer, uid);
	return at < viewer->recent_count && viewer->recent[at].first <= uid ? FLAG_RECENT : 0;
}

void view_recent_forget(struct mailbox_viewer *viewer)
{
	free(viewer->recent);
	viewer->recent = NULL;
	viewer->recent_count = viewer->recent_capacity = 0;
}

/* ---- for sessions ---- */

void mailbox_viewer_set_recent(struct mailbox_viewer *viewer, enum view_recent recency)
{
	struct mailbox_view *view = viewer->view;

	pthread_mutex_lock(&view->mutex);
	view_recent_forget(viewer);
	viewer->recency = recency;
	view_recent_told(view, viewer, 0);
	pthread_mutex_unlock(&view->mutex);
}

static uint32_t told_in(struct mailbox_view *view, struct mailbox_viewer *viewer, uint32_t uid)
{
	return (uint32_t)(view_entry_at(view, uid) - view_told_below(view, viewer, uid));
}

uint32_t mailbox_viewer_recent(struct mailbox_viewer *viewer)
{
	struct mailbox_view *view = viewer->view;
	uint32_t count = 0;

	pthread_mutex_lock(&view->mutex);
	for (size_t i = 0; i < viewer->recent_count; i++) {
		const struct uid_range *range = &viewer->recent[i];

		count += told_in(view, viewer, range->last + 1) - told_in(view, viewer, range->first);
	}
	pthread_mutex_unlock(&view->mutex);
	return count;
}

uint32_t mailbox_view_cache_recent_uid(struct mailbox_view_cache *cache, int64_t account, const struct mailbox *mailbox)
{
	struct view_key key = {account, mailbox->id};
	uint32_t uid = claimed_uid(cache, &key);

	return uid > mailbox->recent_uid ? uid : mailbox->recent_uid;
}
