#include "store/sending.h"

#include "store/store_internal.h"

#define HOURS_OF_A_DAY 24

static void read_count(struct db *db, int64_t account, int64_t hour, struct sending_count *count)
{
	struct db_query query = db_query(db, "SELECT messages, recipients FROM sending WHERE account = $1 AND hour = $2");

	*count = (struct sending_count){0};
	db_bind_i64(&query, account);
	db_bind_i64(&query, hour);
	if (db_row(&query))
		*count = (struct sending_count){(uint64_t)db_i64(&query, 0), (uint64_t)db_i64(&query, 1)};
	db_done(&query);
}

enum status sending_read(struct store *store, int64_t account, int64_t hour, struct sending_count *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	read_count(db, account, hour, count);
	return db_status(db);
}

static void add_one(struct db *db, struct sending_change *change)
{
	struct db_query query =
		db_query(db, "INSERT INTO sending (account, hour, messages, recipients, alerted) VALUES ($1, $2, $3, $4, 0)"
			     " ON CONFLICT (account, hour) DO UPDATE SET messages = sending.messages + excluded.messages,"
			     " recipients = sending.recipients + excluded.recipients");

	db_bind_i64(&query, change->account);
	db_bind_i64(&query, change->hour);
	db_bind_i64(&query, (int64_t)change->added.messages);
	db_bind_i64(&query, (int64_t)change->added.recipients);
	db_run(&query);
	read_count(db, change->account, change->hour, &change->now);
}

struct add_work {
	struct sending_change *changes;
	size_t count;
};

static enum status add_all(struct db *db, void *context)
{
	struct add_work *work = context;

	for (size_t i = 0; i < work->count; i++)
		add_one(db, &work->changes[i]);
	return db_status(db);
}

enum status sending_add(struct store *store, struct sending_change *changes, size_t count)
{
	struct add_work work = {changes, count};

	return count > 0 ? db_write(store->pool, add_all, &work) : STATUS_OK;
}

static enum status alert(struct db *db, void *context)
{
	const struct sending_change *change = context;
	struct sending_change nothing = {.account = change->account, .hour = change->hour};

	add_one(db, &nothing);
	struct db_query query = db_query(db, "UPDATE sending SET alerted = 1 WHERE account = $1 AND hour = $2 AND alerted = 0 AND NOT EXISTS"
			     " (SELECT 1 FROM sending AS former WHERE former.account = $1 AND former.hour > $3 AND former.alerted = 1)");

	db_bind_i64(&query, change->account);
	db_bind_i64(&query, change->hour);
	db_bind_i64(&query, change->hour - HOURS_OF_A_DAY);
	db_run(&query);
	bool first = db_changes(db) > 0;

	return db_status(db) != STATUS_OK ? db_status(db) : first ? STATUS_OK : STATUS_EXISTS;
}

enum status sending_alert(struct store *store, int64_t account, int64_t hour)
{
	struct sending_change change = {.account = account, .hour = hour};

	return db_write(store->pool, alert, &change);
}

struct forget_work {
	int64_t before_hour;
	size_t max, removed;
};

/* All rows of one hour and before: there are as many as accounts that submitted. */
static enum status forget(struct db *db, void *context)
{
	struct forget_work *work = context;
	struct db_query query = db_query(db, "DELETE FROM sending WHERE hour = (SELECT min(hour) FROM sending) AND hour < $1");

	db_bind_i64(&query, work->before_hour);
	db_run(&query);
	work->removed = (size_t)db_changes(db);
	return db_status(db);
}

enum status sending_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	struct forget_work work = {.before_hour = before_ms / SENDING_HOUR_MS};
	enum status status = STATUS_OK;

	*removed = 0;
	do {
		status = db_write(store->pool, forget, &work);
		*removed += status == STATUS_OK ? work.removed : 0;
	} while (status == STATUS_OK && work.removed > 0 && *removed < max);
	return status;
}
