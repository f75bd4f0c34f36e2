#include "store/sts_cache.h"

#include "store/store_internal.h"

enum status sts_cache_find(struct store *store, struct arena *arena, struct slice domain, int64_t now_ms,
			   struct sts_cached *cached)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT policy_id, policy, fetched_ms, refresh_ms, expires_ms FROM sts_policy"
					     " WHERE domain = $1 AND expires_ms > $2");

	db_bind_text(&query, domain);
	db_bind_i64(&query, now_ms);
	bool found = db_row(&query);

	if (found)
		*cached = (struct sts_cached){
			.id = slice_dup(arena, db_slice(&query, 0)),
			.text = slice_dup(arena, db_slice(&query, 1)),
			.fetched_ms = db_i64(&query, 2),
			.refresh_ms = db_i64(&query, 3),
			.expires_ms = db_i64(&query, 4),
		};
	db_done(&query);
	return read_status(db, found);
}

struct sts_work {
	struct slice domain;
	const struct sts_cached *cached;
	int64_t at_ms;
};

static enum status put(struct db *db, void *context)
{
	const struct sts_work *work = context;
	struct db_query query =
		db_query(db, "INSERT INTO sts_policy (domain, policy_id, policy, fetched_ms, refresh_ms, expires_ms)"
			     " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (domain) DO UPDATE SET"
			     " policy_id = excluded.policy_id, policy = excluded.policy, fetched_ms = excluded.fetched_ms,"
			     " refresh_ms = excluded.refresh_ms, expires_ms = excluded.expires_ms");

	db_bind_text(&query, work->domain);
	db_bind_bytes(&query, work->cached->id);
	db_bind_bytes(&query, work->cached->text);
	db_bind_i64(&query, work->cached->fetched_ms);
	db_bind_i64(&query, work->cached->refresh_ms);
	db_bind_i64(&query, work->cached->expires_ms);
	db_run(&query);
	return db_status(db);
}

enum status sts_cache_put(struct store *store, struct slice domain, const struct sts_cached *cached)
{
	struct sts_work work = {domain, cached, 0};

	return db_write(store->pool, put, &work);
}

static enum status put_off(struct db *db, void *context)
{
	const struct sts_work *work = context;
	struct db_query query = db_query(db, "UPDATE sts_policy SET refresh_ms = $2 WHERE domain = $1");

	db_bind_text(&query, work->domain);
	db_bind_i64(&query, work->at_ms);
	db_run(&query);
	return db_status(db);
}

enum status sts_cache_put_off(struct store *store, struct slice domain, int64_t refresh_ms)
{
	struct sts_work work = {domain, NULL, refresh_ms};

	return db_write(store->pool, put_off, &work);
}

enum status sts_cache_due(struct store *store, struct arena *arena, int64_t now_ms, size_t max, struct slice **domains,
			  size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list found = LIST(arena, struct slice);
	struct slice *domain;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT domain FROM sts_policy WHERE refresh_ms <= $1 AND expires_ms > $1"
					     " ORDER BY refresh_ms LIMIT $2");

	db_bind_i64(&query, now_ms);
	db_bind_i64(&query, (int64_t)max);
	while (db_row(&query) && (domain = list_add(&found)))
		*domain = slice_dup(arena, db_slice(&query, 0));
	db_done(&query);
	*domains = found.items;
	*count = found.count;
	return found.failed ? STATUS_LIMIT : db_status(db);
}

static enum status forget_expired(struct db *db, void *context)
{
	const struct sts_work *work = context;
	struct db_query query = db_query(db, "DELETE FROM sts_policy WHERE expires_ms <= $1");

	db_bind_i64(&query, work->at_ms);
	db_run(&query);
	return db_status(db);
}

enum status sts_cache_forget_expired(struct store *store, int64_t now_ms)
{
	struct sts_work work = {.at_ms = now_ms};

	return db_write(store->pool, forget_expired, &work);
}
