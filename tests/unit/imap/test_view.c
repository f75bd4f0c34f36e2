/* Views of mailboxes against a naive model: thousands of random changes of a mailbox, seen by several sessions that ask at random
 * times. The store is a small one in memory, with a change log. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/mailbox_view_internal.h"
#include "store/seen.h"
#include "store/store_internal.h"

/* Asked for nothing but its log. */
static const struct log quiet = {.fd = -1, .level = LOG_LEVEL_ERROR};
static struct store no_store = {.log = &quiet};

#define MESSAGES_MAX 3000
#define LOG_MAX      200000
#define VIEWERS      4

/* ---- the store ---- */

static pthread_mutex_t model_mutex = PTHREAD_MUTEX_INITIALIZER;

static void unlock(pthread_mutex_t **mutex)
{
	pthread_mutex_unlock(*mutex);
}
#define LOCKED(name)                                                           \
	pthread_mutex_t *name __attribute__((cleanup(unlock))) = &model_mutex; \
	pthread_mutex_lock(name)

struct logged {
	uint64_t modseq;
	uint32_t uid;
	bool expunged;
};

static struct {
	struct mailbox_entry entries[MESSAGES_MAX]; /* ascending by uid */
	size_t count;
	uint32_t uid_next;
	uint64_t modseq;
	struct logged log[LOG_MAX];
	size_t log_count;
	uint64_t log_from; /* changes up to this modseq have been forgotten */
	bool gone, down;
	struct keyword_table keywords;
	unsigned keyword_reads;
} model;

static void model_reset(void)
{
	memset(&model, 0, sizeof(model));
	model.uid_next = 1;
	model.modseq = 1;
}

static void model_log(uint32_t uid, bool expunged)
{
	assert_true(model.log_count < LOG_MAX);
	model.log[model.log_count++] = (struct logged){model.modseq, uid, expunged};
}

static void model_append(void)
{
	struct mailbox_entry *entry = &model.entries[model.count++];

	model.modseq++;
	*entry = (struct mailbox_entry){.uid = model.uid_next++, .modseq = model.modseq, .email = (int64_t)model.modseq * 10};
	entry->size = 100 + entry->uid;
	model_log(entry->uid, false);
	if (rand() % 4 == 0)
		model.uid_next += (uint32_t)rand() % 5;
}

static void model_expunge(size_t at)
{
	model.modseq++;
	model_log(model.entries[at].uid, true);
	memmove(&model.entries[at], &model.entries[at + 1], (--model.count - at) * sizeof(model.entries[0]));
}

static void model_flag(size_t at, uint64_t flags)
{
	model.modseq++;
	model.entries[at].flags = flags;
	model.entries[at].modseq = model.modseq;
	model_log(model.entries[at].uid, false);
}

static const struct mailbox_entry *model_find(uint32_t uid)
{
	for (size_t i = 0; i < model.count; i++) {
		if (model.entries[i].uid == uid)
			return &model.entries[i];
	}
	return NULL;
}

static struct mailbox model_mailbox(void)
{
	return (struct mailbox){
		.id = 7, .uid_validity = 1, .uid_next = model.uid_next, .highest_modseq = model.modseq, .selectable = true};
}

enum status mailbox_load(struct store *store, struct arena *arena, int64_t account, int64_t id, struct mailbox *mailbox,
			 struct mailbox_entry **entries, size_t *count)
{
	LOCKED(guard);

	(void)store;
	(void)arena;
	assert_int_equal(account, 1);
	assert_int_equal(id, 7);
	if (model.down || model.gone)
		return model.down ? STATUS_TEMPORARY : STATUS_NOT_FOUND;
	*mailbox = model_mailbox();
	*entries = malloc((model.count + 1) * sizeof(**entries));
	memcpy(*entries, model.entries, model.count * sizeof(**entries));
	*count = model.count;
	return STATUS_OK;
}

static bool logged_later(size_t at)
{
	for (size_t i = at + 1; i < model.log_count; i++) {
		if (model.log[i].uid == model.log[at].uid)
			return true;
	}
	return false;
}

static int compare_uids(const void *a, const void *b)
{
	return (int)(*(const uint32_t *)a - *(const uint32_t *)b);
}

static int compare_entries(const void *a, const void *b)
{
	return (int)(((const struct mailbox_entry *)a)->uid - ((const struct mailbox_entry *)b)->uid);
}

enum status mailbox_changes_since(struct store *store, struct arena *arena, int64_t account, int64_t id, uint64_t modseq,
				  struct mailbox_changes *changes)
{
	LOCKED(guard);

	size_t first = model.log_count;

	(void)store;
	(void)account;
	(void)id;
	if (model.down || model.gone)
		return model.down ? STATUS_TEMPORARY : STATUS_NOT_FOUND;
	*changes = (struct mailbox_changes){.mailbox = model_mailbox(), .too_old = modseq < model.log_from};
	while (first > 0 && model.log[first - 1].modseq > modseq)
		first--;
	changes->changed = ARENA_ARRAY(arena, struct mailbox_entry, model.log_count - first + 1);
	changes->expunged = ARENA_ARRAY(arena, uint32_t, model.log_count - first + 1);
	for (size_t i = first; i < model.log_count; i++) {
		const struct mailbox_entry *entry = model_find(model.log[i].uid);

		if (model.log[i].expunged)
			changes->expunged[changes->expunged_count++] = model.log[i].uid;
		else if (entry && !logged_later(i))
			changes->changed[changes->changed_count++] = *entry;
	}
	qsort(changes->changed, changes->changed_count, sizeof(*changes->changed), compare_entries);
	qsort(changes->expunged, changes->expunged_count, sizeof(*changes->expunged), compare_uids);
	return STATUS_OK;
}

enum status mailbox_highest_modseq(struct store *store, int64_t account, int64_t id, uint64_t *modseq)
{
	LOCKED(guard);

	(void)store;
	(void)account;
	(void)id;
	*modseq = model.modseq;
	return model.down ? STATUS_TEMPORARY : model.gone ? STATUS_NOT_FOUND : STATUS_OK;
}

enum status seen_load(struct store *store, struct arena *arena, int64_t account, int64_t mailbox, int64_t viewer,
		      struct seen_set *set)
{
	(void)store;
	(void)arena;
	(void)account;
	(void)mailbox;
	(void)viewer;
	*set = (struct seen_set){0};
	return STATUS_OK;
}

enum status keyword_list(struct store *store, struct arena *arena, int64_t account, struct keyword_table *table)
{
	LOCKED(guard);

	(void)store;
	(void)arena;
	(void)account;
	model.keyword_reads++;
	*table = model.keywords;
	return STATUS_OK;
}

/* ---- what a client knows: the naive way ---- */

struct client {
	struct mailbox_viewer viewer;
	uint32_t uids[MESSAGES_MAX * 4];
	uint64_t flags[MESSAGES_MAX * 4];
	size_t count;
};

static void client_open(struct client *client, struct mailbox_view_cache *cache)
{
	struct mailbox mailbox = model_mailbox();

	assert_int_equal(mailbox_viewer_open(cache, 1, &mailbox, &client->viewer), STATUS_OK);
	client->count = model.count;
	for (size_t i = 0; i < model.count; i++) {
		client->uids[i] = model.entries[i].uid;
		client->flags[i] = model.entries[i].flags;
	}
}

/* A client fetches what it has been told to be new. */
static void client_fetch(struct client *client, uint32_t messages)
{
	struct view_message message;

	while (client->count < messages) {
		uint32_t uid = mailbox_viewer_uid(&client->viewer, (uint32_t)client->count + 1);

		assert_int_equal(mailbox_viewer_read(&client->viewer, uid, uid, &message, 1), 1);
		assert_int_equal(message.sequence, client->count + 1);
		client->uids[client->count] = uid;
		client->flags[client->count++] = message.flags;
	}
}

/* Believes what it is told, as RFC 9051 section 7.5 has it. */
static void client_hear(struct client *client, struct arena *arena, bool expunges, const struct view_own_change *own)
{
	struct view_news news;

	mailbox_viewer_take(&client->viewer, arena, expunges, own, &news);
	assert_true(expunges || news.expunged_count == 0);
	for (size_t i = 0; i < news.expunged_count; i++) {
		size_t at = news.expunged[i] - 1;

		assert_true(at < client->count);
		/* the uids go up as the numbers go down */
		assert_int_equal(client->uids[at], news.vanished[news.expunged_count - 1 - i]);
		client->count--;
		memmove(&client->uids[at], &client->uids[at + 1], (client->count - at) * sizeof(client->uids[0]));
		memmove(&client->flags[at], &client->flags[at + 1], (client->count - at) * sizeof(client->flags[0]));
	}
	assert_int_equal(news.grown, news.messages != client->count);
	for (size_t i = 0; i < news.changed_count; i++) {
		size_t at = news.changed[i].sequence - 1;

		assert_true(at < client->count);
		assert_int_equal(client->uids[at], news.changed[i].uid);
		client->flags[at] = news.changed[i].flags;
	}
	client_fetch(client, news.messages);
}

/* The view shows the session what the client thinks there is. */
static void client_check(struct client *client)
{
	static _Thread_local struct view_message messages[MESSAGES_MAX * 4];
	uint32_t from = client->count ? client->uids[(size_t)rand() % client->count] : 1;
	size_t count = mailbox_viewer_read(&client->viewer, 1, UINT32_MAX, messages, MESSAGES_MAX * 4);

	assert_int_equal(count, client->count);
	assert_int_equal(mailbox_viewer_state(&client->viewer).messages, client->count);
	assert_int_equal(mailbox_viewer_last_uid(&client->viewer), count ? client->uids[count - 1] : 0);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(messages[i].uid, client->uids[i]);
		assert_int_equal(messages[i].sequence, i + 1);
		assert_int_equal(messages[i].size, 100 + messages[i].uid);
	}
	for (int tries = 0; tries < 20 && count > 0; tries++) {
		uint32_t sequence = (uint32_t)rand() % (uint32_t)count + 1;

		assert_int_equal(mailbox_viewer_uid(&client->viewer, sequence), client->uids[sequence - 1]);
	}
	assert_int_equal(mailbox_viewer_uid(&client->viewer, (uint32_t)count + 1), 0);
	count = mailbox_viewer_read(&client->viewer, from, from + 50, messages, 10);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(client->uids[messages[i].sequence - 1], messages[i].uid);
}

/* A client that has been told everything knows the mailbox as it is. */
static void client_check_all(struct client *client)
{
	uint32_t unseen = 0;

	assert_int_equal(client->count, model.count);
	for (size_t i = 0; i < model.count; i++) {
		assert_int_equal(client->uids[i], model.entries[i].uid);
		assert_int_equal(client->flags[i], model.entries[i].flags);
		if (unseen == 0 && !(model.entries[i].flags & FLAG_SEEN))
			unseen = (uint32_t)i + 1;
	}
	assert_int_equal(mailbox_viewer_first_unseen(&client->viewer), unseen);
}

static void change_something(int style)
{
	int what = rand() % 100;

	if (what < (style ? 40 : 70) && model.count < MESSAGES_MAX)
		model_append();
	else if (what < 75 && model.count > 0)
		model_expunge((size_t)rand() % model.count);
	else if (model.count > 0)
		model_flag((size_t)rand() % model.count, (uint64_t)rand() % 32);
	if (rand() % 500 == 0)
		model.log_from = model.modseq;
}

static void run_random(unsigned seed, int steps)
{
	static struct client clients[VIEWERS];
	struct arena arena SCOPED_ARENA;
	struct mailbox_view_cache *cache = mailbox_view_cache_new(&no_store, 0);

	srand(seed);
	model_reset();
	for (int i = 0; i < 50; i++)
		model_append();
	for (int i = 0; i < VIEWERS; i++)
		client_open(&clients[i], cache);
	for (int step = 0; step < steps; step++) {
		struct client *client = &clients[rand() % VIEWERS];
		int act = rand() % 20;

		for (int changes = rand() % 8; changes > 0; changes--)
			change_something(step / 400 % 2);
		if (act < 8)
			assert_int_equal(mailbox_viewer_refresh(&client->viewer, &arena), STATUS_OK);
		if (act < 14)
			client_hear(client, &arena, act % 2, NULL);
		client_check(client);
		if (act == 15) {
			assert_int_equal(mailbox_viewer_refresh(&client->viewer, &arena), STATUS_OK);
			client_hear(client, &arena, true, NULL);
			client_check_all(client);
		}
		if (act == 16) {
			mailbox_viewer_close(&client->viewer);
			client_open(client, cache);
			client_check_all(client);
		}
		arena_reset(&arena);
	}
	for (int i = 0; i < VIEWERS; i++)
		mailbox_viewer_close(&clients[i].viewer);
	mailbox_view_cache_free(cache);
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 12; seed++)
		run_random(seed, 1500);
}

/* ---- single cases ---- */

struct fixture {
	struct arena arena;
	struct mailbox_view_cache *cache;
	struct client a, b;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	model_reset();
	f->cache = mailbox_view_cache_new(&no_store, 0);
	for (int i = 0; i < 5; i++)
		model_append();
	client_open(&f->a, f->cache);
	client_open(&f->b, f->cache);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	mailbox_viewer_close(&f->a.viewer);
	mailbox_viewer_close(&f->b.viewer);
	mailbox_view_cache_free(f->cache);
	arena_free(&f->arena);
	free(f);
	return 0;
}

static void refresh(struct fixture *f, struct client *client)
{
	assert_int_equal(mailbox_viewer_refresh(&client->viewer, &f->arena), STATUS_OK);
}

/* One session's refresh is enough for the other; a ghost stays readable until its EXPUNGE is told. */
static void test_ghost(void **state)
{
	struct fixture *f = *state;
	struct view_message message;
	uint32_t uid = model.entries[1].uid;

	model_expunge(1);
	refresh(f, &f->a);
	client_hear(&f->a, &f->arena, true, NULL);
	assert_int_equal(f->a.count, 4);
	client_hear(&f->b, &f->arena, false, NULL);
	assert_int_equal(f->b.count, 5);
	assert_int_equal(mailbox_viewer_read(&f->b.viewer, uid, uid, &message, 1), 1);
	assert_true(message.expunged);
	assert_int_equal(message.sequence, 2);
	assert_int_equal(mailbox_viewer_read(&f->a.viewer, uid, uid, &message, 1), 0);
	client_hear(&f->b, &f->arena, true, NULL);
	client_check_all(&f->b);
}

static void test_own_changes_are_no_news(void **state)
{
	struct fixture *f = *state;
	uint32_t uids[2] = {model.entries[0].uid, model.entries[2].uid};
	uint64_t flags[2] = {FLAG_SEEN, FLAG_SEEN};
	struct view_own_change own = {uids, flags, 2, 0, 0};
	struct view_news news;

	model_flag(0, FLAG_SEEN);
	model.entries[2].flags = FLAG_SEEN;
	model.entries[2].modseq = own.first_modseq = own.last_modseq = model.modseq;
	model_log(uids[1], false);
	refresh(f, &f->a);
	mailbox_viewer_take(&f->a.viewer, &f->arena, true, &own, &news);
	assert_int_equal(news.changed_count, 0);
	mailbox_viewer_take(&f->b.viewer, &f->arena, true, NULL, &news);
	assert_int_equal(news.changed_count, 2);
	/* what came out otherwise than expected is news */
	model_flag(0, FLAG_SEEN | FLAG_FLAGGED);
	own.first_modseq = own.last_modseq = model.modseq;
	refresh(f, &f->a);
	mailbox_viewer_take(&f->a.viewer, &f->arena, true, &own, &news);
	assert_int_equal(news.changed_count, 1);
	own.flags = NULL;
	model_flag(2, 0);
	own.first_modseq = own.last_modseq = model.modseq;
	refresh(f, &f->a);
	mailbox_viewer_take(&f->a.viewer, &f->arena, true, &own, &news);
	assert_int_equal(news.changed_count, 0);
	/* done in parts, between which somebody else has changed another message */
	model_flag(0, FLAG_SEEN);
	own.first_modseq = model.modseq;
	model_flag(1, FLAG_ANSWERED);
	model_flag(2, FLAG_SEEN);
	own.last_modseq = model.modseq;
	refresh(f, &f->a);
	mailbox_viewer_take(&f->a.viewer, &f->arena, true, &own, &news);
	assert_int_equal(news.changed_count, 1);
	assert_int_equal(news.changed[0].uid, model.entries[1].uid);
}

/* More changes than the journal holds are found by looking through all. */
static void test_journal_overflows(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 20000; i++) {
		model_flag((size_t)i % 4, (uint64_t)(i % 31));
		if (i % 3 == 0) {
			refresh(f, &f->a);
			client_hear(&f->a, &f->arena, true, NULL);
			arena_reset(&f->arena);
		}
	}
	refresh(f, &f->a);
	client_hear(&f->b, &f->arena, true, NULL);
	client_check_all(&f->b);
}

static void test_mailbox_gone(void **state)
{
	struct fixture *f = *state;
	struct client other;
	struct mailbox mailbox = model_mailbox();

	model.gone = true;
	refresh(f, &f->a);
	assert_true(mailbox_viewer_state(&f->a.viewer).gone);
	client_hear(&f->a, &f->arena, true, NULL);
	assert_int_equal(f->a.count, 0);
	assert_int_equal(mailbox_viewer_first_unseen(&f->a.viewer), 0);
	assert_int_equal(mailbox_viewer_open(f->cache, 1, &mailbox, &other.viewer), STATUS_NOT_FOUND);
	assert_false(mailbox_viewer_is_open(&other.viewer));
}

static void test_store_down(void **state)
{
	struct fixture *f = *state;

	model_append();
	model.down = true;
	assert_int_equal(mailbox_viewer_refresh(&f->a.viewer, &f->arena), STATUS_TEMPORARY);
	client_check(&f->a);
	model.down = false;
	refresh(f, &f->a);
	client_hear(&f->a, &f->arena, false, NULL);
	client_check_all(&f->a);
}

static void test_keywords(void **state)
{
	struct fixture *f = *state;
	struct keyword_table table;

	model.keywords.names[5] = SLICE("$Label1");
	assert_int_equal(mailbox_viewer_keywords(&f->a.viewer, 0, &table), STATUS_OK);
	assert_true(slice_eq(table.names[5], SLICE("$Label1")));
	model.keywords.names[6] = SLICE("$Junk");
	assert_int_equal(mailbox_viewer_keywords(&f->b.viewer, 1 << 5, &table), STATUS_OK);
	assert_int_equal(model.keyword_reads, 1);
	model_flag(0, 1 << 6);
	refresh(f, &f->a);
	assert_int_equal(mailbox_viewer_keywords(&f->b.viewer, 1 << 6, &table), STATUS_OK);
	assert_true(slice_eq(table.names[6], SLICE("$Junk")));
	assert_int_equal(model.keyword_reads, 2);
	/* a bit without a name isn't asked for again and again */
	for (int i = 0; i < 5; i++)
		assert_int_equal(mailbox_viewer_keywords(&f->b.viewer, 1 << 9, &table), STATUS_OK);
	assert_true(model.keyword_reads <= 3);
}

/* Several threads, each with a session of its own, while the mailbox changes: for the thread sanitizer; and at the end all know the
 * same. */
static void *watch(void *context)
{
	struct client *client = context;
	struct arena arena SCOPED_ARENA;

	for (int i = 0; i < 400; i++) {
		if (i % 3)
			assert_int_equal(mailbox_viewer_refresh(&client->viewer, &arena), STATUS_OK);
		client_hear(client, &arena, i % 2, NULL);
		client_check(client);
		arena_reset(&arena);
	}
	return NULL;
}

static void *change(void *context)
{
	(void)context;
	for (int i = 0; i < 4000; i++) {
		LOCKED(guard);

		change_something(i / 1000 % 2);
	}
	return NULL;
}

static void test_threads(void **state)
{
	static struct client clients[VIEWERS];
	struct arena arena SCOPED_ARENA;
	struct mailbox_view_cache *cache = mailbox_view_cache_new(&no_store, 0);
	pthread_t threads[VIEWERS + 1];

	(void)state;
	model_reset();
	for (int i = 0; i < VIEWERS; i++)
		client_open(&clients[i], cache);
	for (int i = 0; i < VIEWERS; i++)
		pthread_create(&threads[i], NULL, watch, &clients[i]);
	pthread_create(&threads[VIEWERS], NULL, change, NULL);
	for (int i = 0; i <= VIEWERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < VIEWERS; i++) {
		assert_int_equal(mailbox_viewer_refresh(&clients[i].viewer, &arena), STATUS_OK);
		client_hear(&clients[i], &arena, true, NULL);
		client_check_all(&clients[i]);
		mailbox_viewer_close(&clients[i].viewer);
	}
	mailbox_view_cache_free(cache);
}

/* Closed views are kept, up to a limit in bytes. */
static void test_cache(void **state)
{
	struct mailbox_view_cache *cache = mailbox_view_cache_new(&no_store, 0);
	static struct client client;

	(void)state;
	model_reset();
	for (int i = 0; i < 1000; i++)
		model_append();
	client_open(&client, cache);
	mailbox_viewer_close(&client.viewer);
	assert_int_equal(mailbox_view_cache_counts(cache).views, 1);
	assert_true(mailbox_view_cache_counts(cache).bytes >= 1000 * sizeof(struct mailbox_entry));
	model_expunge(10);
	client_open(&client, cache);
	client_check_all(&client);
	mailbox_viewer_close(&client.viewer);
	assert_int_equal(mailbox_view_cache_counts(cache).loads, 1);
	mailbox_view_cache_free(cache);

	cache = mailbox_view_cache_new(&no_store, 1000);
	client_open(&client, cache);
	assert_int_equal(mailbox_view_cache_counts(cache).views, 1);
	mailbox_viewer_close(&client.viewer);
	assert_int_equal(mailbox_view_cache_counts(cache).views, 0);
	assert_int_equal(mailbox_view_cache_counts(cache).bytes, 0);
	mailbox_view_cache_free(cache);
}

/* Many sessions that mustn't be told yet, as after FETCH, keep one list between them; and what all were told isn't kept. */
static void test_crowd(void **state)
{
	enum { CROWD = 200, GONE = 500 };
	static struct mailbox_viewer crowd[CROWD];
	struct arena arena SCOPED_ARENA;
	struct mailbox_view_cache *cache = mailbox_view_cache_new(&no_store, 0);
	const struct mailbox_view *view;
	struct view_message message;
	struct view_news news;

	(void)state;
	model_reset();
	for (int i = 0; i < 2 * GONE; i++)
		model_append();
	struct mailbox mailbox = model_mailbox();

	for (int i = 0; i < CROWD; i++)
		assert_int_equal(mailbox_viewer_open(cache, 1, &mailbox, &crowd[i]), STATUS_OK);
	view = crowd[0].view;
	for (int i = 0; i < GONE; i++)
		model_expunge((size_t)i);
	model_flag(7, FLAG_SEEN);
	assert_int_equal(mailbox_viewer_refresh(&crowd[0], &arena), STATUS_OK);
	for (int i = 0; i < CROWD; i++) {
		mailbox_viewer_take(&crowd[i], &arena, false, NULL, &news);
		assert_int_equal(news.changed_count, 1);
		assert_int_equal(news.messages, 2 * GONE);
		assert_int_equal(mailbox_viewer_read(&crowd[i], 1, UINT32_MAX, &message, 1), 1);
	}
	assert_int_equal(HASH_COUNT(view->pendings), 1);
	assert_int_equal(view->journal_count, 0);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(view->tombstone_count, GONE);
		mailbox_viewer_take(&crowd[i], &arena, true, NULL, &news);
		assert_int_equal(news.expunged_count, GONE);
	}
	assert_int_equal(view->tombstone_count, 0);
	assert_int_equal(HASH_COUNT(view->pendings), 0);
	assert_int_equal(view->count, GONE);
	for (int i = 0; i < CROWD; i++)
		mailbox_viewer_close(&crowd[i]);
	mailbox_view_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test_setup_teardown(test_ghost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_changes_are_no_news, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_journal_overflows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mailbox_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_store_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keywords, set_up, tear_down),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
