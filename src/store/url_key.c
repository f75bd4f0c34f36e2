#include "store/url_key.h"

#include "base/clock.h"
#include "base/random.h"
#include "store/store_internal.h"
#include "store/url_key_internal.h"

#define LOOK_MS 1000

static void bind_place(struct db_query *query, int64_t viewer, int64_t account, int64_t mailbox)
{
	db_bind_i64(query, viewer);
	db_bind_i64(query, account);
	db_bind_i64(query, mailbox);
}

static bool read_key(struct db *db, int64_t viewer, int64_t account, int64_t mailbox, unsigned char key[URL_KEY_BYTES])
{
	struct db_query query = db_query(db, "SELECT value FROM url_key WHERE viewer = $1 AND account = $2 AND mailbox = $3");
	bool found;

	bind_place(&query, viewer, account, mailbox);
	found = db_row(&query) && db_slice(&query, 0).len == URL_KEY_BYTES;
	if (found)
		memcpy(key, db_slice(&query, 0).data, URL_KEY_BYTES);
	db_done(&query);
	return found;
}

enum status url_key_find(struct store *store, int64_t viewer, int64_t account, int64_t mailbox,
			 unsigned char key[URL_KEY_BYTES])
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	return db ? read_status(db, read_key(db, viewer, account, mailbox, key)) : STATUS_TEMPORARY;
}

/* ---- making ---- */

struct key_work {
	int64_t viewer, account, mailbox;
	bool replaces;
	int64_t now_ms;
	unsigned char key[URL_KEY_BYTES];
};

static void insert_key(struct db *db, const struct key_work *work)
{
	struct db_query query = db_query(db, "INSERT INTO url_key (viewer, account, mailbox, reset_ms, value)"
					     " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (viewer, account, mailbox) DO UPDATE"
					     " SET reset_ms = CASE WHEN excluded.reset_ms > 0 THEN excluded.reset_ms"
					     " ELSE url_key.reset_ms END, value = excluded.value");

	bind_place(&query, work->viewer, work->account, work->mailbox);
	db_bind_i64(&query, work->now_ms);
	db_bind_bytes(&query, slice_of((const char *)work->key, URL_KEY_BYTES));
	db_run(&query);
}

static int64_t read_reset_time(struct db *db, int64_t viewer, int64_t account, int64_t mailbox)
{
	struct db_query query =
		db_query(db, "SELECT reset_ms FROM url_key WHERE viewer = $1 AND account = $2 AND mailbox = $3");
	int64_t reset_ms = 0;

	bind_place(&query, viewer, account, mailbox);
	if (db_row(&query))
		reset_ms = db_i64(&query, 0);
	db_done(&query);
	return reset_ms;
}

/* No two resets at once: who knows of the one has to be told of the other. */
static void set_time(struct db *db, struct key_work *work)
{
	int64_t last_ms = read_reset_time(db, work->viewer, work->account, work->mailbox);

	if (work->now_ms <= last_ms)
		work->now_ms = last_ms + 1;
}

/* The account's row is locked first: so two that make a key at once make one, and a mailbox isn't deleted meanwhile. */
static enum status make_key(struct db *db, void *context)
{
	struct key_work *work = context;

	if (!counters_account(db, work->account) || !counters_mailbox(db, work->account, work->mailbox))
		return counters_missing(db);
	if (!work->replaces && read_key(db, work->viewer, work->account, work->mailbox, work->key))
		return db_status(db);
	if (work->replaces)
		set_time(db, work);
	random_bytes(work->key, URL_KEY_BYTES);
	insert_key(db, work);
	return db_status(db);
}

enum status url_key_make(struct store *store, int64_t viewer, int64_t account, int64_t mailbox,
			 unsigned char key[URL_KEY_BYTES])
{
	struct key_work work = {.viewer = viewer, .account = account, .mailbox = mailbox};
	enum status status = url_key_find(store, viewer, account, mailbox, key);

	if (status != STATUS_NOT_FOUND)
		return status;
	status = db_write(store->pool, make_key, &work);
	memcpy(key, work.key, URL_KEY_BYTES);
	return status;
}

enum status url_key_reset(struct store *store, int64_t viewer, int64_t account, int64_t mailbox, int64_t *reset_ms)
{
	struct key_work work = {.viewer = viewer, .account = account, .mailbox = mailbox, .replaces = true};
	enum status status;

	work.now_ms = clock_wall_ms();
	status = db_write(store->pool, make_key, &work);
	if (status == STATUS_OK)
		atomic_fetch_add(&store->url_key_resets, 1);
	*reset_ms = work.now_ms;
	return status;
}

/* The row stays, and tells when: the next key is made at need. */
static enum status take_keys(struct db *db, void *context)
{
	const struct key_work *work = context;
	struct db_query query = db_query(db, "UPDATE url_key SET value = $2, reset_ms = CASE WHEN reset_ms < $3 THEN $3"
					     " ELSE reset_ms + 1 END WHERE viewer = $1");

	db_bind_i64(&query, work->viewer);
	db_bind_bytes(&query, SLICE_EMPTY);
	db_bind_i64(&query, work->now_ms);
	db_run(&query);
	return db_status(db);
}

static enum status read_accounts(struct store *store, struct arena *arena, int64_t viewer, int64_t **accounts, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, int64_t);
	int64_t *account;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT DISTINCT account FROM url_key WHERE viewer = $1");

	db_bind_i64(&query, viewer);
	while (db_row(&query) && (account = list_add(&list)))
		*account = db_i64(&query, 0);
	db_done(&query);
	*accounts = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

enum status url_key_reset_all(struct store *store, struct arena *arena, int64_t viewer, int64_t **accounts, size_t *count)
{
	struct key_work work = {.viewer = viewer, .now_ms = clock_wall_ms()};
	enum status status = read_accounts(store, arena, viewer, accounts, count);

	if (status == STATUS_OK)
		status = db_write(store->pool, take_keys, &work);
	if (status == STATUS_OK)
		atomic_fetch_add(&store->url_key_resets, 1);
	return status;
}

/* ---- news ---- */

bool url_keys_exist(struct store *store)
{
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms - atomic_load(&store->url_keys_looked_ms) < LOOK_MS)
		return atomic_load(&store->url_keys_exist);
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return true;
	struct db_query query = db_query(db, "SELECT 1 FROM url_key LIMIT 1");
	bool exist = db_row(&query);

	db_done(&query);
	atomic_store(&store->url_keys_exist, exist || db_status(db) != STATUS_OK);
	atomic_store(&store->url_keys_looked_ms, now_ms);
	return exist;
}

uint64_t url_key_resets(struct store *store)
{
	return atomic_load(&store->url_key_resets);
}

enum status url_key_reset_time(struct store *store, int64_t viewer, int64_t account, int64_t mailbox, int64_t *reset_ms)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*reset_ms = 0;
	if (!db)
		return STATUS_TEMPORARY;
	*reset_ms = read_reset_time(db, viewer, account, mailbox);
	return db_status(db);
}

/* ---- with mailboxes and accounts ---- */

void url_key_forget_mailbox(struct db *db, int64_t account, int64_t mailbox)
{
	struct db_query query = db_query(db, "DELETE FROM url_key WHERE account = $1 AND mailbox = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_run(&query);
}

void url_key_forget_account(struct db *db, int64_t account)
{
	struct db_query query = db_query(db, "DELETE FROM url_key WHERE account = $1 OR viewer = $1");

	db_bind_i64(&query, account);
	db_run(&query);
}
