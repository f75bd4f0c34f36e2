#include "store/quota_watch.h"

#include "store/store_internal.h"

/* Divided first: a quota may be as large as the type. $1: the percentage. */
#define IS_FULL                                                                   \
	"((quota_bytes > 0 AND used_bytes >= quota_bytes / 100 * $1) OR"          \
	" (quota_messages > 0 AND used_messages * 100 >= quota_messages * $1))"

enum status quota_find_full(struct store *store, struct arena *arena, unsigned percent, int64_t after, size_t max,
			    struct quota_full **full, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct quota_full);
	struct quota_full *one;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT id, address, used_bytes, quota_bytes, used_messages, quota_messages, quota_told"
					     " FROM account WHERE id > $2 AND enabled = 1 AND shared = 0 AND quota_told <= 0 AND " IS_FULL
					     " ORDER BY id LIMIT $3");

	db_bind_i64(&query, percent);
	db_bind_i64(&query, after);
	db_bind_i64(&query, (int64_t)max);
	while (db_row(&query) && (one = list_add(&list)))
		*one = (struct quota_full){.account = db_i64(&query, 0),
					   .address = slice_dup(arena, db_slice(&query, 1)),
					   .used_bytes = (uint64_t)db_i64(&query, 2),
					   .quota_bytes = (uint64_t)db_i64(&query, 3),
					   .used_messages = (uint64_t)db_i64(&query, 4),
					   .quota_messages = (uint64_t)db_i64(&query, 5),
					   .times = (unsigned)-db_i64(&query, 6)};
	db_done(&query);
	*full = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

static enum status set_told(struct db *db, void *context)
{
	const int64_t *account = context;
	struct db_query query = db_query(db, "UPDATE account SET quota_told = 1 - quota_told WHERE id = $1 AND quota_told <= 0");

	db_bind_i64(&query, *account);
	db_run(&query);
	return db_status(db);
}

enum status quota_set_told(struct store *store, int64_t account)
{
	return db_write(store->pool, set_told, &account);
}

static enum status forget_told(struct db *db, void *context)
{
	const unsigned *percent = context;
	struct db_query query = db_query(db, "UPDATE account SET quota_told = -quota_told WHERE quota_told > 0 AND NOT " IS_FULL);

	db_bind_i64(&query, *percent);
	db_run(&query);
	return db_status(db);
}

/* Nearly always there are none, and no write is begun for them. */
static bool any_told(struct store *store, unsigned percent)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	bool any = false;

	if (!db)
		return false;
	struct db_query query = db_query(db, "SELECT 1 FROM account WHERE quota_told > 0 AND NOT " IS_FULL " LIMIT 1");

	db_bind_i64(&query, percent);
	any = db_row(&query);
	db_done(&query);
	return any;
}

enum status quota_forget_told(struct store *store, unsigned percent)
{
	return any_told(store, percent) ? db_write(store->pool, forget_told, &percent) : STATUS_OK;
}
