#include "store/bans.h"

#include "store/store_internal.h"

struct offence_work {
	const struct ban_growth *growth;
	int64_t now_ms;
	struct ban_row *row;
};

static void write_row(struct db *db, const struct ban_row *row)
{
	struct db_query query =
		db_query(db, "INSERT INTO ban (network, made_ms, until_ms, times, reason) VALUES ($1, $2, $3, $4, $5)"
			     " ON CONFLICT (network) DO UPDATE SET made_ms = excluded.made_ms,"
			     " until_ms = excluded.until_ms, times = excluded.times, reason = excluded.reason");

	db_bind_text(&query, row->network);
	db_bind_i64(&query, row->made_ms);
	db_bind_i64(&query, row->until_ms);
	db_bind_i64(&query, (int64_t)row->times);
	db_bind_bytes(&query, row->reason);
	db_run(&query);
}

static int64_t duration(const struct ban_growth *growth, uint64_t times)
{
	int64_t ms = growth->first_ms;

	while (--times > 0 && ms < growth->longest_ms)
		ms *= 2;
	return ms < growth->longest_ms ? ms : growth->longest_ms;
}

static enum status offend(struct db *db, void *context)
{
	struct offence_work *work = context;
	struct ban_row *row = work->row;
	int64_t until_ms = 0;
	struct db_query query = db_query(db, "SELECT until_ms, times FROM ban WHERE network = $1 FOR UPDATE");

	row->times = 0;
	db_bind_text(&query, row->network);
	if (db_row(&query)) {
		until_ms = db_i64(&query, 0);
		row->times = (uint64_t)db_i64(&query, 1);
	}
	db_done(&query);
	if (db_status(db) != STATUS_OK)
		return db_status(db);
	if (until_ms > work->now_ms)
		return STATUS_EXISTS;
	if (until_ms + work->growth->remember_ms < work->now_ms)
		row->times = 0;
	row->times++;
	row->made_ms = work->now_ms;
	row->until_ms = work->now_ms + duration(work->growth, row->times);
	write_row(db, row);
	return db_status(db);
}

enum status bans_offence(struct store *store, struct slice network, struct slice reason, const struct ban_growth *growth,
			 int64_t now_ms, struct ban_row *row)
{
	struct offence_work work = {growth, now_ms, row};

	*row = (struct ban_row){.network = network, .reason = reason};
	return db_write(store->pool, offend, &work);
}

static enum status set(struct db *db, void *context)
{
	write_row(db, context);
	return db_status(db);
}

enum status bans_set(struct store *store, const struct ban_row *row)
{
	struct ban_row copy = *row;

	return db_write(store->pool, set, &copy);
}

static enum status remove_one(struct db *db, void *context)
{
	const struct slice *network = context;
	struct db_query query = db_query(db, "DELETE FROM ban WHERE network = $1");

	db_bind_text(&query, *network);
	db_run(&query);
	return read_status(db, db_changes(db) > 0);
}

enum status bans_remove(struct store *store, struct slice network)
{
	return db_write(store->pool, remove_one, &network);
}

enum status bans_list(struct store *store, struct arena *arena, struct slice after, int64_t now_ms, size_t max,
		      struct ban_row **rows, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct ban_row);
	struct ban_row *row;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT network, made_ms, until_ms, times, reason FROM ban"
					     " WHERE network > $1 AND until_ms > $2 ORDER BY network LIMIT $3");

	db_bind_text(&query, after);
	db_bind_i64(&query, now_ms);
	db_bind_i64(&query, (int64_t)max);
	while (db_row(&query) && (row = list_add(&list)))
		*row = (struct ban_row){.network = slice_dup(arena, db_slice(&query, 0)),
					.made_ms = db_i64(&query, 1),
					.until_ms = db_i64(&query, 2),
					.times = (uint64_t)db_i64(&query, 3),
					.reason = slice_dup(arena, db_slice(&query, 4))};
	db_done(&query);
	*rows = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

struct forget_work {
	int64_t before_ms;
	size_t max, removed;
};

static enum status forget(struct db *db, void *context)
{
	struct forget_work *work = context;
	struct db_query query = db_query(db, "DELETE FROM ban WHERE network IN"
					     " (SELECT network FROM ban WHERE until_ms < $1 LIMIT $2)");

	db_bind_i64(&query, work->before_ms);
	db_bind_i64(&query, (int64_t)work->max);
	db_run(&query);
	work->removed = (size_t)db_changes(db);
	return db_status(db);
}

enum status bans_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	struct forget_work work = {.before_ms = before_ms, .max = max};
	enum status status = db_write(store->pool, forget, &work);

	*removed = status == STATUS_OK ? work.removed : 0;
	return status;
}
