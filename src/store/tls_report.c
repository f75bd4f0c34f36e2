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
