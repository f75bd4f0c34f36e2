#include "store/tls_report.h"

#include "store/store_internal.h"

#define ROWS_MAX 100000
#define DAY_MS   (24 * 60 * 60 * 1000LL)

struct count_work {
	const struct tls_count *counts;
	size_t count;
};

static struct slice cut(struct slice text)
{
	return text.data ? slice_sub(text, 0, TLS_COUNT_TEXT_MAX) : SLICE_EMPTY;
}

static void add_count(struct db *db, const struct tls_count *count)
{
	struct db_query query = db_query(
		db, "INSERT INTO tls_count (day, domain, policy_type, result, receiving_host, receiving_ip, receiving_helo,"
		    " sending_ip, reason, policy, sessions) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
		    " ON CONFLICT (day, domain, policy_type, result, receiving_host, receiving_ip, receiving_helo, sending_ip,"
		    " reason) DO UPDATE SET policy = excluded.policy, sessions = tls_count.sessions + excluded.sessions");

	db_bind_i64(&query, count->day);
	db_bind_bytes(&query, cut(count->domain));
	db_bind_bytes(&query, cut(count->policy_type));
	db_bind_bytes(&query, cut(count->result));
	db_bind_bytes(&query, cut(count->receiving_host));
	db_bind_bytes(&query, cut(count->receiving_ip));
	db_bind_bytes(&query, cut(count->receiving_helo));
	db_bind_bytes(&query, cut(count->sending_ip));
	db_bind_bytes(&query, cut(count->reason));
	db_bind_bytes(&query, count->policy.data ? slice_sub(count->policy, 0, TLS_COUNT_POLICY_MAX) : SLICE_EMPTY);
	db_bind_i64(&query, (int64_t)count->sessions);
	db_run(&query);
}

static enum status add_counts(struct db *db, void *context)
{
	const struct count_work *work = context;

	for (size_t i = 0; i < work->count; i++)
		add_count(db, &work->counts[i]);
	return db_status(db);
}

enum status tls_count_add(struct store *store, const struct tls_count *counts, size_t count)
{
	struct count_work work = {counts, count};

	return count > 0 ? db_write(store->pool, add_counts, &work) : STATUS_OK;
}

static void take_count(struct db_query *query, struct arena *arena, struct tls_count *count)
{
	*count = (struct tls_count){
		.day = db_i64(query, 0),
		.domain = slice_dup(arena, db_slice(query, 1)),
		.policy_type = slice_dup(arena, db_slice(query, 2)),
		.result = slice_dup(arena, db_slice(query, 3)),
		.receiving_host = slice_dup(arena, db_slice(query, 4)),
		.receiving_ip = slice_dup(arena, db_slice(query, 5)),
		.receiving_helo = slice_dup(arena, db_slice(query, 6)),
		.sending_ip = slice_dup(arena, db_slice(query, 7)),
		.reason = slice_dup(arena, db_slice(query, 8)),
		.policy = slice_dup(arena, db_slice(query, 9)),
		.sessions = (uint64_t)db_i64(query, 10),
	};
}

enum status tls_count_list(struct store *store, struct arena *arena, int64_t day, struct slice domain,
			   struct tls_count **counts, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list found = LIST(arena, struct tls_count);
	struct tls_count *row;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(
		db, "SELECT day, domain, policy_type, result, receiving_host, receiving_ip, receiving_helo, sending_ip, reason,"
		    " policy, sessions FROM tls_count WHERE ($1 < 0 OR day = $1) AND ($2 = 0 OR domain = $3)"
		    " ORDER BY day, domain, policy_type, result, receiving_host LIMIT $4");

	db_bind_i64(&query, day);
	db_bind_i64(&query, domain.len > 0);
	db_bind_bytes(&query, domain.data ? domain : SLICE_EMPTY);
	db_bind_i64(&query, ROWS_MAX);
	while (db_row(&query) && (row = list_add(&found)))
		take_count(&query, arena, row);
	db_done(&query);
	*counts = found.items;
	*count = found.count;
	return found.failed ? STATUS_LIMIT : db_status(db);
}

struct forget_work {
	int64_t before_day;
	size_t removed;
};

static enum status forget_day(struct db *db, void *context)
{
	struct forget_work *work = context;
	struct db_query query =
		db_query(db, "DELETE FROM tls_count WHERE day = (SELECT min(day) FROM tls_count WHERE day < $1)");

	db_bind_i64(&query, work->before_day);
	db_run(&query);
	work->removed = (size_t)db_changes(db);
	query = db_query(db, "DELETE FROM tls_sent WHERE day < $1");
	db_bind_i64(&query, work->before_day);
	db_run(&query);
	return db_status(db);
}

enum status tls_count_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	struct forget_work work = {.before_day = before_ms / DAY_MS};
	enum status status = db_write(store->pool, forget_day, &work);

	(void)max; /* a day's rows are few enough */
	*removed = status == STATUS_OK ? work.removed : 0;
	return status;
}

/* ---- reports to the domains ---- */

struct plan_work {
	int64_t day, due_ms;
};

static enum status plan(struct db *db, void *context)
{
	const struct plan_work *work = context;
	struct db_query query = db_query(db, "INSERT INTO tls_sent (day, domain, due_ms, tries, done)"
					     " SELECT DISTINCT day, domain, $2, 0, 0 FROM tls_count WHERE day = $1 ON CONFLICT DO NOTHING");

	db_bind_i64(&query, work->day);
	db_bind_i64(&query, work->due_ms);
	db_run(&query);
	return db_status(db);
}

/* Is there anything to plan? Nobody waits for the writer's turn without need. */
static enum status has_unplanned(struct store *store, int64_t day, bool *has)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT 1 FROM tls_count c WHERE c.day = $1 AND NOT EXISTS"
					     " (SELECT 1 FROM tls_sent s WHERE s.day = c.day AND s.domain = c.domain) LIMIT 1");

	db_bind_i64(&query, day);
	*has = db_row(&query);
	db_done(&query);
	return db_status(db);
}

enum status tls_report_plan(struct store *store, int64_t day, int64_t due_ms)
{
	struct plan_work work = {day, due_ms};
	bool has = false;
	enum status status = has_unplanned(store, day, &has);

	return status == STATUS_OK && has ? db_write(store->pool, plan, &work) : status;
}

struct take_work {
	struct arena *arena;
	int64_t now_ms, lease_ms;
	struct tls_report *report;
	bool found;
};

static bool find_due(struct db *db, struct arena *arena, int64_t now_ms, struct tls_report *report)
{
	struct db_query query = db_query(db, "SELECT day, domain, tries, done FROM tls_sent WHERE due_ms > 0 AND due_ms <= $1"
					     " ORDER BY due_ms LIMIT 1");

	db_bind_i64(&query, now_ms);
	bool found = db_row(&query);

	if (found)
		*report = (struct tls_report){db_i64(&query, 0), slice_dup(arena, db_slice(&query, 1)), (unsigned)db_i64(&query, 2),
					      (uint64_t)db_i64(&query, 3)};
	db_done(&query);
	return found;
}

static void set_due(struct db *db, const struct tls_report *report, int64_t due_ms)
{
	struct db_query query =
		db_query(db, "UPDATE tls_sent SET due_ms = $3, tries = $4, done = $5 WHERE day = $1 AND domain = $2");

	db_bind_i64(&query, report->day);
	db_bind_bytes(&query, report->domain);
	db_bind_i64(&query, due_ms);
	db_bind_i64(&query, report->tries);
	db_bind_i64(&query, (int64_t)report->done);
	db_run(&query);
}

static enum status take_report(struct db *db, void *context)
{
	struct take_work *work = context;

	work->found = find_due(db, work->arena, work->now_ms, work->report);
	if (work->found)
		set_due(db, work->report, work->now_ms + work->lease_ms);
	return db_status(db);
}

enum status tls_report_take(struct store *store, struct arena *arena, int64_t now_ms, int64_t lease_ms, struct tls_report *report)
{
	struct take_work work = {arena, now_ms, lease_ms, report, false};
	struct db *db = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	bool is_due = find_due(db, arena, now_ms, report);
	enum status status = db_status(db);

	db_release(db);
	if (status == STATUS_OK && is_due)
		status = db_write(store->pool, take_report, &work);
	return status == STATUS_OK && !work.found ? STATUS_NOT_FOUND : status;
}

struct put_work {
	struct tls_report report;
	int64_t again_ms;
};

static enum status put_report(struct db *db, void *context)
{
	const struct put_work *work = context;

	set_due(db, &work->report, work->again_ms);
	return db_status(db);
}

enum status tls_report_put(struct store *store, const struct tls_report *report, int64_t again_ms)
{
	struct put_work work = {*report, again_ms};

	work.report.tries++;
	return db_write(store->pool, put_report, &work);
}
