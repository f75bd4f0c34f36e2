#include "store/greylist.h"

#include "store/store_internal.h"

#define TOUCH_MS INT64_C(3600000) /* a row isn't written for less */

struct greylist_row {
	int64_t first_ms, last_ms, passes;
	bool known;
};

struct ask_work {
	const struct greylist_question *question;
	enum greylist_outcome outcome;
	int64_t left_ms;
	bool reads_only, must_write;
};

static struct greylist_row read_row(struct db *db, struct slice key)
{
	struct greylist_row row = {0};
	struct db_query query = db_query(db, "SELECT first_ms, last_ms, passes FROM greylist WHERE key = $1");

	db_bind_bytes(&query, key);
	if (db_row(&query))
		row = (struct greylist_row){db_i64(&query, 0), db_i64(&query, 1), db_i64(&query, 2), true};
	db_done(&query);
	return row;
}

static void write_row(struct db *db, struct ask_work *work, struct slice key, const struct greylist_row *row)
{
	if (work->reads_only) {
		work->must_write = true;
		return;
	}
	struct db_query query = db_query(db, "INSERT INTO greylist (key, first_ms, last_ms, passes) VALUES ($1, $2, $3, $4)"
					     " ON CONFLICT (key) DO UPDATE SET first_ms = excluded.first_ms,"
					     " last_ms = excluded.last_ms, passes = excluded.passes");

	db_bind_bytes(&query, key);
	db_bind_i64(&query, row->first_ms);
	db_bind_i64(&query, row->last_ms);
	db_bind_i64(&query, row->passes);
	db_run(&query);
}

static bool is_old(const struct greylist_row *row, int64_t now_ms, int64_t keep_ms)
{
	return !row->known || row->last_ms + keep_ms <= now_ms;
}

static void touch(struct db *db, struct ask_work *work, struct slice key, struct greylist_row *row)
{
	if (row->last_ms + TOUCH_MS > work->question->now_ms)
		return;
	row->last_ms = work->question->now_ms;
	write_row(db, work, key, row);
}

static bool network_is_trusted(struct db *db, struct ask_work *work)
{
	const struct greylist_question *question = work->question;
	struct greylist_row row = read_row(db, question->network);

	if (question->passes_before_trust == 0 || is_old(&row, question->now_ms, question->remember_ms) ||
	    row.passes < (int64_t)question->passes_before_trust)
		return false;
	touch(db, work, question->network, &row);
	return true;
}

/* It has come again in time: one more reason to trust its network. */
static void note_pass(struct db *db, struct ask_work *work, struct greylist_row *triplet)
{
	const struct greylist_question *question = work->question;
	struct greylist_row network = read_row(db, question->network);

	if (is_old(&network, question->now_ms, question->remember_ms))
		network = (struct greylist_row){.first_ms = question->now_ms};
	network.passes++;
	network.last_ms = question->now_ms;
	write_row(db, work, question->network, &network);
	triplet->passes = 1;
	triplet->last_ms = question->now_ms;
	write_row(db, work, question->triplet, triplet);
}

/* RFC 6647 section 2.3, section 4.1 */
static void judge_triplet(struct db *db, struct ask_work *work)
{
	const struct greylist_question *question = work->question;
	struct greylist_row row = read_row(db, question->triplet);
	int64_t keep_ms = row.passes > 0 ? question->remember_ms : question->window_ms;

	if (is_old(&row, question->now_ms, keep_ms)) {
		row = (struct greylist_row){.first_ms = question->now_ms, .last_ms = question->now_ms};
		write_row(db, work, question->triplet, &row);
		work->outcome = GREYLIST_FIRST;
		work->left_ms = question->wait_ms;
	} else if (row.passes > 0) {
		touch(db, work, question->triplet, &row);
	} else if (row.first_ms + question->wait_ms > question->now_ms) {
		work->outcome = GREYLIST_EARLY;
		work->left_ms = row.first_ms + question->wait_ms - question->now_ms;
	} else {
		note_pass(db, work, &row);
	}
}

static enum status run(struct db *db, void *context)
{
	struct ask_work *work = context;

	work->outcome = GREYLIST_PASS;
	work->left_ms = 0;
	if (!network_is_trusted(db, work))
		judge_triplet(db, work);
	return db_status(db);
}

/* Most questions have been answered before: they take no writer. */
static enum status look(struct store *store, struct ask_work *work)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	work->reads_only = true;
	enum status status = run(db, work);

	work->reads_only = false;
	return status;
}

enum status greylist_ask(struct store *store, const struct greylist_question *question, enum greylist_outcome *outcome,
			 int64_t *left_ms)
{
	struct ask_work work = {.question = question};
	enum status status = look(store, &work);

	if (status == STATUS_OK && work.must_write)
		status = db_write(store->pool, run, &work);
	*outcome = work.outcome;
	*left_ms = work.left_ms;
	return status;
}

struct forget_work {
	int64_t before_ms;
	size_t max, removed;
};

static enum status forget(struct db *db, void *context)
{
	struct forget_work *work = context;
	struct db_query query = db_query(db, "DELETE FROM greylist WHERE key IN"
					     " (SELECT key FROM greylist WHERE last_ms < $1 LIMIT $2)");

	db_bind_i64(&query, work->before_ms);
	db_bind_i64(&query, (int64_t)work->max);
	db_run(&query);
	work->removed = (size_t)db_changes(db);
	return db_status(db);
}

enum status greylist_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	struct forget_work work = {.before_ms = before_ms, .max = max};
	enum status status = db_write(store->pool, forget, &work);

	*removed = status == STATUS_OK ? work.removed : 0;
	return status;
}
