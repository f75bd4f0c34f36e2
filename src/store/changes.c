#include "store/changes.h"

#include "base/clock.h"
#include "store/store_internal.h"

static void insert_run(struct db *db, const struct change_run *run)
{
	struct db_query query = db_query(db, "INSERT INTO change (account, modseq, mailbox, first_uid, last_uid, kind, at_ms)"
					     " VALUES ($1, $2, $3, $4, $5, $6, $7)");

	db_bind_i64(&query, run->account);
	db_bind_i64(&query, (int64_t)run->modseq);
	db_bind_i64(&query, run->mailbox);
	db_bind_i64(&query, run->first);
	db_bind_i64(&query, run->last);
	db_bind_i64(&query, run->kind);
	db_bind_i64(&query, clock_wall_ms());
	db_run(&query);
}

void change_run_add(struct db *db, struct change_run *run, uint32_t uid)
{
	if (run->first != 0 && uid == run->last + 1) {
		run->last = uid;
		return;
	}
	change_run_end(db, run);
	run->first = run->last = uid;
}

void change_run_end(struct db *db, struct change_run *run)
{
	if (run->first != 0)
		insert_run(db, run);
	run->first = 0;
}

void change_note_mailbox(struct db *db, int64_t account, uint64_t modseq, int64_t mailbox, enum change_kind kind)
{
	struct db_query query =
		db_query(db, "INSERT INTO change (account, modseq, mailbox, first_uid, last_uid, kind, at_ms)"
			     " VALUES ($1, $2, $3, 0, 0, $4, $5)"
			     " ON CONFLICT (account, modseq, mailbox, first_uid) DO UPDATE SET kind = excluded.kind");

	db_bind_i64(&query, account);
	db_bind_i64(&query, (int64_t)modseq);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, kind);
	db_bind_i64(&query, clock_wall_ms());
	db_run(&query);
}

/* ---- clean-up ---- */

struct trim {
	int64_t account, up_to;
	size_t removed;
};

/* Old rows of one account: the modseq of the last of the oldest `max` of them; 0: none. */
static int64_t find_old(struct db *db, int64_t account, int64_t before_ms, size_t max, size_t *count)
{
	int64_t modseq = 0;
	struct db_query query = db_query(db, "SELECT modseq, at_ms FROM change WHERE account = $1 ORDER BY modseq LIMIT $2");

	*count = 0;
	db_bind_i64(&query, account);
	db_bind_i64(&query, (int64_t)max);
	while (db_row(&query) && db_i64(&query, 1) < before_ms) {
		modseq = db_i64(&query, 0);
		(*count)++;
	}
	db_done(&query);
	return modseq;
}

static enum status trim_account(struct db *db, void *context)
{
	struct trim *trim = context;
	struct db_query query = db_query(db, "DELETE FROM change WHERE account = $1 AND modseq <= $2");

	db_bind_i64(&query, trim->account);
	db_bind_i64(&query, trim->up_to);
	db_run(&query);
	trim->removed = (size_t)db_changes(db);
	query = db_query(db, "UPDATE account SET log_modseq = $2 WHERE id = $1 AND log_modseq < $2");
	db_bind_i64(&query, trim->account);
	db_bind_i64(&query, trim->up_to);
	db_run(&query);
	return db_status(db);
}

/* The next account that has rows in the log; false: none. */
static bool next_account(struct db *db, int64_t after, int64_t *account)
{
	struct db_query query = db_query(db, "SELECT account FROM change WHERE account > $1 ORDER BY account LIMIT 1");

	db_bind_i64(&query, after);
	bool found = db_row(&query);

	if (found)
		*account = db_i64(&query, 0);
	db_done(&query);
	return found;
}

/* The next account with old rows, after trim->account. NOT_FOUND: none. */
static enum status find_trim(struct store *store, int64_t before_ms, size_t max, struct trim *trim)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	size_t count;

	if (!db)
		return STATUS_TEMPORARY;
	while (next_account(db, trim->account, &trim->account)) {
		trim->up_to = find_old(db, trim->account, before_ms, max, &count);
		if (trim->up_to > 0)
			return read_status(db, true);
	}
	return read_status(db, false);
}

enum status change_log_trim(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	struct trim trim = {0};
	enum status status = STATUS_OK;

	*removed = 0;
	while (status == STATUS_OK && *removed < max) {
		status = find_trim(store, before_ms, max - *removed, &trim);
		if (status == STATUS_OK)
			status = db_write(store->pool, trim_account, &trim);
		if (status == STATUS_OK)
			*removed += trim.removed;
	}
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
