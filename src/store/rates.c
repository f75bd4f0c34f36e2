#include "store/rates.h"

#include <stdlib.h>

#include "store/store_internal.h"

struct add_work {
	struct rate_change *changes;
	size_t count;
	int64_t now_us;
};

static void add_one(struct db *db, struct rate_change *change, int64_t now_us)
{
	struct db_query query =
		db_query(db, "INSERT INTO rate (bucket, full_us) VALUES ($1, $2 + $3) ON CONFLICT (bucket) DO UPDATE SET full_us ="
			     " CASE WHEN rate.full_us > $2 THEN rate.full_us ELSE $2 END + $3 RETURNING full_us");

	db_bind_i64(&query, (int64_t)change->bucket);
	db_bind_i64(&query, now_us);
	db_bind_i64(&query, change->taken_us);
	change->full_us = db_row(&query) ? db_i64(&query, 0) : 0;
	db_done(&query);
}

static enum status add_all(struct db *db, void *context)
{
	const struct add_work *work = context;

	for (size_t i = 0; i < work->count; i++)
		add_one(db, &work->changes[i], work->now_us);
	return db_status(db);
}

static int by_bucket(const void *left, const void *right)
{
	uint64_t a = ((const struct rate_change *)left)->bucket, b = ((const struct rate_change *)right)->bucket;

	return (a > b) - (a < b);
}

/* In the order of keys: two nodes that bring the same ones don't wait for each other in a circle. */
enum status rates_add(struct store *store, struct rate_change *changes, size_t count, int64_t now_us)
{
	struct add_work work = {changes, count, now_us};

	qsort(changes, count, sizeof(*changes), by_bucket);
	return count > 0 ? db_write(store->pool, add_all, &work) : STATUS_OK;
}

struct forget_work {
	int64_t before_us;
	size_t max, removed;
};

static enum status forget(struct db *db, void *context)
{
	struct forget_work *work = context;
	struct db_query query =
		db_query(db, "DELETE FROM rate WHERE bucket IN (SELECT bucket FROM rate WHERE full_us < $1 ORDER BY full_us LIMIT $2)");

	db_bind_i64(&query, work->before_us);
	db_bind_i64(&query, (int64_t)work->max);
	db_run(&query);
	work->removed = (size_t)db_changes(db);
	return db_status(db);
}

enum status rates_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	struct forget_work work = {.before_us = before_ms * 1000, .max = max};
	enum status status = db_write(store->pool, forget, &work);

	*removed = status == STATUS_OK ? work.removed : 0;
	return status;
}
